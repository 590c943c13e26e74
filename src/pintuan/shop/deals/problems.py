"""The answers to refusals about deals; the engine raises them, too."""

from __future__ import annotations

from typing import Final

from groups.errors import DealNotActive, DealNotFound
from pintuan.http.problems import NOT_FOUND, Kind

PROBLEMS: Final = {
    DealNotFound: NOT_FOUND,
    DealNotActive: Kind(
        409, "deal_not_active", "The deal is not active", "The deal is paused, ended or not yet started."
    ),
}
