"""compose.yaml as an engine reads it: anchors merged, variables put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from tests.documents import PROJECT

COMPOSE: Final = PROJECT / "compose.yaml"
VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
SECRETS: Final = {
    "POSTGRES_PASSWORD": "p" * 32,
    "REDIS_PASSWORD": "r" * 32,
    "GRAFANA_PASSWORD": "g" * 32,
    "PINTUAN_SECRET_KEY": "k" * 32,
    "PINTUAN_PUBLIC_URL": "https://shop.example",
    "PINTUAN_PAYMENT_GATEWAY": "sandbox",
}
"""All that compose.yaml demands."""


class MissingVariable(Exception):
    """A variable that must be set is not; this is where an engine refuses to start."""


def compose(environ: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """The document; raises MissingVariable. Variables come after parsing, so that an empty one is a text."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        found = environ.get(name, "")
        if not found and kind == "?":
            raise MissingVariable(name)
        return found or (rest or "")

    def filled(node: Any) -> Any:
        match node:
            case dict():
                return {key: filled(child) for key, child in node.items()}
            case list():
                return [filled(child) for child in node]
            case str():
                return VARIABLE.sub(value, node)
        return node

    document: dict[str, Any] = filled(yaml.safe_load(COMPOSE.read_text()))
    return document


def services() -> dict[str, dict[str, Any]]:
    """Every service, by name."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """Those that run our image."""
    return {name: service for name, service in services().items() if "build" in service}


def seconds(duration: str) -> float:
    """What `45s` or `1m30s` says."""
    return sum(
        float(number) * {"s": 1, "m": 60, "h": 3600}[unit]
        for number, unit in re.findall(r"([\d.]+)([smh])", duration)
    )
