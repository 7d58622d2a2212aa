"""The documents say what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from newbie_core.catalogs.settings import Settings, load_settings
from newbie_core.cli.arguments import make_parser
from newbie_core.engines.newbie import OPTIONS
from newbie_core.production import report
from newbie_core.prompts.document import CHARACTER_FIELDS, GENERAL_FIELDS, SCENE_FIELDS
from newbie_core.sheets import CORE_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "docs" / "README.zh.md").read_text()
ALLOWED = {
    "flows", "newbie_core", "templates", "catalogs", "tests", "pyproject.toml", "prefect.yaml", "README.md", "Makefile",
    "LICENSE", "CHANGELOG.md", "docs", "benchmarks", ".ci", ".gitignore",
}  # fmt: skip


def commands() -> list[str]:
    parser = make_parser()
    action = next(action for action in parser._actions if action.dest == "command")
    assert action.choices is not None
    return list(action.choices)


def test_every_room_stands_in_the_tree():
    rooms = {
        path.name
        for path in (ROOT / "newbie_core").iterdir()
        if path.is_dir() and (path / "__init__.py").exists()
    }
    modules = {path.name for path in (ROOT / "newbie_core").glob("*.py")} - {"__init__.py"}
    for name in [*(f"{room}/" for room in rooms), *modules]:
        assert re.search(rf"^  {re.escape(name)}\s+\S", README, re.M), f"{name} is not in README's tree"


def test_every_flow_and_catalog_stands_in_the_tree():
    for path in [
        *(ROOT / "flows").glob("[!_]*.py"),
        *(p for p in (ROOT / "catalogs").iterdir() if p.is_dir()),
    ]:
        name = path.name + ("/" if path.is_dir() else "")
        assert re.search(rf"^  {re.escape(name)}\s+\S", README, re.M), f"{name} is not in README's tree"


def test_every_column_is_explained():
    for column in CORE_COLUMNS:
        assert f"`{column.name}`" in README, column.name


@pytest.mark.parametrize("text", [README, CHINESE], ids=["README.md", "README.zh.md"])
def test_every_command_is_shown(text):
    for command in commands():
        assert f"newbie {command}" in text, command


@pytest.mark.parametrize("text", [README, CHINESE], ids=["README.md", "README.zh.md"])
def test_every_exit_code_is_explained(text):
    codes = {
        report.DONE,
        report.FAILURE,
        report.UNUSABLE,
        report.PUBLISHED_WITH_REJECTS,
        report.LOCKED,
        report.STOPPED,
    }
    for code in codes:
        assert re.search(rf"^\| {code} \|", text, re.M), code


def test_every_documented_command_line_parses():
    for line in re.findall(r"^newbie [^\n]*", README, re.M):
        make_parser().parse_args(line.split("#")[0].split()[1:])


def test_every_dependency_has_its_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in wanted}
    listed = set(re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "dependencies.md").read_text(), re.M))
    assert names == listed


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "catalog.md").read_text()
    nested = {
        "picture": "picture.steps",
        "engine": "engine.name",
        "limits": "limits.rows",
        "release": "release.require_approval",
        "canary": "canary.pictures",
        "run": "run.workers",
        "hook": "hook.url",
    }
    for name in Settings.__dataclass_fields__:
        assert f"`{nested.get(name, name)}`" in text, name


def test_every_option_of_the_newbie_engine_is_documented():
    text = (ROOT / "docs" / "model.md").read_text()
    for name in OPTIONS:
        assert re.search(rf"^\| [^|]*`{name}`", text, re.M), name


def test_every_field_of_a_prompt_is_documented():
    text = (ROOT / "docs" / "prompts.md").read_text()
    for field in {*CHARACTER_FIELDS, *SCENE_FIELDS, *GENERAL_FIELDS}:
        assert f"`{field}`" in text, field


def test_the_example_catalogs_have_valid_settings():
    for folder in (ROOT / "catalogs").iterdir():
        if folder.is_dir():
            assert load_settings(folder / "catalog.toml", name=folder.name).pictures


def test_the_top_level_holds_nothing_else():
    import subprocess

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {name.split("/")[0] for name in listed.stdout.splitlines()} <= ALLOWED


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
