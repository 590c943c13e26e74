"""When people sleep: how long a message that can wait should.

A phone number tells its country and often its time zone. A language tells a time zone only where nearly all
its readers live in the same one. English, Spanish and Chinese readers are asked nothing and told at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import phonenumbers
from phonenumbers import timezone

from pintuan.base.settings.values import NO_HOURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pintuan.base.locales import Language
    from pintuan.base.settings.settings import Settings
    from pintuan.people.contacts.contacts import Contact

_ZONES: Final[dict[Language, str]] = {
    "ko": "Asia/Seoul",
    "vi": "Asia/Ho_Chi_Minh",
    "uk": "Europe/Kyiv",
    "fr": "Europe/Paris",
}
_UNKNOWN: Final = "Etc/Unknown"
IN_PRODUCTION: Final = "21-9"


class QuietHours(msgspec.Struct, frozen=True):
    """The quiet time from one hour of the day to another, 0 to 23; past midnight if the first is the later
    one.
    """

    start_hour: int
    end_hour: int

    def wait(self, moment: datetime, zones: Iterable[str]) -> timedelta:
        """Returns how long after a moment (with its offset) none of the time zones is quiet any more."""
        return max((self._wait_in(moment, zone) for zone in zones), default=timedelta())

    def _wait_in(self, moment: datetime, zone: str) -> timedelta:
        try:
            local = moment.astimezone(ZoneInfo(zone))
        except ZoneInfoNotFoundError:
            # The machine's own list may be older than that of the numbers.
            return timedelta()
        if not self._covers(local.hour):
            return timedelta()
        end = local.replace(hour=self.end_hour, minute=0, second=0, microsecond=0)
        if local.hour >= self.end_hour:
            end += timedelta(days=1)
        # In UTC, because the clocks may change in that night.
        return end.astimezone(moment.tzinfo) - moment

    def _covers(self, hour: int) -> bool:
        if self.start_hour <= self.end_hour:
            return self.start_hour <= hour < self.end_hour
        return hour >= self.start_hour or hour < self.end_hour


def quiet_hours_of(settings: Settings) -> QuietHours | None:
    """Returns when messages that can wait do: as set, else in production 21 to 9, and never in dev."""
    text = settings.quiet_hours or (IN_PRODUCTION if settings.env == "production" else NO_HOURS)
    return None if text == NO_HOURS else QuietHours(*map(int, text.split("-")))


def zones_of(contact: Contact, language: Language) -> tuple[str, ...]:
    """Returns the time zones somebody may live in, as far as their address and language tell."""
    if contact.kind == "phone":
        zones = timezone.time_zones_for_number(phonenumbers.parse(contact.address, None))
        return tuple(zone for zone in zones if zone != _UNKNOWN)
    return (_ZONES[language],) if language in _ZONES else ()
