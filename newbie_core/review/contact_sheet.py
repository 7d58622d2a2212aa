"""Contact sheets: every picture of a set on one page, small, so that a person sees what is wrong.

A crossed set (its rows and columns given) becomes a matrix; any other set flows as a grid with
its ids as captions. A place whose picture is missing is hatched and says why; a place of the
matrix that nobody asked for holds a dash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from newbie_core.review import marks
from newbie_core.review.lettering import draw_text, shortened, text_width
from newbie_core.review.places import Layout, Look, flowing, matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One place of a contact sheet.

    Attributes:
        id: the caption in a flowing grid, and the name in messages.
        image: the picture, a function that loads it when its turn comes, or None where it is missing.
        row: the row of the matrix it belongs to; None in a flowing grid. `column` likewise.
        note: why a picture is missing, or a word on one that is there.
        badge: a short mark on the picture: "new", "changed", "rejected" or a word of your own.
    """

    id: str
    image: Image.Image | Callable[[], Image.Image] | None
    row: str | None = None
    column: str | None = None
    note: str = ""
    badge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A cell that is drawn: its thumbnail, its caption, and how many cells hide behind it."""

    cell: Cell
    thumb: Image.Image | None
    caption: tuple[str, ...]
    hidden: int


def contact_sheet(
    cells: Sequence[Cell],
    *,
    title: str,
    subtitle: str = "",
    columns: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    cell: int = 192,
    max_cells: int = 400,
) -> Image.Image:
    """The page, RGB; a matrix when both `columns` and `rows` are given.

    Pictures are loaded one at a time and kept only as thumbnails. Of several cells in one place of
    a matrix the first is shown, marked with the number of the others.

    Args:
        cell: the longer side of a thumbnail in pixels, 48 to 1024; letters and spaces follow it.
        max_cells: at most so many places are drawn; a line at the end counts the other cells.
    """
    if not 48 <= cell <= 1024 or max_cells < 1:
        raise ValueError(
            f"cell is {cell} pixels, max_cells {max_cells}; 48 to 1024, and at least 1 are sensible"
        )
    look = Look.of(cell)
    if columns is not None and rows is not None:
        _check_places(cells, columns, rows)
        columns = columns[:max_cells]
        rows = rows[: max(1, max_cells // max(1, len(columns)))]
        spots = _spots(cells, columns, rows)
        shown = [_shown(group, cell, is_captioned=False) for group in spots.values()]
        box, caption = _box(shown, cell), _caption_height(shown, look)
        layout = matrix(columns, rows, list(spots), box, caption, look)
    else:
        shown = [_shown([entry], cell, is_captioned=True) for entry in cells[:max_cells]]
        box, caption = _box(shown, cell), _caption_height(shown, look)
        layout = flowing(len(shown), box, caption, look)
    more = len(cells) - sum(1 + entry.hidden for entry in shown)
    return _page(layout, shown, box, look, _Header(title, subtitle, _legend(cells)), more)


def _check_places(cells: Sequence[Cell], columns: Sequence[str], rows: Sequence[str]) -> None:
    """Refuse a cell that has no place in the matrix; it would vanish without a word."""
    for entry in cells:
        if entry.row not in rows or entry.column not in columns:
            raise ValueError(
                f'cell "{entry.id}" belongs to row {entry.row!r}, column {entry.column!r}; '
                "the sheet has no such place"
            )


def _spots(
    cells: Sequence[Cell], columns: Sequence[str], rows: Sequence[str]
) -> dict[tuple[int, int], list[Cell]]:
    """The cells of each place, by row and column number; those of rows and columns not drawn are left out."""
    row_of: dict[str | None, int] = {name: at for at, name in enumerate(rows)}
    column_of: dict[str | None, int] = {name: at for at, name in enumerate(columns)}
    spots: dict[tuple[int, int], list[Cell]] = {}
    for entry in cells:
        row, column = row_of.get(entry.row), column_of.get(entry.column)
        if row is not None and column is not None:
            spots.setdefault((row, column), []).append(entry)
    return spots


def _shown(group: Sequence[Cell], cell: int, *, is_captioned: bool) -> _Shown:
    """The first cell of one place; a missing picture tells its note in the picture's place."""
    first = group[0]
    thumb = _thumbnail(first.image, cell)
    caption = ((first.id,) if is_captioned else ()) + ((first.note,) if first.note and thumb else ())
    return _Shown(cell=first, thumb=thumb, caption=caption, hidden=len(group) - 1)


