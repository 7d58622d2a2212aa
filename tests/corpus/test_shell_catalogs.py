"""Cases that need more than one file or run: what changes nothing, what shrinks, names, folders, settings."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.shell import (
    SETTINGS,
    Ran,
    files_outside,
    has_release,
    made_objects,
    newbie,
    show,
)
from tests.sheets.corpus import (
    CASES,
    HEADER,
    SOUND,
    number_cell,
    parts_file,
    sheet_xml,
    table_file,
    workbook_parts,
    write_parts,
)

CAST = [SOUND, ("ren", "Ren", "red hair"), ("mika", "Mika", "hat")]


def make_catalog(folder: Path, rows: Sequence[Sequence[str]] = CAST, settings: str = "", **more: Any) -> Path:
    """`catalog/cast.xlsx` with `rows`, replacing one that is there."""
    catalog = folder / "catalog"
    catalog.mkdir(exist_ok=True)
    table_file(rows, **more)(catalog)
    (catalog / "catalog.toml").write_text(settings + SETTINGS, encoding="utf-8")
    return catalog


def run(folder: Path, *options: str, catalog: str = "catalog", exit_code: int = 0) -> Ran:
    ran = newbie("run", catalog, "--store", "store", "--json", *options, folder=folder)
    assert ran.exit_code == exit_code, ran.said
    return ran


# --- A: container --------------------------------------------------------------------------------


def test_A23_a_renamed_sheet_lists_the_sheets_found(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, settings='pictures = ["heroes"]\n')
    sheets = {"hero list": sheet_xml([HEADER, SOUND]), "outfits": sheet_xml([HEADER])}
    write_parts(catalog / "cast.xlsx", workbook_parts(sheets))
    report = run(tmp_path, exit_code=2).report
    fault = report["rejected"][0]
    assert (fault["file"], fault["code"]) == ("cast.xlsx", "E_SHEET_MISSING")
    for word in ('"heroes"', '"hero list", "outfits"'):
        assert word in fault["message"]
    assert "catalog.toml" in fault["fix"]


def test_A23_a_missing_csv_table_lists_the_tables_found(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "characters.csv").write_text("id,name\naria,Aria\n")
    (catalog / "catalog.toml").write_text('pictures = ["character", "expresions"]\n' + SETTINGS)
    ran = newbie("check", ".", "--json", folder=catalog)
    fault = ran.report["rejected"][0]
    assert ran.exit_code == 2
    assert (fault["file"], fault["code"]) == ("catalog", "E_SHEET_MISSING")
    assert '"characters"' in fault["message"] + fault["fix"]


def test_A24_a_terminal_says_what_was_hidden_empty_or_guessed(tmp_path: Path) -> None:
    CASES["A24-hidden"].build(tmp_path)
    ran = newbie("check", "cast.xlsx", folder=tmp_path)
    assert ran.exit_code == 0
    assert 'cast.xlsx · sheet "old cast": the sheet is hidden' in ran.told
    assert "hidden; they were read" in ran.told


# --- B: cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["moved", "inserted-and-removed"])
def test_B25_rows_that_move_regenerate_nothing(tmp_path: Path, change: str) -> None:
    make_catalog(tmp_path)
    first = run(tmp_path).report
    assert first["generated"] == 3
    rows = [CAST[2], CAST[0], CAST[1]] if change == "moved" else [("", "", ""), *CAST]
    make_catalog(tmp_path, rows)
    again = run(tmp_path).report
    assert (again["generated"], again["new"]) == (0, False)
    assert (again["digest"], again["release"]) == (first["digest"], "r000001")


def test_B25_a_row_inserted_above_makes_only_its_own_picture(tmp_path: Path) -> None:
    make_catalog(tmp_path)
    run(tmp_path)
    before = {one: show(tmp_path, "catalog", one)["pixels"] for one in ("aria", "ren", "mika")}
    make_catalog(tmp_path, [("new", "New", "green eyes"), *CAST])
    again = run(tmp_path).report
    assert (again["generated"], again["reused"]) == (1, 3)
    assert {one: show(tmp_path, "catalog", one)["pixels"] for one in before} == before


def test_B26_a_column_that_no_template_uses_regenerates_nothing(tmp_path: Path) -> None:
    make_catalog(tmp_path)
    first = run(tmp_path).report
    dated = [(*row, number_cell(f"D{at}", "45352", 1)) for at, row in enumerate(CAST, start=2)]
    make_catalog(tmp_path, dated, header=(*HEADER, "due date"), formats=["m/d"])
    again = run(tmp_path).report
    assert (again["generated"], again["new"], again["digest"]) == (0, False, first["digest"])
    assert [fault["code"] for fault in again["infos"]] == ["I_COLUMN_UNKNOWN"]


def test_B16_a_row_that_breaks_keeps_its_released_picture(tmp_path: Path) -> None:
    make_catalog(tmp_path)
    run(tmp_path)
    make_catalog(tmp_path, [CAST[0], ("ren", "Ren", "x_x0000_y"), CAST[2]])
    again = run(tmp_path, exit_code=3).report
    assert (again["generated"], again["held"], again["removed"]) == (0, 1, 0)
    assert set(show(tmp_path, "catalog")["ids"]) == {"aria", "ren", "mika"}


def test_B18_strict_publishes_nothing_when_a_row_is_rejected(tmp_path: Path) -> None:
    make_catalog(tmp_path, [*CAST, ("", "Nobody", "hat")])
    report = run(tmp_path, "--strict", exit_code=2).report
    assert report["error"]["code"] == "E_ROW_ID_BLANK"
    assert not has_release(tmp_path)


def test_B18_a_terminal_names_file_sheet_row_and_column(tmp_path: Path) -> None:
    make_catalog(tmp_path, [*CAST, ("", "Nobody", "hat")])
    ran = newbie("run", "catalog", "--store", "store", folder=tmp_path)
    assert ran.exit_code == 3
    assert 'rejected: cast.xlsx · sheet "characters" · row 5 · column A (id): the id is empty' in ran.told
    rejects = (tmp_path / "store/views/catalog/r000001/rejects.csv").read_text(encoding="utf-8-sig")
    assert "cast.xlsx,characters,5,A,id,E_ROW_ID_BLANK," in rejects


# --- C: CSV, empty and shrunk sheets -------------------------------------------------------------


def test_C03_the_encoding_found_is_printed(tmp_path: Path) -> None:
    CASES["C03-gbk"].build(tmp_path)
    ran = newbie("check", "characters.csv", folder=tmp_path)
    assert ran.exit_code == 0
    assert "note: characters.csv: the file has no mark and was read as gb18030" in ran.told


def test_C07_a_limit_of_rows_holds_for_csv_files_and_is_named(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    lines = "".join(f"c{number},Name\n" for number in range(40))
    (catalog / "characters.csv").write_text("id,name\n" + lines)
    (catalog / "catalog.toml").write_text(SETTINGS + "[limits]\nrows = 20\n")
    ran = newbie("check", "catalog", "--json", folder=tmp_path)
    assert ran.exit_code == 2
    fault = ran.report["rejected"][0]
    assert (fault["code"], fault["file"]) == ("E_SHEET_ROWS", "characters.csv")
    assert "20 rows" in fault["message"]
    assert '"rows" (in [limits] of catalog.toml)' in fault["fix"]


def test_C15_a_header_without_rows_publishes_nothing_unless_it_is_allowed(tmp_path: Path) -> None:
    make_catalog(tmp_path, [])
    ran = newbie("run", "catalog", "--store", "store", folder=tmp_path)
    assert ran.exit_code == 0
    assert "0 pictures" in ran.out
    assert "--allow-empty" in ran.out
    assert not has_release(tmp_path)
    assert run(tmp_path, "--allow-empty").report["release"] == "r000001"
    assert show(tmp_path, "catalog")["ids"] == []


def test_C15_a_sheet_that_became_empty_stops_and_keeps_the_release(tmp_path: Path) -> None:
    make_catalog(tmp_path)
    first = run(tmp_path).report
    make_catalog(tmp_path, [])
    assert run(tmp_path, exit_code=2).report["error"]["code"] == "E_PLAN_SHRINK"
    assert show(tmp_path, "catalog")["digest"] == first["digest"]


def test_C16_a_sheet_that_shrinks_by_more_than_half_stops_until_it_is_allowed(tmp_path: Path) -> None:
    many = [(f"c{number}", f"C{number}", "hat") for number in range(5)]
    make_catalog(tmp_path, many)
    run(tmp_path)
    make_catalog(tmp_path, many[:2])
    stopped = run(tmp_path, exit_code=2).report["error"]
    assert stopped["code"] == "E_PLAN_SHRINK"
    for word in ("3 of 5", "50 %", "--allow-shrink"):
        assert word in stopped["message"]
    assert len(show(tmp_path, "catalog")["ids"]) == 5
    planned = newbie("plan", "catalog", "--store", "store", "--json", folder=tmp_path)
    assert planned.exit_code == 2
    allowed = run(tmp_path, "--allow-shrink").report
    assert (allowed["removed"], allowed["generated"]) == (3, 0)
    assert show(tmp_path, "catalog")["ids"] == ["c0", "c1"]


def test_C16_half_of_a_sheet_may_go(tmp_path: Path) -> None:
    many = [(f"c{number}", f"C{number}", "hat") for number in range(4)]
    make_catalog(tmp_path, many)
    run(tmp_path)
    make_catalog(tmp_path, many[:2])
    assert run(tmp_path).report["removed"] == 2


# --- D: names and paths --------------------------------------------------------------------------

AWKWARD = (
    "CON", "aux.png", "COM¹", "LPT9", "nul", "x.png", "x.exe", "-rf", "~root", "$HOME", "LATEST", ".git",
    "n" * 250, "名" * 100, "one:two*c?", "trailing.", "=1+1", "é", "👩", "%2e%2e%2f", "r000001", "pictures",
)  # fmt: skip
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³")}


def assert_harmless(path: Path, root: Path) -> None:
    """A name that Linux, macOS and Windows all take, with our extension."""
    assert path.suffix == ".png"
    for part in path.relative_to(root).parts:
        assert len(part.encode()) <= 120, part
        assert part.partition(".")[0].casefold() not in RESERVED, part
        assert part == part.strip(" .") and not part.startswith("-"), part
        assert not set(part) & set('<>:"/\\|?*$~%\n'), part
        assert unicodedata.is_normalized("NFC", part), part


def test_D04_D06_D07_D09_every_awkward_id_gets_a_harmless_name_of_its_own(tmp_path: Path) -> None:
    make_catalog(tmp_path, [(one, "Aria", "hat") for one in AWKWARD])
    before = files_outside(tmp_path)
    report = run(tmp_path).report
    assert files_outside(tmp_path) == before
    assert set(show(tmp_path, "catalog")["ids"]) == set(AWKWARD)
    pictures = tmp_path / report["view"] / "pictures"
    found = list(pictures.rglob("*"))
    assert len({str(path).casefold() for path in found}) == len(AWKWARD)
    for path in found:
        assert_harmless(path, pictures)
    exported = newbie("export", "catalog", "--store", "store", "--to", "out", "--json", folder=tmp_path)
    assert exported.exit_code == 0
    copies = [path for path in (tmp_path / "out/pictures").rglob("*") if path.is_file()]
    assert {path.name for path in copies} == {path.name for path in found}


def test_D01_a_refused_id_is_shown_and_nothing_is_written_outside_the_store(tmp_path: Path) -> None:
    bad = ("../../etc/passwd", "/abs", "..", ".", "a\\b", "C:\\x", "\\\\srv\\x", "a#2", "ab\u202e")
    make_catalog(tmp_path, [*CAST, *((one, "X", "hat") for one in bad)])
    before = files_outside(tmp_path)
    report = run(tmp_path, exit_code=3).report
    assert [fault["row"] for fault in report["rejected"]] == list(range(5, 5 + len(bad)))
    assert {fault["code"] for fault in report["rejected"]} == {"E_ROW_ID_BAD"}
    assert files_outside(tmp_path) == before
    assert set(show(tmp_path, "catalog")["ids"]) == {"aria", "ren", "mika"}


@pytest.mark.parametrize(
    "name", ["$HOME.xlsx", "CON.xlsx", "-rf.xlsx", "LATEST.xlsx", "a\nb.xlsx", "名" * 80 + ".xlsx"]
)
def test_D07_a_workbook_with_an_awkward_name_is_a_set_like_any_other(tmp_path: Path, name: str) -> None:
    table_file([SOUND])(tmp_path).rename(tmp_path / name)
    before = files_outside(tmp_path)
    report = run(tmp_path, "--engine", "sketch", catalog=f"./{name}").report
    assert files_outside(tmp_path) == before
    assert report["generated"] == 1
    for path in (tmp_path / report["view"]).rglob("*.png"):
        assert_harmless(path, tmp_path / "store" / "views")
    assert show(tmp_path, f"./{name}")["ids"] == ["aria"]


@pytest.mark.parametrize("planted", ["views", "views/catalog", "tmp", "objects", "refs"])
def test_D08_a_link_planted_in_the_store_is_not_followed(tmp_path: Path, planted: str) -> None:
    make_catalog(tmp_path)
    run(tmp_path)
    outside = tmp_path / "outside"
    for name in ("keep/precious.txt", ".ssh/key", ".r000002.0123456789ab/x", "r000001/x"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text("precious")
    place = tmp_path / "store" / planted
    place.rename(tmp_path / "store" / "moved-away")
    place.symlink_to(outside, target_is_directory=True)
    make_catalog(tmp_path, [*CAST, ("new", "New", "green eyes")])
    before = files_outside(tmp_path)
    ran = newbie("run", "catalog", "--store", "store", "--json", folder=tmp_path)
    assert files_outside(tmp_path) == before, ran.said
    assert ran.exit_code != 0
    assert "symbolic link" in ran.report["error"]["message"], ran.said
    newbie("gc", "--apply", "--keep-days", "0", "--store", "store", "--json", folder=tmp_path)
    newbie("verify", "--repair", "--store", "store", "--json", folder=tmp_path)
    assert files_outside(tmp_path) == before


def test_D08_a_link_planted_where_the_next_view_goes_is_replaced(tmp_path: Path) -> None:
    make_catalog(tmp_path)
    run(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    view = tmp_path / "store/views/catalog/r000002"
    view.symlink_to(outside, target_is_directory=True)
    make_catalog(tmp_path, [*CAST, ("new", "New", "green eyes")])
    before = files_outside(tmp_path)
    assert run(tmp_path).report["release"] == "r000002"
    assert files_outside(tmp_path) == before
    assert not view.is_symlink()
    assert (view / "pictures/new.png").is_file()


def test_D08_a_catalog_reads_no_file_outside_its_folder(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, settings='workbook = "../outside.xlsx"\n')
    table_file([SOUND])(tmp_path).rename(tmp_path / "outside.xlsx")
    error = run(tmp_path, exit_code=2).report["error"]
    assert "../outside.xlsx" in error["message"]
    (catalog / "linked.xlsx").symlink_to(tmp_path / "outside.xlsx")
    (catalog / "catalog.toml").write_text('workbook = "linked.xlsx"\n' + SETTINGS)
    assert run(tmp_path, exit_code=2).report["error"]["code"] == "E_CATALOG_MISSING"


def test_D09_a_template_that_is_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, settings='template = "cast.xml.j2"\n')
    (tmp_path / "secret.j2").write_text("<character_1><n>SECRET</n></character_1>")
    (catalog / "cast.xml.j2").symlink_to(tmp_path / "secret.j2")
    ran = run(tmp_path, exit_code=2)
    assert ran.report["error"]["code"] == "E_TEMPLATE_INCLUDE"
    assert "SECRET" not in ran.said


# --- folders and settings ------------------------------------------------------------------------


def test_the_lock_file_of_an_open_excel_is_passed_over(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path)
    (catalog / "~$cast.xlsx").write_bytes(b"\x04Aria" + b" " * 160)
    (catalog / ".~lock.cast.xlsx#").write_text("Aria")
    assert run(tmp_path).report["generated"] == 3
    ran = newbie("check", "catalog/~$cast.xlsx", "--json", folder=tmp_path)
    assert ran.exit_code == 2
    assert "lock file" in ran.report["rejected"][0]["message"]


def test_a_folder_without_tables_says_how_to_begin(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog/readme.txt").write_text("hello")
    error = run(tmp_path, exit_code=2).report["error"]
    assert error["code"] == "E_CATALOG_KIND"
    for word in ("catalog/", "no .xlsx and no .csv", "newbie template"):
        assert word in error["message"]


def test_two_workbooks_in_a_folder_are_listed(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path)
    parts_file(lambda parts: None, "cast (copy).xlsx")(catalog)
    error = run(tmp_path, exit_code=2).report["error"]
    for word in ('"cast (copy).xlsx"', '"cast.xlsx"', 'workbook = "'):
        assert word in error["message"]


def test_unknown_settings_are_all_named_with_their_lines_and_the_nearest_known_ones(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path)
    (catalog / "catalog.toml").write_text('titel = "x"\n\n[picture]\nsise = "64x64"\n[limits]\nrow = 5\n')
    report = run(tmp_path, exit_code=2).report
    assert [fault["code"] for fault in report["rejected"]] == ["E_TOML_KEY"] * 3
    said = "\n".join(fault["message"] + "; " + fault["fix"] for fault in report["rejected"])
    for word in (
        "line 1: titel",
        '"title"',
        "line 4: picture.sise",
        '"size"',
        "line 6: limits.row",
        '"rows"',
    ):
        assert word in said
    assert {fault["file"] for fault in report["rejected"]} == {"catalog.toml"}


def test_a_broken_settings_file_names_its_line(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path)
    (catalog / "catalog.toml").write_text("[picture]\nsize = 64x64\n")
    fault = run(tmp_path, exit_code=2).report["rejected"][0]
    assert fault["code"] == "E_TOML"
    assert "line 2" in fault["message"]


def test_a_workbook_without_any_id_column_names_its_sheets(tmp_path: Path) -> None:
    sheets = {"Read me": sheet_xml([("hello",)]), "People": sheet_xml([("nam", "look"), ("Aria", "hat")])}
    write_parts(tmp_path / "cast.xlsx", workbook_parts(sheets))
    fault = run(tmp_path, catalog="cast.xlsx", exit_code=2).report["rejected"][0]
    assert (fault["file"], fault["code"]) == ("cast.xlsx", "E_SHEET_HEADER")
    assert '"Read me", "People"' in fault["message"]


def test_a_faulty_first_sheet_is_not_passed_over_for_an_older_one(tmp_path: Path) -> None:
    sheets = {"People": sheet_xml([("id", "name", "ID"), ("a", "b", "c")]), "Old": sheet_xml([HEADER, SOUND])}
    write_parts(tmp_path / "cast.xlsx", workbook_parts(sheets))
    fault = run(tmp_path, catalog="cast.xlsx", exit_code=2).report["rejected"][0]
    assert (fault["sheet"], fault["code"]) == ("People", "E_SHEET_COLUMN_DUP")


def test_a_file_that_is_not_there_suggests_the_nearest(tmp_path: Path) -> None:
    table_file([SOUND])(tmp_path)
    error = run(tmp_path, catalog="cats.xlsx", exit_code=2).report["error"]
    assert error["code"] == "E_CATALOG_MISSING"
    assert 'did you mean "cast.xlsx"?' in error["message"]
    assert made_objects(tmp_path) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    table_file([SOUND])(tmp_path).chmod(0)
    assert run(tmp_path, catalog="cast.xlsx", exit_code=2).report["error"]["code"] == "E_FILE_UNREADABLE"
