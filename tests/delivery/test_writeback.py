"""`newbie writeback`: a copy that says what became of each row, and is otherwise the author's workbook."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest

from newbie_core.catalogs import open_catalog
from newbie_core.cli import main
from tests.catalogs.building import make_catalog, set_cell
from tests.delivery.books import BOOKS, chinese_cast, parts_of

EDITED = re.compile(
    r"\[Content_Types\]\.xml|xl/styles\.xml|xl/worksheets/[^/]+\.xml|xl/worksheets/_rels/.*|xl/drawings/.*|xl/media/newbie-.*"
)
OFFICE = shutil.which("soffice")


@dataclass(frozen=True)
class Said:
    code: int
    out: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


def newbie(*words: str | Path) -> Said:
    """One command, with its store in `store/`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, out.getvalue() or err.getvalue())


@dataclass(frozen=True)
class Case:
    """A workbook that was run and written back."""

    source: Path
    copy: Path
    store: Path
    before: bytes
    said: dict


@pytest.fixture(scope="module", params=list(BOOKS))
def case(request, tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEWBIE_FSYNC", "0")
        source, store, copy = (
            BOOKS[request.param](folder / "cast.xlsx"),
            folder / "store",
            folder / "back" / "cast.xlsx",
        )
        before = source.read_bytes()
        assert newbie("run", source, "--store", store).code in (0, 3)
        said = newbie("writeback", source, "--store", store, "--out", copy, "--json")
        assert said.code in (0, 3), said.out
        return Case(source=source, copy=copy, store=store, before=before, said=said.json)


def books(file: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(file), openpyxl.load_workbook(file, data_only=True)


def added(sheet) -> dict[str, int]:
    """The columns of write-back by name, as openpyxl counts columns."""
    return {
        cell.value.removeprefix("newbie: "): cell.column
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str) and cell.value.startswith("newbie: ")
    }


def test_the_original_keeps_every_byte(case):
    assert case.source.read_bytes() == case.before


def test_all_parts_but_the_edited_ones_keep_their_bytes(case):
    old, new = parts_of(case.source), parts_of(case.copy)
    assert old.keys() <= new.keys()
    for name, data in old.items():
        assert new[name] == data or EDITED.fullmatch(name), name
    assert all(EDITED.fullmatch(name) for name in new.keys() - old.keys())


def test_cells_formulas_values_formats_and_comments_are_kept(case):
    for old, new in zip(books(case.source), books(case.copy), strict=True):
        assert old.sheetnames == new.sheetnames
        assert {name: one.attr_text for name, one in old.defined_names.items()} == {
            name: one.attr_text for name, one in new.defined_names.items()
        }
        for sheet in old:
            other = new[sheet.title]
            for cell in (cell for row in sheet.iter_rows() for cell in row if cell.value is not None):
                twin = other[cell.coordinate]
                assert (twin.value, twin.number_format) == (cell.value, cell.number_format), cell.coordinate
                for look in ("font", "fill", "border", "alignment", "protection"):
                    assert repr(getattr(twin, look)) == repr(getattr(cell, look))
                if cell.comment:
                    seen, kept = cell.comment, twin.comment
                    assert (kept.text, kept.author) == (seen.text, seen.author)
                if cell.hyperlink:
                    assert twin.hyperlink.target == cell.hyperlink.target


def test_merges_drop_downs_conditional_formats_panes_columns_charts_and_pictures_are_kept(case):
    (old, _), (new, _) = books(case.source), books(case.copy)
    for sheet in old:
        other = new[sheet.title]
        assert sheet.merged_cells.ranges == other.merged_cells.ranges
        assert sheet.freeze_panes == other.freeze_panes
        assert [(d.type, d.formula1, str(d.sqref)) for d in sheet.data_validations.dataValidation] == [
            (d.type, d.formula1, str(d.sqref)) for d in other.data_validations.dataValidation
        ]
        assert [str(one.sqref) for one in sheet.conditional_formatting] == [
            str(one.sqref) for one in other.conditional_formatting
        ]
        assert sheet.tables.keys() == other.tables.keys()
        assert len(sheet._charts) == len(other._charts)
        places = {(image.anchor._from.row, image.anchor._from.col, image._data()) for image in sheet._images}
        assert places <= {(i.anchor._from.row, i.anchor._from.col, i._data()) for i in other._images}
        for letter, column in sheet.column_dimensions.items():
            if openpyxl.utils.column_index_from_string(letter) < min(added(other).values(), default=1 << 14):
                twin = other.column_dimensions[letter]
                assert (twin.width, twin.hidden) == (column.width, column.hidden)


def test_every_row_says_what_became_of_it(case):
    (book, _) = books(case.copy)
    for name, table in open_catalog(case.source).tables.items():
        sheet = book[table.name]
        places = added(sheet)
        assert {"status", "version", "seed", "picture", "link"} <= places.keys(), name
        assert min(places.values()) > max(column.index + 1 for column in table.columns.values())
        shown = {
            image.anchor._from.row + 1
            for image in sheet._images
            if image.anchor._from.col + 1 == places["picture"]
        }
        for row in table.rows:
            if row.values.get("enabled") == "no":
                assert sheet.cell(row.number, places["status"]).value.startswith("off")
                continue
            status = sheet.cell(row.number, places["status"]).value
            assert status == "new" or re.fullmatch(r"\d pictures: \d new", status)
            assert sheet.cell(row.number, places["version"]).value == "r000001"
            assert sheet.cell(row.number, places["seed"]).value
            assert row.number in shown
            link = sheet.cell(row.number, places["link"]).hyperlink.target
            assert (case.copy.parent / link).exists()
        for number in table.rejected_rows:
            assert sheet.cell(number, places["status"]).value.startswith("rejected: column ")
        for letter in (openpyxl.utils.get_column_letter(place) for place in places.values()):
            assert not sheet.column_dimensions[letter].hidden


def test_a_copy_read_again_is_the_same_catalog(case):
    old, new = open_catalog(case.source), open_catalog(case.copy)
    assert {name: table.rows for name, table in old.tables.items()} == {
        name: table.rows for name, table in new.tables.items()
    }
    assert [(f.sheet, f.row, f.column, f.code) for f in old.faults] == [
        (f.sheet, f.row, f.column, f.code) for f in new.faults
    ]


def test_a_copy_of_a_copy_is_the_same_file(case):
    again = case.copy.parent.with_name("again") / "cast.xlsx"
    assert (
        newbie("writeback", case.copy, "--store", case.store, "--out", again).code == case.said["exit_code"]
    )
    assert parts_of(again) == parts_of(case.copy)
    assert again.read_bytes() == case.copy.read_bytes()


@pytest.mark.campaign
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice (soffice) is not on this machine")
def test_libreoffice_opens_the_copy_and_keeps_everything(case, tmp_path):
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    words = [OFFICE, profile, "--headless", "--convert-to", "xlsx", "--outdir", tmp_path / "out", case.copy]
    subprocess.run(words, check=True, timeout=600, capture_output=True)
    (ours, _), (theirs, values) = books(case.copy), books(tmp_path / "out" / "cast.xlsx")
    for sheet in ours:
        other = theirs[sheet.title]
        for cell in (cell for row in sheet.iter_rows() for cell in row if cell.value is not None):
            if cell.data_type == "f":
                assert values[sheet.title][cell.coordinate].value is not None
            else:
                assert other[cell.coordinate].value == cell.value
        assert len(other._images) == len(sheet._images)
        assert sheet.merged_cells.ranges == other.merged_cells.ranges


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEWBIE_FSYNC", "0")
    return newbie


def test_the_source_an_input_and_the_store_are_never_written(shell, tmp_path):
    chinese_cast(tmp_path / "cast.xlsx")
    before = (tmp_path / "cast.xlsx").read_bytes()
    (tmp_path / "link.xlsx").symlink_to("cast.xlsx")
    (tmp_path / "hard.xlsx").hardlink_to(tmp_path / "cast.xlsx")
    folder = make_catalog(tmp_path / "folder")
    assert shell("run", "folder").code == 0
    refused = {
        ("cast.xlsx", "cast.xlsx"): "E_WRITEBACK_SOURCE",
        ("cast.xlsx", "link.xlsx"): "E_WRITEBACK_SOURCE",
        ("cast.xlsx", "hard.xlsx"): "E_WRITEBACK_SOURCE",
        ("cast.xlsx", "./store/../cast.xlsx"): "E_WRITEBACK_SOURCE",
        ("cast.xlsx", "store/cast.xlsx"): "E_WRITEBACK_PLACE",
        ("folder", "folder/back"): "E_WRITEBACK_PLACE",
        ("cast.xlsx", "cast.csv"): "E_WRITEBACK_KIND",
        ("folder", "back.xlsx"): "E_WRITEBACK_KIND",
    }
    for (catalog, out), code in refused.items():
        said = shell("writeback", catalog, "--out", out, "--replace", "--json")
        assert (said.code, said.json["error"]["code"]) == (2, code), (catalog, out)
    assert (tmp_path / "cast.xlsx").read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"catalog.toml", "characters.csv", "expressions.csv"}


