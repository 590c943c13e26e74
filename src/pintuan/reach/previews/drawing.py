"""Draws the picture of a group that messengers show beside a link.

Fonts come with the installation (docs/decisions/0020), so a card looks the same on every machine. A text may
mix scripts: each run of characters is drawn with the font that has them.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from itertools import groupby
from typing import Final, Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont, features

from pintuan.reach.previews.card import CARD_HEIGHT, CARD_WIDTH, CardState

MARGIN: Final = 72
TITLE_LINES_MAX: Final = 2
TITLE_CHARS_MAX: Final = 120
FONT_COUNT_MAX: Final = 16
GLYPH_COUNT_MAX: Final = 4_096
GLYPH_SIZE: Final = 16
BAR_HEIGHT: Final = 28
_INK: Final = "#1d1b16"
_FAINT: Final = "#6b6459"
_PAPER: Final = "#fffaf0"
_ACCENT: Final = "#c2410c"
_TRACK: Final = "#efe3cf"
# From here on characters are East Asian, up to where pictographs begin, which neither font has.
_EAST_ASIAN_FROM: Final = 0x2E80
_PICTOGRAPHS_FROM: Final = 0x1F000
_PICTOGRAPHS_TO: Final = 0x1FFFF
_ELLIPSIS: Final = "…"
# No font has it, so it is drawn as what a font has for letters it lacks.
_UNASSIGNED: Final = "\u0378"
# Letters, marks and numbers, by the first letter of their category.
_LETTERS: Final = frozenset("LMN")
# Devanagari, whose letters join; other Indic scripts are in neither font.
_INDIC_FROM: Final = 0x900
_INDIC_TO: Final = 0x97F
_SHAPES: Final = features.check("raqm") and features.check("fribidi")
# Where each language's shapes of the shared characters are in the collection.
_COLLECTION_PLACES: Final = {"ko": 1, "zh": 2}

Face: TypeAlias = Literal["plain", "bold", "zh", "ko"]
Font: TypeAlias = ImageFont.FreeTypeFont


def draw_card(state: CardState) -> bytes:
    """Returns the card as PNG; takes some tens of milliseconds, so leave it to the `Drawer`."""
    image = Image.new("RGB", (CARD_WIDTH, CARD_HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, CARD_WIDTH, 16), fill=_ACCENT)
    pen = _Pen(draw, state.language)
    top = 64
    title = state.title[:TITLE_CHARS_MAX]
    if not is_readable(title):
        # Boxes in place of letters tell nothing, and the messenger shows the title beside the card.
        title = ""
    for line in pen.wrap(title, 60, CARD_WIDTH - 2 * MARGIN):
        pen.write(line, (MARGIN, top), 60, _INK, bold=True)
        top += 80
    pen.write(state.now, (MARGIN, 258), 34, _FAINT)
    end = pen.write(state.price, (MARGIN, 296), 110, _ACCENT, bold=True)
    pen.write(state.list_price, (end + 40, 362), 36, _FAINT)
    _draw_progress(draw, state)
    pen.write(state.joined, (MARGIN, 524), 38, _INK)
    width = pen.width(state.left, 38, bold=True)
    pen.write(state.left, (CARD_WIDTH - MARGIN - width, 524), 38, _INK, bold=True)
    return _png(image)


def draw_plain_card() -> bytes:
    """Returns a card that says nothing of any group, for when there is no time to draw."""
    image = Image.new("RGB", (CARD_WIDTH, CARD_HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, CARD_WIDTH, 16), fill=_ACCENT)
    pen = _Pen(draw, "en")
    width = pen.width("Pintuan", 140, bold=True)
    pen.write("Pintuan", ((CARD_WIDTH - width) / 2, 220), 140, _ACCENT, bold=True)
    return _png(image)


def is_readable(text: str) -> bool:
    """Says whether each letter of a text can be drawn, in the shape its script has among others."""
    return all(
        _has_glyph(character)
        for character in _drawable(text)
        if unicodedata.category(character)[0] in _LETTERS
    )


def _draw_progress(draw: ImageDraw.ImageDraw, state: CardState) -> None:
    left, top, right = MARGIN, 470, CARD_WIDTH - MARGIN
    radius = BAR_HEIGHT // 2
    draw.rounded_rectangle((left, top, right, top + BAR_HEIGHT), radius, fill=_TRACK)
    share = min(1.0, state.headcount / state.max_headcount)
    if share > 0:
        end = max(left + BAR_HEIGHT, left + round((right - left) * share))
        draw.rounded_rectangle((left, top, end, top + BAR_HEIGHT), radius, fill=_ACCENT)


class _Pen:
    """Writes texts of mixed scripts; the language decides the shapes of characters that several share."""

    def __init__(self, draw: ImageDraw.ImageDraw, language: str) -> None:
        self._draw = draw
        self._east_asian: Face = "ko" if language == "ko" else "zh"

    def write(
        self, text: str, place: tuple[float, float], size: int, fill: str, *, bold: bool = False
    ) -> float:
        """Writes a line from its upper left corner on; returns where it ends."""
        left, top = place
        # One baseline for all fonts.
        baseline = top + size
        for font, run in self._runs(text, size, bold=bold):
            self._draw.text((left, baseline), run, font=font, fill=fill, anchor="ls")
            left += font.getlength(run)
        return left

    def width(self, text: str, size: int, *, bold: bool = False) -> float:
        return sum(font.getlength(run) for font, run in self._runs(text, size, bold=bold))

    def wrap(self, text: str, size: int, width: float) -> list[str]:
        """Breaks a text into at most `TITLE_LINES_MAX` lines, at spaces where there are some."""
        lines = [""]
        for word in _words(text):
            if self.width((lines[-1] + word).rstrip(), size, bold=True) <= width:
                lines[-1] += word
            elif len(lines) < TITLE_LINES_MAX and lines[-1]:
                lines.append(self._cut(word, size, width))
            else:
                lines[-1] = self._cut(lines[-1] + word + _ELLIPSIS, size, width)
                break
        return [line.strip() for line in lines]

    def _cut(self, text: str, size: int, width: float) -> str:
        if self.width(text.rstrip(), size, bold=True) <= width:
            return text
        while text and self.width(text + _ELLIPSIS, size, bold=True) > width:
            text = text[:-1]
        return text + _ELLIPSIS

    def _runs(self, text: str, size: int, *, bold: bool) -> list[tuple[Font, str]]:
        def face(character: str) -> Face:
            if ord(character) >= _EAST_ASIAN_FROM:
                return self._east_asian
            return "bold" if bold else "plain"

        return [(_font(which, size), "".join(run)) for which, run in groupby(_drawable(text), key=face)]


def _words(text: str) -> list[str]:
    """Splits behind spaces, and behind each East Asian character, where a line may end as well."""
    words = [""]
    for character in _drawable(text):
        words[-1] += character
        if character == " " or ord(character) >= _EAST_ASIAN_FROM:
            words.append("")
    return [word for word in words if word]


def _drawable(text: str) -> str:
    """Leaves out what would be drawn as an empty box and is no letter: pictographs, symbols, controls."""
    spaced = " ".join(text.split())
    return "".join(
        character
        for character in unicodedata.normalize("NFC", spaced)
        if not _PICTOGRAPHS_FROM <= ord(character) <= _PICTOGRAPHS_TO
        and unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        and (unicodedata.category(character)[0] in _LETTERS or _has_glyph(character))
    )


@lru_cache(maxsize=GLYPH_COUNT_MAX)
def _has_glyph(character: str) -> bool:
    """Says whether the font of a character has it; what letters need that join each other is asked for."""
    if character.isspace():
        return True
    if _INDIC_FROM <= ord(character) <= _INDIC_TO and not _SHAPES:
        return False
    font = _font("zh" if ord(character) >= _EAST_ASIAN_FROM else "plain", GLYPH_SIZE)
    return bytes(font.getmask(character)) != bytes(font.getmask(_UNASSIGNED))


@lru_cache(maxsize=FONT_COUNT_MAX)
def _font(face: Face, size: int) -> Font:
    if face in ("zh", "ko"):
        path = files("noto_cjk_sans_otc").joinpath("NotoSansCJK-Regular.ttc")
        index = _COLLECTION_PLACES[face]
        return ImageFont.truetype(str(path), size, index=index)
    path = files("fontpkg_noto_sans").joinpath("files", "NotoSans[wdth,wght].ttf")
    font = ImageFont.truetype(str(path), size)
    font.set_variation_by_name("Bold" if face == "bold" else "Regular")
    return font


def _png(image: Image.Image) -> bytes:
    encoded = BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()
