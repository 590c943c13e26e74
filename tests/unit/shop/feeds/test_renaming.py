"""What the log tells of variants that a feed changed."""

from __future__ import annotations

import msgspec

from pintuan.shop.feeds.renaming import NOTED_VARIANTS_MAX, NamedVariant, changes_of

PHONE = NamedVariant("var_1", "Phone 17", "512 GB", "P-1", (99_900, "USD"))


def test_each_field_that_differs_is_told_as_it_was_and_as_it_is() -> None:
    sticker = msgspec.structs.replace(PHONE, product_title="Sticker", list_price=(100, "USD"))
    same = msgspec.structs.replace(PHONE, id="var_2")

    noted, changes = changes_of({"var_1": PHONE, "var_2": same}, {"var_1": sticker, "var_2": same})

    assert noted == ["var_1"]
    assert changes == {
        "var_1 product_title": {"before": "Phone 17", "after": "Sticker"},
        "var_1 list_price": {"before": [99_900, "USD"], "after": [100, "USD"]},
    }


def test_of_very_many_the_first_are_told_and_all_are_counted() -> None:
    count = NOTED_VARIANTS_MAX + 5
    before = {f"var_{n}": msgspec.structs.replace(PHONE, id=f"var_{n}") for n in range(count)}
    after = {id_: msgspec.structs.replace(variant, title="5 cm") for id_, variant in before.items()}

    noted, changes = changes_of(before, after)

    assert noted == list(before)[:NOTED_VARIANTS_MAX]
    assert changes.pop("offered_variants_changed") == {"after": count}
    assert list(changes) == [f"{id_} title" for id_ in noted]


def test_a_variant_that_is_gone_tells_nothing() -> None:
    assert changes_of({"var_1": PHONE}, {}) == ([], {})
