"""The commands of docs/writeback.md do what the document says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newbie_core.cli import main
from newbie_core.delivery.row_states import KINDS
from tests.catalogs.building import make_workbook

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "writeback.md").read_text()
COMMANDS = re.findall(r"^newbie writeback .*", TEXT, re.M)


def test_the_commands_work_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEWBIE_FSYNC", "0")
    make_workbook(tmp_path / "cast.xlsx")
    assert main(["run", "cast.xlsx"]) == 0
    assert len(COMMANDS) == 3
    for line in COMMANDS:
        words = shlex.split(line)[1:]
        assert main(words) == 0
        assert Path(words[words.index("--out") + 1]).is_file()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("looked up", "no pictures")])
def test_every_status_is_explained(kind):
    assert re.search(rf"^\|[^|]*`{kind}[:`]", TEXT, re.M)
