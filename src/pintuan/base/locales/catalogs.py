"""The messages of each language, read from the `.po` files beside this module.

They are compiled in memory at first use. An installed package and a checkout need no build step, and no
compiled file can be older than its source.
"""

from __future__ import annotations

from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import TypeAlias

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from pintuan.base.locales.negotiation import DEFAULT_LANGUAGE, LANGUAGES, Language

Translations: TypeAlias = NullTranslations


@lru_cache(maxsize=len(LANGUAGES))
def translations_for(language: Language) -> Translations:
    """Returns the messages of a language, with its plural rules; those of English are the sources' own."""
    if language == DEFAULT_LANGUAGE:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalog_of(language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def catalog_of(language: Language) -> Catalog:
    """Returns the catalog of a language other than English as its file has it."""
    path = files("pintuan.base.locales").joinpath(language, "LC_MESSAGES", "messages.po")
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)
