"""Which language a reader gets: the one a link asks for, or else what their browser says it prefers."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

from babel import Locale
from babel.core import UnknownLocaleError

Language: TypeAlias = Literal["en", "zh", "ko", "vi", "uk", "fr", "es"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT_LANGUAGE: Final[Language] = "en"
# Browsers send a handful; more than this is no wish but noise.
RANGE_COUNT_MAX: Final = 20
HEADER_LENGTH_MAX: Final = 512
_KNOWN_HEADERS_MAX: Final = 1024


def negotiate(accept_language: str | None, override: str | None = None) -> Language:
    """Returns the language for a reader; never fails, because a page in English beats none.

    `override` is a link's wish, such as `fr` or `fr-CA`; a language we speak wins. `accept_language` is the
    header (RFC 9110 section 12.5.4), matched by its language alone: a reader of `es-MX` reads `es`.
    """
    return language_of(override or "") or _preferred((accept_language or "")[:HEADER_LENGTH_MAX])


def language_of(tag: str) -> Language | None:
    """Returns our language for a tag such as `fr-CA` (RFC 5646), or None where we speak none like it."""
    language = tag.strip().replace("_", "-").partition("-")[0].lower()
    return next((known for known in LANGUAGES if known == language), None)


@lru_cache(maxsize=len(LANGUAGES))
def locale_of(language: Language) -> Locale:
    """Returns what Babel knows of a language."""
    try:
        return Locale.parse(language)
    except UnknownLocaleError as error:
        raise RuntimeError(f"Babel does not know {language!r}") from error


@lru_cache(maxsize=_KNOWN_HEADERS_MAX)
def _preferred(header: str) -> Language:
    best: tuple[float, Language] = (0.0, DEFAULT_LANGUAGE)
    for part in header.split(",")[:RANGE_COUNT_MAX]:
        tag, _, weight = part.partition(";")
        language = language_of(tag)
        quality = _quality_of(weight)
        # Among equals the first one named wins.
        if language is not None and quality > best[0]:
            best = (quality, language)
    return best[1]


def _quality_of(parameter: str) -> float:
    """The weight of a range (RFC 9110 section 12.4.2): 1 if none is given, 0 if it is malformed."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip().lower() == "q" and 0 <= quality <= 1 else 0.0
