"""The answers to the engine's refusals about groups."""

from __future__ import annotations

from typing import Final

from groups.errors import GroupClosed, GroupFull, GroupNotFound
from pintuan.http.problems import NOT_FOUND, Kind

PROBLEMS: Final = {
    GroupNotFound: NOT_FOUND,
    GroupClosed: Kind(
        409, "group_closed", "The group is closed", "The group is past its deadline or already settling."
    ),
    GroupFull: Kind(409, "group_full", "The group is full", "Every seat of the group is held or taken."),
}
