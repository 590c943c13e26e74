"""The HTTP application: routes, layers and error handling, and nothing that belongs to a noun.

A request passes `RequestScope` (id, log line, metrics), `CrossOrigin` (whose pages may call, where any may),
`OneSpelling` (its path), `FairShare` (its turn), `Methods` (HEAD and OPTIONS), Litestar's router,
`AuthMiddleware` (who is calling), `OneExport`, `KnownQuery` (query parameters), the route's guard (may they),
then its handler. Every exception on the way ends in `pintuan.http.problems`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import ASGIRouteHandler
from litestar.middleware import DefineMiddleware

from pintuan import nouns
from pintuan.base.auth.middleware import AuthMiddleware
from pintuan.base.draining import drain_on_sigterm
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings, load_settings
from pintuan.base.stores.shares import Share
from pintuan.base.telemetry import logs
from pintuan.base.telemetry.request_reports import RequestReports
from pintuan.base.telemetry.tracing.requests import TracedRequests
from pintuan.bootstrap import open_resources
from pintuan.buying.orders.direct import DirectPlacing
from pintuan.http.bodies import BODY_SIZE_MAX, ApiRequest
from pintuan.http.client_address import behind_proxies
from pintuan.http.cross_origin import CrossOrigin
from pintuan.http.documentation.openapi import build_document
from pintuan.http.documentation.routes import ROUTES as DOCUMENTATION_ROUTES
from pintuan.http.fair_share.layer import CLASS_KEY, FairShare
from pintuan.http.fair_share.limits import PLACES
from pintuan.http.fair_share.one_export import OneExport
from pintuan.http.health.routes import METRICS_ROUTES
from pintuan.http.health.routes import ROUTES as HEALTH_ROUTES
from pintuan.http.health.service import shared_metrics, shared_readiness
from pintuan.http.methods import Methods
from pintuan.http.problems import add_kinds, handle_exception
from pintuan.http.protocol.request_target import OneSpelling
from pintuan.http.query import KnownQuery, note_parameters
from pintuan.http.request_scope import RequestScope
from pintuan.people.personal.document import Export, shape_of
from pintuan.reach.pages.strict_transport import demand_tls
from pintuan.selling.webhooks.contract import describe_webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from litestar.types import ASGIApp, ControllerRouterHandler, Scope

    from pintuan.http.fair_share.call_class import CallClass

for kinds in nouns.problems():
    add_kinds(kinds)
ROUTES: list[ControllerRouterHandler] = [
    *HEALTH_ROUTES,
    *METRICS_ROUTES,
    *DOCUMENTATION_ROUTES,
    *nouns.handlers(),
]
# Pages for developers, which no other environment has.
DEV_ROUTES: list[ControllerRouterHandler] = nouns.dev_handlers()
# The answers of a process that only an operator can reach.
OPERATOR_ROUTES: list[ControllerRouterHandler] = [*HEALTH_ROUTES, *METRICS_ROUTES]


def create_app(
    settings: Settings | None = None,
    *,
    routes: Sequence[ControllerRouterHandler] = ROUTES,
    watches_workers: bool = False,
) -> Litestar:
    """Returns the application; its stores are opened when the server starts it, and closed when it ends.

    `routes` is for a process that answers an operator alone. With `watches_workers` it is ready only while
    the workers of its node are at work.

    Raises:
        SettingsError: a setting cannot be used.
    """
    settings = settings or load_settings()
    reports = RequestReports(logs.configure(settings))
    dependencies = {"resources": Provide(provide_resources, sync_to_thread=False)}
    app = Litestar(
        route_handlers=_public(settings) if routes is ROUTES else [*routes],
        dependencies=dependencies,
        exception_handlers={Exception: handle_exception},
        lifespan=[partial(_lifespan, watches_workers=watches_workers)],
        before_send=[demand_tls] if (settings.public_url or "").startswith("https://") else [],
        # Our own log configuration stays in force, and exceptions are logged where they are answered.
        logging_config=None,
        middleware=[AuthMiddleware, DefineMiddleware(OneExport, under_way=set()), KnownQuery],
        # The document is made from the same routes, by `pintuan.http.documentation`.
        openapi_config=None,
        request_class=ApiRequest,
        request_max_body_size=BODY_SIZE_MAX,
    )
    app.state.settings = settings
    note_parameters(app)
    # The HTTP protocol asks it before it asks the application.
    app.state.direct_placing = DirectPlacing(reports)
    app.state.openapi = cache(partial(_document, settings, dependencies))
    # Litestar's own middlewares run behind its router, where an unknown route never gets.
    direct: DirectPlacing = app.state.direct_placing
    app.state.fair_share = FairShare(Methods(app), lambda: direct.is_placing)
    spelt: ASGIApp = OneSpelling(app.state.fair_share)
    if settings.cors_origins:
        spelt = CrossOrigin(spelt, settings.cors_origins)
    app.asgi_handler = RequestScope(spelt, reports)
    if settings.otlp_endpoint is not None:
        app.asgi_handler = TracedRequests(app.asgi_handler, lambda: app.state.resources.tracing)
    app.asgi_handler = behind_proxies(app.asgi_handler, settings.trusted_proxies)
    return app


def _public(settings: Settings) -> list[ControllerRouterHandler]:
    """Returns what the API's port answers."""
    is_dev = settings.env == "dev"
    hidden = () if is_dev and settings.metrics_port is None else METRICS_ROUTES
    return [*(route for route in ROUTES if route not in hidden), *(DEV_ROUTES if is_dev else ())]


def provide_resources(state: State, scope: Scope) -> Resources:
    """Injects the process' resources, with the connections of the call's class, into `resources`."""
    resources: dict[CallClass, Resources] = state.resources_by_class
    return resources[cast("dict[str, Any]", scope)[CLASS_KEY]]


def _by_class(resources: Resources) -> dict[CallClass, Resources]:
    return {call_class: resources.with_share(places.share) for call_class, places in PLACES.items()}


def _document(settings: Settings, dependencies: dict[str, Provide]) -> bytes:
    """Returns the OpenAPI document, encoded; it is made when somebody first asks."""
    described = [route for route in ROUTES if not isinstance(route, ASGIRouteHandler)]
    return msgspec.json.encode(
        build_document(
            described,
            dependencies=dependencies,
            public_url=settings.public_url,
            webhooks=describe_webhooks(),
            composed={Export: shape_of(nouns.personal())},
        )
    )


@asynccontextmanager
async def _lifespan(app: Litestar, *, watches_workers: bool) -> AsyncIterator[None]:
    async with (
        open_resources(app.state.settings, is_api=True) as resources,
        resources.verifier.kept_current(),
    ):
        draining = resources.draining
        app.state.resources = resources
        app.state.resources_by_class = _by_class(resources)
        app.state.verifier = resources.verifier
        app.state.draining = draining
        operator = resources.with_share(Share.OPERATOR)
        app.state.readiness = shared_readiness(operator.pool, operator.redis, watches_workers=watches_workers)
        app.state.metrics_text = shared_metrics(operator.pool, operator.redis)
        direct: DirectPlacing = app.state.direct_placing
        with direct.serving(resources, asyncio.get_running_loop()), drain_on_sigterm(draining):
            yield
        draining.begin()
