"""Lanes that are ready, which is how nearly every join of a sale finds them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from benchmarks.market import joins
from benchmarks.scenario import closed, require_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.environment import Servers
    from benchmarks.market import Market
    from benchmarks.scenario import Options

FIRST_JOINS: Final = 1_000
CREATED: Final = 201
_numbers: Final = count()


async def make_ready(servers: Servers, market: Market, options: Options, deal_ids: Sequence[str]) -> None:
    """Lets the first buyers join deals: their lanes are made ready once, and statements planned a few times.

    Raises UnexpectedAnswersError when they are not let in.
    """
    buyers = market.tokens(f"first-{next(_numbers)}", max(FIRST_JOINS, len(deal_ids)))
    outcome, _ = await servers.load(closed(servers.port, joins(deal_ids, buyers), options))
    require_only(outcome, (CREATED,), "first joins")