def _thumbnail(image: Image.Image | Callable[[], Image.Image] | None, cell: int) -> Image.Image | None:
    """The picture as RGB, its longer side `cell` pixels; the one given is not touched."""
    if image is None:
        return None
    if callable(image):
        image = image()
        image.draft("RGB", (2 * cell, 2 * cell))
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.mode != "RGB":
        image = _on_paper(image)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _on_paper(image: Image.Image) -> Image.Image:
    """Any mode as RGB; what is transparent shows the paper."""
    image = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, (*marks.PAPER, 255))
    return Image.alpha_composite(paper, image).convert("RGB")


def _box(shown: Sequence[_Shown], cell: int) -> tuple[int, int]:
    """The thumbnails' size where all have one, otherwise a square."""
    sizes = {entry.thumb.size for entry in shown if entry.thumb}
    return sizes.pop() if len(sizes) == 1 else (cell, cell)


def _caption_height(shown: Sequence[_Shown], look: Look) -> int:
    """Room for the longest caption, the same below every picture."""
    lines = max((len(entry.caption) for entry in shown), default=0)
    return lines * look.line + look.line // 2 if lines else 0


def _legend(cells: Sequence[Cell]) -> list[tuple[str | None, str]]:
    """What the page holds, over all cells: a badge or None for a gap, and the words beside it."""
    present = sum(entry.image is not None for entry in cells)
    badges = Counter(entry.badge for entry in cells if entry.badge)
    order = [*(badge for badge in marks.BADGES if badge in badges), *sorted(set(badges) - set(marks.BADGES))]
    words: list[tuple[str | None, str]] = [("", f"{present} picture{'' if present == 1 else 's'}")]
    words += [(badge, f"{badges[badge]} {badge}") for badge in order]
    if present < len(cells):
        words.append((None, f"{len(cells) - present} missing"))
    return words


@dataclass(frozen=True, slots=True)
class _Header:
    """The lines above the pictures."""

    title: str
    subtitle: str
    legend: list[tuple[str | None, str]]

    def height(self, look: Look) -> int:
        """Pixels from the top of the title to the first picture or label."""
        subtitle = round(1.75 * look.letters) if self.subtitle else 0
        return round(1.2 * look.title) + subtitle + round(2.1 * look.letters) + round(1.3 * look.gap)

    def width(self, look: Look) -> int:
        """Pixels for the whole legend, and for as much of the title as four pictures give it."""
        title = min(4 * look.cell, 1.06 * text_width(self.title, look.title))
        subtitle = min(4 * look.cell, text_width(self.subtitle, look.letters + 1))
        return round(max(title, subtitle, sum(self.steps(look))))

    def steps(self, look: Look) -> list[float]:
        """The width of each legend entry with the space behind it."""
        return [
            text_width(words, look.letters) + (0 if key == "" else 1.3 * look.letters) + 1.5 * look.letters
            for key, words in self.legend
        ]

    def draw(self, page: Image.Image, left: int, top: int, width: int, look: Look) -> None:
        """The header with its left top corner at `left`, `top`."""
        pen = ImageDraw.Draw(page)
        baseline = top + 0.82 * look.title
        title = shortened(self.title, look.title, width / 1.03)
        draw_text(pen, (left, baseline), title, look.title, marks.INK, bold=True)
        baseline = top + 1.2 * look.title
        if self.subtitle:
            baseline += 1.3 * look.letters
            size = look.letters + 1
            draw_text(pen, (left, baseline), shortened(self.subtitle, size, width), size, marks.QUIET)
            baseline += 0.45 * look.letters
        self._draw_legend(page, left, baseline + 1.5 * look.letters, look)

    def _draw_legend(self, page: Image.Image, left: float, baseline: float, look: Look) -> None:
        pen = ImageDraw.Draw(page)
        size = round(0.8 * look.letters)
        for (key, words), step in zip(self.legend, self.steps(look), strict=True):
            x = left
            if key != "":
                marks.draw_key(page, (round(x), round(baseline - size * 0.95)), size, key)
                x += 1.3 * look.letters
            draw_text(pen, (x, baseline), words, look.letters, marks.QUIET)
            left += step


