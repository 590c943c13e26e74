"""The marketplace is found, and prepared with products and tokens, before the curtain rises."""

import time
from pathlib import Path

import asyncpg
import pytest

from pintuan.base.auth.tokens import TokenVerifier
from pintuan.base.keyring import Keyring
from pintuan.base.settings.settings import Settings
from pintuan.running.demo.errors import VenueError
from pintuan.running.demo.venue import Cast, Venue, brands_of, feed_items, find_venue, prepare

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:8000"
SECRET_KEY = "a key that signs tokens in tests and nowhere else"


def test_without_a_running_marketplace_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(VenueError, match="start one with `pintuan up`"):
        find_venue(Settings(data_dir=tmp_path), None)


def test_an_address_alone_does_not_tell_the_database(tmp_path: Path) -> None:
    with pytest.raises(VenueError, match="PINTUAN_DATABASE_URL"):
        find_venue(Settings(data_dir=tmp_path), URL)


def test_an_address_and_a_database_are_enough(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://db.example/shop")
    assert find_venue(settings, f"{URL}/") == Venue(URL, settings)


async def test_every_brand_has_its_products_and_everybody_a_token(
    database_url: str, pool: asyncpg.Pool
) -> None:
    settings = Settings(database_url=database_url, secret_key=SECRET_KEY)
    cast, brands = Cast("c0ffee"), brands_of(feed_items())
    tokens = await prepare(Venue(URL, settings), cast, brands, [cast.buyer("Mei")])

    rows = await pool.fetch("SELECT merchant_id, count(*) AS items FROM variants GROUP BY merchant_id")
    assert {row["merchant_id"]: row["items"] for row in rows} == {
        cast.merchant(brand): len(items) for brand, items in brands.items()
    }
    verifier = TokenVerifier(Keyring(SECRET_KEY), time.time)
    for (role, subject), token in tokens.items():
        principal = verifier.verify(token).principal
        assert (principal.role, principal.subject) == (role, subject)
    assert ("buyer", "mei-c0ffee") in tokens


async def test_a_database_that_is_not_there_is_one_clear_line() -> None:
    settings = Settings(database_url="postgresql://127.0.0.1:1/nothing", secret_key=SECRET_KEY)
    with pytest.raises(VenueError, match="the database failed"):
        await prepare(Venue(URL, settings), Cast("c0ffee"), {}, [])
