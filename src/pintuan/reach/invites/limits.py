"""How many invitations there may be; see `pintuan.base.limits` for how they are counted."""

from __future__ import annotations

from typing import Final

from pintuan.base.limits import Limit

_HOUR_MS: Final = 3_600_000
INVITES_PER_GROUP_MAX: Final = 100
"""The limit of one inviter to one group."""
INVITES_PER_INVITER: Final = Limit(
    "invites of inviter", 50, _HOUR_MS, "You have invited many people within an hour; go on a little later."
)
INVITES_PER_INVITER_AND_DAY: Final = Limit(
    "invites of inviter a day",
    100,
    24 * _HOUR_MS,
    "You have invited many people within a day; go on tomorrow.",
)
# Accounts cost nothing, groups and addresses a little.
INVITES_TO_GROUP: Final = Limit(
    "invites to group", 200, _HOUR_MS, "Many people were invited to this group within an hour; go on later."
)
INVITES_PER_CLIENT: Final = Limit(
    "invites of client", 100, _HOUR_MS, "Many people were invited from this network within an hour."
)
# Over all inviters, and all addresses of one mailbox. Nobody is told that it is reached, because that would
# tell of the other inviters.
INVITES_PER_RECIPIENT: Final = Limit(
    "invites to recipient", 5, 24 * _HOUR_MS, "The recipient was invited often today."
)
# The time after the deadline for which invitations are on record: long enough to look at their results.
RECIPIENT_KEPT_MS: Final = 7 * 24 * _HOUR_MS
