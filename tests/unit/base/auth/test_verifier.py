"""What was verified is recalled without waiting, and for no longer than it is true."""

import asyncio
from collections.abc import Collection

import asyncpg
import pytest

from pintuan.base.auth import Principal
from pintuan.base.auth.tokens import LEEWAY_S, LIFETIME_S, TokenIssuer, TokenVerifier
from pintuan.base.auth.verifier import (
    API_KEY_REMEMBERED_S,
    REFUSED_HERE_S,
    REFUSED_INTERVAL_S,
    VERIFIED_COUNT_MAX,
    Verifier,
)
from pintuan.base.errors import Unauthenticated
from pintuan.base.keyring import Keyring

pytestmark = pytest.mark.anyio

KEYRING = Keyring("a key that signs tokens in these tests alone")
NOW_S = 1_800_000_000
API_KEY = "ptk_of_acme"
ACME = Principal("acme", "merchant", api_key_id="key_1")


class Clock:
    """The server's time, moved by hand."""

    def __init__(self) -> None:
        self.s: float = NOW_S

    def now_s(self) -> float:
        return self.s


class Keys:
    """One API key that is valid until somebody says otherwise."""

    def __init__(self) -> None:
        self.asked = 0
        self.valid = True

    async def principal_of(self, text: str) -> Principal:
        self.asked += 1
        if not self.valid or text != API_KEY:
            raise Unauthenticated("no such key")
        return ACME


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def verifier(clock: Clock, keys: Keys) -> Verifier:
    return Verifier(TokenVerifier(KEYRING, clock.now_s), clock.now_s, api_keys=keys, issuers=())


def token_of(subject: str, *, now_s: float = NOW_S) -> str:
    return TokenIssuer(KEYRING).issue(subject, "buyer", now_s=now_s)


async def test_a_token_is_recalled_once_it_was_verified(verifier: Verifier) -> None:
    token = token_of("ann")

    assert verifier.recall(token) is None
    assert await verifier.verify(token) == Principal("ann", "buyer")
    assert verifier.recall(token) == Principal("ann", "buyer")


async def test_a_remembered_token_expires_by_the_servers_clock(verifier: Verifier, clock: Clock) -> None:
    token = token_of("ann")
    await verifier.verify(token)

    clock.s = NOW_S + LIFETIME_S + LEEWAY_S - 0.1
    assert verifier.recall(token) is not None
    clock.s = NOW_S + LIFETIME_S + LEEWAY_S
    assert verifier.recall(token) is None
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_what_is_remembered_is_bounded_and_the_last_used_stay(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.verifier.VERIFIED_COUNT_MAX", 3)
    first, second, third, fourth = (token_of(f"ann-{number}") for number in range(4))

    for token in (first, second, third):
        await verifier.verify(token)
    verifier.recall(first)
    await verifier.verify(fourth)

    assert VERIFIED_COUNT_MAX > 3
    assert [verifier.recall(token) is not None for token in (first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.b.c", "." * 10, "ptk_", "e30.e30.", "x" * 20_000])
async def test_what_nobody_issued_is_refused(verifier: Verifier, text: str) -> None:
    assert verifier.recall(text) is None
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)


async def test_an_api_key_is_asked_about_again_after_its_time(
    verifier: Verifier, clock: Clock, keys: Keys
) -> None:
    assert await verifier.verify(API_KEY) == ACME
    keys.valid = False
    clock.s += API_KEY_REMEMBERED_S - 0.1
    assert verifier.recall(API_KEY) == ACME

    clock.s += 0.1
    assert verifier.recall(API_KEY) is None
    with pytest.raises(Unauthenticated):
        await verifier.verify(API_KEY)
    assert API_KEY_REMEMBERED_S <= 10
    assert keys.asked == 2


async def test_an_api_key_deleted_here_is_forgotten_here(verifier: Verifier) -> None:
    token = token_of("ann")
    await verifier.verify(token)
    await verifier.verify(API_KEY)

    verifier.forget()

    assert verifier.recall(API_KEY) is None
    assert verifier.recall(token) is not None


async def test_a_refused_subjects_tokens_end_at_once_and_nobody_elses(
    verifier: Verifier, clock: Clock
) -> None:
    known, unknown, others = token_of("ann"), token_of("ann"), token_of("bob")
    await verifier.verify(known)

    verifier.refuse("ann")

    with pytest.raises(Unauthenticated):
        verifier.recall(known)
    with pytest.raises(Unauthenticated):
        await verifier.verify(unknown)
    await verifier.verify(others)
    clock.s = NOW_S + LIFETIME_S + LEEWAY_S - 0.1
    with pytest.raises(Unauthenticated):
        verifier.recall(known)
    assert REFUSED_HERE_S > LIFETIME_S + LEEWAY_S


async def test_a_subject_refused_elsewhere_is_refused_here_with_the_next_look(
    clock: Clock, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.verifier.REFUSED_INTERVAL_S", 0.001)
    refused: set[str] = set()
    failing = False
    looks: asyncio.Queue[None] = asyncio.Queue()

    async def read_refused() -> Collection[str]:
        looks.put_nowait(None)
        if failing:
            raise asyncpg.PostgresConnectionError("gone")
        return set(refused)

    async def look_twice() -> None:
        """The second look begins after the first has ended."""
        while not looks.empty():
            looks.get_nowait()
        for _ in range(2):
            await looks.get()

    own = TokenVerifier(KEYRING, clock.now_s)
    verifier = Verifier(own, clock.now_s, api_keys=keys, issuers=(), read_refused=read_refused)
    token = token_of("ann")
    refused.add("bob")
    async with verifier.kept_current():
        with pytest.raises(Unauthenticated):
            await verifier.verify(token_of("bob"))
        await verifier.verify(token)
        refused.add("ann")
        await look_twice()
        with pytest.raises(Unauthenticated):
            verifier.recall(token)

        failing = True
        await look_twice()
        with pytest.raises(Unauthenticated):
            verifier.recall(token)

        failing = False
        refused.clear()
        await look_twice()
        await look_twice()
        assert verifier.recall(token) is not None
    assert REFUSED_INTERVAL_S <= 2


async def test_the_tokens_of_a_session_that_ended_are_refused_and_those_of_others_are_not(
    clock: Clock, keys: Keys
) -> None:
    async def read_refused() -> Collection[str]:
        return ["ses_over"]

    own = TokenVerifier(KEYRING, clock.now_s)
    verifier = Verifier(own, clock.now_s, api_keys=keys, issuers=(), read_refused=read_refused)
    over, other = (
        TokenIssuer(KEYRING).issue("ann", "merchant", now_s=NOW_S, session_id=session_id)
        for session_id in ("ses_over", "ses_other")
    )
    await verifier.verify(over)
    async with verifier.kept_current():
        with pytest.raises(Unauthenticated, match="session"):
            verifier.recall(over)
        with pytest.raises(Unauthenticated, match="session"):
            await verifier.verify(over)
        assert (await verifier.verify(other)).session_id == "ses_other"
