"""Shopify's product CSV: rows of one handle become one product with its options, pictures and variants."""

from __future__ import annotations

import pytest

from pintuan.shop.catalog.limits import SKU_CHARS_MAX
from pintuan.shop.feeds.formats import BadRow, FeedError, Note
from tests.unit.shop.feeds.formats.reading_feeds import bad_rows, items, notes, read

HEADER = (
    "Handle,Title,Body (HTML),Vendor,Tags,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
    "Variant SKU,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Image Position,"
    "Variant Image,Cost per item"
)


def row(handle: str = "shirt", **cells: str) -> str:
    """A row of the header above; cells go by the first words of their columns, with underscores."""
    names = HEADER.lower().replace(" (html)", "").replace(" ", "_").split(",")
    values = {"handle": handle, **cells}
    assert set(values) <= set(names)
    return ",".join(f'"{values.get(name, "")}"' for name in names) + "\n"


def shirt(**cells: str) -> str:
    """The first row of a product in two sizes."""
    first = {"title": "Shirt", "option1_name": "Size", "option1_value": "S", "variant_price": "50"}
    return row(**{**first, **cells})


def test_the_rows_of_a_handle_are_the_variants_of_one_product() -> None:
    rows = items(
        read(
            f"{HEADER}\n"
            + shirt(
                body="<p>Soft.</p><p>Warm.</p>",
                vendor="Loom",
                tags="men, new",
                option2_name="Color",
                option2_value="Red",
                variant_compare_at_price="60",
                image_src="https://img.example/1.jpg",
                image_position="1",
            )
            + row(option1_value="M", option2_value="Red", variant_price="55.50", variant_sku="S-M")
        )
    )
    assert [item.group_ref for item in rows] == ["shopify:shirt"] * 2
    first, second = rows
    assert (first.title, first.variant_title, first.description) == ("Shirt", "S / Red", "Soft.\nWarm.")
    assert first.options == (("Size", "S"), ("Color", "Red"))
    assert (first.sku, second.sku) == ("shirt/S/Red", "S-M")
    assert (first.list_price_minor, second.list_price_minor) == (5000, 5550)
    assert (first.currency, first.currency_assumed) == ("USD", True)
    assert first.images == second.images == ("https://img.example/1.jpg",)
    assert first.attributes == {"vendor": "Loom", "tags": "men, new", "compare_at_price": "60"}
    assert second.attributes == {"vendor": "Loom", "tags": "men, new"}


def test_a_default_title_is_no_option() -> None:
    (item,) = items(read(f"{HEADER}\n" + shirt(option1_name="Title", option1_value="Default Title")))
    assert (item.options, item.variant_title, item.sku) == ((), "Shirt", "shirt")


def test_rows_that_only_add_pictures_add_them_to_the_product_in_their_place() -> None:
    rows = read(
        f"{HEADER}\n"
        + shirt(image_src="https://img.example/2.jpg", image_position="2")
        + row(image_src="https://img.example/3.jpg", image_position="3")
        + row(option1_value="M", variant_price="50", variant_image="https://img.example/m.jpg")
        + row(image_src="https://img.example/1.jpg", image_position="1")
    )
    small, medium = items(rows)
    assert bad_rows(rows) == []
    assert small.images == tuple(f"https://img.example/{n}.jpg" for n in (1, 2, 3))
    assert (small.variant_images, medium.variant_images) == ((), ("https://img.example/m.jpg",))


def test_a_picture_that_is_none_costs_the_picture_alone() -> None:
    rows = read(f"{HEADER}\n" + shirt() + row(image_src="1.jpg"))
    assert len(items(rows)) == 1
    assert bad_rows(rows) == []
    assert notes(rows) == [Note(3, "has an image that is no http(s) address, which was left out: '1.jpg'")]


def test_an_empty_or_repeated_sku_is_made_from_handle_and_options_whatever_the_order() -> None:
    small = row(option1_value="S", variant_price="1", variant_sku="X", title="Shirt", option1_name="Size")
    medium = row(option1_value="M", variant_price="1", variant_sku="X", title="Shirt", option1_name="Size")
    there = {item.item_ref: item.sku for item in items(read(f"{HEADER}\n{small}{medium}"))}
    back = {item.item_ref: item.sku for item in items(read(f"{HEADER}\n{medium}{small}"))}
    assert there == back
    assert set(there.values()) == {"shirt/S", "shirt/M"}


def test_a_made_sku_keeps_to_the_length_of_skus_and_stays_unique() -> None:
    handle = "h" * 150
    rows = items(
        read(f"{HEADER}\n" + shirt(handle=handle) + row(handle, option1_value="M", variant_price="1"))
    )
    skus = {item.sku for item in rows}
    assert len(skus) == 2
    assert {len(sku) for sku in skus} == {SKU_CHARS_MAX}


