"""The contract's descriptions of parameters and headers, beside the routes' own annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from pintuan.http.pagination import CURSOR_LENGTH_MAX
from pintuan.http.parameters import IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_PATTERN

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

# Parameters that mean the same wherever they stand: (description, example).
SHARED_PARAMETERS: Final = {
    "Last-Event-ID": ("`id` of the event received last.", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
    "lastEventId": ("The same, where no header can be set.", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
    "deal_id": ("Names the deal.", "deal_0192f0c1a2b3"),
    "delivery_id": ("Names the delivery.", "whd_0192f0c1a2b3"),
    "endpoint_id": ("Names the webhook endpoint.", "whe_0192f0c1a2b3"),
    "gateway": ("Names the payment gateway.", "stripe"),
    "group_id": ("Names the group.", "grp_0192f0c1a2b3"),
    "key_id": ("Names the API key.", "key_0192f0c1a2b3"),
    "order_id": ("Names the order.", "ord_0192f0c1a2b3"),
    "product_id": ("Names the product.", "prd_0192f0c1a2b3"),
    "share_code": ("Names the group in links.", "k7mq3xw9bd"),
    "invite": ("The invite code of a personal link.", "k3Jm9wQ2xY7pLr4T"),
    "token": ("What the link of a message ends with.", "gAAAAABrAkJwi6J7DgLYPoZnv8UjmNA5"),
    "variant_id": ("Names the variant.", "var_0192f0c1a2b3"),
    "object_id": ("Names what was changed.", "deal_0192f0c1a2b3"),
    "action": ("Names an operation.", "pause_deal"),
    "merchant_id": ("Names the merchant.", "teahouse"),
    "q": ("Words to find.", "steel kettle"),
    "currency": ("ISO 4217 code.", "USD"),
    "price_min": ("In minor units.", 500),
    "price_max": ("In minor units.", 2000),
    "on_deal": ("Whether there is a deal on it.", True),
    "created_from": ("The first moment.", "2030-01-01T00:00:00Z"),
    "created_to": ("The moment after the last.", "2030-02-01T00:00:00Z"),
}
_CURSOR_EXAMPLE: Final = "WyIyMDI2LTA1LTAxVDE4OjMwOjAwWiIsImRlYV8wMTlhMmIiXQ"
# Headers of responses, by the name under which `components.headers` has them.
HEADERS: Final[dict[str, Any]] = {
    "RequestId": {
        "description": "Names the request in the logs; a sane one that was sent is echoed.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "example": "5f0c1b2a3d4e5f6071829304",
    },
    "EntityTag": {
        "description": "Of what is shown (RFC 9110 section 8.8.3); weak where the server's time is in it.",
        "schema": {"type": "string", "pattern": '^(W/)?"[0-9a-f]{32}"$'},
        "example": 'W/"0f1e2d3c4b5a69788796a5b4c3d2e1f0"',
    },
    "Location": {
        "description": "Where what was made can be read (RFC 9110 section 10.2.2).",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/v1/orders/ord_0192f0c1a2b3",
    },
    "RetryAfter": {
        "description": "Seconds to wait before the call is worth repeating.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "Authenticate": {
        "description": "`Bearer`, with what was wrong about a token that was sent (RFC 6750 section 3).",
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token"',
    },
}
_IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags of answers one has; 304 when one of them still stands.",
    "schema": {"type": "string"},
    "example": 'W/"0f1e2d3c4b5a69788796a5b4c3d2e1f0"',
}
_CONSTRAINTS: Final = frozenset(
    {"minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "format"}
)
# The framework's entry for every parameter although it is the default.
_DEFAULTS: Final = ("deprecated", "allowEmptyValue", "allowReserved")


def describe_parameters(handler: HTTPRouteHandler, operation: dict[str, Any]) -> None:
    """Completes the operation's parameters: descriptions, examples and exact schemas."""
    parameters = operation.get("parameters", [])
    fields = handler.parsed_fn_signature.parameters
    for parameter in parameters:
        for key in _DEFAULTS:
            parameter.pop(key, None)
        parameter["schema"] = _tidy(parameter["schema"])
        if parameter["name"] in fields:
            # The framework's schema leaves out what the members of a union say.
            exact = _tidy(msgspec.json.schema(fields[parameter["name"]].raw))
            parameter["schema"] |= {key: value for key, value in exact.items() if key in _CONSTRAINTS}
            parameter["schema"] |= _bounds_of(fields[parameter["name"]].kwarg_definition)
        parameter["schema"].pop("description", None)
        if parameter["name"] in SHARED_PARAMETERS:
            description, example = SHARED_PARAMETERS[parameter["name"]]
            parameter.setdefault("description", description)
            parameter.setdefault("example", example)
        elif parameter["name"] == IDEMPOTENCY_HEADER:
            _describe_key(parameter)
        elif parameter["name"] == "cursor":
            # The format says that only what a list answered can be one.
            parameter["schema"] |= {"maxLength": CURSOR_LENGTH_MAX, "format": "cursor"}
            parameter["example"] = _CURSOR_EXAMPLE
        elif "example" not in parameter:
            _give_example(parameter)
    if "304" in operation["responses"]:
        operation["parameters"] = [*parameters, dict(_IF_NONE_MATCH)]


