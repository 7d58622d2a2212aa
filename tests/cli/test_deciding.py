"""`newbie decide`, `decisions`, `candidates`, `choose`, and what `plan` and `run` say of decisions."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.catalogs.building import make_workbook, set_cell

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "decisions.md"


@pytest.fixture
def released(shell, cast):
    """The set "cast", released once."""
    assert shell("run", "cast").code == 0
    return cast


def test_decisions_are_taken_by_glob_and_listed_with_who_and_when(shell, released):
    said = shell("decide", "cast", "reject", "aria/*", "--note", "six fingers", "--by", "mia", "--json")
    assert said.code == 0
    assert [(d["id"], d["decision"], d["by"], d["version"]) for d in said.json["taken"]] == [
        ("aria/happy", "reject", "mia", "r000001"),
        ("aria/sad", "reject", "mia", "r000001"),
    ]
    listed = shell("decisions", "cast", "--json").json
    assert listed["decisions"] == said.json["taken"]
    assert set(listed["rejected"]) == {"aria/happy", "aria/sad"}
    assert 'mia  reject aria/sad  (r000001, seed 3185224543)  "six fingers"' in shell("decisions", "cast").out


def test_what_is_refused_is_named_and_the_rest_is_taken(shell, released):
    said = shell("decide", "cast", "pin", "nobody/*", "ren/sad", "--by", "mia")
    assert said.code == 3
    assert "refused: pin nobody/*: no picture's id is or matches this" in said.err
    assert "1 decisions taken, 1 refused" in said.out
    said = shell("decide", "cast", "unpin", "aria/sad", "--json")
    assert (said.code, said.json["refused"][0]["code"]) == (2, "E_DECISION_UNPINNED")


def test_a_plan_names_pins_and_rejections(shell, released):
    shell("decide", "cast", "pin", "aria/happy", "--by", "mia")
    shell("decide", "cast", "reject", "ren/sad", "--by", "mia")
    set_cell(released, "characters", "aria", "appearance", "blue_hair")
    plan = shell("plan", "cast", "--json").json
    (pinned,) = plan["pinned"]
    assert (pinned["id"], pinned["causes"][0]["kind"]) == ("aria/happy", "decision")
    assert [change["id"] for change in plan["change"]] == ["aria/sad", "ren/sad"]
    assert "= pinned: aria/happy\n    pinned in r000001 by mia" in shell("plan", "cast").out


@pytest.mark.parametrize(
    "words",
    [
        ["cast"],
        ["cast", "pin"],
        ["cast", "pin", "*", "--file", "x.json"],
        ["cast", "pin", "*", "--by", "\x1b"],
    ],
)
def test_half_a_decision_is_wrong_usage(shell, released, words):
    said = shell("decide", *words, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "E_DECISION_FORM")


def test_a_held_back_version_says_what_is_undecided(shell, cast):
    said = shell("run", "cast", "--require-approval")
    assert said.code == 0
    assert "held back until every changed picture is approved; no version counts yet" in said.out
    assert "undecided aria/happy, aria/sad, ren/happy, ren/sad" in said.out
    assert shell("decide", "cast", "approve", "*").code == 0
    report = shell("run", "cast", "--require-approval", "--json").json
    assert (report["release"], report["generated"], report["undecided"]) == ("r000001", 0, [])


def test_a_script_sees_in_the_report_whether_a_version_waits_for_approval(shell, cast):
    waiting = shell("run", "cast", "--require-approval", "--json").json
    assert (waiting["exit_code"], waiting["new"], waiting["release"]) == (0, False, None)
    assert waiting["proposal"].endswith("proposal") and len(waiting["undecided"]) == 4
    assert shell("decide", "cast", "approve", "*").code == 0
    published = shell("run", "cast", "--require-approval", "--json").json
    assert (published["proposal"], published["undecided"], published["new"]) == (None, [], True)


def test_the_commands_of_the_document_work_in_their_order(shell, tmp_path):
    text = DOCUMENT.read_text()
    make_workbook(tmp_path / "cast.xlsx")
    assert shell("run", "cast.xlsx").code == 0
    (example,) = re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "decisions.json").write_text(json.dumps(json.loads(example)))
    commands = [
        line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()
    ]
    assert len(commands) == 15
    for command in commands:
        said = shell(*shlex.split(command)[1:])
        assert said.code == 0, (command, said.err)
