"""Where things stand on a contact sheet: geometry in pixels from the body's left top corner, no drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from newbie_core.review.lettering import Align, text_width, wrapped

PAGE_SHAPE = 1.5
"""Width over height that a flowing grid aims at."""

SHORT_LINE = 4
"""So few pictures stand on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Every size of a sheet, from the longer side of its thumbnails."""

    cell: int
    gap: int
    margin: int
    radius: int
    title: int
    letters: int
    line: int

    @classmethod
    def of(cls, cell: int) -> Look:
        """The proportions, with floors below which letters cannot be read."""
        letters = max(11, round(cell * 0.075))
        return cls(
            cell=cell,
            gap=max(6, round(cell * 0.09)),
            margin=max(20, round(cell * 0.21)),
            radius=max(3, cell // 26),
            title=max(19, round(cell * 0.15)),
            letters=letters,
            line=round(1.42 * letters),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Lines of text; `x` is the end that `align` names, `baseline` the first line's."""

    lines: tuple[str, ...]
    x: float
    baseline: float
    align: Align


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A sheet's body: the left top corner of each picture in order, empty places, labels, hairlines."""

    width: int
    height: int
    places: list[tuple[int, int]]
    empty: list[tuple[int, int]] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    rules: list[int] = field(default_factory=list)


def flowing(count: int, box: tuple[int, int], caption: int, look: Look) -> Layout:
    """`count` places line by line, each with `caption` pixels below its `box`."""
    across, down = box[0] + look.gap, box[1] + caption + look.gap
    columns = max(1, min(count, max(SHORT_LINE, round(math.sqrt(count * PAGE_SHAPE * down / across)))))
    lines = math.ceil(count / columns)
    return Layout(
        width=columns * across - look.gap,
        height=max(0, lines * down - look.gap),
        places=[(at % columns * across, at // columns * down) for at in range(count)],
    )


def matrix(
    columns: Sequence[str],
    rows: Sequence[str],
    spots: Sequence[tuple[int, int]],
    box: tuple[int, int],
    caption: int,
    look: Look,
) -> Layout:
    """A table with its labels; `spots` are the row and column numbers of the pictures."""
    across, down = box[0] + look.gap, box[1] + caption + look.gap
    widest = max((text_width(label, look.letters) for label in rows), default=0.0)
    side = round(min(widest, 1.2 * look.cell)) + look.gap
    heads = [wrapped(label, look.letters, box[0], 2) for label in columns]
    head = max((len(lines) for lines in heads), default=0) * look.line + look.gap // 2

    def corner(row: int, column: int) -> tuple[int, int]:
        return side + column * across, head + row * down

    taken = set(spots)
    everywhere = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    return Layout(
        width=side + len(columns) * across - look.gap,
        height=head + len(rows) * down - look.gap,
        places=[corner(*spot) for spot in spots],
        empty=[corner(*spot) for spot in everywhere if spot not in taken],
        labels=_heads(heads, side, across, box[0], head, look) + _sides(rows, side, head, down, box[1], look),
        rules=[head + row * down - (look.gap + 1) // 2 for row in range(1, len(rows))] if not caption else [],
    )


def _heads(heads: list[list[str]], side: int, across: int, width: int, head: int, look: Look) -> list[Label]:
    """Column labels, centred above their column, their last lines on one level."""
    last = head - look.gap // 2 - 0.35 * look.letters
    return [
        Label(
            lines=tuple(lines),
            x=side + at * across + width / 2,
            baseline=last - (len(lines) - 1) * look.line,
            align="centre",
        )
        for at, lines in enumerate(heads)
    ]


def _sides(rows: Sequence[str], side: int, head: int, down: int, height: int, look: Look) -> list[Label]:
    """Row labels at the left, level with the middle of their pictures."""
    labels = []
    for at, label in enumerate(rows):
        lines = wrapped(label, look.letters, side - look.gap, 3)
        middle = head + at * down + height / 2
        baseline = middle - (len(lines) - 1) * look.line / 2 + 0.35 * look.letters
        labels.append(Label(lines=tuple(lines), x=0, baseline=baseline, align="left"))
    return labels
