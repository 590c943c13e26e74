"""An issuer's keys are asked for with bounds, kept while it is down, and not asked for at anybody's will."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest

from pintuan.base.auth.key_set import KEY_SET_BYTES_MAX, STALE_S_MAX, UNKNOWN_KID_INTERVAL_S, KeySet
from pintuan.base.auth.trusted_issuer import TrustedIssuer
from pintuan.base.errors import Overloaded
from tests.issuer import KeyServer, SigningKey, key_server
from tests.waiting import until

pytestmark = pytest.mark.anyio

FIRST, SECOND = SigningKey.new("first"), SigningKey.new("second")


class Clock:
    """Monotonic time, moved by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic_s(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server(FIRST) as server:
        yield server


@pytest.fixture
def changes() -> list[None]:
    """One entry for each time the keys changed."""
    return []


@pytest.fixture
def keys(server: KeyServer, clock: Clock, changes: list[None]) -> KeySet:
    return KeySet(
        TrustedIssuer(**server.entry()), on_change=lambda: changes.append(None), monotonic_s=clock.monotonic_s
    )


async def knows(keys: KeySet, key: SigningKey) -> bool:
    return await keys.find(key.kid, key.algorithm) is not None


async def test_the_first_caller_does_not_wait_for_the_next_round(keys: KeySet, server: KeyServer) -> None:
    assert await knows(keys, FIRST)
    assert await knows(keys, FIRST)
    assert server.asked == 1


async def test_a_key_counts_for_its_own_algorithm_alone(keys: KeySet) -> None:
    assert await knows(keys, FIRST)
    assert await keys.find(FIRST.kid, "RS256") is None
    assert await keys.find(FIRST.kid, "HS256") is None


async def test_callers_at_the_same_time_share_one_request(keys: KeySet, server: KeyServer) -> None:
    server.released.clear()
    callers = [asyncio.create_task(knows(keys, FIRST)) for _ in range(20)]

    async def is_asked() -> bool:
        return server.asked > 0

    await until(is_asked)
    server.released.set()

    assert all(await asyncio.gather(*callers))
    assert server.asked == 1


async def test_a_new_key_is_found_and_an_old_one_given_up_when_the_issuer_rotates(
    keys: KeySet, server: KeyServer, clock: Clock, changes: list[None]
) -> None:
    assert await knows(keys, FIRST)
    server.keys = [SECOND]
    clock.s += UNKNOWN_KID_INTERVAL_S

    assert await knows(keys, SECOND)
    assert not await knows(keys, FIRST)
    assert len(changes) == 2


async def test_invented_key_names_do_not_make_us_hammer_the_issuer(
    keys: KeySet, server: KeyServer, clock: Clock
) -> None:
    for number in range(100):
        assert await keys.find(f"invented-{number}", "ES256") is None
    assert server.asked == 1

    clock.s += UNKNOWN_KID_INTERVAL_S
    for number in range(100):
        assert await keys.find(f"invented-{number}", "ES256") is None
    assert server.asked == 2


async def test_the_last_keys_count_while_the_issuer_is_down_and_not_for_ever(
    keys: KeySet, server: KeyServer, clock: Clock, changes: list[None]
) -> None:
    assert await knows(keys, FIRST)
    server.status = "500 Internal Server Error"
    clock.s = STALE_S_MAX
    await keys.refresh()
    assert await knows(keys, FIRST)
    with pytest.raises(Overloaded):
        await knows(keys, SECOND)

    clock.s = STALE_S_MAX + UNKNOWN_KID_INTERVAL_S + 1
    with pytest.raises(Overloaded):
        await knows(keys, FIRST)
    server.status = "200 OK"
    clock.s += UNKNOWN_KID_INTERVAL_S
    assert await knows(keys, FIRST)
    assert len(changes) == 1


async def test_an_answer_without_end_is_given_up(keys: KeySet, server: KeyServer) -> None:
    server.body = json.dumps({"keys": [FIRST.public_jwk()], "padding": "x" * KEY_SET_BYTES_MAX}).encode()

    with pytest.raises(Overloaded):
        await knows(keys, FIRST)


async def test_a_compressed_answer_is_not_unpacked(keys: KeySet, server: KeyServer) -> None:
    server.headers = ("Content-Encoding: gzip",)
    server.body = gzip.compress(json.dumps({"keys": [FIRST.public_jwk()]}).encode())

    with pytest.raises(Overloaded):
        await knows(keys, FIRST)


async def test_a_slow_answer_is_not_waited_for(
    keys: KeySet, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.key_set.FETCH_TIMEOUT_S", 0.05)
    server.released.clear()

    with pytest.raises(Overloaded):
        await knows(keys, FIRST)


async def test_an_answer_that_drips_is_not_waited_for(
    keys: KeySet, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.key_set.FETCH_TIMEOUT_S", 0.05)
    server.drips = True

    async with asyncio.timeout(2):
        with pytest.raises(Overloaded):
            await knows(keys, FIRST)


async def test_a_redirect_is_not_followed(keys: KeySet, server: KeyServer) -> None:
    async with key_server(FIRST) as elsewhere:
        server.status, server.headers = "302 Found", (f"Location: {elsewhere.url}",)

        with pytest.raises(Overloaded):
            await knows(keys, FIRST)
        assert elsewhere.asked == 0


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"keys": []}'])
async def test_an_answer_that_is_no_key_set_leaves_the_keys_as_they_were(
    keys: KeySet, server: KeyServer, body: bytes
) -> None:
    assert await knows(keys, FIRST)
    server.body = body
    await keys.refresh()

    assert await knows(keys, FIRST)


async def test_keys_are_asked_for_again_by_themselves(
    keys: KeySet, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.key_set.REFRESH_INTERVAL_S", 0.001)
    async with keys.kept_current():
        server.keys = [SECOND]

        async def has_rotated() -> bool:
            return await knows(keys, SECOND) and not await knows(keys, FIRST)

        await until(has_rotated)


async def test_an_issuer_that_is_down_from_the_start_is_found_when_it_comes_up(
    keys: KeySet, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.key_set.RETRY_INTERVAL_S", 0.001)
    server.status = "503 Service Unavailable"
    async with keys.kept_current():
        with pytest.raises(Overloaded):
            await knows(keys, FIRST)
        server.status = "200 OK"

        async def is_known() -> bool:
            try:
                return await knows(keys, FIRST)
            except Overloaded:
                return False

        await until(is_known)
