"""Every message of the sources is there in every language, and says the same with the same placeholders."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import Any, get_args

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

from pintuan.base.locales import DEFAULT_LANGUAGE, LANGUAGES, Language, translations_for
from pintuan.base.locales.catalogs import catalog_of
from pintuan.people.consents.stoppable import Stoppable
from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity.codes import letter_of as code_of
from pintuan.people.notifications.topics import stop_line
from tests.documents import PROJECT
from tests.letters import invitation

SOURCES = PROJECT / "src" / "pintuan"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# Cyrillic, Han and Hangul: letters that no English source has a use for.
OTHER_SCRIPTS = re.compile(r"[\u0400-\u04ff\u4e00-\u9fff\uac00-\ud7af]")
TRANSLATED = [language for language in LANGUAGES if language != DEFAULT_LANGUAGE]
NUMBERS = (0, 1, 2, 3, 5, 10, 11, 21, 22, 25, 101, 112)


@cache
def found_messages() -> list[Any]:
    """What `make messages` would find, with the file of each."""
    mappings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"], mapping["method"]) for mapping in mappings]
    options = {
        mapping["pattern"]: {key: value for key, value in mapping.items() if key not in {"pattern", "method"}}
        for mapping in mappings
    }
    return list(extract_from_dir(SOURCES, methods, options))


def messages() -> frozenset[str | tuple[str, ...]]:
    return frozenset(message for _, _, message, _, _ in found_messages())


def placeholders(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))


def texts_of(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,)


def catalog(language: Language) -> dict[Any, Any]:
    return {
        tuple(message.id) if isinstance(message.id, list) else message.id: message
        for message in catalog_of(language)
        if message.id
    }


def test_the_sources_have_messages_for_one_and_for_many() -> None:
    assert "Join this group" in messages()
    assert any(isinstance(message, tuple) for message in messages())


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_message_is_missing_and_none_is_left_over(language: Language) -> None:
    known = catalog(language)
    assert messages() - set(known) == set()
    assert set(known) - messages() == set()
    empty = [key for key, message in known.items() if not all(texts_of(message.string))]
    doubtful = [key for key, message in known.items() if message.fuzzy]
    assert (empty, doubtful) == ([], [])


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_translation_has_the_placeholders_of_its_message(language: Language) -> None:
    for key, message in catalog(language).items():
        wanted = placeholders(texts_of(key)[-1])
        for text in texts_of(message.string):
            assert placeholders(text) == wanted, (language, key, text)
            assert text.count("%") == len(PLACEHOLDER.findall(text)), (language, key, text)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_plural_has_as_many_forms_as_its_language(language: Language) -> None:
    forms = Catalog(locale=language).num_plurals
    for key, message in catalog(language).items():
        if isinstance(key, tuple):
            assert len(texts_of(message.string)) == forms, (language, key)


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_are_read_as_they_stand_for_any_number(language: Language) -> None:
    translations = translations_for(language)
    for key, message in catalog(language).items():
        if isinstance(key, str):
            assert translations.gettext(key) == message.string
        else:
            singular, plural = key
            for number in NUMBERS:
                assert translations.ngettext(singular, plural, number) in texts_of(message.string)


def test_numbers_choose_their_form() -> None:
    one, many = "%(num)s more is needed.", "%(num)s more are needed."
    ukrainian = [translations_for("uk").ngettext(one, many, number) for number in (1, 3, 5, 21, 11)]
    assert len(set(ukrainian[:3])) == 3
    assert (ukrainian[3], ukrainian[4]) == (ukrainian[0], ukrainian[2])
    assert translations_for("en").ngettext(one, many, 1) == one
    assert translations_for("en").ngettext(one, many, 2) == many


def test_what_people_are_told_outside_of_the_pages_is_in_the_catalogs_too() -> None:
    sources = {place.rpartition("/")[0] for place, _, _, _, _ in found_messages() if place.endswith(".py")}
    assert {"people/identity", "reach/invites", "reach/nudges", "reach/pages", "reach/previews"} <= sources


def test_no_translation_stands_beside_the_catalogs() -> None:
    # Languages are named in their own words wherever somebody chooses one.
    names = SOURCES / "reach" / "pages" / "rendering.py"
    files = [*SOURCES.rglob("*.py"), *SOURCES.rglob("*.html"), *SOURCES.rglob("*.js")]
    assert [path for path in files if path != names and OTHER_SCRIPTS.search(path.read_text())] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_messages_to_people_are_in_their_language_alone(language: Language) -> None:
    for contact in (Contact("email", "bea@example.com"), Contact("phone", "+33612345678")):
        letters = [
            (invitation(contact, one, title="T"), code_of(contact, "1", one))
            for one in (language, DEFAULT_LANGUAGE)
        ]
        for translated, english in zip(*letters, strict=True):
            assert translated.title != english.title
            assert set(sentences(translated.text)) & set(sentences(english.text)) == set()


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("stop", get_args(Stoppable))
def test_a_link_that_stops_messages_is_told_in_their_language_alone(
    stop: Stoppable, language: Language
) -> None:
    lines = [stop_line(stop, "https://u", one) for one in (language, DEFAULT_LANGUAGE)]
    assert all(line.endswith("https://u") for line in lines)
    assert len({line.removesuffix("https://u") for line in lines}) == 2


def sentences(text: str) -> list[str]:
    """The parts of a text that have words, and not just what was put in."""
    return [part for part in re.split(r"[\n:.。：]", text) if len(part.strip()) > 1]
