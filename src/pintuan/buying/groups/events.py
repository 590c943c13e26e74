"""The events of groups; the triggers `group_told_opened` and `group_told_ended` write them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

GroupEvent: TypeAlias = Literal["group.opened", "group.succeeded", "group.failed"]
EVENTS: Final[dict[GroupEvent, str]] = {
    "group.opened": "A group began",
    "group.succeeded": "A group ended and is sold",
    "group.failed": "A group ended with too few; nobody pays",
}
