"""The source of a page: the group behind the link, its deal, the viewer, and where else one can join."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from markupsafe import Markup

from pintuan.base.locales.negotiation import locale_of
from pintuan.buying.groups.service import get_shared_group, list_joinable
from pintuan.money.receipts.store import select_receipt
from pintuan.reach.pages import wording
from pintuan.reach.pages.view import CLOSED, GroupView, view_of
from pintuan.reach.pages.visitor import Visitor, form_token, new_visitor
from pintuan.reach.previews.metadata import head_of, meta_of
from pintuan.shop.catalog.service import get_product
from pintuan.shop.deals.service import get_deal
from pintuan.shop.offers.service import current_offer

if TYPE_CHECKING:
    import asyncpg

    from groups.engine import GroupEngine
    from pintuan.base.auth import Principal
    from pintuan.base.keyring import Keyring
    from pintuan.base.settings.settings import Settings
    from pintuan.buying.groups.schemas import JoinableGroup
    from pintuan.reach.pages.caller import Caller

OTHERS_MAX: Final = 3
KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Slip:
    """The error of a form that is shown again, its typed text, and the key for the next try."""

    notice: str
    typed_contact: str = ""
    key: str | None = None


async def read_view(
    pool: asyncpg.Pool, share_code: str, viewer: Principal | None, *, share_base: str
) -> GroupView:
    """Returns the group behind a link as the viewer sees it; raises NotFound.

    `share_base` is the URL that a share code is appended to.
    """
    group = await get_shared_group(pool, share_code, viewer, share_base=share_base)
    # Read before the deal: a change in between is told when the form comes back, and not overlooked.
    offer = await current_offer(pool, group.deal_id)
    return view_of(group, await get_deal(pool, group.deal_id), offer)


async def page_context(
    pool: asyncpg.Pool,
    engine: GroupEngine,
    keyring: Keyring,
    settings: Settings,
    caller: Caller,
    view: GroupView,
    slip: Slip | None = None,
) -> tuple[dict[str, Any], Visitor]:
    """Returns what the template of a group's page shows, and the visitor whom its forms belong to."""
    visitor = caller.visitor or new_visitor()
    order = view.group.my_order
    receipt = None
    if order is not None and caller.principal is not None:
        receipt = await select_receipt(pool, order.id, caller.principal.subject)
    context = {
        "view": view,
        "group": view.group,
        "deal": view.goods,
        "others": await _others(pool, engine, view, share_base=settings.share_base),
        "principal": caller.principal,
        "order_text": order and wording.order_text(caller.translations, order.status),
        "receipt": receipt,
        "notice": slip and slip.notice,
        "typed_contact": slip.typed_contact if slip else "",
        "contact": visitor.contact,
        "form_token": form_token(keyring, visitor),
        # Made once for each page, so that a form that is sent twice places one order.
        "key": (slip and slip.key) or secrets.token_urlsafe(KEY_BYTES),
        "sandbox": settings.payment_gateway == "sandbox",
        "is_dev": settings.env == "dev",
        "methods": wording.method_texts(caller.translations),
        "here": f"/g/{view.group.share_code}",
        "query": caller.query,
        "invite_code": caller.invite_code,
        "link_tail": f"&invite={caller.invite_code}" if caller.invite_code else "",
        "link_preview": await _link_preview(pool, caller, view),
        "texts": msgspec.json.encode(_live_texts(caller)).decode(),
    }
    return context, visitor


async def _link_preview(pool: asyncpg.Pool, caller: Caller, view: GroupView) -> Markup:
    """The tags in the head of the page for messengers and search engines, for everybody alike."""
    product = await get_product(pool, view.deal.product_id)
    meta = meta_of(view.group, view.deal, product, caller.tongue.language, caller.tongue.override)
    return Markup(head_of(meta))  # noqa: S704 - its author escapes it.


async def _others(
    pool: asyncpg.Pool, engine: GroupEngine, view: GroupView, *, share_base: str
) -> list[JoinableGroup]:
    """Other joinable groups, fullest first, for viewers without a seat while this is closed or short.

    While this group is short of members, only fuller ones are shown: a group that fails serves nobody.
    """
    if view.my_live_order is not None or not (view.phase in CLOSED or view.is_short):
        return []
    page = await list_joinable(
        pool, engine, view.deal, share_base=share_base, cursor=None, limit=OTHERS_MAX + 1
    )
    found = [group for group in page.items if group.id != view.group.id]
    if view.is_short:
        found = [group for group in found if group.headcount > view.group.headcount]
    return found[:OTHERS_MAX]


def _live_texts(caller: Caller) -> dict[str, Any]:
    """The texts that the script puts numbers into; the same messages as in the template, in every plural
    form.
    """
    translations, locale = caller.translations, locale_of(caller.tongue.language)
    _ = translations.gettext

    def forms(singular: str, plural: str) -> dict[str, str]:
        return wording.forms_of(translations, locale, singular, plural)

    return {
        "people": forms(
            "%(num)s of %(capacity)s people is in.",
            "%(num)s of %(capacity)s people are in.",
        ),
        "held": forms("%(num)s more is paying right now.", "%(num)s more are paying right now."),
        "missing": forms("%(num)s more is missing", "%(num)s more are missing"),
        "needed": forms("%(num)s more is needed.", "%(num)s more are needed."),
        "enough": _("That many are in already."),
        "reached": _("reached"),
        "fell": _("The price has fallen to %(price)s."),
        "rose": _("The price is now %(price)s."),
    }
