"""The document of everything that is kept about a person, made of the sections that nouns give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pintuan.base.personal import Personal, Section


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in the route for the document's shape, which only the composition root can make."""


def sections_of(nouns: Sequence[Personal]) -> list[Section]:
    """Returns the sections of the document in their order: by chapter, and then by noun."""
    sections = [section for noun in nouns for section in noun.export]
    return sorted(sections, key=lambda section: section.chapter)


def shape_of(nouns: Sequence[Personal]) -> type[msgspec.Struct]:
    """Returns the type of the document on the wire.

    Raises:
        ValueError: two nouns give sections of the same name.
    """
    sections = sections_of(nouns)
    names = [section.name for section in sections]
    if len(names) != len(set(names)):
        raise ValueError(f"nouns give sections of the same name: {names}")
    return msgspec.defstruct(
        "Export",
        [
            (section.name, Annotated[section.shape, Meta(description=section.description)])
            for section in sections
        ],
        namespace={"__doc__": "Everything kept about a person."},
        frozen=True,
        kw_only=True,
    )
