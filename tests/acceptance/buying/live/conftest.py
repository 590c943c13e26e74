"""Fixtures of live streams.

pace        how often the APIs of a test look; by default signals alone bring news, and quickly
worker      the jobs of a worker process, with signals of its own
app         the application behind `watched_api`, whose hub a test may look into
watched_api a client of it
"""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from pintuan.app import create_app
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.base.settings.settings import Settings
from pintuan.bootstrap import open_resources
from pintuan.buying.live import state
from pintuan.buying.live.hub import Pace
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.acceptance.conftest import serving_app
from tests.acceptance.contract.documented import Contract
from tests.working import market_jobs

NEVER_S = 3600.0
TICK_S = 0.02


@pytest.fixture
def pace() -> Pace:
    """Nothing but signals and new watchers makes a hub look."""
    return Pace(tick_s=TICK_S, sweep_s=NEVER_S, heartbeat_s=NEVER_S)


@pytest.fixture(autouse=True)
def _paced(monkeypatch: pytest.MonkeyPatch, pace: Pace) -> None:
    monkeypatch.setattr(state, "PACE", pace)


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[ProcessJobs]:
    async with open_resources(settings, application_name="pintuan-worker") as resources:
        gateway = SandboxGateway(resources.pool)
        jobs = market_jobs(resources.pool, resources.engine, gateway, resources.signals.tell)
        yield jobs
        await jobs.close()


@pytest.fixture
def app(settings: Settings, _paced: None) -> Litestar:
    return create_app(settings)


@pytest.fixture
async def watched_api(app: Litestar, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    async with serving_app(app, contract) as client:
        yield client
