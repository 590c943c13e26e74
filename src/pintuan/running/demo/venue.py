"""Finds the marketplace the show plays on and prepares it from behind the stage.

Only two things are not done over HTTP: bringing in the feed, which is `pintuan import`, and issuing tokens,
which is `pintuan token`. Both need the marketplace's database and secret key.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from pintuan.base.auth.tokens import TokenIssuer
from pintuan.base.clock import ServerClock
from pintuan.base.settings.keys import keyring_of
from pintuan.base.stores.embedded.data_directory import DataDirectory
from pintuan.base.stores.postgres import open_pool
from pintuan.running.demo.errors import VenueError
from pintuan.shop.feeds.formats import HEAD_BYTES, BadRow, FeedItem, read_feed
from pintuan.shop.feeds.service import FeedImport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pintuan.base.auth import Role
    from pintuan.base.settings.settings import Settings

FEED_FILE: Final = "feed.csv"
POOL_SIZE_MAX: Final = 1


@dataclass(frozen=True, slots=True)
class Venue:
    """A running marketplace: where its API answers, and settings that reach its database."""

    url: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Cast:
    """The actors of one run, by the names in the script; the tag keeps the subjects of runs apart."""

    run: str

    def merchant(self, brand: str) -> str:
        """Returns the subject of the merchant who sells a brand of the feed."""
        words = "".join(letter if letter.isalnum() else " " for letter in brand.lower()).split()
        return f"{'-'.join(words)}-{self.run}"

    def buyer(self, actor: str) -> str:
        """Returns the subject of a shopper."""
        return f"{actor.lower()}-{self.run}"


def find_venue(settings: Settings, url: str | None) -> Venue:
    """Returns the marketplace at `url`, or else the one that runs on the data directory.

    Raises VenueError when there is none, or when its database is not known.
    """
    running = DataDirectory(settings.data_dir).running()
    if url is None:
        if running is None:
            raise VenueError(
                f"no marketplace runs on {settings.data_dir}; start one with `pintuan up`, or give its --url"
            )
        url = running.http_url
    database_url = settings.database_url or (running.database_url if running else None)
    if database_url is None:
        raise VenueError(
            f"the database behind {url} is not known; set PINTUAN_DATABASE_URL, or give its --data-dir"
        )
    return Venue(url.rstrip("/"), msgspec.structs.replace(settings, database_url=database_url))


def feed_items() -> list[FeedItem]:
    """Returns the items of the packaged feed; raises VenueError when a row of it is bad."""
    content = (resources.files(__package__) / FEED_FILE).read_bytes()
    rows = list(read_feed(io.BufferedReader(io.BytesIO(content), HEAD_BYTES)))
    for row in rows:
        if isinstance(row, BadRow):
            raise VenueError(f"{FEED_FILE}, line {row.line}: {row.reason}")
    return [row for row in rows if isinstance(row, FeedItem)]


def brands_of(items: Iterable[FeedItem]) -> dict[str, list[FeedItem]]:
    """Returns the items by the brand that sells them."""
    brands: dict[str, list[FeedItem]] = {}
    for item in items:
        brands.setdefault(item.attributes["brand"], []).append(item)
    return brands


async def prepare(
    venue: Venue, cast: Cast, brands: Mapping[str, list[FeedItem]], buyers: Iterable[str]
) -> dict[tuple[Role, str], str]:
    """Imports each brand's items for its merchant and returns everybody's token, by role and subject.

    Raises VenueError when the database cannot be used, and SettingsError when the secret key cannot.
    """
    issuer = TokenIssuer(keyring_of(venue.settings))
    try:
        async with open_pool(venue.settings, size_max=POOL_SIZE_MAX, application_name="pintuan-demo") as pool:
            clock = ServerClock(pool)
            await clock.sample()
            for brand, items in brands.items():
                await _import(pool, cast.merchant(brand), items)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise VenueError(f"the database failed: {error or type(error).__name__}") from error
    subjects: list[tuple[Role, str]] = [("merchant", cast.merchant(brand)) for brand in brands]
    subjects += [("buyer", buyer) for buyer in buyers]
    return {(role, name): issuer.issue(name, role, now_s=clock.now_s()) for role, name in subjects}


async def _import(pool: asyncpg.Pool, merchant: str, items: list[FeedItem]) -> None:
    def refuse(row: BadRow) -> None:
        raise VenueError(f"{FEED_FILE}, line {row.line}: {row.reason}")

    await FeedImport(pool, merchant, on_bad_row=refuse).run(items, on_batch=lambda: None)
