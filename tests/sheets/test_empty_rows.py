"""Empty rows passed over in the bytes: the sheet reads the same as when the parser sees each of them."""

from __future__ import annotations

import random

import pytest

from newbie_core.sheets import Limits
from newbie_core.sheets.empty_rows import EmptyRows
from tests.sheets.corpus import HEADER, row_xml
from tests.sheets.raw_rows import read_rows


def read(data: str) -> object:
    """What the reader says with the usual limits."""
    return read_rows(data, limits=Limits())


def both(data: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    """The same sheet with and without passing over rows."""
    quick = read(data)
    with monkeypatch.context() as patch:
        patch.setattr(EmptyRows, "pieces", lambda self, chunk: (chunk,))
        return quick, read(data)


def empty(first: int, last: int) -> str:
    return "".join(f'<row r="{n}" s="1" customFormat="1" ht="20"/>' for n in range(first, last + 1))


def random_rows(rng: random.Random) -> str:
    """Rows of every kind, in runs long and short; now and then one that is wrong."""
    out, number = [row_xml(1, HEADER)], 2
    while len(out) < 12:
        length = rng.choice((1, 3, 40, 200))
        kind = rng.randrange(8)
        for _ in range(length):
            text = {
                0: f'<row r="{number}"/>',
                1: f'<row r="{number}" spans="1:3" x14ac:dyDescent="0.25"><c r="A{number}" s="1"/>'
                f'<c r="BZ{number}" s="2"></c></row>',
                2: f'<row r="{number}" hidden="1"/>',
                3: f'<row r="{number}"><c r="A{number}"><v>{number}</v></c></row>',
                4: f'<row r="{number}"><c r="A{number + 1}" s="1"/></row>',
                5: f'<row r="{number}" ht="20"></row>',
                6: row_xml(number, ("aria", "Aria", f"tag {number}")),
                7: "<row/>",
            }[kind if kind not in (4, 7) or rng.random() < 0.1 else 0]
            out.append(text)
            number += 1
        if rng.random() < 0.3:
            number += rng.choice((1, 7, -1) if rng.random() < 0.2 else (1, 7))
    return "".join(out)


@pytest.mark.parametrize("seed", range(120))
def test_random_sheets_read_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = both(random_rows(random.Random(seed)), monkeypatch)
    assert quick == slow


@pytest.mark.parametrize(
    "data",
    [
        empty(2, 90) + row_xml(91, ("b", "B", "tag")),
        f"<!--{empty(2, 90)}-->" + row_xml(2, ("b", "B", "tag")),
        f'<row r="2"><c r="A2" t="inlineStr"><is><t><![CDATA[{empty(3, 80)}]]></t></is></c></row>',
        f"<?note {empty(2, 90)}?>" + row_xml(2, ("b", "B", "tag")),
        empty(3, 90),
        empty(2, 90) + empty(90, 160),
        empty(1_048_500, 1_048_577),
        f'<row r="2">{empty(3, 90)}</row>',
        empty(2, 50) + row_xml(40, ("b", "B", "tag")),
    ],
    ids=["plain", "comment", "cdata", "instruction", "gap", "twice", "beyond", "nested", "back"],
)
def test_what_only_looks_like_empty_rows(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = both(row_xml(1, HEADER) + data, monkeypatch)
    assert quick == slow


def test_the_parser_never_sees_a_long_run() -> None:
    seen: list[tuple[int, int]] = []

    def skip(first: int, last: int) -> bool:
        seen.append((first, last))
        return True

    rows = EmptyRows(skip)
    left = b"".join(rows.pieces(f"<sheetData>{empty(2, 500)}</sheetData>".encode()))
    assert (left, seen) == (b"<sheetData></sheetData>", [(2, 500)])
