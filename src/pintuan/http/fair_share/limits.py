"""The calls of each class that a process works on at once, and the connections to Postgres of each.

Sums to `CONNECTIONS_PER_API_PROCESS`, which docs/scaling.md multiplies. One call works in one place. A class
has few, because one interpreter works on one call at a time, and more calls would only wait inside it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pintuan.base.stores.shares import Share
from pintuan.http.fair_share.call_class import CallClass

# Recording has as many connections as statements that record at once (`groups.recording`), so that a
# statement that records joins never waits for one.
CONNECTIONS: Final[dict[Share, int]] = {
    Share.RECORDING: 2,
    Share.PLACING: 4,
    Share.READS: 3,
    Share.SEARCH: 1,
    Share.ACCOUNTS: 2,
    Share.API_KEYS: 1,
    Share.MERCHANTS: 2,
    Share.OPERATOR: 1,
}
CONNECTIONS_PER_API_PROCESS: Final = sum(CONNECTIONS.values())
CONNECTIONS_PER_WORKER: Final = 12
# Migrations, commands, an operator, and those Postgres keeps for its superuser.
CONNECTIONS_SPARE: Final = 10

# Anybody may search, and few searches are worth more of a Postgres core.
SEARCH_TIMEOUT_MS: Final = 1_500
STATEMENT_TIMEOUTS_MS: Final[dict[Share, int]] = {Share.SEARCH: SEARCH_TIMEOUT_MS}


class Places(msgspec.Struct, frozen=True):
    """The places of a class: `count` of them, held until the answer begins, or `whole`, until it ends; 0 for
    any number.

    While placing calls are under way, a place that was held for a time is out of use for `rest` times as
    long.
    """

    count: int
    share: Share
    rest: float = 0.0
    whole: bool = False


PLACES: Final[dict[CallClass, Places]] = {
    CallClass.PLACING: Places(32, Share.PLACING),
    CallClass.READS: Places(3, Share.READS, rest=1.0),
    CallClass.SEARCH: Places(1, Share.SEARCH, rest=2.0),
    CallClass.PAGES: Places(2, Share.READS, rest=1.0),
    # They wait for the process that draws; those too many get a plain card (`pintuan.reach.previews.cards`).
    CallClass.CARDS: Places(24, Share.READS),
    # They wait for a look at their group, up to a quarter of a second; callers that wait meanwhile share it.
    CallClass.STREAMS: Places(48, Share.READS),
    CallClass.ACCOUNTS: Places(4, Share.ACCOUNTS, rest=1.0),
    CallClass.MERCHANTS: Places(2, Share.MERCHANTS, rest=1.0),
    # Places of buyers and of merchants, so that neither takes the others'.
    CallClass.EXPORTS: Places(2, Share.ACCOUNTS, rest=1.0, whole=True),
    CallClass.SHEETS: Places(2, Share.MERCHANTS, rest=1.0, whole=True),
    # Imports hold their places for minutes, and `pintuan.shop.feeds.uploads` gives them out.
    CallClass.IMPORTS: Places(0, Share.MERCHANTS),
    CallClass.GATEWAY: Places(2, Share.PLACING, rest=1.0),
    CallClass.OPERATOR: Places(2, Share.OPERATOR, rest=1.0),
}

WAITING_MAX: Final = 2_000
"""The bound of one class. A call that waits costs its connection, a task and little else."""
WAITING_PER_ADDRESS_MAX: Final = 500
"""As many people may come from one address, behind a company's or a carrier's translation of addresses."""
WAIT_S_MAX: Final = 5.0
RETRY_AFTER_S: Final = 2
HELD_S_MAX: Final = 30.0
"""A longer call gives its place back."""
ASIDE_MAX: Final = 16
"""The bound of one class. An answer whose client takes it slowly is aside, with one of its parts
in memory.
"""
REST_S_MAX: Final = 0.5


def connections_for(*, api_processes: int, workers: int) -> int:
    """Returns how many connections Postgres must have for so many processes of all nodes.

    While a node puts new processes in the place of old ones, one of them is there twice.
    """
    replaced = max(CONNECTIONS_PER_API_PROCESS, CONNECTIONS_PER_WORKER)
    running = api_processes * CONNECTIONS_PER_API_PROCESS + workers * CONNECTIONS_PER_WORKER
    return running + replaced + CONNECTIONS_SPARE
