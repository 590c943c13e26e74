"""The tour on the front page, run as it stands."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.documents import text_of
from tests.marketplace import Running, Site, open_deal

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="the tour calls the API with curl"),
]

TERMS: dict[str, Any] = {
    "ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 4, "unit_price": 800}],
    "min_headcount": 2,
    "max_headcount": 6,
    "group_ttl_seconds": 600,
    "stock": 100,
    "per_buyer_units": 1,
}
PROMISED = {"amount": 900, "currency": "USD"}
NEXT = {"amount": 800, "currency": "USD"}


def tour_on(up: Running) -> str:
    """The block, with this marketplace and this installation in the place of the reader's."""
    block = re.search(r"<!-- tour -->\n```sh\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert block is not None
    pintuan = Path(sys.executable).with_name("pintuan")
    assert pintuan.exists()
    script = block[1]
    for theirs, ours in (
        ("localhost:8000", urlsplit(up.url).netloc),
        (".venv/bin/pintuan", shlex.quote(str(pintuan))),
    ):
        assert theirs in script
        script = script.replace(theirs, ours)
    return script


async def take(tour: str, site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    """The order and the group that the tour prints."""
    outcome = await site.shell(tour)
    assert (outcome.status, outcome.errors) == (0, ""), outcome
    order, group = map(json.loads, outcome.output.splitlines())
    return order, group


async def test_its_three_calls_answer_what_is_said_there_and_may_be_repeated(new_site: Site) -> None:
    up = await new_site.up()
    (merchant,) = await new_site.tokens("merchant", "acme")
    async with up.client() as client:
        deal = await open_deal(client, merchant, **TERMS)
    tour = tour_on(up)

    order, group = await take(tour, new_site)

    assert order["deal_id"] == deal
    assert order["status"] in ("held", "authorised")
    assert (order["quantity"], order["promised_price"]) == (1, PROMISED)
    assert group["id"] == order["group_id"]
    assert group["headcount"] + group["held"] == 1
    assert group["unit_price"] == PROMISED
    assert group["next_tier"] == {"headcount": 4, "unit_price": NEXT, "missing": 4 - group["headcount"]}
    assert group["my_order"]["id"] == order["id"]

    again, same_group = await take(tour, new_site)

    assert (again["id"], again["seat"]) == (order["id"], order["seat"])
    assert same_group["id"] == group["id"]
    assert same_group["headcount"] + same_group["held"] == 1
    assert await up.terminate() == 0
