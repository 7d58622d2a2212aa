"""Decisions written into the sheet are obeyed once, like a file of decisions."""

from __future__ import annotations

import openpyxl
import pytest

from newbie_core.review.decisions import DecisionLog
from newbie_core.store import Store
from tests.catalogs.building import make_catalog, make_workbook, set_cell
from tests.releases.building import run, shelf_of

CHARACTERS = "id,gender,appearance,decision,decision note\naria,1girl,silver_hair,,\nren,1boy,black_hair,,\n"
EXPRESSIONS = "编号,表情,审核结果,审核意见\nhappy,smile,,\nsad,frown,,\n"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as store:
        yield store


@pytest.fixture
def cast(tmp_path, store):
    """A released set whose sheets have columns for decisions."""
    catalog = make_catalog(tmp_path / "cast", characters=CHARACTERS, expressions=EXPRESSIONS)
    assert run(catalog, store).exit_code == 0
    return catalog


def taken(store) -> list[tuple[str, str, str]]:
    decisions, _ = DecisionLog(store, "cast").read()
    return [(decision.decision, decision.id, decision.version) for decision in decisions]


def warnings(report) -> list[tuple]:
    return [(f.sheet, f.row, f.column, f.code) for f in report.faults if f.severity == "warning"]


def seeds(store) -> dict[str, int]:
    shelf = shelf_of(store)
    return {entry.id: entry.seed for entry in shelf.read(shelf.current()).content.entries}


def test_a_cell_is_obeyed_by_the_run_that_reads_it_and_never_again(cast, store):
    before = seeds(store)
    set_cell(cast, "characters", "aria", "decision", "reject")
    set_cell(cast, "characters", "aria", "decision note", "six fingers")
    report = run(cast, store)
    assert report.release == "r000002"
    after = seeds(store)
    assert {one for one in before if before[one] != after[one]} == {"aria/happy", "aria/sad"}
    expected = [("reject", "aria/happy", "r000001"), ("reject", "aria/sad", "r000001")]
    assert taken(store) == expected
    for _ in range(2):
        assert not run(cast, store).is_new
    assert (seeds(store), taken(store)) == (after, expected)
    decisions, _ = DecisionLog(store, "cast").read()
    assert {(decision.by, decision.note) for decision in decisions} == {("characters.csv", "six fingers")}


def test_other_words_or_a_cell_written_again_are_a_new_decision(cast, store):
    for note in ("eyes", "hands"):
        set_cell(cast, "expressions", "sad", "审核结果", "驳回")
        set_cell(cast, "expressions", "sad", "审核意见", note)
        assert run(cast, store).is_new
    set_cell(cast, "expressions", "sad", "审核结果", "")
    assert not run(cast, store).is_new
    set_cell(cast, "expressions", "sad", "审核结果", "驳回")
    assert run(cast, store).is_new
    assert [version for _, one, version in taken(store) if one == "ren/sad"] == [
        "r000001",
        "r000002",
        "r000003",
    ]


def test_a_plan_obeys_without_writing_anything_down(cast, store):
    from newbie_core.cli import main

    set_cell(cast, "characters", "ren", "decision", "pin")
    set_cell(cast, "characters", "ren", "appearance", "red_hair")
    assert main(["plan", str(cast), "--store", str(cast.parent / "store"), "--json"]) == 0
    assert taken(store) == []
    assert not run(cast, store).is_new
    assert {kind for kind, _, _ in taken(store)} == {"pin"}


def test_a_bad_value_is_named_by_its_cell_and_spoils_only_itself(cast, store):
    set_cell(cast, "characters", "aria", "decision", "rejct")
    set_cell(cast, "characters", "ren", "decision", "reroll 99")
    set_cell(cast, "expressions", "happy", "审核结果", "reroll 2")
    report = run(cast, store)
    assert warnings(report) == [
        ("characters", 2, "D", "E_DECISION_FORM"),
        ("characters", 3, "D", "E_DECISION_FORM"),
    ]
    assert 'did you mean "reject"?' in str(report.faults[0]) + str(report.faults[1])
    assert report.exit_code == 0
    decisions, _ = DecisionLog(store, "cast").read()
    assert [(one.id, len(one.seeds)) for one in decisions] == [("aria/happy", 2), ("ren/happy", 2)]


def test_a_decision_about_pictures_nobody_has_seen_counts_for_nothing(cast, store):
    text = (cast / "characters.csv").read_text()
    (cast / "characters.csv").write_text(text + "mei,1girl,green_hair,approve,\n")
    assert warnings(run(cast, store)) == [("characters", 4, "D", "E_DECISION_PICTURE")]
    assert warnings(run(cast, store)) == []
    assert taken(store) == []


def test_a_written_back_version_says_what_was_looked_at_and_the_workbook_says_who(tmp_path, store):
    from newbie_core.cli import main

    source = make_workbook(tmp_path / "cast.xlsx", characters=CHARACTERS)
    book = openpyxl.load_workbook(source)
    book.properties.lastModifiedBy = "Mia"
    book.save(source)
    run(source, store)
    copy = tmp_path / "back" / "cast.xlsx"
    root = str(tmp_path / "store")
    assert main(["writeback", str(source), "--out", str(copy), "--store", root]) == 0
    for cell, text in (("D2", "pin"), ("D3", "reject")):
        book = openpyxl.load_workbook(copy)
        book["characters"][cell] = text
        book["characters"]["C3"] = "red_hair"
        book.save(copy)
        report = run(copy, store)
    assert taken(store) == [("pin", "aria", "r000001")]
    assert warnings(report) == [("characters", 3, "D", "E_DECISION_CHANGED")]
    decisions, _ = DecisionLog(store, "cast").read()
    assert decisions[0].by == "cast.xlsx (openpyxl)" or decisions[0].by == "cast.xlsx (Mia)"
