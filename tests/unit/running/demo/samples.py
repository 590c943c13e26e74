"""Deals, groups and orders as the API would answer them, for tests that need no API."""

from datetime import UTC, datetime, timedelta

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import (
    Group,
    GroupStatus,
    GroupTier,
    Order,
    OrderStatus,
    Payment,
    Refund,
    RefundStatus,
)
from pintuan.running.demo.board import Placed, Record
from pintuan.running.demo.plan import Offer, Scene, Step
from pintuan.shop.deals.schemas import Deal, DealProduct, DealVariant, Tier

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
OFFER = Offer(
    sku="KETTLE",
    title="Kettle",
    ladder=((2, 900), (3, 800)),
    min_headcount=2,
    max_headcount=4,
    group_ttl_s=60,
)
STEPS = (Step("open", "Ana"), Step("link", "Mei", "Ana", quantity=2))


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def scene(**changes: object) -> Scene:
    fields = {"key": "kettle", "offer": OFFER, "steps": STEPS, "ends_as": "succeeded"} | changes
    return Scene(**fields)  # type: ignore[arg-type]  # Each test says what it changes.


def deal(title: str = "Kettle", *, list_price: int = 1000) -> Deal:
    return Deal(
        id="deal_1",
        merchant_id="acme",
        product_id="prd_1",
        variant_id="var_1",
        title=title,
        status="active",
        currency="USD",
        product=DealProduct(title=title, images=[]),
        variant=DealVariant(sku="TEA-1", title="Red", options={}, images=[]),
        list_price=usd(list_price),
        starting_price=usd(OFFER.ladder[0][1]),
        lowest_price=usd(OFFER.ladder[-1][1]),
        ladder=[Tier(headcount, usd(price)) for headcount, price in OFFER.ladder],
        min_headcount=OFFER.min_headcount,
        max_headcount=OFFER.max_headcount,
        group_ttl_seconds=OFFER.group_ttl_s,
        starts_at=NOW,
        ends_at=None,
        stock=50,
        sold=0,
        per_buyer_units=5,
        new_cards_per_group=None,
        lanes=1,
        nudges=True,
        created_at=NOW,
        offer_id="9f86d081884c7d659a2feaa0c55ad015",
    )


def group(
    status: GroupStatus = "open",
    headcount: int = 1,
    *,
    unit_price: int = 900,
    final: int | None = None,
    held: int = 0,
    next_tier: GroupTier | None = None,
    server_time: datetime = NOW,
) -> Group:
    return Group(
        id="grp_1",
        deal_id="deal_1",
        share_code="k7mq3xw9bd",
        share_url="http://localhost:8000/g/k7mq3xw9bd",
        status=status,
        headcount=headcount,
        held=held,
        max_headcount=OFFER.max_headcount,
        min_headcount=OFFER.min_headcount,
        unit_price=usd(unit_price),
        next_tier=next_tier,
        deadline=NOW + timedelta(seconds=60),
        opened_at=NOW,
        settled_at=None if final is None else NOW,
        final_unit_price=None if final is None else usd(final),
        server_time=server_time,
        my_order=None,
    )


def order(
    status: OrderStatus = "captured",
    *,
    promised: int = 900,
    charged: int | None = None,
    quantity: int = 1,
    of: Group | None = None,
) -> Order:
    return Order(
        id="ord_1",
        deal_id="deal_1",
        offer=None,
        group_id=None if of is None else of.id,
        seat=None if of is None else 1,
        status=status,
        quantity=quantity,
        promised_price=usd(promised),
        charged_unit_price=None if charged is None else usd(charged),
        charged_total=None if charged is None else usd(charged * quantity),
        refunded_total=None if charged is None else usd(0),
        refunds=[],
        payment=Payment("captured" if status == "captured" else "authorised"),
        group=of,
        created_at=NOW,
    )


def refund(amount: int, status: RefundStatus = "refunded") -> Refund:
    return Refund(
        id="rfd_1",
        amount=usd(amount),
        reason="arrived damaged",
        status=status,
        created_at=NOW,
        refunded_at=NOW if status == "refunded" else None,
    )


def good_record() -> Record:
    """The scene above, gone as planned."""
    settled = group("succeeded", 2, final=900)
    record = Record(scene(), deal(), settled)
    for step in STEPS:
        paid = order(charged=900, quantity=step.quantity, of=settled)
        record.placed[step.actor] = Placed(step, paid)
    return record
