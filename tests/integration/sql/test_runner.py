"""Migrations on a real Postgres: each file once, whoever starts first, and nothing half done."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from sql import migrate
from sql.migration_errors import (
    DatabaseNewerError,
    DatabaseUnreachableError,
    MigrationBusyError,
    MigrationChangedError,
    MigrationFailedError,
    MigrationFileError,
    MigrationOutOfOrderError,
)
from sql.runner import TURN_LOCK_KEY, Limits

pytestmark = pytest.mark.anyio

RUNNERS = 8
LATER = ("0003_later.sql", "0004_latest.sql")


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's session on that database."""
    connection = await asyncpg.connect(empty_database_url, command_timeout=10)
    yield connection
    await connection.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two migrations: a table, and a second that fails when it runs twice."""
    (tmp_path / "0001_shelf.sql").write_text(
        "CREATE TABLE shelf (id integer);\nINSERT INTO shelf VALUES (1);\n"
    )
    (tmp_path / "0002_more.sql").write_text(
        "INSERT INTO shelf VALUES (2);\nALTER TABLE shelf ADD width integer;\n"
    )
    return tmp_path


async def test_migrations_are_applied_in_order_and_only_once(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    events: list[str] = []

    first = await migrate(empty_database_url, directory=directory, on_event=events.append)
    second = await migrate(empty_database_url, directory=directory)

    assert first == ["0001_shelf", "0002_more"]
    assert second == []
    assert events == ["applying 0001_shelf", "applying 0002_more"]
    assert await connection.fetchval("SELECT array_agg(id ORDER BY id) FROM shelf") == [1, 2]


async def test_eight_runners_at_once_apply_each_file_once_even_an_index_built_concurrently(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    (directory / "0003_index.sql").write_text(
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS shelf_id ON shelf (id);\n"
    )

    results = await asyncio.gather(
        *(migrate(empty_database_url, directory=directory) for _ in range(RUNNERS))
    )

    assert sorted(results) == [[]] * (RUNNERS - 1) + [["0001_shelf", "0002_more", "0003_index"]]
    assert await connection.fetchval("SELECT count(*) FROM shelf") == 2
    assert await connection.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shelf_id'::regclass"
    )


async def test_a_runner_waits_for_its_turn_and_then_goes_on(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"SELECT pg_advisory_lock({TURN_LOCK_KEY})")
    waits = asyncio.Event()

    def on_event(line: str) -> None:
        if line.startswith("waiting"):
            waits.set()

    run = asyncio.create_task(migrate(empty_database_url, directory=directory, on_event=on_event))
    await waits.wait()
    await connection.execute(f"SELECT pg_advisory_unlock({TURN_LOCK_KEY})")

    assert await run == ["0001_shelf", "0002_more"]


async def test_a_turn_that_never_comes_ends_the_wait(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"SELECT pg_advisory_lock({TURN_LOCK_KEY})")

    with pytest.raises(MigrationBusyError, match=r"another process has been migrating .* for over 0.05 s"):
        await migrate(
            empty_database_url,
            directory=directory,
            limits=Limits(turn_timeout_s=0.05, turn_poll_s=0.01),
        )


async def test_a_dry_run_lists_what_is_missing_and_changes_nothing(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    assert await migrate(empty_database_url, directory=directory, dry_run=True) == ["0001_shelf", "0002_more"]

    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0

    await migrate(empty_database_url, directory=directory)
    (directory / "0003_next.sql").write_text("DROP TABLE shelf;")

    assert await migrate(empty_database_url, directory=directory, dry_run=True) == ["0003_next"]
    assert await connection.fetchval("SELECT count(*) FROM shelf") == 2


async def test_an_applied_file_that_was_edited_is_refused_by_name(
    empty_database_url: str, directory: Path
) -> None:
    await migrate(empty_database_url, directory=directory)
    (directory / "0001_shelf.sql").write_text("CREATE TABLE shelf (id bigint);")

    with pytest.raises(MigrationChangedError, match=r"^0001_shelf\.sql was edited"):
        await migrate(empty_database_url, directory=directory)


async def test_other_line_ends_are_no_edit(empty_database_url: str, directory: Path) -> None:
    await migrate(empty_database_url, directory=directory)
    file = directory / "0001_shelf.sql"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    assert await migrate(empty_database_url, directory=directory) == []


async def test_a_version_runs_beside_later_migrations_that_only_add(
    empty_database_url: str, directory: Path
) -> None:
    (directory / "0003_later.sql").write_text("-- needs: 0002\nALTER TABLE shelf DROP width;\n")
    (directory / "0004_latest.sql").write_text("CREATE TABLE drawer (id integer);\n")
    await migrate(empty_database_url, directory=directory)
    later = [(directory / name).rename(directory / f"{name}.away") for name in LATER]
    newer: list[str] = []

    for dry_run in (True, False):
        assert await migrate(empty_database_url, directory=directory, dry_run=dry_run) == []
    assert await migrate(empty_database_url, directory=directory, on_newer=newer.extend) == []
    assert newer == ["0003_later", "0004_latest"]

    for file in later:
        file.rename(file.with_suffix(""))
    assert await migrate(empty_database_url, directory=directory) == [], "its own version goes on as well"


async def test_a_version_older_than_a_migration_needs_is_refused(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    (directory / "0003_gone.sql").write_text("-- needs: 0002\nDROP TABLE shelf;\n")
    await migrate(empty_database_url, directory=directory)
    for name in ("0003_gone.sql", "0002_more.sql"):
        (directory / name).unlink()

    with pytest.raises(
        DatabaseNewerError, match=r"cannot run beside: 0003_gone; use a newer version"
    ) as caught:
        await migrate(empty_database_url, directory=directory)
    assert caught.value.names == ["0003_gone"], "the second only added"

    await connection.execute("UPDATE schema_migrations SET needs = number WHERE number = 2")
    with pytest.raises(DatabaseNewerError, match="0002_more, 0003_gone"):
        await migrate(empty_database_url, directory=directory, dry_run=True)


async def test_an_unknown_migration_among_known_ones_is_another_line_and_refused(
    empty_database_url: str, directory: Path
) -> None:
    (directory / "0003_next.sql").write_text("SELECT 1;")
    await migrate(empty_database_url, directory=directory)
    (directory / "0002_more.sql").unlink()

    with pytest.raises(DatabaseNewerError, match="0002_more"):
        await migrate(empty_database_url, directory=directory)


async def test_a_migration_that_no_version_before_can_run_with_is_recorded_so(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    (directory / "0003_own.sql").write_text("-- needs: 0003\nDROP TABLE shelf;\n")

    assert (await migrate(empty_database_url, directory=directory))[-1] == "0003_own"
    assert await connection.fetchval("SELECT needs FROM schema_migrations WHERE number = 3") == 3


async def test_a_new_file_numbered_below_an_applied_one_is_refused(
    empty_database_url: str, directory: Path
) -> None:
    (directory / "0001_shelf.sql").rename(directory / "0003_shelf.sql")
    (directory / "0002_more.sql").unlink()
    await migrate(empty_database_url, directory=directory)
    (directory / "0002_late.sql").write_text("SELECT 1;")

    with pytest.raises(MigrationOutOfOrderError, match=r"0002_late\.sql comes before 0003_shelf"):
        await migrate(empty_database_url, directory=directory)


async def test_a_failing_migration_names_its_line_and_leaves_nothing(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    (directory / "0002_more.sql").write_text(
        "INSERT INTO shelf VALUES (2);\nINSERT INTO nowhere VALUES (1);\n"
    )

    with pytest.raises(MigrationFailedError, match=r'^0002_more\.sql:2: relation "nowhere" does not exist'):
        await migrate(empty_database_url, directory=directory)

    assert await connection.fetchval("SELECT array_agg(id) FROM shelf") == [1]
    assert await connection.fetchval("SELECT array_agg(name) FROM schema_migrations") == ["0001_shelf"]


async def test_a_failure_outside_a_transaction_says_what_it_may_have_left(
    empty_database_url: str, directory: Path
) -> None:
    (directory / "0003_index.sql").write_text(
        "-- no-transaction\nCREATE INDEX CONCURRENTLY shelf_depth ON shelf (depth);\n"
    )

    with pytest.raises(MigrationFailedError, match="look for an invalid index"):
        await migrate(empty_database_url, directory=directory)


async def test_a_lock_somebody_else_holds_ends_the_migration_with_a_clear_line(
    empty_database_url: str, directory: Path, connection: asyncpg.Connection
) -> None:
    await migrate(empty_database_url, directory=directory)
    (directory / "0003_wider.sql").write_text("ALTER TABLE shelf ADD depth integer;")

    async with connection.transaction():
        await connection.execute("LOCK TABLE shelf")
        with pytest.raises(MigrationFailedError) as caught:
            await migrate(empty_database_url, directory=directory, limits=Limits(lock_timeout_ms=20))

    assert str(caught.value) == (
        "0003_wider.sql: waited 20 ms for a lock that another session holds; try again later"
    )


async def test_a_statement_that_never_ends_is_stopped(empty_database_url: str, directory: Path) -> None:
    (directory / "0003_endless.sql").write_text("SELECT pg_sleep(3600);")

    with pytest.raises(
        MigrationFailedError, match=r"^0003_endless\.sql: a statement ran for longer than 20 ms$"
    ):
        await migrate(empty_database_url, directory=directory, limits=Limits(statement_timeout_ms=20))


async def test_a_whole_file_has_a_deadline_too(empty_database_url: str, directory: Path) -> None:
    (directory / "0003_endless.sql").write_text("SELECT pg_sleep(3600);")

    with pytest.raises(
        MigrationFailedError, match=r"^0003_endless\.sql: the file ran for longer than 0.02 s$"
    ):
        await migrate(empty_database_url, directory=directory, limits=Limits(file_timeout_s=0.02))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("1_short.sql", "name it NNNN_what.sql"),
        ("0003-dashed.sql", "name it NNNN_what.sql"),
        ("0002_twice.sql", "its number is taken by 0002_more.sql"),
    ],
)
async def test_a_badly_named_file_is_refused_before_anything_runs(
    empty_database_url: str, directory: Path, name: str, reason: str, connection: asyncpg.Connection
) -> None:
    (directory / name).write_text("SELECT 1;")

    with pytest.raises(MigrationFileError, match=reason):
        await migrate(empty_database_url, directory=directory)

    assert await connection.fetchval("SELECT to_regclass('shelf')") is None


async def test_an_unreachable_database_is_named_without_its_password(directory: Path) -> None:
    with pytest.raises(DatabaseUnreachableError) as caught:
        await migrate("postgresql://someone:hunter2@127.0.0.1:1/shop", directory=directory)

    assert str(caught.value).startswith("cannot connect to the database at 127.0.0.1:1/shop: ")
    assert "hunter2" not in str(caught.value)


async def test_a_server_that_accepts_and_says_nothing_does_not_hang_the_runner(directory: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseUnreachableError, match="no answer in time"):
            await migrate(
                f"postgresql://someone@127.0.0.1:{port}/shop",
                directory=directory,
                limits=Limits(connect_timeout_s=0.05),
            )
