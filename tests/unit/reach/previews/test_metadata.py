"""What machines read of a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pintuan.base.locales import LANGUAGES, Language
from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group
from pintuan.reach.previews.metadata import head_of, meta_of
from pintuan.shop.catalog.limits import LISTED_IMAGES
from pintuan.shop.catalog.schemas import Product
from pintuan.shop.deals.schemas import Deal, DealProduct, DealVariant, Tier

MOMENT = datetime(2030, 1, 2, 12, tzinfo=UTC)
TITLE = "Kettle </script><b>"

PRODUCT = Product("prd_1", "acme", TITLE, "Boils <fast>.", ["https://img.example/k.jpg"], [], [], MOMENT)
GROUP = Group(
    id="grp_1",
    deal_id="deal_1",
    share_code="k7mq3xw9bd",
    share_url="https://shop.example/g/k7mq3xw9bd",
    status="open",
    headcount=3,
    held=0,
    max_headcount=10,
    min_headcount=3,
    unit_price=Money(1550, "USD"),
    next_tier=None,
    deadline=MOMENT,
    opened_at=MOMENT,
    settled_at=None,
    final_unit_price=None,
    server_time=MOMENT - timedelta(hours=2),
    my_order=None,
)
DEAL = Deal(
    id="deal_1",
    merchant_id="acme",
    product_id="prd_1",
    variant_id="var_1",
    title=TITLE,
    status="active",
    currency="USD",
    product=DealProduct(title=TITLE, images=[]),
    variant=DealVariant(sku="K-1", title="Red", options={}, images=[]),
    list_price=Money(1999, "USD"),
    starting_price=Money(1750, "USD"),
    lowest_price=Money(1350, "USD"),
    ladder=[Tier(2, Money(1750, "USD"))],
    min_headcount=3,
    max_headcount=10,
    group_ttl_seconds=600,
    starts_at=MOMENT,
    ends_at=None,
    stock=10,
    sold=3,
    per_buyer_units=5,
    new_cards_per_group=None,
    lanes=1,
    nudges=True,
    created_at=MOMENT,
    offer_id="9f86d081884c7d659a2feaa0c55ad015",
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_described_in_the_readers_language(language: Language) -> None:
    meta = meta_of(GROUP, DEAL, PRODUCT, language)

    assert TITLE in meta.description
    assert "{" not in meta.description
    found = {tag.name: tag.content for tag in meta.tags}
    assert found["og:locale"].startswith(language)
    assert found["og:url"] == GROUP.share_url
    assert found["og:image"].startswith(f"{GROUP.share_url}/card.png?lang={language}&v=")
    assert found["product:price:amount"] == "15.50"
    assert found["twitter:card"] == "summary_large_image"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_address_of_a_page_is_in_the_language_that_was_shared(language: Language) -> None:
    meta = meta_of(GROUP, DEAL, PRODUCT, language, language)
    found = {tag.name: tag.content for tag in meta.tags}
    assert found["og:url"] == meta.canonical_url == f"{GROUP.share_url}?lang={language}"


def test_the_address_of_a_picture_changes_with_what_it_shows_and_with_nothing_else() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"headcount": 4},
        {"unit_price": Money(1450, "USD")},
        {"server_time": GROUP.server_time + timedelta(hours=1)},
        {"status": "succeeded"},
    ]
    addresses = {
        meta_of(msgspec.structs.replace(GROUP, **change), DEAL, PRODUCT, language).image_url
        for change in changes
        for language in LANGUAGES
    }
    assert len(addresses) == len(changes) * len(LANGUAGES)
    unseen = msgspec.structs.replace(GROUP, held=2, server_time=GROUP.server_time + timedelta(seconds=1))
    shown = msgspec.structs.replace(GROUP, server_time=GROUP.server_time + timedelta(seconds=2))
    assert meta_of(unseen, DEAL, PRODUCT, "en").image_url == meta_of(shown, DEAL, PRODUCT, "en").image_url


def test_every_language_has_words_of_its_own() -> None:
    assert len({meta_of(GROUP, DEAL, PRODUCT, language).description for language in LANGUAGES}) == len(
        LANGUAGES
    )


def test_structured_data_shows_the_first_pictures() -> None:
    pictures = [f"https://img.example/{n}.jpg" for n in range(250)]
    product = msgspec.structs.replace(PRODUCT, images=pictures)
    described = json.loads(meta_of(GROUP, DEAL, product, "en").json_ld)
    assert described["image"] == pictures[:LISTED_IMAGES]


def test_structured_data_cannot_end_its_script_and_says_what_is_on_offer() -> None:
    text = meta_of(GROUP, DEAL, PRODUCT, "en").json_ld

    assert "<" not in text
    described = json.loads(text)
    assert described["name"] == TITLE
    assert described["image"] == ["https://img.example/k.jpg"]
    assert described["offers"] == {
        "@type": "Offer",
        "url": GROUP.share_url,
        "price": "15.50",
        "priceCurrency": "USD",
        "availability": "https://schema.org/InStock",
        "priceValidUntil": "2030-01-02",
    }


def test_the_head_of_a_page_escapes_what_a_merchant_wrote() -> None:
    head = head_of(meta_of(GROUP, DEAL, PRODUCT, "en"))

    assert '<meta property="og:title" content="Kettle &lt;/script&gt;&lt;b&gt;">' in head
    assert "<b>" not in head
    assert head.count("</script>") == 1


@pytest.mark.parametrize(
    ("group", "deal"),
    [
        ({"headcount": GROUP.max_headcount - 1, "held": 1}, {}),
        ({"server_time": GROUP.deadline}, {}),
        ({}, {"status": "paused"}),
        ({}, {"sold": DEAL.stock}),
    ],
    ids=["full", "over", "paused", "sold out"],
)
def test_a_group_that_takes_nobody_is_not_in_stock(group: dict[str, Any], deal: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(GROUP, **group), msgspec.structs.replace(DEAL, **deal)
    text = meta_of(*changed, PRODUCT, "en").json_ld
    assert json.loads(text)["offers"]["availability"] == "https://schema.org/SoldOut"


def test_a_group_that_ended_offers_nothing() -> None:
    over = msgspec.structs.replace(GROUP, status="failed")
    meta = meta_of(over, DEAL, PRODUCT, "en")

    assert "closed" in meta.description
    assert json.loads(meta.json_ld)["offers"]["availability"] == "https://schema.org/SoldOut"
