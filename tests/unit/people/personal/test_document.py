"""The document of what is kept about a person: sections that nouns give, in one order."""

from __future__ import annotations

import msgspec
import pytest

from pintuan import nouns
from pintuan.base.personal import Chapter, Personal, Whole
from pintuan.client.personal import Export
from pintuan.people.personal.document import sections_of, shape_of


async def nothing(*_: object) -> list[int]:
    return []


def noun_with(name: str, chapter: Chapter) -> Personal:
    section = Whole(name=name, shape=list[int], description="Numbers.", chapter=chapter, read=nothing)
    return Personal(tables=(), export=(section,))


def fields_of(struct: type[msgspec.Struct]) -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def test_the_client_reads_what_nouns_give() -> None:
    given = {section.name: section.shape for section in sections_of(nouns.personal())}

    assert list(given.items()) == list(fields_of(Export).items()), "client/personal.py has a line for each"
    assert list(fields_of(shape_of(nouns.personal()))) == list(given)


def test_the_document_begins_with_the_account_and_ends_with_what_was_bought() -> None:
    names = [section.name for section in sections_of(nouns.personal())]

    assert names == ["me", "sessions", "notifications", "invites", "orders"]


def test_a_noun_that_is_added_has_its_place_in_its_chapter() -> None:
    reviews = noun_with("reviews", Chapter.MESSAGES)

    names = [section.name for section in sections_of([*nouns.personal(), reviews])]

    assert names == ["me", "sessions", "notifications", "invites", "reviews", "orders"]


def test_two_nouns_give_no_sections_of_the_same_name() -> None:
    with pytest.raises(ValueError, match="same name"):
        shape_of([noun_with("orders", Chapter.ACCOUNT), noun_with("orders", Chapter.PURCHASES)])
