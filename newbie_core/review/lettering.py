"""Text on pages: whatever the language, with the fonts the machine has, and never an empty box.

Each character is drawn in the first face that has it: Pillow's built-in sans, then the system's
fonts by the list below. A character that no face has is written as its escape, `\\u89d2`, so that
a page from a bare container still says which label it means.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import os
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
Align = Literal["left", "centre", "right"]

FONT_FILES = (
    ("NotoSansCJK-Regular.ttc", 2),  # the collection's third face is Simplified Chinese
    ("NotoSansCJKsc-Regular.otf", 0),
    ("NotoSansSC-Regular.otf", 0),
    ("NotoSansSC-Regular.ttf", 0),
    ("SourceHanSansSC-Regular.otf", 0),
    ("SourceHanSans-Regular.ttc", 2),
    ("wqy-microhei.ttc", 0),
    ("wqy-zenhei.ttc", 0),
    ("DroidSansFallbackFull.ttf", 0),
    ("PingFang.ttc", 0),
    ("Hiragino Sans GB.ttc", 0),
    ("ヒラギノ角ゴシック W3.ttc", 0),
    ("msyh.ttc", 0),
    ("YuGothR.ttc", 0),
    ("meiryo.ttc", 0),
    ("malgun.ttf", 0),
    ("DejaVuSans.ttf", 0),
    ("NotoSans-Regular.ttf", 0),
    ("segoeui.ttf", 0),
    ("seguisym.ttf", 0),
    ("Arial Unicode.ttf", 0),
)
"""File name and number of the face in it, the preferred first: East Asian faces, then the rest."""

ELLIPSIS = "…"
ABSENT = "\U0010ffff"
"""A character no font has: what it draws is the font's empty box."""

SEMI_BOLD = 0.013
"""Stroke in parts of the size; the built-in face has one weight only."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a font file; the built-in one has no path."""

    path: str = ""
    index: int = 0


BUILT_IN = Face()


def text_width(text: str, size: int) -> float:
    """Pixels from the start of `text` to its end."""
    return sum(_font(face, size).getlength(run) for face, run in _runs(_clean(text)))


def draw_text(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: Colour,
    *,
    align: Align = "left",
    bold: bool = False,
) -> None:
    """One line with its baseline at `at`; `align` says which end of it is there."""
    x, baseline = at
    part = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]
    x -= part * text_width(text, size)
    for face, run in _runs(_clean(text)):
        font = _font(face, size)
        stroke = size * SEMI_BOLD if bold else 0
        pen.text(
            (x, baseline), run, fill=colour, font=font, anchor="ls", stroke_width=stroke, stroke_fill=colour
        )
        x += font.getlength(run)


def shortened(text: str, size: int, width: float) -> str:
    """`text`, or its two ends around an ellipsis, in at most `width` pixels."""
    text = _clean(text)
    if text_width(text, size) <= width:
        return text

    def around(kept: int) -> str:
        head = (kept + 1) // 2
        return text[:head].rstrip() + ELLIPSIS + text[len(text) - kept + head :].lstrip()

    fitting = bisect.bisect_right(range(len(text)), width, key=lambda kept: text_width(around(kept), size))
    return around(max(0, fitting - 1))


def wrapped(text: str, size: int, width: float, lines: int) -> list[str]:
    """`text` on at most `lines` lines of at most `width` pixels; the last is shortened to what fits."""
    words = _clean(text).split(" ")
    done: list[str] = []
    while words and len(done) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size) <= width:
            count += 1
        done.append(shortened(" ".join(words[:count]), size, width))
        words = words[count:]
    if words:
        done.append(shortened(" ".join(words), size, width))
    return done


def _clean(text: str) -> str:
    """Composed characters, single blanks, and escapes for what no face on this machine has."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(char if _face_of(char) else char.encode("unicode_escape").decode("ascii") for char in text)


def _runs(text: str) -> list[tuple[Face, str]]:
    """Neighbouring characters of one face together."""
    faces = ((_face_of(char) or BUILT_IN, char) for char in text)
    return [
        (face, "".join(char for _, char in run))
        for face, run in itertools.groupby(faces, key=lambda pair: pair[0])
    ]


@functools.cache
def _face_of(char: str) -> Face | None:
    """The first face that has `char`."""
    return next((face for face in _faces() if _has(face, char)), None)


def _has(face: Face, char: str) -> bool:
    """Whether `face` draws something else for `char` than its empty box."""
    if char == " ":
        return True
    if unicodedata.category(char)[0] in "CZ":
        return False
    drawn, box = (_font(face, 24).getmask(text) for text in (char, ABSENT))
    return (drawn.size, bytes(drawn)) != (box.size, bytes(box))


@functools.cache
def _font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    if not face.path:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
        return font
    return ImageFont.truetype(face.path, size, index=face.index)


@functools.cache
def _faces() -> tuple[Face, ...]:
    """The built-in face, then those of `FONT_FILES` that are installed and whole."""
    installed = {
        path.name: path for folder in _font_folders() for path in sorted(_files_below(folder), reverse=True)
    }
    found = (Face(str(installed[name]), index) for name, index in FONT_FILES if name in installed)
    return (BUILT_IN, *filter(_is_readable, found))


def _is_readable(face: Face) -> bool:
    """False for a damaged font, which is no reason to go without a page."""
    try:
        _font(face, 24)
    except OSError:
        return False
    return True


def _font_folders() -> list[Path]:
    """Where this system keeps fonts."""
    home = Path.home()
    if sys.platform == "win32":
        return [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            home / "AppData/Local/Microsoft/Windows/Fonts",
        ]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".fonts",
        home / ".local/share/fonts",
    ]


def _files_below(folder: Path) -> list[Path]:
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
