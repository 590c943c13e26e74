"""What tests of payments start from.

Fixtures:

    rows        factories for rows of one deal
    gateway     the sandbox, watched
    progress    what the executor has recorded
    executor    an executor over all of these
"""

import asyncpg
import pytest

from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.integration.money.payments.watching import Progress, WatchedGateway
from tests.rows import Rows


@pytest.fixture
async def rows(pool: asyncpg.Pool) -> Rows:
    return await Rows.open(pool)


@pytest.fixture
def gateway(pool: asyncpg.Pool) -> WatchedGateway:
    return WatchedGateway(SandboxGateway(pool))


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def executor(pool: asyncpg.Pool, gateway: WatchedGateway, progress: Progress) -> PaymentExecutor:
    return PaymentExecutor(pool, gateway, on_recorded=progress)
