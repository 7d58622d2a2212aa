"""Readable names for pictures, and tables that are safe to open."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie_core.errors import Fault
from newbie_core.releases.views import picture_path, picture_paths, rejects_csv

ids = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
    unique=True,
)


@pytest.mark.parametrize(
    ("picture_id", "path"),
    [
        ("aria/happy", "aria/happy.png"),
        ("aria", "aria.png"),
        ("aria#2", "aria--2.png"),
        ("aria/happy#12", "aria/happy--12.png"),
        ("角色/笑", "角色/笑.png"),
    ],
)
def test_a_pictures_file_is_named_after_its_id(picture_id, path):
    assert picture_path(picture_id) == path


@pytest.mark.parametrize(
    "part", ["..", ".", "CON", "a:b", "x\\y", "a\x00b", "-rf", "nul.txt", "a" * 300, " a ", "\u202eevil"]
)
def test_difficult_ids_become_safe_names(part):
    path = picture_path(f"{part}/{part}")
    assert not path.startswith(("/", "-", "."))
    assert ".." not in path.split("/")
    assert all(len(piece.encode()) < 255 for piece in path.split("/"))
    assert not set('\\:*?"<>|\0\u202e') & set(path)
    assert path != f"{part}/{part}.png"


@settings(max_examples=100, deadline=None)
@given(ids)
def test_no_two_pictures_have_the_same_file_even_where_case_does_not_count(picture_ids):
    paths = picture_paths(picture_ids)
    assert list(paths) == picture_ids
    assert len({path.casefold() for path in paths.values()}) == len(picture_ids)


@pytest.mark.parametrize("pair", [("a", "A"), ("a#2", "a--2"), ("x/é", "x/É"), ("a?", "a*")])
def test_alike_ids_have_different_files(pair):
    first, second = picture_paths(pair).values()
    assert first.casefold() != second.casefold()


# rejects.csv


def make_fault(**changes) -> Fault:
    return Fault(**{"file": "cast.xlsx", "code": "E_CELL_VALUE", "message": "wrong", "row": 3, **changes})


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_looks_like_a_formula_stays_text(start):
    (row,) = rows_of(rejects_csv([make_fault(message=f"{start}cmd|' /C calc'!A1", header=f"{start}1")]))
    assert row["message"].startswith("'" + start)
    assert row["header"].startswith("'" + start)


def test_rejected_rows_are_a_table_that_excel_opens_as_utf8():
    data = rejects_csv([make_fault(message='"1gril", 角色\nnext', sheet="Leads", column="C", fix="mend")])
    assert data.startswith(b"\xef\xbb\xbf")
    assert rows_of(data) == [
        {
            "file": "cast.xlsx",
            "sheet": "Leads",
            "row": "3",
            "column": "C",
            "header": "",
            "code": "E_CELL_VALUE",
            "message": '"1gril", 角色\nnext',
            "fix": "mend",
        }
    ]


def test_text_that_is_no_unicode_does_not_stop_the_table():
    assert "\\udcff" in rejects_csv([make_fault(message="\udcff")]).decode("utf-8-sig")