def test_the_apostrophe_before_a_number_is_no_part_of_it() -> None:
    (item,) = items(read(f"{HEADER}\n" + shirt(variant_sku="'0071", variant_barcode="'0123")))
    assert (item.sku, item.attributes["barcode"]) == ("0071", "0123")


def test_what_the_merchant_pays_is_not_read() -> None:
    (item,) = items(read(f"{HEADER}\n" + shirt(cost_per_item="7.77")))
    assert "7.77" not in repr(item)


def test_the_currency_is_the_one_given() -> None:
    (item,) = items(read(f"{HEADER}\n" + shirt(variant_price="1500.00"), currency="JPY"))
    assert (item.list_price_minor, item.currency) == (1500, "JPY")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"variant_price": ""}, "has no variant_price"),
        ({"variant_price": "free"}, "has price 'free'"),
        ({"variant_price": "0"}, "has a price of nothing"),
        ({"title": ""}, "has no title"),
    ],
)
def test_a_first_row_that_does_not_fit_is_told_with_its_reason(cells: dict[str, str], reason: str) -> None:
    (bad,) = read(f"{HEADER}\n" + shirt(**cells))
    assert isinstance(bad, BadRow)
    assert bad.line == 2
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"title": "x" * 203}, "has title longer than 200 characters; it was cut"),
        ({"option1_value": "x" * 201}, "has Size longer than 200 characters; it was cut"),
        ({"variant_image": "m.jpg"}, "no http(s) address"),
        ({"body": "x" * 10_001}, "has a description longer than 10000 characters; it was cut"),
        ({"vendor": "x" * 2_001}, "has vendor longer than 2000 characters; it was cut"),
    ],
)
def test_what_is_optional_or_too_long_costs_no_variant_and_is_told(cells: dict[str, str], told: str) -> None:
    rows = read(f"{HEADER}\n" + shirt(**cells) + row(option1_value="M", variant_price="51"))
    assert len(items(rows)) == 2
    assert [told in note.text for note in notes(rows)] == [True]


def test_the_names_of_the_options_may_stand_on_any_row() -> None:
    heading = row(title="Shirt", option1_value="Default Title", image_src="https://img.example/1.jpg")
    rows = read(
        f"{HEADER}\n{heading}"
        + row(option1_name="Colour", option1_value="Black", variant_sku="S1", variant_price="5")
        + row(option1_name="Colour", option1_value="Blue", variant_sku="S2", variant_price="5")
    )
    assert bad_rows(rows) == []
    assert [(item.title, item.options) for item in items(rows)] == [
        ("Shirt", (("Colour", "Black"),)),
        ("Shirt", (("Colour", "Blue"),)),
    ]
    assert items(rows)[0].images == ("https://img.example/1.jpg",)


def test_a_product_of_as_many_variants_as_shopify_allows_is_read_whole() -> None:
    variants = "".join(row(option1_value=str(n), variant_price="5") for n in range(1, 2_048))
    rows = read(f"{HEADER}\n{shirt()}{variants}")
    assert (len(items(rows)), bad_rows(rows)) == (2_048, [])


def test_the_variants_of_a_product_that_cannot_be_kept_are_each_told() -> None:
    rows = read(f"{HEADER}\n" + shirt(title="") + row(option1_value="M", variant_price="1"))
    assert [bad.line for bad in bad_rows(rows)] == [2, 3]


def test_a_handle_that_comes_back_later_is_told_row_by_row() -> None:
    other = shirt(handle="coat")
    rows = read(f"{HEADER}\n{shirt()}{other}" + row(option1_value="M", variant_price="1"))
    assert len(items(rows)) == 2
    assert bad_rows(rows) == [BadRow(4, "continues 'shirt', whose rows must follow each other")]


def test_a_variant_told_twice_is_kept_once() -> None:
    rows = read(f"{HEADER}\n" + shirt() + row(option1_value="S", variant_price="51"))
    assert [item.list_price_minor for item in items(rows)] == [5000]
    assert bad_rows(rows) == [BadRow(3, "has the options or the SKU of line 2")]


def test_a_row_without_a_handle_is_told() -> None:
    assert read(f"{HEADER}\n" + row("", title="Shirt", variant_price="1")) == [BadRow(2, "has no handle")]


def test_the_newer_templates_names_are_understood() -> None:
    (item,) = items(
        read(
            "Title,URL handle,Description,SKU,Option1 name,Option1 value,Price,Product image URL\n"
            "Shirt,shirt,<p>Soft</p>,S-1,Size,S,50.00,https://img.example/1.jpg\n"
        )
    )
    assert (item.group_ref, item.sku, item.list_price_minor) == ("shopify:shirt", "S-1", 5000)
    assert (item.description, item.images) == ("Soft", ("https://img.example/1.jpg",))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(FeedError, match="no column variant_price"):
        read("Handle,Title\nshirt,Shirt\n")
