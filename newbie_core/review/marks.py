"""What a contact sheet is drawn of: its colours, rounded pictures, hatched gaps, badges."""

from __future__ import annotations

import functools

from PIL import Image, ImageChops, ImageDraw

from newbie_core.review.lettering import Colour, draw_text, text_width, wrapped

PAPER: Colour = (250, 248, 244)
INK: Colour = (41, 38, 43)
QUIET: Colour = (125, 119, 113)
HAIRLINE: Colour = (232, 227, 219)
BORDER: Colour = (205, 199, 190)
HATCH: Colour = (230, 224, 215)
HATCH_PAPER: Colour = (244, 241, 235)
WHITE: Colour = (255, 255, 255)

BADGES: dict[str, Colour] = {"new": (47, 122, 92), "changed": (184, 110, 20), "rejected": (171, 68, 64)}
OTHER_BADGE: Colour = (92, 98, 112)

SMOOTH = 4
"""Round corners and hatching are drawn so many times larger and reduced; Pillow does not smooth them."""


def badge_colour(badge: str) -> Colour:
    """The colour that stands for `badge` on pictures and in the legend."""
    return BADGES.get(badge, OTHER_BADGE)


def draw_picture(page: Image.Image, thumb: Image.Image, at: tuple[int, int], radius: int) -> None:
    """`thumb` with its left top corner at `at`, round corners and a thin border."""
    page.paste(thumb, at, _rounded(thumb.size, radius))
    page.paste(BORDER, at, _outline(thumb.size, radius))


def draw_gap(page: Image.Image, box: tuple[int, int, int, int], radius: int, note: str, size: int) -> None:
    """A hatched place for a picture that is missing, with its reason in the middle.

    Args:
        box: left, top, width and height in pixels.
        size: of the note's letters, in pixels.
    """
    left, top, width, height = box
    page.paste(_hatching((width, height)), (left, top), _rounded((width, height), radius))
    page.paste(BORDER, (left, top), _outline((width, height), radius))
    lines = wrapped(note or "missing", size, width - 2 * size, 4)
    pen = ImageDraw.Draw(page)
    step = 1.35 * size
    baseline = top + height / 2 - step * len(lines) / 2 + size
    widest = max(text_width(line, size) for line in lines)
    middle = left + width / 2
    clear = (middle - widest / 2 - size / 2, baseline - 1.4 * size, middle + widest / 2 + size / 2)
    pen.rounded_rectangle(
        (*clear, baseline + step * (len(lines) - 1) + size * 0.6), size // 2, fill=HATCH_PAPER
    )
    for number, line in enumerate(lines):
        draw_text(pen, (middle, baseline + number * step), line, size, QUIET, align="centre")


def draw_empty(page: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A place nobody asked for: a short dash in its middle."""
    left, top, width, height = box
    half = max(2, min(width, height) // 16)
    x, y = left + width // 2, top + height // 2
    ImageDraw.Draw(page).line((x - half, y, x + half, y), fill=BORDER, width=max(1, half // 4))


def draw_badge(page: Image.Image, at: tuple[int, int], text: str, size: int, colour: Colour) -> None:
    """A small pill with its left top corner at `at`."""
    height = round(1.7 * size)
    width = max(height, round(text_width(text, size) + 1.3 * size))
    page.paste(colour, at, _rounded((width, height), height // 2))
    baseline = at[1] + height / 2 + 0.34 * size
    draw_text(ImageDraw.Draw(page), (at[0] + width / 2, baseline), text, size, WHITE, align="centre")


def draw_key(page: Image.Image, at: tuple[int, int], size: int, badge: str | None) -> None:
    """The square before a legend's word: the badge's colour, or hatched for None."""
    if badge is None:
        page.paste(_hatching((size, size)), at, _rounded((size, size), size // 4))
        page.paste(BORDER, at, _outline((size, size), size // 4))
    else:
        page.paste(badge_colour(badge), at, _rounded((size, size), size // 2))


@functools.lru_cache(maxsize=64)
def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask, mode "L": a filled rectangle with smooth round corners."""
    large = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH), 0)
    corner = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *corner), radius * SMOOTH, fill=255)
    return large.reduce(SMOOTH)


@functools.lru_cache(maxsize=64)
def _outline(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask of the rectangle's border, one pixel wide."""
    inner = Image.new("L", size, 0)
    if min(size) > 2:
        inner.paste(_rounded((size[0] - 2, size[1] - 2), max(0, radius - 1)), (1, 1))
    return ImageChops.subtract(_rounded(size, radius), inner)


@functools.lru_cache(maxsize=16)
def _hatching(size: tuple[int, int]) -> Image.Image:
    """Diagonal lines over the whole of `size`."""
    large = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), HATCH_PAPER)
    pen = ImageDraw.Draw(large)
    step = max(5, min(size) // 16) * SMOOTH
    for x in range(-large.height, large.width, step):
        pen.line((x, large.height, x + large.height, 0), fill=HATCH, width=step // 4)
    return large.reduce(SMOOTH)
