"""Too many rows told from the bytes: never where the parser would have read the sheet, and with the same words."""

from __future__ import annotations

import random
import re

import pytest

from newbie_core.sheets import Limits, full_rows, worksheet
from tests.sheets.corpus import HEADER, row_xml
from tests.sheets.raw_rows import read_rows

LIMITS = Limits(rows=20)


def read(data: str, texts: tuple[str, ...] = ("a",)) -> object:
    """What the reader says with a limit of 20 rows."""
    return read_rows(data, limits=LIMITS, texts=texts)


def slowly(data: str, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...] = ("a",)) -> object:
    """The same sheet by the parser alone."""
    with monkeypatch.context() as patch:
        patch.setattr(worksheet, "first_beyond", lambda *_, **__: None)
        return read(data, texts)


def numbered(first: int, last: int, cell: str = '<c r="A{n}"><v>{n}</v></c>') -> str:
    return "".join(f'<row r="{n}">{cell}</row>'.replace("{n}", str(n)) for n in range(first, last + 1))


ROWS = {
    "numbers": '<c r="A{n}"><v>{n}</v></c>',
    "after-styled-cells": '<c r="A{n}" s="0"/><c r="B{n}"/><c r="C{n}"><v>7</v></c>',
    "shared-texts": '<c r="A{n}" t="s"><v>0</v></c>',
    "inline-texts": '<c r="A{n}" t="inlineStr"><is><t>x</t></is></c>',
    "formulas": '<c r="A{n}"><f>1+1</f><v>2</v></c>',
    "empty": '<c r="A{n}" s="0"/>',
}


@pytest.mark.parametrize("cell", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("last", [21, 30, 31, 32, 60])
def test_the_answer_is_the_parsers(cell, last, monkeypatch):
    data = row_xml(1, HEADER) + numbered(2, last, cell)
    assert read(data) == slowly(data, monkeypatch)


def test_a_text_without_characters_is_no_content(monkeypatch):
    data = row_xml(1, HEADER) + numbered(2, 60, ROWS["shared-texts"])
    assert read(data, texts=("a",)) != read(data, texts=("",))
    assert read(data, texts=("",)) == slowly(data, monkeypatch, texts=("",))


@pytest.mark.parametrize("around", ["<!--{}-->", "<?rows {}?>"])
def test_rows_in_a_comment_are_none(around, monkeypatch):
    data = row_xml(1, HEADER) + around.format(numbered(2, 90)) + numbered(2, 4)
    assert read(data) == slowly(data, monkeypatch)
    assert not isinstance(read(data), str)


def test_random_sheets_are_read_as_the_parser_reads_them(monkeypatch):
    pick = random.Random(11)
    refused = 0
    for _ in range(60):
        number, data = 1, row_xml(1, HEADER)
        for _ in range(pick.randrange(3, 90)):
            number += pick.choice((*[1] * 30, 2, 9))
            data += numbered(number, number, pick.choice(list(ROWS.values())))
        # Between rows of two kinds, the row that is named may be a later one.
        found, slow = (
            re.sub(r"row [0-9]+,", "row,", str(each)) for each in (read(data), slowly(data, monkeypatch))
        )
        assert found == slow
        refused += "content in row" in found
    assert 5 < refused < 55, refused


def test_a_row_cut_by_a_chunk_is_left_to_the_parser():
    data = numbered(1, 40).encode()
    chunks = [data[place : place + 37] for place in range(0, len(data), 37)]
    assert full_rows.first_beyond(chunks, 20, 30, texts=True) is None
    assert full_rows.first_beyond([data], 20, 30, texts=True) == 31
    assert full_rows.first_beyond([b"<", b"!" + data], 20, 30, texts=True) is None
