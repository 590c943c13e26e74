"""A page's metadata for machines: Open Graph, Twitter cards and schema.org.

Sources: ogp.me (properties of `og:`), X's documentation of `summary_large_image`, and Google's of structured
data for merchant listings (a Product with an Offer).
"""

from __future__ import annotations

from hashlib import blake2b
from html import escape
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pintuan.base.locales import money, translations_for
from pintuan.reach.previews.card import CARD_HEIGHT, CARD_WIDTH
from pintuan.reach.previews.cards import state_of
from pintuan.shop.catalog.limits import LISTED_IMAGES
from pricing.currency import format_minor

if TYPE_CHECKING:
    from pintuan.base.locales import Language
    from pintuan.base.wire.money import Money
    from pintuan.buying.groups.schemas import Group
    from pintuan.shop.catalog.schemas import Product
    from pintuan.shop.deals.schemas import Deal

DESCRIPTION_CHARS_MAX: Final = 5_000
VERSION_BYTES: Final = 8
# Open Graph writes a language with a territory.
_OG_LOCALES: Final[dict[Language, str]] = {
    "en": "en_US",
    "zh": "zh_CN",
    "ko": "ko_KR",
    "vi": "vi_VN",
    "uk": "uk_UA",
    "fr": "fr_FR",
    "es": "es_ES",
}
# Inside a script element a JSON text must hold neither "</" nor "<!--" (HTML, section 4.12.1.3).
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


class Tag(msgspec.Struct, frozen=True):
    """One `<meta>` element: `attribute` is `property` or `name`."""

    attribute: str
    name: str
    content: str


class PageMeta(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata in the head of a group's page; `json_ld` is safe inside a script element as it is."""

    title: str
    description: str
    canonical_url: str
    image_url: str
    tags: list[Tag]
    json_ld: str


def meta_of(
    group: Group, deal: Deal, product: Product, locale: Language, shared: Language | None = None
) -> PageMeta:
    """Returns the metadata of a group's page in one language; texts still need escaping for HTML.

    `shared` is the language that the link names, if it does. The page's address keeps it, for messengers ask
    that address again, without a language of their own. The code of an invitation is left out: messengers
    keep and show the address, one preview is for all, and to ask for it is no visit of the invited.
    """
    description = _description(group, deal, locale)
    page_url = group.share_url if shared is None else f"{group.share_url}?lang={shared}"
    # A messenger keeps a picture by its address, which therefore changes with what it shows.
    version = blake2b(msgspec.json.encode(state_of(group, deal, locale)), digest_size=VERSION_BYTES)
    image_url = f"{group.share_url}/card.png?lang={locale}&v={version.hexdigest()}"
    return PageMeta(
        title=deal.title,
        description=description,
        canonical_url=page_url,
        image_url=image_url,
        tags=_tags(deal.title, description, group, page_url, image_url, locale),
        json_ld=_escaped(_json_ld(group, deal, product)),
    )


def head_of(meta: PageMeta) -> str:
    """Returns the metadata as HTML for the head of a page, escaped."""
    tags = [
        f'<meta {tag.attribute}="{escape(tag.name)}" content="{escape(tag.content)}">' for tag in meta.tags
    ]
    return "\n".join(
        [
            f'<link rel="canonical" href="{escape(meta.canonical_url)}">',
            *tags,
            f'<script type="application/ld+json">{meta.json_ld}</script>',
        ]
    )


def _description(group: Group, deal: Deal, language: Language) -> str:
    _ = translations_for(language).gettext
    if group.status != "open":
        return _("%(title)s: this group has closed.") % {"title": deal.title}
    return _("%(title)s for %(price)s together, instead of %(list_price)s alone. Join the group!") % {
        "title": deal.title,
        "price": money(group.unit_price, language),
        "list_price": money(deal.list_price, language),
    }


def _tags(
    title: str, description: str, group: Group, page_url: str, image_url: str, locale: Language
) -> list[Tag]:
    opened = {
        "og:type": "product",
        "og:site_name": "Pintuan",
        "og:title": title,
        "og:description": description,
        "og:url": page_url,
        "og:locale": _OG_LOCALES[locale],
        "og:image": image_url,
        "og:image:type": "image/png",
        "og:image:width": str(CARD_WIDTH),
        "og:image:height": str(CARD_HEIGHT),
        "og:image:alt": description,
        "product:price:amount": _decimal(group.unit_price),
        "product:price:currency": group.unit_price.currency,
    }
    named = {
        "twitter:card": "summary_large_image",
        "twitter:title": title,
        "twitter:description": description,
        "twitter:image": image_url,
        "twitter:image:alt": description,
    }
    return [
        *(Tag("property", name, content) for name, content in opened.items()),
        *(Tag("name", name, content) for name, content in named.items()),
    ]


def _json_ld(group: Group, deal: Deal, product: Product) -> dict[str, Any]:
    price = group.unit_price
    sellable = (
        group.status == "open"
        and group.deadline > group.server_time
        and group.headcount + group.held < group.max_headcount
        and deal.status == "active"
        and deal.sold < deal.stock
    )
    described: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": product.title,
        "sku": deal.variant.sku,
        "offers": {
            "@type": "Offer",
            "url": group.share_url,
            "price": _decimal(price),
            "priceCurrency": price.currency,
            "availability": f"https://schema.org/{'InStock' if sellable else 'SoldOut'}",
            "priceValidUntil": group.deadline.date().isoformat(),
        },
    }
    if product.description:
        described["description"] = product.description[:DESCRIPTION_CHARS_MAX]
    images = deal.variant.images or product.images
    if images:
        described["image"] = images[:LISTED_IMAGES]
    return described


def _decimal(price: Money) -> str:
    return format_minor(price.amount, price.currency).partition(" ")[0]


def _escaped(value: dict[str, Any]) -> str:
    text = msgspec.json.encode(value).decode()
    for character, written in _ESCAPES.items():
        text = text.replace(character, written)
    return text
