"""A reader gets the language a link asks for, or the one their browser likes best of those we speak."""

import pytest

from pintuan.base.locales import Language, negotiate


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("zh-Hant-TW", "zh"),
        ("de, fr;q=0.5, uk;q=0.7", "uk"),
        ("en;q=0.5, ko", "ko"),
        ("fr;q=0, en", "en"),
        ("fr;q=0", "en"),
        ("*", "en"),
        ("VI", "vi"),
        ("fr;q=2, es;q=0.1", "es"),
        ("fr;q=x, es;q=0.1", "es"),
        ("es, fr", "es"),
        (";;;,q=,", "en"),
        ("x," * 500 + "fr", "en"),
    ],
)
def test_the_best_of_what_a_browser_accepts_wins(header: str | None, language: Language) -> None:
    assert negotiate(header) == language


@pytest.mark.parametrize(
    ("override", "language"), [("ko", "ko"), ("fr-CA", "fr"), ("zh_TW", "zh"), ("tlh", "uk"), ("", "uk")]
)
def test_a_link_that_asks_for_a_language_we_speak_wins(override: str, language: Language) -> None:
    assert negotiate("uk", override) == language
