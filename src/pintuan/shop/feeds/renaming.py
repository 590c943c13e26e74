"""What a batch of a feed changed of variants that people are being offered or have bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.people.activity.changes import changed, made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pintuan.people.activity.changes import Changes

NOTED_VARIANTS_MAX: Final = 20
"""Of one batch; about 1.5 kB each."""


class NamedVariant(msgspec.Struct, frozen=True):
    """A variant as shoppers know it; `list_price` is minor units and currency."""

    id: str
    product_title: str
    title: str
    sku: str
    list_price: tuple[int, str]


def changes_of(
    before: Mapping[str, NamedVariant], after: Mapping[str, NamedVariant]
) -> tuple[list[str], Changes]:
    """Returns the variants that the log tells of, by id, and the fields that differ, as `<id> <field>`.

    Of more than `NOTED_VARIANTS_MAX` variants the log tells how many there were.
    """
    differing = [id_ for id_, variant in before.items() if id_ in after and after[id_] != variant]
    noted = differing[:NOTED_VARIANTS_MAX]
    changes: Changes = {}
    for id_ in noted:
        changes |= changed(_fields(before[id_]), _fields(after[id_]))
    if len(differing) > len(noted):
        changes |= made(offered_variants_changed=len(differing))
    return noted, changes


def _fields(variant: NamedVariant) -> dict[str, object]:
    return {
        f"{variant.id} {name}": list(value) if isinstance(value, tuple) else value
        for name, value in msgspec.structs.asdict(variant).items()
        if name != "id"
    }
