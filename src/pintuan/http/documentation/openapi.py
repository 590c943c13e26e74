"""Makes the OpenAPI document from the routes themselves, then adds what routes have in common.

The document is made from an application of its own, which never serves a request. The serving application
carries none of the framework's own pages, which load scripts from other hosts.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, Contact, License, Reference, SecurityScheme, Server, Tag
from litestar.routes import HTTPRoute

from pintuan.base.auth import admits_api_keys
from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.http.bodies import ApiRequest
from pintuan.http.documentation.bodies import REF, describe_bodies
from pintuan.http.documentation.codes import codes_of
from pintuan.http.documentation.parameters import HEADERS, describe_headers, describe_parameters
from pintuan.http.documentation.typed_clients import suit_typed_clients
from pintuan.http.problems import MEDIA_TYPE, TYPE_PREFIX, Kind, Problem, kinds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import AnyCallable, ControllerRouterHandler

BEARER: Final = "bearer"
API_KEY: Final = "api_key"
_DESCRIPTION: Final = """Group buying: prices fall as more people join.

Times are RFC 3339 in UTC, money is integer minor units with an ISO 4217 code, ids are opaque. Errors are
`application/problem+json` (RFC 9457) with a stable `code`; [all codes](/docs/problems). Calls that place or
release a seat or move money need an `Idempotency-Key`; repeating one with the same key and body is safe.
Fields and query parameters a call does not have are refused, but GET ignores what trackers add to links
(`utm_source`, `fbclid` and the like). HEAD answers what GET does, without the body.
People call with an access token, merchants' programs with an API key, both in `Authorization: Bearer`."""

_SECURITY_SCHEMES: Final[dict[str, SecurityScheme | Reference]] = {
    BEARER: SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="An access token of `POST /v1/auth/token`; good for 15 minutes.",
    ),
    API_KEY: SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="ptk_…",
        description="A merchant's API key, sent the same way, for calls that merchants may make.",
    ),
}
_TAGS: Final = (
    Tag("products", "What merchants sell, and its variants."),
    Tag("deals", "Offers whose unit price falls with the headcount."),
    Tag("groups", "Time-limited groups, joining them, and links to share."),
    Tag("orders", "A buyer's seats and solo purchases."),
    Tag("merchants", "A merchant's keys and views."),
    # Tags become classes of generated clients, and `webhooks` is a name of the document's own.
    Tag("webhook endpoints", "Telling a merchant's own systems what became of groups and orders."),
    Tag("webhook events", "What those systems are sent."),
    Tag("identity", "Signing in, and what people see and erase of themselves."),
    Tag("payments", "Calls from payment gateways."),
    Tag("operator", "Health and metrics."),
)


def build_document(
    routes: Sequence[ControllerRouterHandler],
    *,
    dependencies: Mapping[str, Provide | AnyCallable],
    public_url: str | None,
    webhooks: Mapping[str, Any],
    composed: Mapping[type, type],
) -> dict[str, Any]:
    """Returns the whole contract as plain JSON values; takes a moment, so keep the result.

    `webhooks` are part of the document: calls that we send and others receive. `composed` has the types of
    answers that no single noun can make, by the type that its route names in their place.
    """
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
            contact=Contact(name="Pintuan", url=public_url),
            license=License(name="Apache License 2.0", identifier="Apache-2.0"),
            servers=[Server(url=public_url or "/")],
            tags=list(_TAGS),
            use_handler_docstrings=True,
            operation_id_creator=_name_of,
            components=Components(security_schemes=_SECURITY_SCHEMES),
        ),
    )
    document: dict[str, Any] = app.openapi_schema.to_schema()
    handlers = _handlers_of(app)
    operations = [
        (handlers[path, method.upper()], operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    for _, operation in operations:
        # Litestar describes its own shape of a validation error, which nobody ever gets.
        operation["responses"].pop("400", None)
    schemas = describe_bodies(operations, composed=composed, besides=[Problem])
    schemas["Problem"]["properties"]["code"]["enum"] = [kind.code for kind in kinds()]
    document["components"] |= {"schemas": dict(sorted(schemas.items())), "headers": HEADERS}
    for handler, operation in operations:
        _complete(operation, handler)
    document["webhooks"] = webhooks
    suit_typed_clients(document)
    return document


def _handlers_of(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    return {
        (route.path_format, method): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
    }


def _name_of(handler: HTTPRouteHandler, _method: str, _path: Sequence[object]) -> str:
    """An operation is called what its handler is called, and so is the client's method for it."""
    return handler.handler_name


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Adds to an operation its security, its problems, and the descriptions of its parameters and headers."""
    if handler.opt.get(PUBLIC_OPTION):
        operation["security"] = []
    else:
        schemes: list[dict[str, list[str]]] = [{BEARER: []}]
        if admits_api_keys(handler):
            schemes.append({API_KEY: []})
        operation["security"] = schemes if handler.resolve_guards() else [{}, *schemes]
    responses = operation["responses"]
    codes = codes_of(handler, operation)
    for kind in kinds():
        if kind.code in codes:
            _add_problem(responses, kind)
    describe_parameters(handler, operation)
    describe_headers(responses)


def _add_problem(responses: dict[str, Any], kind: Kind) -> None:
    response = responses.setdefault(str(kind.status), {"description": kind.title, "content": {}})
    media = response["content"].setdefault(
        MEDIA_TYPE, {"schema": {"$ref": REF.format(name="Problem")}, "examples": {}}
    )
    example = {
        "type": TYPE_PREFIX + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail,
        "code": kind.code,
    }
    media["examples"][kind.code] = {"summary": kind.title, "value": example | _EXTRA.get(kind.code, {})}


_EXTRA: Final[dict[str, dict[str, Any]]] = {
    "invalid": {"errors": [{"field": "ladder[1].unit_price", "message": "must be below the tier before it"}]},
    "already_joined": {"order_id": "ord_019a2b3c4d5e6f708192a3b4c5d6e7f8"},
}
