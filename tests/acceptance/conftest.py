"""A running API over real HTTP, with its own database, and tokens to call it with.

Fixtures:

    settings        dev settings on this test's database and the session's Redis
    api             an HTTP client on an API served by uvicorn on a free port
    another_api     the same on a second instance, with stores in common and nothing else
    contract        the OpenAPI document, which every response of `api` is held to
    token_for       makes an access token: `token_for("buyer", "ann")`
    bearer          the same as a header: `bearer("buyer", "ann")`
    shoppers        places orders over HTTP
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from litestar import Litestar

from pintuan.app import create_app
from pintuan.base.auth import Role
from pintuan.base.auth.tokens import TokenIssuer
from pintuan.base.keyring import Keyring
from pintuan.base.settings.settings import Settings
from pintuan.http.protocol.connection import gated
from pintuan.http.protocol.placement_gate import PlacementGate
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, Shoppers
from tests.applications import APPLICATIONS
from tests.marketplace import PLAIN_HTTP

HOST = "127.0.0.1"
CALL_TIMEOUT_S = 10.0
SECRET_KEY = "a key that signs tokens in tests and nowhere else"


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """What an operator would set for a development machine."""
    return Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path, secret_key=SECRET_KEY)


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The document as an API serves it; it is the same for all of them."""
    app = create_app(Settings(secret_key=SECRET_KEY))
    return Contract(json.loads(app.state.openapi()))


@pytest.fixture
async def api(settings: Settings, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose base URL is the API's. It raises where a response is not as documented."""
    async with serving(settings, contract) as client:
        yield client


@pytest.fixture
async def another_api(settings: Settings, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second API on the same stores: its own pools, its own queues, its own memory."""
    async with serving(settings, contract) as client:
        yield client


@asynccontextmanager
async def serving(settings: Settings, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """Serves an API on a free port for the life of the block."""
    with APPLICATIONS.lent(settings) as app:
        async with serving_app(app, contract) as client:
            yield client


@asynccontextmanager
async def serving_app(app: Litestar, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """The same for an application whose state the test looks into."""
    async with (
        listening(app) as port,
        httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}",
            timeout=CALL_TIMEOUT_S,
            verify=PLAIN_HTTP,
            event_hooks={"response": [contract.check]},
        ) as client,
    ):
        yield client


@asynccontextmanager
async def listening(
    app: Litestar, *, direct: bool = True, gate: PlacementGate | None = None
) -> AsyncIterator[int]:
    """Serves an application on a free port for the life of the block.

    Without `direct` nothing is answered but by the application, which somebody else has started.
    """
    config = uvicorn.Config(
        app,
        # What an API process speaks, placing calls without the application included.
        http=gated(
            gate or PlacementGate(Settings().placements_in_flight),
            app.state.direct_placing if direct else None,
        ),
        host=HOST,
        port=0,
        log_config=None,
        access_log=False,
        lifespan="on" if direct else "off",
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await _started(server, task)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def shoppers(api: httpx.AsyncClient, bearer: Bearer) -> Shoppers:
    return Shoppers(api, bearer)


@pytest.fixture
def token_for() -> Callable[[Role, str], str]:
    """Issues tokens with the key of `settings` by this machine's clock, which Postgres shares here."""
    issuer = TokenIssuer(Keyring(SECRET_KEY))

    def token_for(role: Role, subject: str) -> str:
        return issuer.issue(subject, role, now_s=time.time())

    return token_for


@pytest.fixture
def bearer(token_for: Callable[[Role, str], str]) -> Bearer:
    """Returns the Authorization header of a caller."""

    def bearer(role: Role, subject: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token_for(role, subject)}"}

    return bearer


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """uvicorn has no event for having started, only a flag that it sets."""
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the API ended before it had started")
        await asyncio.sleep(0.01)
