"""A merchant's deals, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from pintuan.base.auth import Role
from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

MakeDeal = Callable[..., Awaitable[httpx.Response]]

LADDER = [{"headcount": 2, "unit_price": 900}, {"headcount": 5, "unit_price": 800}]


@pytest.fixture
async def variant_id(api: httpx.AsyncClient, bearer: Bearer) -> str:
    """A variant of the merchant `teahouse`, at 10.00 USD."""
    body = {
        "title": "Kettle",
        "variants": [{"sku": "K", "title": "Red", "list_price": {"amount": 1000, "currency": "USD"}}],
    }
    created = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    identifier: str = created.json()["variants"][0]["id"]
    return identifier


@pytest.fixture
def make_deal(api: httpx.AsyncClient, bearer: Bearer, variant_id: str) -> MakeDeal:
    """Posts a deal that is right but for the changes given."""

    async def make_deal(
        *, caller: str = "teahouse", role: Role = "merchant", **changes: Any
    ) -> httpx.Response:
        body = {
            "variant_id": variant_id,
            "ladder": LADDER,
            "min_headcount": 3,
            "max_headcount": 10,
            "group_ttl_seconds": 3600,
            "stock": 100,
            "per_buyer_units": 5,
            **changes,
        }
        return await api.post("/v1/deals", json=body, headers=bearer(role, caller))

    return make_deal


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def fields(response: httpx.Response) -> list[str]:
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    return [error["field"] for error in response.json()["errors"]]


async def lanes_of(pool: asyncpg.Pool, deal_id: str) -> list[tuple[int, int]]:
    rows = await pool.fetch(
        "SELECT epoch, stock_units FROM lanes WHERE deal_id = $1 ORDER BY lane_no", deal_id
    )
    return [(row["epoch"], row["stock_units"]) for row in rows]


async def test_a_deal_is_made_and_shown_to_everybody(api: httpx.AsyncClient, make_deal: MakeDeal) -> None:
    created = await make_deal()
    assert created.status_code == 201
    deal = created.json()
    assert deal["merchant_id"] == "teahouse"
    assert deal["title"] == "Kettle"
    assert deal["status"] == "active"
    assert deal["list_price"] == {"amount": 1000, "currency": "USD"}
    assert deal["ladder"] == [
        {"headcount": 2, "unit_price": {"amount": 900, "currency": "USD"}},
        {"headcount": 5, "unit_price": {"amount": 800, "currency": "USD"}},
    ]
    assert (deal["stock"], deal["sold"], deal["lanes"], deal["ends_at"]) == (100, 0, 1, None)
    assert deal["new_cards_per_group"] is None

    shown = await api.get(f"/v1/deals/{deal['id']}")
    assert shown.json() == deal


async def test_a_deal_that_has_not_changed_is_not_sent_again(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer
) -> None:
    path = f"/v1/deals/{(await make_deal()).json()['id']}"
    tag = (await api.get(path)).headers["etag"]
    assert (await api.get(path, headers={"If-None-Match": tag})).status_code == 304
    await api.post(f"{path}/pause", headers=bearer("merchant", "teahouse"))
    changed = await api.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 5, "unit_price": 950}]},
            ["ladder[1].unit_price"],
        ),
        (
            {"ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 2, "unit_price": 800}]},
            ["ladder[1].headcount"],
        ),
        ({"ladder": [{"headcount": 2, "unit_price": 1000}]}, ["ladder[0].unit_price"]),
        ({"ladder": [{"headcount": 4, "unit_price": 900}]}, ["ladder[0].headcount"]),
        (
            {"ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 11, "unit_price": 800}]},
            ["ladder[1].headcount"],
        ),
        ({"ladder": []}, ["ladder"]),
        ({"ladder": [{"headcount": 2, "unit_price": "900"}]}, ["ladder[0].unit_price"]),
        ({"min_headcount": 11}, ["max_headcount"]),
        ({"group_ttl_seconds": 0}, ["group_ttl_seconds"]),
        ({"group_ttl_seconds": 518_401}, ["group_ttl_seconds"]),
        ({"stock": 0}, ["stock"]),
        ({"stock": 10**9 + 1}, ["stock"]),
        ({"stock": 2**70}, ["stock"]),
        ({"per_buyer_units": 0}, ["per_buyer_units"]),
        ({"new_cards_per_group": -1}, ["new_cards_per_group"]),
        ({"new_cards_per_group": 100_001}, ["new_cards_per_group"]),
        ({"new_cards_per_group": "2"}, ["new_cards_per_group"]),
        ({"lanes": 17}, ["lanes"]),
        ({"starts_at": "2030-01-01T12:00:00"}, ["starts_at"]),
        ({"ends_at": "2001-01-01T12:00:00Z"}, ["ends_at"]),
        ({"starts_at": "0001-01-01T00:00:00+01:00"}, ["starts_at"]),
        ({"ends_at": "9999-12-31T23:59:59-01:00"}, ["ends_at"]),
        ({"starts_at": "2090-01-02T12:00:00Z", "ends_at": "2090-01-01T12:00:00Z"}, ["ends_at"]),
        ({"title": ""}, ["title"]),
        ({"variant_id": "nul\0"}, ["variant_id"]),
        ({"discount": 5}, ["discount"]),
    ],
)
async def test_a_deal_that_does_not_fit_is_refused_by_field(
    make_deal: MakeDeal, changes: dict[str, Any], expected: list[str]
) -> None:
    assert fields(await make_deal(**changes)) == expected


async def test_all_that_is_wrong_with_a_deal_is_told_at_once(make_deal: MakeDeal) -> None:
    refused = await make_deal(
        ladder=[{"headcount": 2, "unit_price": 900}, {"headcount": 2, "unit_price": 1000}],
        max_headcount=0,
        stock=-1,
        lanes=0,
        ends_at="2001-01-01T12:00:00Z",
    )
    assert set(fields(refused)) == {
        "ladder[1].headcount",
        "ladder[1].unit_price",
        "max_headcount",
        "stock",
        "lanes",
        "ends_at",
    }


@pytest.mark.parametrize("seats", [0, 2, 100_000, None])
async def test_a_deal_says_how_many_seats_of_a_group_new_cards_may_have(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, seats: int | None
) -> None:
    deal = (await make_deal(new_cards_per_group=seats)).json()
    assert deal["new_cards_per_group"] == seats
    headers = bearer("merchant", "teahouse")
    renamed = await api.patch(f"/v1/deals/{deal['id']}", json={"title": "Pot"}, headers=headers)
    assert renamed.json()["new_cards_per_group"] == seats
    told = await api.get("/v1/merchant/activity", params={"object_id": deal["id"]}, headers=headers)
    assert told.json()["items"][-1]["changes"].get("new_cards_per_group") == (
        None if seats is None else {"after": seats}
    )


async def test_a_deal_with_the_largest_numbers_is_accepted(make_deal: MakeDeal) -> None:
    created = await make_deal(
        stock=10**9, per_buyer_units=10**6, lanes=16, group_ttl_seconds=518_400, max_headcount=100_000
    )
    assert created.status_code == 201


@pytest.mark.parametrize(
    ("caller", "role", "variant"),
    [("rival", "merchant", None), ("teahouse", "merchant", "var_0")],
)
async def test_a_variant_that_is_not_the_merchants_own_is_not_found(
    make_deal: MakeDeal, caller: str, role: Role, variant: str | None
) -> None:
    refused = await make_deal(caller=caller, role=role, **({"variant_id": variant} if variant else {}))
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


async def test_an_admin_offers_a_variant_in_its_merchants_name(make_deal: MakeDeal) -> None:
    created = await make_deal(caller="root", role="admin")
    assert created.status_code == 201
    assert created.json()["merchant_id"] == "teahouse"


async def test_only_merchants_make_and_change_deals(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer
) -> None:
    assert (await make_deal(caller="ann", role="buyer")).status_code == 403
    path = f"/v1/deals/{(await make_deal()).json()['id']}"
    for call in ("pause", "resume", "end"):
        assert (await api.post(f"{path}/{call}")).status_code == 401
        assert (await api.post(f"{path}/{call}", headers=bearer("buyer", "ann"))).status_code == 403
        rival = await api.post(f"{path}/{call}", headers=bearer("merchant", "rival"))
        assert (rival.status_code, rival.json()["code"]) == (404, "not_found")
    rival = await api.patch(path, json={"title": "Mine"}, headers=bearer("merchant", "rival"))
    assert rival.status_code == 404
    assert (await api.get(path)).json()["status"] == "active"


@pytest.mark.parametrize(("starts_in_hours", "status"), [(None, "active"), (1, "scheduled"), (-1, "active")])
async def test_a_deals_status_follows_its_window(
    make_deal: MakeDeal, starts_in_hours: float | None, status: str
) -> None:
    starts_at = None if starts_in_hours is None else in_hours(starts_in_hours)
    created = await make_deal(starts_at=starts_at, ends_at=in_hours(2))
    assert created.json()["status"] == status


async def test_a_deal_is_over_when_its_window_is(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    deal_id = (await make_deal(starts_at=in_hours(-1), ends_at=in_hours(1))).json()["id"]
    await pool.execute("UPDATE deals SET ends_at = app_now() WHERE id = $1", deal_id)
    assert (await api.get(f"/v1/deals/{deal_id}")).json()["status"] == "ended"
    refused = await api.post(f"/v1/deals/{deal_id}/resume", headers=bearer("merchant", "teahouse"))
    assert (refused.status_code, refused.json()["code"]) == (409, "deal_not_active")


async def test_a_deal_is_paused_resumed_and_ended_and_its_lanes_learn_of_it(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    deal_id = (await make_deal(lanes=2)).json()["id"]
    headers = bearer("merchant", "teahouse")
    calls = [
        ("resume", 200, "active", 1),
        ("pause", 200, "paused", 2),
        ("pause", 200, "paused", 2),
        ("resume", 200, "active", 3),
        ("end", 200, "ended", 4),
        ("end", 200, "ended", 4),
        ("resume", 409, "ended", 4),
        ("pause", 409, "ended", 4),
    ]
    for call, code, status, epoch in calls:
        response = await api.post(f"/v1/deals/{deal_id}/{call}", headers=headers)
        assert response.status_code == code
        assert (await api.get(f"/v1/deals/{deal_id}")).json()["status"] == status
        assert [lane[0] for lane in await lanes_of(pool, deal_id)] == [epoch, epoch]


async def test_stock_is_split_evenly_over_the_lanes_and_more_of_it_too(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    deal_id = (await make_deal(lanes=3, stock=11)).json()["id"]
    assert await lanes_of(pool, deal_id) == [(1, 4), (1, 4), (1, 3)]
    headers = bearer("merchant", "teahouse")
    changed = await api.patch(f"/v1/deals/{deal_id}", json={"stock": 16}, headers=headers)
    assert changed.json()["stock"] == 16
    assert await lanes_of(pool, deal_id) == [(2, 6), (2, 6), (2, 4)]
    assert fields(await api.patch(f"/v1/deals/{deal_id}", json={"stock": 15}, headers=headers)) == ["stock"]
    assert await lanes_of(pool, deal_id) == [(2, 6), (2, 6), (2, 4)]


async def test_a_merchant_switches_nudges_off_and_no_lane_is_rebuilt_for_it(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    quiet, deal = (await make_deal(nudges=False)).json(), (await make_deal()).json()
    assert (quiet["nudges"], deal["nudges"]) == (False, True)
    path, headers = f"/v1/deals/{deal['id']}", bearer("merchant", "teahouse")
    changed = await api.patch(path, json={"nudges": False}, headers=headers)
    assert changed.json() == deal | {"nudges": False}
    assert await lanes_of(pool, deal["id"]) == [(1, 100)]


async def test_a_change_keeps_what_it_leaves_out(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    deal = (await make_deal(ends_at=in_hours(2))).json()
    path, headers = f"/v1/deals/{deal['id']}", bearer("merchant", "teahouse")
    renamed = await api.patch(path, json={"title": "Big kettle"}, headers=headers)
    assert renamed.status_code == 200
    kettle = {"title": "Big kettle", "offer_id": renamed.json()["offer_id"]}
    assert renamed.json() == deal | kettle
    assert kettle["offer_id"] != deal["offer_id"]
    assert await lanes_of(pool, deal["id"]) == [(1, 100)]
    open_ended = await api.patch(path, json={"ends_at": None}, headers=headers)
    assert open_ended.json() == deal | kettle | {"ends_at": None}
    assert await lanes_of(pool, deal["id"]) == [(2, 100)]
    unchanged = await api.patch(path, json={}, headers=headers)
    assert unchanged.json() == open_ended.json()
    assert await lanes_of(pool, deal["id"]) == [(2, 100)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ends_at": "2001-01-01T12:00:00Z"}, ["ends_at"]),
        ({"ends_at": "2001-01-01T12:00:00Z", "stock": 1}, ["ends_at", "stock"]),
        ({"ends_at": "9999-12-31T23:59:59-01:00"}, ["ends_at"]),
        ({"stock": None}, ["stock"]),
        ({"title": None}, ["title"]),
        ({"ladder": []}, ["ladder"]),
        ({"new_cards_per_group": 2}, ["new_cards_per_group"]),
    ],
)
async def test_a_change_that_does_not_fit_is_refused_by_field(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer, change: dict[str, Any], expected: list[str]
) -> None:
    path = f"/v1/deals/{(await make_deal()).json()['id']}"
    assert fields(await api.patch(path, json=change, headers=bearer("merchant", "teahouse"))) == expected


async def test_an_ended_deal_cannot_be_changed(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer
) -> None:
    path = f"/v1/deals/{(await make_deal()).json()['id']}"
    await api.post(f"{path}/end", headers=bearer("merchant", "teahouse"))
    refused = await api.patch(path, json={"stock": 200}, headers=bearer("merchant", "teahouse"))
    assert (refused.status_code, refused.json()["code"]) == (409, "deal_not_active")


async def test_deals_are_listed_newest_first_by_status_and_page(
    api: httpx.AsyncClient, make_deal: MakeDeal, bearer: Bearer
) -> None:
    made = [(await make_deal(title=f"Deal {n}")).json() for n in range(5)]
    await api.post(f"/v1/deals/{made[2]['id']}/pause", headers=bearer("merchant", "teahouse"))

    first = (await api.get("/v1/deals", params={"status": "active", "limit": 2})).json()
    assert [deal["title"] for deal in first["items"]] == ["Deal 4", "Deal 3"]
    rest = (
        await api.get("/v1/deals", params={"status": "active", "limit": 2, "cursor": first["next_cursor"]})
    ).json()
    assert [deal["title"] for deal in rest["items"]] == ["Deal 1", "Deal 0"]
    assert rest["next_cursor"] is None
    paused = (await api.get("/v1/deals", params={"status": "paused"})).json()
    assert [deal["title"] for deal in paused["items"]] == ["Deal 2"]
    assert len((await api.get("/v1/deals")).json()["items"]) == 5


@pytest.mark.parametrize(
    "params", [{"status": "closed"}, {"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "?"}]
)
async def test_a_list_that_is_asked_for_wrongly_is_refused(
    api: httpx.AsyncClient, params: dict[str, str]
) -> None:
    response = await api.get("/v1/deals", params=params)
    assert fields(response) == list(params)


@pytest.mark.parametrize("deal_id", ["deal_0", "x" * 500])
async def test_a_deal_that_is_not_there_is_not_found(
    api: httpx.AsyncClient, bearer: Bearer, deal_id: str
) -> None:
    headers = bearer("merchant", "teahouse")
    for response in (
        await api.get(f"/v1/deals/{deal_id}"),
        await api.post(f"/v1/deals/{deal_id}/pause", headers=headers),
        await api.patch(f"/v1/deals/{deal_id}", json={}, headers=headers),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
