"""Cards are drawn once each, a few at a time, and look like what they are for."""

from __future__ import annotations

import asyncio
from io import BytesIO

import msgspec
import pytest
from PIL import Image, ImageChops

from pintuan.base.locales import LANGUAGES, Language
from pintuan.reach.previews import cards as cards_module
from pintuan.reach.previews.card import CardState
from pintuan.reach.previews.cards import CARDS_WAITING_MAX, Cards, state_of
from pintuan.reach.previews.drawing import draw_card, draw_plain_card
from tests.unit.reach.previews.test_metadata import DEAL, GROUP

TITLES = {
    "en": "Kettle",
    "zh": "有机绿茶礼盒装",
    "ko": "스테인리스 주전자",
    "vi": "Ấm đun nước siêu tốc",
    "uk": "Їжак у тумані, ґречний",
    "fr": "Théière à l’œil",
    "es": "Tetera pequeña",
}


def state(title: str = "Kettle", language: Language = "en", headcount: int = 3) -> CardState:
    group = msgspec.structs.replace(GROUP, headcount=headcount)
    return state_of(group, msgspec.structs.replace(DEAL, title=title), language)


def picture(png: bytes) -> Image.Image:
    image = Image.open(BytesIO(png))
    image.load()
    return image


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_has_the_size_of_a_preview_and_draws_each_script(language: Language) -> None:
    title = TITLES[language]
    card = picture(draw_card(state(title, language)))
    assert (card.size, card.format) == ((1200, 630), "PNG")
    # A font that lacks a letter draws the same box for each, as for one that nobody has.
    missing = picture(draw_card(state("\u0378" * len(title), language)))
    assert ImageChops.difference(card, missing).getbbox() is not None
    first, second = (picture(draw_card(state(letter, language))) for letter in (title[0], title[1]))
    assert ImageChops.difference(first, second).getbbox() is not None


def test_more_members_fill_more_of_the_bar_and_any_title_fits() -> None:
    few, many = (picture(draw_card(state(headcount=count))) for count in (1, 9))
    difference = ImageChops.difference(few, many).getbbox()
    assert difference is not None
    for title in ("x" * 200, "有" * 200, "🎁" * 50, "a b " * 50, " "):
        card = picture(draw_card(state(title)))
        # The margin at the right stays empty.
        margin = card.crop((1140, 20, 1200, 630))
        assert margin.getextrema() == ((0xFF, 0xFF), (0xFA, 0xFA), (0xF0, 0xF0))
    assert picture(draw_plain_card()).size == (1200, 630)


@pytest.mark.anyio
async def test_a_state_is_drawn_once_however_many_ask() -> None:
    drawn: list[str] = []

    async def draw(card: CardState | None) -> bytes:
        assert card is not None
        drawn.append(card.title)
        return card.title.encode()

    cards = Cards(draw)
    answers = await asyncio.gather(*(cards.card(state("Kettle")) for _ in range(50)))
    answers.append(await cards.card(state("Kettle")))
    assert (set(answers), drawn) == ({b"Kettle"}, ["Kettle"])


@pytest.mark.anyio
async def test_only_so_many_wait_and_nobody_who_leaves_ends_it_for_the_others() -> None:
    release = asyncio.Event()

    async def draw(card: CardState | None) -> bytes:
        if card is None:
            return b"plain"
        await release.wait()
        return card.title.encode()

    cards = Cards(draw)
    waiting = [asyncio.create_task(cards.card(state(str(n)))) for n in range(CARDS_WAITING_MAX)]
    other = asyncio.create_task(cards.card(state("1")))
    await asyncio.sleep(0)
    assert await cards.card(state("one more")) is None
    assert await cards.plain_card() == b"plain"
    waiting[1].cancel()
    release.set()
    assert await other == b"1"
    await asyncio.wait(waiting)
    assert await cards.card(state("one more")) == b"one more"


@pytest.mark.anyio
async def test_the_oldest_card_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_module, "CARDS_KEPT_MAX", 2)
    drawn: list[str] = []

    async def draw(card: CardState | None) -> bytes:
        assert card is not None
        drawn.append(card.title)
        return b""

    cards = Cards(draw)
    for title in ("a", "b", "a", "c", "a", "b"):
        await cards.card(state(title))
    assert drawn == ["a", "b", "c", "b"]


@pytest.mark.anyio
async def test_a_drawing_that_fails_is_tried_again() -> None:
    failures = [OSError("no font")]

    async def draw(card: CardState | None) -> bytes:
        assert card is not None
        if failures:
            raise failures.pop()
        return card.title.encode()

    cards = Cards(draw)
    with pytest.raises(OSError, match="no font"):
        await cards.card(state("Kettle"))
    assert await cards.card(state("Kettle")) == b"Kettle"
