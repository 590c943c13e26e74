"""The checks of `pintuan doctor`: each finding says how something is and, if need be, how to mend it."""

import asyncio
import errno
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import sql
from pintuan.base.keyring import Keyring
from pintuan.base.settings.settings import Reading, Settings, SettingsError
from pintuan.base.settings.values import mask_url
from pintuan.base.stores.doorbells import check_queue
from pintuan.base.stores.durability import (
    APPENDONLY_REMEDY,
    EVICTION_REMEDY,
    NO_EVICTION,
    POSTGRES_REQUIRED,
    STANDBY_REMEDY,
    RedisServer,
    postgres_settings,
    redis_servers,
)
from pintuan.base.stores.embedded.data_directory import DataDirectory
from pintuan.base.stores.neighbours import NEIGHBOUR_REMEDY, neighbours_of
from pintuan.base.stores.pooler import POOLER_REMEDY
from pintuan.base.stores.running import running_services
from pintuan.base.telemetry.tracing import require_sdk
from pintuan.http.fair_share.limits import connections_for
from pintuan.running.cautions import of_settings
from pintuan.running.finding import Finding

PYTHON_MIN = (3, 11)
POSTGRES_VERSION_MIN = 15
REDIS_VERSION_MIN = (6, 2)
CONNECTIONS_MIN = connections_for(api_processes=1, workers=1)
"""Enough for the smallest node."""
DISK_FREE_WARN = 2 * 1024**3
DISK_FREE_FAIL = 256 * 1024**2
LOOPBACK = "127.0.0.1"
COLLECTOR_WAIT_S = 2.0
KEY_PACKAGES = ("litestar", "uvicorn", "uvloop", "asyncpg", "redis", "arq", "msgspec")


async def diagnose(settings: Settings) -> list[Finding]:
    """Looks at everything; a check that cannot be made is a finding too, so this raises nothing expected.

    Starts the embedded servers for a moment when no marketplace runs and no URL is set.
    """
    findings = [_python(), *_packages(), _disk(settings.data_dir), _port(settings), _secret_key(settings)]
    findings.append(await _traces(settings))
    try:
        async with running_services(settings) as running:
            findings += await _postgres(running)
            findings += await _redis(running)
            findings += await _redis_neighbours(running)
            findings.append(await _queue(running))
    except SettingsError as error:
        findings.append(
            Finding("servers", "FAIL", str(error), f"mend it, or set {error.variable} to another")
        )
    return findings


def judge_settings(reading: Reading) -> list[Finding]:
    """Names every setting that cannot be used, and those that can and are hardly meant."""
    findings = [
        Finding("settings", "FAIL", str(error), _remedy_of_setting(error)) for error in reading.errors
    ] or [Finding("settings", "ok", "valid")]
    return [*findings, *of_settings(reading)]


def _remedy_of_setting(error: SettingsError) -> str:
    return f"set {error.variable}" if error.needed else f"change {error.variable}, or leave it out"


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        wanted = ".".join(map(str, PYTHON_MIN))
        return Finding("python", "FAIL", found, f"install Python {wanted} or newer, then make install")
    return Finding("python", "ok", found)