def describe_headers(responses: dict[str, Any]) -> None:
    """Names the headers that every response, and every one of a status, carries."""
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        headers["X-Request-Id"] = _header("RequestId")
        if "ETag" in headers or status == "304":
            headers["ETag"] = _header("EntityTag")
        if "Location" in headers:
            headers["Location"] = _header("Location")
        if status in ("429", "503"):
            headers["Retry-After"] = _header("RetryAfter")
        if status == "401":
            headers["WWW-Authenticate"] = _header("Authenticate")


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _bounds_of(definition: Any) -> dict[str, int]:
    """The bounds of a number, of which the framework's schema leaves out a zero."""
    bounds = {"minimum": getattr(definition, "ge", None), "maximum": getattr(definition, "le", None)}
    return {name: int(bound) for name, bound in bounds.items() if bound is not None}


def _describe_key(parameter: dict[str, Any]) -> None:
    # Its annotation leaves it out of the required ones, so that a call without it has an error of its own.
    parameter["required"] = True
    parameter["schema"] = {
        "type": "string",
        "minLength": 1,
        "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX,
        "pattern": IDEMPOTENCY_KEY_PATTERN,
    }
    parameter["example"] = "f3b1c2a4-join-1"


def _give_example(parameter: dict[str, Any]) -> None:
    schema = parameter["schema"]
    given = parameter.pop("examples", None) or schema.pop("examples", None)
    if isinstance(given, dict) and given:
        parameter["example"] = next(iter(given.values()))["value"]
    elif isinstance(given, list) and given:
        parameter["example"] = given[0]
    elif "default" in schema:
        parameter["example"] = schema["default"]
    elif schema.get("enum"):
        parameter["example"] = schema["enum"][-1]


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without null, which no query and no header can say, and with whole bounds."""
    members = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    alternatives = [entry for entry in members if entry.get("type") != "null"]
    if len(alternatives) == 1:
        rest = {key: value for key, value in schema.items() if key not in ("oneOf", "anyOf")}
        return _tidy(rest | alternatives[0])
    tidy = dict(schema)
    if isinstance(tidy.get("type"), list):
        types = [type_ for type_ in tidy["type"] if type_ != "null"]
        tidy["type"] = types[0] if len(types) == 1 else types
    if "enum" in tidy:
        tidy["enum"] = [value for value in tidy["enum"] if value is not None]
    for key in ("minimum", "maximum"):
        if isinstance(tidy.get(key), float) and tidy[key].is_integer():
            tidy[key] = int(tidy[key])
    return tidy
