"""The keyring that settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.keyring import Keyring

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings


def keyring_of(settings: Settings) -> Keyring:
    """Returns the keys of a deployment; raises SettingsError when the current one is missing."""
    return Keyring(settings.resolve_secret_key(), settings.secret_keys_accepted)
