"""The public keys of a trusted issuer (JWK sets, RFC 7517): fetched with bounds, kept, and fetched again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx
import jwt
import msgspec
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from groups.looks import outlived
from pintuan.base.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.auth.trusted_issuer import TrustedIssuer

# Keyed by `kid` and the one algorithm the key is for: a token chooses among keys, never the algorithm.
Keys: TypeAlias = dict[tuple[str, str], jwt.PyJWK]

FETCH_TIMEOUT_S: Final = 3.0
KEY_SET_BYTES_MAX: Final = 64 * 1024
KEY_COUNT_MAX: Final = 32
KID_CHARS_MAX: Final = 256
# NIST SP 800-131A: shorter RSA keys are not to be relied on. Longer ones would make each signature a burden.
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
REFRESH_INTERVAL_S: Final = 300.0
RETRY_INTERVAL_S: Final = 30.0
# An unknown `kid` may be a newer key; a caller who invents them must not make us hammer the issuer.
UNKNOWN_KID_INTERVAL_S: Final = 10.0
# While the issuer does not answer, its last keys count for this long.
STALE_S_MAX: Final = 24 * 3600.0

# By the key's type and curve (RFC 7518 sections 3.3 and 3.4, RFC 8037 section 3.1); none is symmetric.
_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
ALGORITHMS: Final = frozenset(_ALGORITHMS.values())

_logger = structlog.get_logger("pintuan.base.auth")


class KeySetError(Exception):
    """The issuer's answer is not a usable key set; the text says why."""


class KeySet:
    """One issuer's keys, as this process knows them; `monotonic_s` gives their age."""

    def __init__(
        self,
        issuer: TrustedIssuer,
        *,
        on_change: Callable[[], None],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._on_change = on_change
        self._monotonic_s = monotonic_s
        # The proxy of an operator's environment is no way to this machine itself.
        self._client = httpx.AsyncClient(
            timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=not issuer.is_local
        )
        self._keys: Keys = {}
        self._body = b""
        self._fetched_s: float | None = None
        self._asked_s: float | None = None
        self._answers = True
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """Returns the issuer's key of this name for this algorithm, or None; may ask the issuer for new ones.

        Raises:
            Overloaded: the key is not known, and the issuer did not answer when last asked.
        """
        key = self._current().get((kid, algorithm))
        if key is None and self._may_ask():
            await self.refresh()
            key = self._current().get((kid, algorithm))
        if key is None and not self._answers:
            raise Overloaded(f"The keys of the issuer {self._issuer.name} cannot be had for the moment.")
        return key

    async def refresh(self) -> None:
        """Asks the issuer for its keys; the known ones stay when that fails.

        Callers at the same time share one request.
        """
        if self._fetching is None:
            self._asked_s = self._monotonic_s()
            self._fetching = asyncio.create_task(self._fetch(), name=f"keys of {self._issuer.name}")
            self._fetching.add_done_callback(self._fetch_ended)
        await outlived(self._fetching)

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Asks for the keys now and then for the life of the block; does not wait for the first answer."""
        task = asyncio.create_task(self._refresh_for_ever(), name=f"refresh keys of {self._issuer.name}")
        try:
            yield
        finally:
            for running in (task, self._fetching):
                if running is not None:
                    running.cancel()
                    with suppress(asyncio.CancelledError):
                        await running
            await self._client.aclose()

    def _current(self) -> Keys:
        if self._fetched_s is None or self._monotonic_s() - self._fetched_s > STALE_S_MAX:
            return {}
        return self._keys

    def _may_ask(self) -> bool:
        if self._fetching is not None or self._asked_s is None:
            return True
        return self._monotonic_s() - self._asked_s >= UNKNOWN_KID_INTERVAL_S

    async def _refresh_for_ever(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_INTERVAL_S if self._answers else RETRY_INTERVAL_S)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                body = await self._download()
            keys = read_key_set(body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, KeySetError, OSError) as error:
            # An outage is told once, and so is its end.
            if self._answers:
                _logger.warning("issuer's keys not read", issuer=self._issuer.name, error=repr(error))
            self._answers = False
            return
        if not self._answers:
            _logger.info("issuer's keys read again", issuer=self._issuer.name)
        self._answers = True
        self._fetched_s = self._monotonic_s()
        self._keys = keys
        if body != self._body:
            self._body = body
            self._on_change()

    def _fetch_ended(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _download(self) -> bytes:
        # The answer is counted and read as it is: a few compressed bytes could unpack to gigabytes.
        headers = {"accept": "application/json, application/jwk-set+json", "accept-encoding": "identity"}
        async with self._client.stream("GET", self._issuer.jwks_url, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                raise KeySetError(f"the issuer answered {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > KEY_SET_BYTES_MAX:
                    raise KeySetError(f"the issuer's answer is longer than {KEY_SET_BYTES_MAX} bytes")
            return bytes(body)


def read_key_set(body: bytes) -> Keys:
    """Returns the keys of a JWK set that can verify signatures; others are passed over (RFC 7517 section 5).

    Raises:
        KeySetError: it is no JWK set, has more than `KEY_COUNT_MAX` keys, or none that can be used.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeySetError("the issuer's answer is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeySetError("the issuer's answer is no JWK set")
    if len(entries) > KEY_COUNT_MAX:
        raise KeySetError(f"the issuer has {len(entries)} keys; at most {KEY_COUNT_MAX} are read")
    keys: Keys = {}
    for entry in entries:
        key = _usable_key(entry)
        if key is not None:
            keys.setdefault((entry["kid"], key.algorithm_name), key)
    if not keys:
        raise KeySetError("the issuer has no key that can be used")
    return keys


def _usable_key(entry: Any) -> jwt.PyJWK | None:
    if not isinstance(entry, dict):
        return None
    kid, type_, curve = entry.get("kid"), entry.get("kty"), entry.get("crv")
    if not isinstance(kid, str) or not 1 <= len(kid) <= KID_CHARS_MAX:
        return None
    if not isinstance(type_, str) or not isinstance(curve, str | None):
        return None
    algorithm = _ALGORITHMS.get((type_, curve))
    # A private key in public is no key any more.
    if algorithm is None or "d" in entry or entry.get("alg", algorithm) != algorithm:
        return None
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, LookupError):
        return None
    if isinstance(key.key, RSAPublicKey) and not RSA_BITS_MIN <= key.key.key_size <= RSA_BITS_MAX:
        return None
    return key
