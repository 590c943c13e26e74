"""Makes the OpenAPI document from the routes themselves, then adds what routes have in common.

The document is made from an application of its own, which never serves a request: so a noun can describe a
call that the real application answers with a bare ASGI handler (`DOCUMENTED`), and the serving application
carries none of the framework's own pages, which load scripts from other hosts.
"""

from __future__ import annotations

from importlib.metadata import version
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag
from litestar.routes import HTTPRoute

from pintuan.auth.middleware import PUBLIC_OPTION
from pintuan.bodies import ApiRequest
from pintuan.documentation.codes import IDEMPOTENCY_HEADER, codes_of
from pintuan.documentation.examples import example_of
from pintuan.problems import MEDIA_TYPE, TYPE_PREFIX, Kind, Problem, kinds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import AnyCallable, ControllerRouterHandler

BEARER: Final = "bearer"
_REF: Final = "#/components/schemas/{name}"
_DESCRIPTION: Final = """Group buying: prices fall as more people join.

Times are RFC 3339 in UTC, money is integer minor units with an ISO 4217 code, ids are opaque. Errors are
`application/problem+json` (RFC 9457) with a stable `code`; [all codes](/docs/problems). Calls that place or
release a seat or move money need an `Idempotency-Key`; repeating one with the same key and body is safe."""

_TAGS: Final = (
    Tag("products", "What merchants sell, and its variants."),
    Tag("deals", "Offers whose unit price falls with the headcount."),
    Tag("groups", "Time-limited groups, joining them, and links to share."),
    Tag("orders", "A buyer's seats and solo purchases."),
    Tag("payments", "Calls from payment gateways."),
    Tag("operator", "Health and metrics."),
)


def build_document(
    routes: Sequence[ControllerRouterHandler],
    *,
    dependencies: Mapping[str, Provide | AnyCallable],
    public_url: str | None,
) -> dict[str, Any]:
    """Returns the whole contract as plain JSON values; takes a moment, so keep the result."""
    app = Litestar(
        route_handlers=list(routes),
        dependencies=dict(dependencies),
        request_class=ApiRequest,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Pintuan",
            # Never served; the default would collide with our own route.
            path="/unserved",
            version=version("pintuan"),
            description=_DESCRIPTION,
            servers=[Server(url=public_url or "/")],
            tags=list(_TAGS),
            use_handler_docstrings=True,
            components=Components(
                security_schemes={BEARER: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
        ),
    )
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = document["components"].setdefault("schemas", {})
    schemas.update(_problem_schemas())
    handlers = _handlers_of(app)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete(operation, handlers[path, method.upper()], schemas)
    return document


def _problem_schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components((Problem,), ref_template=_REF)
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    schemas["Problem"]["properties"]["code"]["enum"] = [kind.code for kind in kinds()]
    return schemas


def _handlers_of(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    return {
        (route.path_format, method): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
    }


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    """Adds to an operation its security, its problems and an example for each JSON body."""
    if not handler.opt.get(PUBLIC_OPTION):
        operation["security"] = [{BEARER: []}] if handler.resolve_guards() else [{}, {BEARER: []}]
    for parameter in operation.get("parameters", []):
        if parameter["name"] == IDEMPOTENCY_HEADER:
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 255}
            parameter["example"] = "f3b1c2a4-join-1"
    responses = operation["responses"]
    # Litestar describes its own shape of a validation error, which nobody ever gets.
    responses.pop("400", None)
    bodies = [
        response.get("content", {}) for response in (*responses.values(), operation.get("requestBody", {}))
    ]
    for media in (content["application/json"] for content in bodies if "application/json" in content):
        example = example_of(media.get("schema", {}), schemas)
        if example is not None:
            media.setdefault("example", example)
    codes = codes_of(handler, operation)
    for kind in kinds():
        if kind.code in codes:
            _add_problem(responses, kind)


def _add_problem(responses: dict[str, Any], kind: Kind) -> None:
    response = responses.setdefault(
        str(kind.status),
        {
            "description": kind.title,
            "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}, "examples": {}}},
        },
    )
    if kind.status in (429, 503):
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        }
    example = {
        "type": TYPE_PREFIX + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail,
        "code": kind.code,
    }
    response["content"].setdefault(
        MEDIA_TYPE, {"schema": {"$ref": _REF.format(name="Problem")}, "examples": {}}
    )["examples"][kind.code] = {"value": example | _EXTRA.get(kind.code, {})}


_EXTRA: Final[dict[str, dict[str, Any]]] = {
    "invalid": {"errors": [{"field": "ladder[1].unit_price", "message": "must be below the tier before it"}]},
    "already_joined": {"order_id": "ord_019a2b3c4d5e6f708192a3b4c5d6e7f8"},
}
