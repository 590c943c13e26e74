"""Runs the show: puts the deals on offer, plays all scenes side by side, and judges the outcome."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from pintuan.client import ClientError, ProblemError, open_client
from pintuan.running.demo import summary, venue
from pintuan.running.demo.board import Board
from pintuan.running.demo.errors import DemoError, ShowTooLong
from pintuan.running.demo.narration import summed
from pintuan.running.demo.output import drawn, event_printer
from pintuan.running.demo.plan import Offer, Scene
from pintuan.running.demo.player import Player
from pintuan.running.demo.scenes import plan_of
from pintuan.running.demo.shop import Shop
from pintuan.running.demo.venue import Cast, Venue
from pintuan.running.demo.verdict import faults_of
from pintuan.shop.deals.schemas import NewDeal, NewTier
from pintuan.shop.feeds.formats import FeedItem

RUN_TAG_BYTES: Final = 3
PREPARATION_S_MAX: Final = 30.0
SHOW_S_MAX: Final = 150.0


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant on the marketplace: its id, and the merchant who may offer it."""

    id: str
    merchant: str


async def run_show(place: Venue, console: Console, *, seed: int) -> list[str]:
    """Plays the whole show and prints its summary; returns what did not go as planned.

    Raises DemoError when the show cannot begin or does not end in time, and SettingsError when the secret
    key cannot be used.
    """
    plan = plan_of(seed)
    cast = Cast(secrets.token_hex(RUN_TAG_BYTES))
    board = Board(event_printer(console))
    brands = venue.brands_of(venue.feed_items())
    actors = {step.actor for scene in plan for step in scene.steps} | {summary.GUEST}
    try:
        async with asyncio.timeout(PREPARATION_S_MAX):
            tokens = await venue.prepare(place, cast, brands, [cast.buyer(actor) for actor in actors])
    except TimeoutError:
        raise ShowTooLong(f"the feed was not imported after {PREPARATION_S_MAX:g} s") from None
    async with open_client(place.url) as client:
        shop = Shop(client, tokens)
        try:
            async with asyncio.timeout(SHOW_S_MAX), drawn(console, board.snapshot):
                await _open_the_shops(plan, shop, board, cast, brands)
                await _play(shop, board, cast)
        except TimeoutError:
            raise ShowTooLong(f"the show was not over after {SHOW_S_MAX:g} s") from None
        except ProblemError as refusal:
            raise DemoError(f"a merchant was refused: {refusal}") from refusal
        except ClientError as error:
            raise DemoError(str(error)) from error
    _print_summary(console, board, url=place.url, token=tokens["buyer", cast.buyer(summary.GUEST)])
    return faults_of(board.records)


async def _open_the_shops(
    plan: Sequence[Scene], shop: Shop, board: Board, cast: Cast, brands: Mapping[str, Sequence[FeedItem]]
) -> None:
    """Finds the imported variants and puts every scene's deal on offer."""
    variants: dict[str, Variant] = {}
    for brand, items in brands.items():
        merchant = cast.merchant(brand)
        products = await shop.products_of(merchant, len({item.group_ref for item in items}))
        variants |= {
            variant.sku: Variant(variant.id, merchant) for product in products for variant in product.variants
        }
        board.tell(f"{brand} imported {len(items)} items of {len(products)} products", "quiet")
    for scene in plan:
        variant = variants[scene.offer.sku]
        board.add(scene, await shop.merchant(variant.merchant).create_deal(_deal_of(scene.offer, variant.id)))
    currencies = sorted({record.deal.currency for record in board.records})
    board.tell(f"{len(board.records)} deals are on offer in {', '.join(currencies)}", "quiet")


async def _play(shop: Shop, board: Board, cast: Cast) -> None:
    async with asyncio.TaskGroup() as scenes:
        for record in board.records:
            scenes.create_task(Player(record, shop, board, cast).play(), name=record.scene.key)


def _deal_of(offer: Offer, variant_id: str) -> NewDeal:
    return NewDeal(
        variant_id=variant_id,
        title=offer.title,
        ladder=[NewTier(headcount, unit_price) for headcount, unit_price in offer.ladder],
        min_headcount=offer.min_headcount,
        max_headcount=offer.max_headcount,
        group_ttl_seconds=offer.group_ttl_s,
        stock=offer.stock,
        per_buyer_units=offer.per_buyer_units,
    )


def _print_summary(console: Console, board: Board, *, url: str, token: str) -> None:
    totals = board.snapshot().totals
    console.print()
    console.print(summary.groups_table(board.records, width=console.width))
    console.print()
    console.print(
        f"groups: {totals.groups_succeeded} succeeded, {totals.groups_failed} failed; "
        f"{summary.orders_line(board.records)}; {totals.refused} requests refused; "
        f"given back: {summed(totals.given_back) or 'nothing'}",
        soft_wrap=True,
    )
    pasted = summary.lines_to_paste(board.records, url=url, token=token)
    lines = [
        "\nStill open, to be shared:",
        *(summary.links_left(board.records) or ["  none"]),
        *(["\nLook at one and join it (the token is good for 15 minutes):", *pasted] if pasted else []),
        f"\nThe marketplace goes on; what else it can do is at {url}/docs",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
