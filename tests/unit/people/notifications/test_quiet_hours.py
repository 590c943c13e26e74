"""When messages wait for the morning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pintuan.base.locales import Language
from pintuan.base.settings.settings import Settings, SettingsError, load_settings
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.quiet_hours import QuietHours, quiet_hours_of, zones_of

NIGHT = QuietHours(21, 9)
SEOUL = ("Asia/Seoul",)


@pytest.mark.parametrize(
    ("utc_hour", "wait_h"),
    [(0, 0), (11, 0), (12, 12), (20, 4), (23, 1)],
)
def test_a_message_waits_for_nine_in_the_morning(utc_hour: int, wait_h: int) -> None:
    moment = datetime(2030, 1, 2, utc_hour, tzinfo=UTC)
    assert NIGHT.wait(moment, SEOUL) == timedelta(hours=wait_h)


def test_where_there_are_several_zones_the_last_one_decides() -> None:
    # Seven in the evening in New York, four in the afternoon in Los Angeles, then both asleep.
    zones = ("America/New_York", "America/Los_Angeles")
    assert NIGHT.wait(datetime(2030, 1, 2, 0, tzinfo=UTC), zones) == timedelta()
    assert NIGHT.wait(datetime(2030, 1, 2, 8, tzinfo=UTC), zones) == timedelta(hours=9)


def test_a_night_in_which_the_clocks_change_is_as_long_as_it_is() -> None:
    # Paris, 31 March 2030: at two it is three.
    moment = datetime(2030, 3, 30, 21, tzinfo=UTC)
    assert NIGHT.wait(moment, ("Europe/Paris",)) == timedelta(hours=10)


def test_quiet_hours_within_a_day_and_unknown_places() -> None:
    siesta = QuietHours(13, 15)
    assert siesta.wait(datetime(2030, 1, 2, 14, 30, tzinfo=UTC), ("UTC",)) == timedelta(minutes=30)
    assert siesta.wait(datetime(2030, 1, 2, 15, tzinfo=UTC), ("UTC",)) == timedelta()
    assert NIGHT.wait(datetime(2030, 1, 2, 2, tzinfo=UTC), ()) == timedelta()
    assert NIGHT.wait(datetime(2030, 1, 2, 2, tzinfo=UTC), ("Mars/Olympus_Mons",)) == timedelta()


@pytest.mark.parametrize(
    ("contact", "language", "zones"),
    [
        (Contact("phone", "+821012345678"), "en", ("Asia/Seoul",)),
        (Contact("phone", "+33612345678"), "ko", ("Europe/Paris",)),
        (Contact("email", "a@example.com"), "ko", ("Asia/Seoul",)),
        (Contact("email", "a@example.com"), "en", ()),
    ],
)
def test_a_number_tells_where_somebody_lives_and_a_language_sometimes(
    contact: Contact, language: Language, zones: tuple[str, ...]
) -> None:
    assert zones_of(contact, language) == zones


def test_nobody_waits_in_development_unless_it_is_set() -> None:
    assert quiet_hours_of(Settings()) is None
    assert quiet_hours_of(Settings(env="production")) == NIGHT
    assert quiet_hours_of(Settings(env="production", quiet_hours="off")) is None
    assert quiet_hours_of(Settings(quiet_hours="22-7")) == QuietHours(22, 7)


@pytest.mark.parametrize("text", ["21", "21-24", "9-9", "never", "21-9\n1"])
def test_what_is_no_span_of_hours_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="PINTUAN_QUIET_HOURS"):
        load_settings({"PINTUAN_QUIET_HOURS": text})
