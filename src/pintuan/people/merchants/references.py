"""The reference by which a merchant knows a buyer: the same in all of their sales, and another for every
merchant.
"""

from __future__ import annotations

import hmac
from typing import Final

REFERENCE_BYTES: Final = 16


def reference_of(key: bytes, buyer_id: str) -> str:
    """Returns what a merchant whose key this is knows the buyer by."""
    digest = hmac.digest(key, buyer_id.encode(), "sha256")
    return f"byr_{digest[:REFERENCE_BYTES].hex()}"
