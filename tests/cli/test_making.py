"""`newbie run`, `plan`, `check`, `retry`, `preview`, `template`: what they do and what they print."""

import pytest

from newbie_core.store import Store
from tests.catalogs.building import SMALL, make_catalog, set_cell

STRIPES = "tests.engines.plugin:StripesEngine"
FAULT_KEYS = {"file", "sheet", "row", "column", "header", "code", "message", "fix", "severity"}
RUN_KEYS = {
    "catalog", "release", "digest", "new", "generated", "reused", "removed", "held", "waiting", "failed",
    "rejected", "warnings", "infos", "seconds", "view", "notes", "usage",
    "undecided", "proposal", "canary", "page", "exit_code",
}  # fmt: skip
PLAN_KEYS = {
    "catalog", "release", "digest", "engine", "add", "change", "remove", "keep", "held", "pinned", "disabled", "excluded",
    "to_generate", "estimate_seconds", "rejected", "warnings", "infos", "notes",
}  # fmt: skip


# Run


def test_a_run_prints_its_result_on_stdout(shell, cast):
    said = shell("run", "cast")
    assert said.code == 0
    first, second, third = said.out.splitlines()
    assert first.startswith("cast: published r000001 (4 generated, 0 reused, 0 removed; ")
    assert second.startswith("digest   ")
    assert third == "pictures store/views/cast/r000001"


def test_a_second_run_generates_nothing_and_keeps_the_digest(shell, cast):
    first, second = shell("run", "cast", "--json").json, shell("run", "cast", "--json").json
    assert (first["generated"], first["new"]) == (4, True)
    assert (second["generated"], second["new"], second["reused"]) == (0, False, 4)
    assert (second["release"], second["digest"]) == (first["release"], first["digest"])
    assert "nothing new; r000001" in shell("run", "cast").out


def test_the_json_of_a_run_has_exactly_these_keys(shell, cast):
    said = shell("run", "cast", "--json")
    assert set(said.json) == RUN_KEYS
    assert said.json["exit_code"] == said.code == 0


def test_a_run_of_one_workbook_needs_nothing_else(shell, tmp_path):
    assert shell("template", "cast.xlsx").code == 0
    assert shell("check", "cast.xlsx").code == 0
    report = shell("run", "cast.xlsx", "--limit", "2", "--json").json
    assert (report["catalog"], report["generated"], report["rejected"]) == ("cast", 2, [])


def test_a_starter_never_overwrites(shell, tmp_path):
    (tmp_path / "cast.xlsx").write_bytes(b"mine")
    said = shell("template", "cast.xlsx", "--json")
    assert said.code == 2
    assert "there is a file already" in said.json["error"]["message"]
    assert (tmp_path / "cast.xlsx").read_bytes() == b"mine"


def test_rejected_rows_are_told_on_stderr_and_in_the_exit_code(shell, tmp_path):
    make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,bad\nb,B,9\n")
    said = shell("run", "cast")
    assert said.code == 3
    assert 'rejected: characters.csv · sheet "characters" · row 2 · column C (steps): "bad"' in said.err
    assert "rejected:" not in said.out
    assert "1 generated" in said.out


def test_rejected_rows_are_records_in_json(shell, tmp_path):
    make_catalog(tmp_path / "cast", characters="id,name,steps,pose\na,A,bad,\nb,B,9,standin\n")
    said = shell("run", "cast", "--json")
    (rejected,), (warning,) = said.json["rejected"], said.json["warnings"]
    assert set(rejected) == FAULT_KEYS == set(warning)
    assert (rejected["sheet"], rejected["row"], rejected["column"], rejected["severity"]) == (
        "characters",
        2,
        "C",
        "row",
    )
    assert (warning["code"], warning["row"]) == ("W_TAG", 3)
    assert said.json["exit_code"] == 3


@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_strict_commands_stop_at_the_first_rejected_row(shell, tmp_path, command):
    make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,bad\nb,B,9\n")
    said = shell(command, "cast", "--strict", "--json")
    assert said.code == 2
    assert said.json["error"]["exit_code"] == 2
    assert len(said.json["rejected"]) == 1
    assert not (tmp_path / "store" / "releases").exists()


def test_what_cannot_be_used_is_one_json_object_and_a_line_on_stderr(shell):
    said = shell("run", "absent", "--json")
    assert said.code == 2
    assert set(said.json) == {"catalog", "error", "rejected"}
    assert said.json["error"]["code"] == "E_CATALOG_MISSING"
    assert said.err.startswith("newbie run: absent: no such folder or file")


def test_a_limit_and_a_selection_narrow_a_run(shell, cast):
    assert shell("run", "cast", "--limit", "1", "--json").json["waiting"] == 3
    report = shell("run", "cast", "--only", "ren/*", "--only", "*/happy", "--json").json
    assert report["generated"] == 2
    assert shell("show", "cast", "--json").json["ids"] == ["aria/happy", "ren/happy", "ren/sad"]


