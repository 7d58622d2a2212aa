"""A shell in a folder of its own: a small catalog, a store, and the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from newbie_core.cli import main
from tests.catalogs.building import make_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


Shell = Callable[..., Said]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs `newbie` in `tmp_path`, with its store in `tmp_path/store`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEWBIE_FSYNC", "0")
    monkeypatch.delenv("NEWBIE_STORE", raising=False)

    def run(*words: str | Path) -> Said:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Said(code=code, out=said.out, err=said.err)

    return run


@pytest.fixture
def cast(tmp_path: Path) -> Path:
    """Two characters with two expressions."""
    return make_catalog(tmp_path / "cast")


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that tells the stripes engine what to do."""
    folder = tmp_path / "stripes"
    folder.mkdir()
    monkeypatch.setenv("STRIPES", str(folder))
    return folder