def test_a_later_copy_tells_what_changed_and_clears_what_is_gone(shell, tmp_path):
    source = chinese_cast(tmp_path / "cast.xlsx")
    assert shell("run", source).code == 3
    assert shell("writeback", source, "--out", "a/cast.xlsx").code == 3
    book = openpyxl.load_workbook("a/cast.xlsx")
    sheet = book["角色"]
    sheet["D4"] = "red_hair"
    sheet["E6"] = 5
    sheet["E5"] = "x"
    sheet["A8"], sheet["C8"], sheet["F8"] = "new", "1girl", "64x64"
    book.save("a/cast.xlsx")
    assert shell("writeback", "a/cast.xlsx", "--out", "b/cast.xlsx", "--json").json["rows"] == {
        "edited": 1,
        "held": 1,
        "not made yet": 2,
        "off": 1,
    }
    assert shell("writeback", "a/cast.xlsx", "--out", "b/cast.xlsx").code == 2
    assert shell("run", "a/cast.xlsx").code == 3
    assert shell("decide", "cast", "pin", "aria", "--by", "mia").code == 0
    assert shell("writeback", "a/cast.xlsx", "--out", "b/cast.xlsx", "--replace", "--no-thumbnails").code == 3
    sheet = openpyxl.load_workbook("b/cast.xlsx")["角色"]
    places = added(sheet)
    told = {sheet.cell(row, 1).value: sheet.cell(row, places["status"]).value for row in range(4, 9)}
    assert told["aria"].startswith("changed: 角色!D4 ")
    assert told["aria"].endswith("pinned in r000002 by mia")
    assert told["ren"].startswith("held: kept as in r000002; rejected: column E (种子): ")
    assert told["new"] == "new: in r000002"
    assert len(sheet._images) == 1