def _page(
    layout: Layout, shown: Sequence[_Shown], box: tuple[int, int], look: Look, header: _Header, more: int
) -> Image.Image:
    """Header, body and the line that counts what is not shown, on one sheet of paper."""
    width = max(layout.width, header.width(look))
    above = look.margin + header.height(look)
    below = round(2.4 * look.letters) if more else 0
    size = (width + 2 * look.margin, above + layout.height + below + look.margin)
    page = Image.new("RGB", size, marks.PAPER)
    header.draw(page, look.margin, look.margin, width, look)
    _draw_frame(page, layout, box, look, above)
    for entry, (x, y) in zip(shown, layout.places, strict=True):
        _draw_shown(page, entry, (look.margin + x, above + y), box, look)
    if more:
        pen, baseline = ImageDraw.Draw(page), above + layout.height + 1.9 * look.letters
        draw_text(pen, (look.margin, baseline), f"… and {more} more", look.letters + 1, marks.QUIET)
    return page


def _draw_frame(page: Image.Image, layout: Layout, box: tuple[int, int], look: Look, above: int) -> None:
    """Hairlines, labels and dashes: the table without its pictures."""
    pen = ImageDraw.Draw(page)
    for y in layout.rules:
        pen.line((look.margin, above + y, look.margin + layout.width, above + y), fill=marks.HAIRLINE)
    for label in layout.labels:
        for number, line in enumerate(label.lines):
            at = (look.margin + label.x, above + label.baseline + number * look.line)
            draw_text(pen, at, line, look.letters, marks.INK, align=label.align)
    for x, y in layout.empty:
        marks.draw_empty(page, (look.margin + x, above + y, *box))


def _draw_shown(
    page: Image.Image, entry: _Shown, at: tuple[int, int], box: tuple[int, int], look: Look
) -> None:
    """One picture or gap with its marks and its caption."""
    left, top = at
    (wide, high), inset, small = box, look.gap // 2, max(9, round(0.84 * look.letters))
    x, y, bottom = left, top, top + high
    if entry.thumb:
        spare = high - entry.thumb.height
        x, y = left + (wide - entry.thumb.width) // 2, top + (spare if entry.caption else spare // 2)
        bottom = y + entry.thumb.height
        marks.draw_picture(page, entry.thumb, (x, y), look.radius)
    else:
        marks.draw_gap(page, (left, top, wide, high), look.radius, entry.cell.note, look.letters)
    if entry.cell.badge:
        colour = marks.badge_colour(entry.cell.badge)
        marks.draw_badge(page, (x + inset, y + inset), entry.cell.badge, small, colour)
    if entry.hidden:
        corner = (x + inset, bottom - inset - round(1.7 * small))
        marks.draw_badge(page, corner, f"+{entry.hidden}", small, marks.OTHER_BADGE)
    pen = ImageDraw.Draw(page)
    for number, text in enumerate(entry.caption):
        baseline = top + high + look.line // 4 + (number + 0.75) * look.line
        colour = marks.INK if text == entry.cell.id else marks.QUIET
        short = shortened(text, look.letters, wide)
        draw_text(pen, (left + wide / 2, baseline), short, look.letters, colour, align="centre")
