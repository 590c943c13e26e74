"""Real servers for every test: one Postgres and one Redis per session, a fresh database per test.

Fixtures:

    postgres        the session's Postgres server, with a template database that has every migration
    database_url    URL of a database with every migration that this test has for itself
    pool            an asyncpg pool on it
    market          makes deals straight in it, and reads what became of them
    engine          one process' group engine on it and the session's Redis, with rate limits off
    empty_database_url
                    URL of a database of this test that has no migrations
    redis_url       URL of the session's Redis, emptied before the test
    own_redis       a running Redis of this test alone, to be killed, restarted or restored from its files
    own_cluster     a running Redis Cluster of this test alone: three primaries, the first with a replica
    own_postgres    the same for Postgres, with its durability settings on and no migrations
    site            a data directory and a port of this test, to run `pintuan up` on, not for the first time
    new_site        the same where nothing has ever run

A test marked `anyio` runs on asyncio, in one event loop for the whole session.
"""

import fcntl
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.base.stores.embedded.data_directory import DataDirectory
from sql import migrate
from tests.databases import COMMAND_TIMEOUT_S, Databases
from tests.files import copy_files
from tests.market import Market
from tests.marketplace import Site
from tests.redis_cluster import Cluster, running_cluster

TEMPLATE_DATABASE = "pintuan_template"
POOL_SIZE_MAX = 10
# For the session's server, which waits for no disk and writes little log: no test here survives a power cut.
FORGETFUL = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}

Server = TypeVar("Server", EmbeddedPostgres, EmbeddedRedis)

settings.register_profile("local", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores, because a test waits for a third of its time."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuses tests with the same id, of which xdist would run one and leave out the others."""
    repeated = [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]
    if repeated:
        raise pytest.UsageError(f"several tests are called {', '.join(repeated)}")


@dataclass(frozen=True, slots=True)
class PostgresFixture:
    """The session's server, and the connection that makes and drops databases."""

    server: EmbeddedPostgres
    maintenance: asyncpg.Connection


@pytest.fixture(scope="session", autouse=True)
def anyio_backend() -> str:
    """Makes anyio's plugin run asynchronous tests on asyncio only, and the fixtures below in any test."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Hides the developer's own PINTUAN_ variables, so that the tests mean the same everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PINTUAN_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A directory for the servers' data whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="pintuan-tests-") as directory:
        yield Path(directory)


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """The same for a server of one test."""
    with tempfile.TemporaryDirectory(prefix="pintuan-test-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def initialised(server_directory: Path) -> Path:
    """The files of a Postgres that was never started. A copy takes a tenth as long as to make them."""
    server = EmbeddedPostgres(server_directory / "initialised")
    with Path(__file__).open() as turn:
        # As root the first one makes the user that Postgres runs as, which two at once cannot.
        fcntl.flock(turn, fcntl.LOCK_EX)
        server.prepare()
    return server.directory


@pytest.fixture(scope="session")
async def first_start(server_directory: Path, initialised: Path) -> Path:
    """A data directory as a first `pintuan up` leaves it, as far as that takes long: with every migration."""
    data = DataDirectory(server_directory / "first-start")
    server = EmbeddedPostgres(data.postgres, log=data.log("postgres"), settings=FORGETFUL)
    await copy_files(initialised, server.directory)
    async with running(server):
        await migrate(server.url)
    return data.path


@pytest.fixture(scope="session")
async def postgres(server_directory: Path, initialised: Path) -> AsyncIterator[PostgresFixture]:
    """One server for the session."""
    server = EmbeddedPostgres(server_directory / "postgres", settings=FORGETFUL)
    await copy_files(initialised, server.directory)
    async with running(server):
        maintenance = await asyncpg.connect(server.url_of("postgres"), command_timeout=COMMAND_TIMEOUT_S)
        try:
            await maintenance.execute(f"CREATE DATABASE {TEMPLATE_DATABASE}")
            await migrate(server.url_of(TEMPLATE_DATABASE))
            yield PostgresFixture(server, maintenance)
        finally:
            await maintenance.close()


@pytest.fixture(scope="session")
async def databases(postgres: PostgresFixture) -> AsyncIterator[Databases]:
    """The session's migrated databases, lent to one test after another."""
    databases = Databases(postgres.server, postgres.maintenance, template=TEMPLATE_DATABASE)
    yield databases
    await databases.close()


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """A migrated, empty database that only this test sees; its connections end with the test."""
    async with databases.lent() as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres: PostgresFixture) -> AsyncIterator[str]:
    """The same without any migration."""
    async with own_database(postgres, template="template1") as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on this test's database."""
    async with asyncpg.create_pool(
        database_url, min_size=1, max_size=POOL_SIZE_MAX, command_timeout=COMMAND_TIMEOUT_S
    ) as pool:
        yield pool


@pytest.fixture
def market(pool: asyncpg.Pool) -> Market:
    """One merchant's deals."""
    return Market(pool)


@pytest.fixture
async def engine(pool: asyncpg.Pool, redis_url: str) -> AsyncIterator[GroupEngine]:
    """What an API or a worker process has one of."""
    async with open_engine(pool, redis_url, rates=None) as engine:
        yield engine


@pytest.fixture(scope="session")
async def redis_server(server_directory: Path) -> AsyncIterator[EmbeddedRedis]:
    """One Redis for the session."""
    async with running(EmbeddedRedis(server_directory / "redis")) as server:
        yield server


@pytest.fixture
async def redis_url(redis_server: EmbeddedRedis) -> str:
    """The session's Redis, emptied."""
    async with Redis.from_url(redis_server.url, socket_timeout=COMMAND_TIMEOUT_S) as client:
        await client.flushall()
    return redis_server.url


@pytest.fixture
async def own_redis(own_directory: Path) -> AsyncIterator[EmbeddedRedis]:
    """A running Redis of this test alone. To come back after `kill`, `start` and `wait_ready` again."""
    async with running(EmbeddedRedis(own_directory / "redis")) as server:
        yield server


@pytest.fixture
async def own_cluster(own_directory: Path) -> AsyncIterator[Cluster]:
    """A cluster whose slots can be moved and whose servers can be killed."""
    async with running_cluster(own_directory / "cluster", replicas=1) as cluster:
        yield cluster


@pytest.fixture
async def own_postgres(own_directory: Path, initialised: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A running Postgres of this test alone, as `pintuan up` would run it."""
    server = EmbeddedPostgres(own_directory / "postgres")
    await copy_files(initialised, server.directory)
    async with running(server):
        yield server


@pytest.fixture
async def new_site(own_directory: Path) -> AsyncIterator[Site]:
    """A site where nothing has ever run; whatever a failing test leaves there is ended."""
    site = Site(own_directory / "data")
    yield site
    await site.close()


@pytest.fixture
async def site(new_site: Site, first_start: Path) -> Site:
    """A site where a marketplace ran once and sold nothing, and nothing runs now."""
    await copy_files(first_start, new_site.data_dir)
    return new_site


@asynccontextmanager
async def own_database(postgres: PostgresFixture, *, template: str) -> AsyncIterator[str]:
    """The URL of a copy of a database, for the life of the block."""
    name = f"test_{uuid4().hex}"
    await postgres.maintenance.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield postgres.server.url_of(name)
    await postgres.maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    """A new server that answers, for the life of the block."""
    server.prepare()
    await server.start()
    try:
        await server.wait_ready()
        yield server
    finally:
        await server.stop()