def test_csv_files_keep_their_bytes_and_get_fields_at_the_end(shell, tmp_path):
    text = (
        'id;gender;appearance;size;note\r\naria;1girl;"silver_hair, blue_eyes";64x64;"a ""b""\nc"\r\n\r\n'
        "ren;1boy;黑发和很长的头发;64x64\r\nbad;1girl;x;0x0;=1\r\n"
    )
    (tmp_path / "cast.csv").write_bytes(text.encode("utf-8-sig"))
    assert shell("run", "cast.csv").code == 3
    assert shell("writeback", "cast.csv", "--out", "a/cast.csv").code == 3
    copy = (tmp_path / "a" / "cast.csv").read_bytes().decode("utf-8-sig")
    lines = copy.split("\r\n")
    assert (
        lines[0] == "id;gender;appearance;size;note;newbie: status;newbie: version;newbie: seed;newbie: link"
    )
    assert lines[1].startswith('aria;1girl;"silver_hair, blue_eyes";64x64;"a ""b""\nc";new;r000001;')
    assert lines[3].startswith("ren;1boy;黑发和很长的头发;64x64;;new;r000001;")
    assert lines[4].startswith("bad;1girl;x;0x0;=1;")
    assert "rejected: column D (size)" in lines[4]
    assert (tmp_path / "cast.csv").read_bytes() == text.encode("utf-8-sig")
    old, new = (
        next(iter(open_catalog(Path(file)).tables.values())).rows for file in ("cast.csv", "a/cast.csv")
    )
    assert [row.values for row in old] == [row.values for row in new]
    assert shell("writeback", "a/cast.csv", "--out", "b/cast.csv").code == 3
    assert (tmp_path / "b" / "cast.csv").read_bytes() == (tmp_path / "a" / "cast.csv").read_bytes()


def test_a_folder_of_csv_files_becomes_a_folder(shell, tmp_path):
    catalog = make_catalog(tmp_path / "cast")
    old = (catalog / "characters.csv").read_text().replace("Ren", "莲")
    (catalog / "characters.csv").write_text(old, encoding="gb18030")
    (catalog / "catalog.toml").write_text('encoding = "gb18030"\n[picture]\nsize = "64x64"\n')
    assert shell("run", "cast").code == 0
    set_cell(catalog, "expressions", "sad", "expression", "crying")
    assert shell("writeback", "cast", "--out", "back", "--links", "https://art.example/cast").code == 0
    text = (tmp_path / "back" / "expressions.csv").read_text()
    assert "sad,crying,2 pictures: 2 edited; aria/sad edited: the sheet changed after r000001" in text
    assert "\nren,莲,1boy," in (tmp_path / "back" / "characters.csv").read_bytes().decode("gb18030")


def test_a_file_that_must_not_be_opened_is_refused_before_a_copy_is_made(shell, tmp_path):
    parts = parts_of(chinese_cast(tmp_path / "cast.xlsx"))
    assert shell("run", "cast.xlsx").code == 3
    parts["docProps/app.xml"] = b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    with zipfile.ZipFile(tmp_path / "cast.xlsx", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    said = shell("writeback", "cast.xlsx", "--out", "back.xlsx", "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "E_FILE_DTD")
    assert not (tmp_path / "back.xlsx").exists()
