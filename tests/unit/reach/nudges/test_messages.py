"""Each nudge says what it is about, in each language, whatever the product is called."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from pintuan.base.locales import LANGUAGES, Language
from pintuan.people.notifications.letter import TITLE_CHARS_MAX, is_one_line
from pintuan.people.notifications.topics import Topic
from pintuan.reach.nudges.messages import letter_of, text_of
from pintuan.reach.nudges.store import Member
from tests.unit.reach.nudges.test_timing import nudge

MEMBER = Member(
    group_id="grp_1",
    buyer_id="ann",
    quantity=2,
    final_unit_minor=800,
    language=None,
    email="ann@example.com",
    phone=None,
    title="Tea",
)
KINDS = ["tier_near", "hour_left", "succeeded", "failed"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_nudge_reads_differently_in_each_language(kind: str) -> None:
    due = nudge(kind, left=timedelta(hours=1))
    texts = [text_of(due, MEMBER, language) for language in LANGUAGES]
    assert len({text.subject for text in texts}) == len(LANGUAGES)
    assert len({text.body for text in texts}) == len(LANGUAGES)
    assert not any("%" in text.subject + text.body for text in texts)


def test_what_a_member_pays_is_told_with_the_final_price() -> None:
    text = text_of(nudge("succeeded"), MEMBER, "en")
    assert text.subject == "It worked: “Tea” for $8.00"
    assert "you pay $16.00 in all" in text.body


def test_the_last_hour_says_how_many_are_missing_though_they_are_many() -> None:
    due = nudge("hour_left", min_headcount=5, headcount=1, left=timedelta(hours=1))
    assert "4 more are needed." in text_of(due, MEMBER, "en").body
    due = nudge("hour_left", headcount=10, left=timedelta(hours=1))
    assert text_of(due, MEMBER, "en").body == "Your group for “Tea” closes in one hour. Pass the link on."


@pytest.mark.parametrize("kind", KINDS)
def test_a_title_cannot_end_a_header_or_the_sentence(kind: str) -> None:
    title = "100 %(price)s\r\nBcc: all@example.com " + "x" * 100
    member = msgspec.structs.replace(MEMBER, language="fr", title=title)
    letter = letter_of(nudge(kind), member, share_base="https://u/g/")
    assert is_one_line(letter.title)
    assert len(letter.title) < 160
    assert letter.url == "https://u/g/abc?lang=fr"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_title_fits_into_a_letter(kind: str, language: Language) -> None:
    due = nudge(kind, left=timedelta(hours=1), currency="UAH")
    member = msgspec.structs.replace(MEMBER, language=language, title="\ufdfa" * 100)
    letter = letter_of(due, member, share_base="https://u/g/")
    assert len(letter.title) <= TITLE_CHARS_MAX


def test_what_is_true_of_an_open_group_is_told_in_its_moment_and_how_it_ended_for_days() -> None:
    letters = {
        kind: letter_of(nudge(kind, left=timedelta(minutes=4)), MEMBER, share_base="https://u/g/")
        for kind in KINDS
    }
    assert {kind: (letter.topic, letter.lifetime_ms) for kind, letter in letters.items()} == {
        "tier_near": (Topic.NUDGE, 4 * 60_000),
        "hour_left": (Topic.NUDGE, 4 * 60_000),
        "succeeded": (Topic.OUTCOME, 3 * 24 * 3_600_000),
        "failed": (Topic.OUTCOME, 3 * 24 * 3_600_000),
    }
