"""Every route has a class that was thought about, and nothing gets out of its class by another spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from litestar.routes import HTTPRoute

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from pintuan.http.fair_share.call_class import CallClass, class_of

CLASSES: dict[CallClass, set[str]] = {
    CallClass.PLACING: {
        "POST /v1/deals/{deal_id}/join",
        "POST /v1/deals/{deal_id}/groups",
        "POST /v1/deals/{deal_id}/buy",
        "POST /v1/groups/{group_id}/join",
        "POST /v1/orders/{order_id}/cancel",
        "POST /g/{share_code}/join",
        "POST /g/{share_code}/open",
    },
    CallClass.READS: {
        "GET /v1/products",
        "GET /v1/products/{product_id}",
        "GET /v1/deals",
        "GET /v1/deals/{deal_id}",
        "GET /v1/deals/{deal_id}/groups",
        "GET /v1/groups/{group_id}",
        "GET /v1/groups/{group_id}/invites",
        "GET /v1/share/{share_code}",
        "GET /v1/orders",
        "GET /v1/orders/{order_id}",
        "GET /v1/orders/{order_id}/receipt",
        "GET /.well-known/apple-app-site-association",
        "GET /.well-known/assetlinks.json",
        "GET /dev/outbox",
    },
    CallClass.PAGES: {
        "GET /g/{share_code}",
        "GET /g/{share_code}/qr.svg",
        "GET /pages/assets/{name}",
        "GET /docs",
        "GET /docs/assets/{name}",
        "GET /docs/problems",
        "GET /schema/openapi.json",
    },
    CallClass.CARDS: {"GET /g/{share_code}/card.png"},
    CallClass.STREAMS: {"GET /v1/groups/{group_id}/events"},
    CallClass.ACCOUNTS: {
        "POST /v1/auth/otp",
        "POST /v1/auth/token",
        "POST /v1/auth/revoke",
        "GET /v1/me",
        "DELETE /v1/me",
        "POST /v1/groups/{group_id}/invites",
        "GET /v1/unsubscribe/{token}",
        "POST /v1/unsubscribe/{token}",
        "POST /g/{share_code}/code",
        "POST /g/{share_code}/sign-in",
        "POST /g/{share_code}/sign-out",
    },
    CallClass.EXPORTS: {"GET /v1/me/export"},
    CallClass.SHEETS: {"GET /v1/merchant/orders.csv", "GET /v1/merchant/statement.csv"},
    CallClass.IMPORTS: {"POST /v1/merchant/imports"},
    CallClass.GATEWAY: {"POST /v1/payments/webhooks/{gateway}"},
    CallClass.OPERATOR: {"GET /health/live", "GET /health/ready", "GET /metrics"},
}
"""All others are a merchant's or an operator's own work."""
OWN_WORK = re.compile(
    r"(?:GET|POST|PATCH|DELETE) /v1/(?:merchant/(?!imports|.*\.csv).*|webhook-endpoints.*)"
    r"|(?:POST|PATCH) /v1/(?:products|deals)(?:/\{\w+\}(?:/pause|/resume|/end)?)?"
    r"|POST /v1/orders/\{order_id\}/refunds"
)


def routes() -> Iterator[tuple[str, str]]:
    app = create_app(Settings(secret_key="k" * 40))
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method in sorted(set(map(str, route.methods)) - {"OPTIONS", "HEAD"}):
            yield method, route.path_format


def test_every_route_has_the_class_it_was_given_here() -> None:
    for method, template in routes():
        call = f"{method} {template}"
        given = [call_class for call_class, calls in CLASSES.items() if call in calls]
        if not given and OWN_WORK.fullmatch(call):
            given = [CallClass.MERCHANTS]
        assert len(given) == 1, f"{call} is new: which class is it of?"

        path = re.sub(r"\{\w+\}", "x1", template)
        assert class_of(method, path) is given[0], call
        assert class_of(method, f"{path}/") is given[0], call


@pytest.mark.parametrize("path", ["/v1/products", "/v1/deals", "/v1/deals/", "/v1/deals/x/groups"])
def test_a_list_that_is_filtered_is_a_search(path: str) -> None:
    assert class_of("GET", path, b"q=tea") is CallClass.SEARCH
    assert class_of("HEAD", path, b"limit=3&currency=EUR") is CallClass.SEARCH
    assert class_of("GET", path, b"limit=3&cursor=abc&") is CallClass.READS


def test_what_leads_nowhere_is_a_read() -> None:
    for method, path in [
        ("GET", "/"),
        ("PUT", "/v1/nothing"),
        ("BREW", "/v1/deals/x/join"),
        ("GET", "//metrics"),
    ]:
        assert class_of(method, path) in (CallClass.READS, CallClass.MERCHANTS)
