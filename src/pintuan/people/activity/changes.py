"""The part of a change that is kept: the fields that differ, each as it was and as it is, and no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Changes: TypeAlias = dict[str, dict[str, Any]]
TEXT_CHARS_MAX: Final = 200
"""This length tells one text from another; a description may be five hundred times as long."""


def made(**fields: object) -> Changes:
    """Returns the fields of something new; those of None are left out."""
    return {name: {"after": _kept(value)} for name, value in fields.items() if value is not None}


def removed(**fields: object) -> Changes:
    """Returns the fields of something that is gone."""
    return {name: {"before": _kept(value)} for name, value in fields.items() if value is not None}


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> Changes:
    """Returns the fields that differ; both have the same names."""
    return {
        name: {"before": _kept(before[name]), "after": _kept(value)}
        for name, value in after.items()
        if before[name] != value
    }


def host_of(url: str) -> str:
    """Returns where a URL leads without what follows: its path or query may well be a secret."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _kept(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        return value[:TEXT_CHARS_MAX] + "…"
    return value
