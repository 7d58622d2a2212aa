"""Retired pictures leave the next version; older versions keep them, and they come back as they were."""

from __future__ import annotations

import pytest

from newbie_core.releases import collect, verify
from newbie_core.store import Store
from tests.catalogs.building import make_catalog, set_cell
from tests.releases.building import root_of, shelf_of


@pytest.fixture
def released(shell, tmp_path):
    """A set of two characters with two expressions, released once."""
    make_catalog(tmp_path / "cast")
    assert shell("run", "cast").code == 0
    return tmp_path / "cast"


def pixels(folder) -> dict[str, str]:
    with Store.open(folder.parent / "store", durable=False) as store:
        shelf = shelf_of(store)
        return {entry.id: entry.pixels for entry in shelf.read(shelf.current()).content.entries}


def test_a_retired_character_leaves_with_its_cause_and_comes_back_with_the_same_pixels(shell, released):
    before = pixels(released)
    assert shell("decide", "cast", "pin", "aria/sad").code == 0
    assert shell("retire", "cast", "aria", "--by", "mia", "--note", "season over").code == 0
    plan = shell("plan", "cast", "--json").json
    assert [change["id"] for change in plan["remove"]] == ["aria/happy", "aria/sad"]
    assert plan["remove"][0]["causes"][0]["kind"] == "retired"
    report = shell("run", "cast", "--json").json
    assert (report["release"], report["removed"], report["exit_code"]) == ("r000002", 2, 0)
    assert set(pixels(released)) == {"ren/happy", "ren/sad"}
    changes = (released.parent / "store" / "views" / "cast" / "r000002" / "changes.md").read_text()
    assert '`aria/sad`: retired after r000001 by mia ("season over")' in changes
    with (released / "expressions.csv").open("a") as file:
        file.write("angry,angry\n")
    assert shell("run", "cast").code == 0
    assert set(pixels(released)) == {"ren/happy", "ren/sad", "ren/angry"}
    with Store.open(released.parent / "store", durable=False) as store:
        collect(store, root_of(store), apply=True, keep_days=0)
        assert verify(store, root_of(store)).damaged == []
    set_cell(released, "characters", "aria", "appearance", "red_hair")
    assert shell("retire", "cast", "aria", "--undo").code == 0
    assert shell("run", "cast").code == 0
    after = pixels(released)
    assert after["aria/sad"] == before["aria/sad"]
    assert after["ren/sad"] == before["ren/sad"]
    assert len(after) == 6


def test_a_whole_set_is_retired_and_brought_back(shell, released):
    before = pixels(released)
    assert shell("retire", "cast", "--all").code == 0
    assert shell("run", "cast", "--json").json["release"] == "r000002"
    assert pixels(released) == {}
    assert shell("run", "cast", "--json").json["new"] is False
    assert shell("retire", "cast", "--all", "--undo").code == 0
    assert shell("run", "cast", "--json").json["generated"] == 0
    assert pixels(released) == before


def test_what_means_nothing_is_refused_and_what_stands_is_listed(shell, released):
    said = shell("retire", "cast", "ara", "ren/*", "--json", "--by", "mia")
    assert (said.code, said.json["retired"]) == (3, ["ren/*"])
    assert 'did you mean "aria' in said.json["refused"][0]["reason"]
    assert shell("retire", "cast", "ren/*", "--json").json["already"] == ["ren/*"]
    assert list(shell("decisions", "cast", "--json").json["retired"]) == ["ren/*"]
    assert "ren/* is retired after r000001 by mia" in shell("decisions", "cast").out
    said = shell("retire", "cast", "ren", "--undo", "--json")
    assert (said.code, said.json["refused"][0]["code"]) == (2, "E_RETIRE")
    assert shell("retire", "cast").code == 2


def test_write_back_tells_who_is_retired(shell, released):
    assert shell("retire", "cast", "aria", "--by", "mia").code == 0
    assert shell("writeback", "cast", "--out", "back").code == 0
    text = (released.parent / "back" / "characters.csv").read_text()
    assert (
        "aria,Aria,1girl,silver_hair,2 pictures: 2 retired; aria/happy retired: after r000001 by mia" in text
    )