def test_a_selection_that_matches_nothing_is_refused(shell, cast):
    said = shell("run", "cast", "--only", "nobody/*")
    assert said.code == 2
    assert 'no picture id matches "nobody/*"' in said.err


def test_a_shrinking_set_needs_to_be_allowed(shell, cast, tmp_path):
    shell("run", "cast")
    make_catalog(
        tmp_path / "cast", characters="id,name\naria,Aria\n", expressions="id,expression\nsad,frown\n"
    )
    said = shell("run", "cast", "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "E_PLAN_SHRINK")
    assert shell("plan", "cast").code == 2
    assert shell("run", "cast", "--allow-shrink", "--json").json["removed"] == 3


def test_an_empty_set_needs_to_be_allowed(shell, tmp_path):
    make_catalog(tmp_path / "cast", characters="id,name,enabled\na,A,no\n")
    said = shell("run", "cast")
    assert said.code == 0
    assert "0 pictures; nothing is published" in said.out
    assert shell("run", "cast", "--allow-empty", "--json").json["release"] == "r000001"


def test_another_engine_may_be_named(shell, cast, notes):
    report = shell("run", "cast", "--engine", STRIPES, "--json").json
    assert report["generated"] == 4
    assert sorted((notes / "made").read_text().split()) == ["aria/happy", "aria/sad", "ren/happy", "ren/sad"]
    assert shell("show", "cast", "--json").json["engine"]["engine"] == "stripes"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_unknown_engine_is_wrong_usage_and_names_the_nearest(shell, cast, command):
    said = shell(command, "cast", "--engine", "sketsh", "--json")
    assert said.code == 2
    assert 'did you mean "sketch"?' in said.json["error"]["message"]


def test_a_locked_set_ends_with_eleven(shell, cast, tmp_path):
    with Store.open(tmp_path / "store", durable=False) as store, store.writing("cast"):
        said = shell("run", "cast", "--json")
    assert said.code == 11
    assert said.json["error"]["code"] == "E_LOCKED"
    assert 'another run is writing the set "cast"' in said.err


def test_the_store_may_be_named_by_option_or_environment(shell, cast, tmp_path, monkeypatch):
    shell("run", "cast", "--store", tmp_path / "named")
    monkeypatch.setenv("NEWBIE_STORE", str(tmp_path / "by environment"))
    assert shell("run", "cast", "--json").json["view"] == str(
        tmp_path / "by environment" / "views" / "cast" / "r000001"
    )
    assert (tmp_path / "named" / "format.json").exists()
    assert not (tmp_path / "store").exists()


def test_control_characters_in_cells_and_names_do_not_reach_the_terminal(shell, tmp_path):
    text = "id,name,steps,\x1b]0;owned\x07\na,A,\x1b[31mred,\n\u202eevil,B,9,\nb,B,9,\n"
    make_catalog(tmp_path / "cast", characters=text, toml='title = "\\u001b[2J"\n' + SMALL)
    for command in ("check", "plan", "run", "show"):
        said = shell(command, "cast")
        assert said.out
        assert not {"\x1b", "\x07", "\u202e"} & set(said.out + said.err)
    said = shell("run", "\x1b[31mabsent")
    assert "\x1b" not in said.err


# Failing pictures and retry


def test_failed_pictures_are_named_and_made_by_a_retry(shell, tmp_path, notes):
    make_catalog(tmp_path / "cast", toml=f'[engine]\nname = "{STRIPES}"\n{SMALL}')
    (notes / "fail").write_text("aria/sad ren/happy")
    said = shell("run", "cast")
    assert said.code == 1
    assert "failed: aria/sad: no stripes for aria/sad" in said.err
    assert "2 generated" in said.out
    assert "2 failed" in said.out
    assert "`newbie retry`" in said.out
    (notes / "fail").unlink()
    (notes / "made").unlink()
    report = shell("retry", "cast", "--json").json
    assert (report["generated"], report["failed"], report["release"]) == (2, [], "r000002")
    assert sorted((notes / "made").read_text().split()) == ["aria/sad", "ren/happy"]
    assert shell("run", "cast", "--json").json["new"] is False


def test_failed_pictures_are_records_in_json(shell, tmp_path, notes):
    make_catalog(tmp_path / "cast", toml=f'[engine]\nname = "{STRIPES}"\n{SMALL}')
    (notes / "fail").write_text("aria/sad")
    said = shell("run", "cast", "--json")
    assert said.json["failed"] == [{"id": "aria/sad", "reason": "no stripes for aria/sad"}]
    assert said.json["exit_code"] == said.code == 1


def test_an_engine_that_breaks_ends_the_run_with_one(shell, tmp_path, notes):
    make_catalog(tmp_path / "cast", toml=f'[engine]\nname = "{STRIPES}"\n{SMALL}')
    (notes / "broken").write_text("*")
    said = shell("run", "cast", "--json")
    assert (said.code, said.json["error"]["message"]) == (1, "the stripes ran out")


# Plan and check


def test_a_first_plan_says_what_would_be_made_and_makes_nothing(shell, cast, tmp_path):
    said = shell("plan", "cast")
    assert said.code == 0
    assert said.out.splitlines() == [
        "cast, first release: add 4, change 0, remove 0, keep 0",
        "to generate: 4 pictures, no measured history yet",
    ]
    assert not (tmp_path / "store").exists()


def test_a_plan_names_the_cell_before_the_run_makes_exactly_its_pictures(shell, cast, notes):
    shell("run", "cast", "--engine", STRIPES)
    (notes / "made").unlink()
    set_cell(cast, "characters", "aria", "appearance", "blue_hair")
    said = shell("plan", "cast", "--engine", STRIPES)
    assert "~ aria/happy, aria/sad" in said.out.splitlines()
    assert '    characters!D2 "silver_hair" → "blue_hair"' in said.out.splitlines()
    assert "to generate: 2 pictures, about " in said.out
    plan = shell("plan", "cast", "--engine", STRIPES, "--json").json
    assert [change["id"] for change in plan["change"]] == ["aria/happy", "aria/sad"]
    assert plan["change"][0]["causes"] == [
        {"kind": "cell", "where": "characters!D2", "from": "silver_hair", "to": "blue_hair"}
    ]
    shell("run", "cast", "--engine", STRIPES)
    assert (notes / "made").read_text().split() == ["aria/happy", "aria/sad"]


def test_the_json_of_a_plan_has_exactly_these_keys(shell, cast):
    plan = shell("plan", "cast", "--json").json
    assert set(plan) == PLAN_KEYS
    assert (plan["release"], len(plan["add"]), plan["keep"], plan["to_generate"]) == (None, 4, 0, 4)
    shell("run", "cast")
    plan = shell("plan", "cast", "--json").json
    assert (plan["release"], plan["keep"], plan["to_generate"]) == ("r000001", 4, 0)


def test_a_plan_tells_held_pictures_and_ends_with_three(shell, tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,9\nb,B,9\n")
    shell("run", "cast")
    set_cell(catalog, "characters", "a", "steps", "bad")
    said = shell("plan", "cast")
    assert said.code == 3
    assert '= a stays as it is: row "a" of sheet "characters" is rejected' in said.out
    assert shell("plan", "cast", "--json").json["held"] == [
        {"id": "a", "reason": 'row "a" of sheet "characters" is rejected'}
    ]


def test_many_pictures_with_one_cause_are_one_line(shell, tmp_path):
    rows = "".join(f"c{number},C{number}\n" for number in range(9))
    catalog = make_catalog(tmp_path / "cast", characters="id,name\n" + rows)
    shell("run", "cast")
    (catalog / "catalog.toml").write_text(SMALL + "steps = 9\n")
    said = shell("plan", "cast")
    assert "~ c0, c1, c2, c3 … (9 pictures)" in said.out
    assert said.out.count("catalog.toml picture.steps") == 1


def test_a_check_counts_and_names_faults_without_a_store(shell, tmp_path):
    make_catalog(tmp_path / "cast", characters="id,name,steps,pose,mine\na,A,bad,,\nb,B,9,standin,x\n")
    said = shell("check", "cast")
    assert said.code == 3
    assert said.out == "cast: 1 pictures, 1 faults\n"
    assert "rejected: " in said.err
    assert 'warning: characters.csv · sheet "characters" · row 3 · column D (pose): tag "standin"' in said.err
    assert set(shell("check", "cast", "--json").json) == {
        "catalog", "pictures", "disabled", "excluded", "rejected", "warnings", "infos",
    }  # fmt: skip
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["brand", "expressions", "storyboard"])
def test_the_example_catalogs_pass_a_check(shell, name):
    from pathlib import Path

    said = shell("check", Path(__file__).resolve().parents[2] / "catalogs" / name, "--strict")
    assert said.code == 0, said.err


# Preview


def test_a_preview_sketches_into_a_folder_without_a_store(shell, tmp_path, notes):
    make_catalog(tmp_path / "cast", toml=f'[engine]\nname = "{STRIPES}"\n{SMALL}')
    said = shell("preview", "cast", "--only", "aria/*", "--json")
    assert (said.code, said.json["pictures"], said.json["folder"]) == (0, 2, "preview/cast")
    assert {file.name for file in (tmp_path / "preview/cast/pictures/aria").iterdir()} == {
        "happy.png",
        "sad.png",
    }
    assert (tmp_path / "preview/cast/contact-sheet.png").is_file()
    assert not (tmp_path / "store").exists()
    assert not (notes / "made").exists()


def test_a_preview_replaces_a_preview_and_nothing_else(shell, cast, tmp_path):
    assert shell("preview", "cast", "--limit", "1").code == 0
    assert shell("preview", "cast", "--limit", "2", "--json").json["pictures"] == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    said = shell("preview", "cast", "--out", "mine")
    assert said.code == 2
    assert "nothing is overwritten" in said.err
    assert (tmp_path / "mine" / "thesis.txt").exists()
