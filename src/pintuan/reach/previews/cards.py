"""Cards that were drawn and those being drawn: each state once, one at a time, and only so many waiting.

A link that goes round is asked for by many messengers at once, and all get the same picture. Where more
different ones are asked for than can be drawn, the rest get a plain card, which is kept from being cached.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from groups.looks import outlived
from pintuan.base.locales import money, span, translations_for
from pintuan.reach.previews.card import CardState

if TYPE_CHECKING:
    from pintuan.base.locales import Language
    from pintuan.buying.groups.schemas import Group
    from pintuan.shop.deals.schemas import Deal

CARDS_KEPT_MAX: Final = 200
"""About 50 kB each."""
CARDS_WAITING_MAX: Final = 16
_MINUTE: Final = timedelta(minutes=1)


class Cards:
    """The cards of a process; any number of callers may ask at once.

    `draw` returns the card of a state, or the plain one, as PNG.
    """

    def __init__(self, draw: Callable[[CardState | None], Awaitable[bytes]]) -> None:
        self._draw = draw
        self._kept: OrderedDict[CardState, bytes] = OrderedDict()
        self._under_way: dict[CardState, asyncio.Task[bytes]] = {}
        self._plain: bytes | None = None

    async def card(self, state: CardState) -> bytes | None:
        """Returns the card as PNG, or None where too many others are being drawn."""
        kept = self._kept.get(state)
        if kept is not None:
            self._kept.move_to_end(state)
            return kept
        drawing = self._under_way.get(state)
        if drawing is None:
            if len(self._under_way) >= CARDS_WAITING_MAX:
                return None
            drawing = asyncio.create_task(self._drawn(state), name="card")
            self._under_way[state] = drawing
        # A caller that hangs up must not end it for the others.
        return await outlived(drawing)

    async def plain_card(self) -> bytes:
        """Returns a card that says nothing of any group; it is drawn once."""
        if self._plain is None:
            self._plain = await self._draw(None)
        return self._plain

    async def _drawn(self, state: CardState) -> bytes:
        try:
            card = await self._draw(state)
        finally:
            del self._under_way[state]
        self._kept[state] = card
        if len(self._kept) > CARDS_KEPT_MAX:
            self._kept.popitem(last=False)
        return card


def state_of(group: Group, deal: Deal, language: Language) -> CardState:
    """Returns what a group's card shows now; the time left is in whole minutes, so that it lasts."""
    said = translations_for(language)
    left = group.deadline - group.server_time
    joinable = group.status == "open" and left > timedelta()
    shown_left = span(-(-left // _MINUTE) * 60, language)
    joined = said.ngettext(
        "%(num)s of %(capacity)s joined", "%(num)s of %(capacity)s joined", group.headcount
    )
    return CardState(
        language=language,
        title=deal.title,
        now=said.gettext("Price now"),
        price=money(group.final_unit_price or group.unit_price, language),
        list_price=said.gettext("%(price)s alone") % {"price": money(deal.list_price, language)},
        joined=joined % {"num": group.headcount, "capacity": group.max_headcount},
        headcount=group.headcount,
        max_headcount=group.max_headcount,
        left=said.gettext("%(span)s left") % {"span": shown_left} if joinable else said.gettext("Closed"),
    )