def _packages() -> list[Finding]:
    findings = []
    for name in KEY_PACKAGES:
        try:
            findings.append(Finding(f"package {name}", "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(f"package {name}", "FAIL", "not installed", "run make install"))
    return findings


def _disk(data_dir: Path) -> Finding:
    place = data_dir.absolute()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        return Finding(
            "disk", "FAIL", f"{place} cannot be written", "mend its owner, or name another --data-dir"
        )
    free = shutil.disk_usage(place).free
    detail = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < DISK_FREE_FAIL:
        return Finding("disk", "FAIL", detail, "make room: Postgres stops when the disk is full")
    if free < DISK_FREE_WARN:
        return Finding("disk", "warn", detail, "make room soon: Postgres stops when the disk is full")
    return Finding("disk", "ok", detail)


def _port(settings: Settings) -> Finding:
    running = DataDirectory(settings.data_dir).running()
    if running:
        return Finding("port", "ok", f"our marketplace answers at {running.http_url} (process {running.pid})")
    port = settings.http_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            detail = f"{port} is taken by another program" if taken else f"{port}: {error.strerror}"
            return Finding(
                "port", "FAIL", detail, "stop that program, or set PINTUAN_HTTP_PORT to another port"
            )
    return Finding("port", "ok", f"{port} is free")


def _secret_key(settings: Settings) -> Finding:
    if settings.secret_key is not None:
        current, *others = Keyring(settings.secret_key, settings.secret_keys_accepted).kids
        accepted = f"; also accepts {', '.join(others)}" if others else ""
        return Finding("secret key", "ok", f"set; signs as {current}{accepted}")
    if settings.env == "production":
        return Finding(
            "secret key", "FAIL", "not set", "set PINTUAN_SECRET_KEY to 32 random characters or more"
        )
    return Finding("secret key", "ok", "kept in the data directory, which is right for dev")


async def _traces(settings: Settings) -> Finding:
    if settings.otlp_endpoint is None:
        return Finding("traces", "ok", "off, for PINTUAN_OTLP_ENDPOINT is not set")
    shown = f"{settings.trace_share:.0%} of requests to {settings.otlp_endpoint}"
    try:
        require_sdk(settings)
        async with asyncio.timeout(COLLECTOR_WAIT_S):
            await _connect(settings.otlp_endpoint)
    except SettingsError as error:
        return Finding("traces", "FAIL", error.reason, f"install them, or leave {error.variable} out")
    except (OSError, TimeoutError) as error:
        detail = f"{shown}, which does not answer: {error or type(error).__name__}"
        return Finding("traces", "warn", detail, "start the collector, or mend PINTUAN_OTLP_ENDPOINT")
    return Finding("traces", "ok", shown)


async def _connect(url: str) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port)
    writer.close()
    await writer.wait_closed()


async def _postgres(settings: Settings) -> list[Finding]:
    url = settings.database_url or ""
    try:
        found = await postgres_settings(url)
    except SettingsError as error:
        remedy = f"start it, or mend PINTUAN_DATABASE_URL: {mask_url(url)}"
        return [Finding("postgres", "FAIL", error.reason, remedy)]
    return [
        _postgres_version(found["server_version"]),
        *_postgres_role(found["in_recovery"]),
        *_postgres_sessions(found["handed_around"]),
        *(_postgres_durability(name, found[name]) for name in POSTGRES_REQUIRED),
        _connections(int(found["max_connections"])),
        await _migrations(url),
    ]


def _postgres_version(version: str) -> Finding:
    if int(version.partition(".")[0]) < POSTGRES_VERSION_MIN:
        return Finding("postgres", "FAIL", version, f"upgrade to Postgres {POSTGRES_VERSION_MIN} or newer")
    return Finding("postgres", "ok", version)


def _postgres_role(in_recovery: str) -> list[Finding]:
    if in_recovery == "on":
        return [Finding("postgres role", "FAIL", "a standby, which takes no orders", STANDBY_REMEDY)]
    return []


def _postgres_sessions(handed_around: str) -> list[Finding]:
    if handed_around == "on":
        detail = "a pooler hands them around: fee and timeouts would get lost"
        return [Finding("postgres sessions", "FAIL", detail, POOLER_REMEDY)]
    return []


def _postgres_durability(name: str, value: str) -> Finding:
    if value == "off":
        return Finding(f"postgres {name}", "FAIL", value, POSTGRES_REQUIRED[name])
    return Finding(f"postgres {name}", "ok", value)


def _connections(count: int) -> Finding:
    pairs = 0
    while connections_for(api_processes=pairs + 1, workers=pairs + 1) <= count:
        pairs += 1
    if count < CONNECTIONS_MIN:
        remedy = f"set max_connections to {CONNECTIONS_MIN} or more, and restart Postgres"
        return Finding("postgres max_connections", "warn", str(count), remedy)
    shown = f"{count}, enough for {pairs} API processes and as many workers in all"
    return Finding("postgres max_connections", "ok", shown)


async def _migrations(url: str) -> Finding:
    newer: list[str] = []
    try:
        pending = await sql.migrate(url, dry_run=True, on_newer=newer.extend)
    except sql.DatabaseUnreleasedError as error:
        remedy = "name another --data-dir, or an empty database in PINTUAN_DATABASE_URL"
        return Finding("migrations", "FAIL", str(error), remedy)
    except sql.MigrationError as error:
        return Finding(
            "migrations", "FAIL", str(error), "run the version of Pintuan this database belongs to"
        )
    if newer:
        remedy = "nothing, while a release is taken back or under way; else run the newer version"
        return Finding("migrations", "warn", sql.beside(newer), remedy)
    if pending:
        remedy = "run pintuan migrate; pintuan up does it by itself"
        return Finding("migrations", "warn", f"{len(pending)} pending, first {pending[0]}", remedy)
    return Finding("migrations", "ok", "none pending")


async def _redis(settings: Settings) -> list[Finding]:
    try:
        servers = await redis_servers(settings)
    except SettingsError as error:
        remedy = f"start it, or mend PINTUAN_REDIS_URL: {mask_url(settings.redis_url or '')}"
        return [Finding("redis", "FAIL", error.reason, remedy)]
    return [finding for server in servers for finding in _redis_server(server)]


def _redis_server(server: RedisServer) -> list[Finding]:
    if server.info is None:
        return [Finding(server.name, "FAIL", "does not answer", "start it; its lanes wait for it")]
    findings = [
        _redis_version(server.name, server.info["redis_version"]),
        _redis_appendonly(server),
        _redis_eviction(server),
    ]
    if server.info.get("cluster_enabled") == "1":
        findings.append(_redis_replicas(server.name, server.info.get("connected_slaves", "0")))
    return findings


def _redis_version(name: str, version: str) -> Finding:
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if found < REDIS_VERSION_MIN:
        wanted = ".".join(map(str, REDIS_VERSION_MIN))
        return Finding(name, "FAIL", version, f"upgrade to Redis {wanted} or newer")
    return Finding(name, "ok", version)


def _redis_appendonly(server: RedisServer) -> Finding:
    if not server.keeps_appendonly:
        return Finding(f"{server.name} appendonly", "FAIL", "off", APPENDONLY_REMEDY)
    return Finding(f"{server.name} appendonly", "ok", "on")


def _redis_eviction(server: RedisServer) -> Finding:
    subject = f"{server.name} maxmemory-policy"
    if server.eviction != NO_EVICTION:
        detail = f"{server.eviction}: groups would be lost"
        return Finding(subject, "FAIL", detail, EVICTION_REMEDY)
    return Finding(subject, "ok", server.eviction)


def _redis_replicas(name: str, count: str) -> Finding:
    if count == "0":
        remedy = "give it one: else its lanes wait until it is back when it dies"
        return Finding(f"{name} replicas", "warn", "none", remedy)
    return Finding(f"{name} replicas", "ok", count)


async def _redis_neighbours(settings: Settings) -> list[Finding]:
    try:
        neighbours = await neighbours_of(settings)
    except SettingsError:
        # A store that does not answer is a finding of its own.
        return []
    return [
        Finding("redis neighbours", "FAIL", f"another marketplace uses it: {title}", NEIGHBOUR_REMEDY)
        for title, _ in neighbours
    ]


async def _queue(settings: Settings) -> Finding:
    url = settings.queue_redis_url
    if url is None:
        return Finding("job queue", "ok", "on the Redis that places")
    try:
        await check_queue(settings)
    except SettingsError as error:
        remedy = f"start it, or mend PINTUAN_QUEUE_REDIS_URL: {mask_url(url)}"
        return Finding("job queue", "FAIL", error.reason, remedy)
    return Finding("job queue", "ok", mask_url(url))
