"""The commands of docs/delivery.md do what the document says."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from newbie_core.catalogs.outlets import BUILT_IN, Channel
from newbie_core.catalogs.settings import load_settings
from newbie_core.cli import main
from tests.catalogs.building import make_catalog

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "delivery.md").read_text()
COMMANDS = re.findall(r"^newbie export .*", TEXT, re.M)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a released set."""
    folder = tmp_path_factory.mktemp("delivery-docs")
    make_catalog(folder / "cast")
    assert main(["run", str(folder / "cast"), "--store", str(folder / "store")]) == 0
    return folder


@pytest.mark.parametrize("line", COMMANDS)
def test_every_export_of_the_document_works(workplace, monkeypatch, line):
    monkeypatch.chdir(workplace)
    words = shlex.split(line, comments=True)[1:]
    assert main(words) == 0
    place = Path(words[words.index("--to") + 1])
    assert place.is_file() if place.suffix == ".zip" else (place / "rights.json").is_file()


def test_the_document_has_commands_for_every_format():
    assert len(COMMANDS) >= 7
    for kind in ("datapackage", "renpy", "sillytavern"):
        assert any(f"--as {kind}" in line for line in COMMANDS)


def test_the_settings_of_the_document_are_read_as_it_says(tmp_path):
    blocks = re.findall(r"^```toml\n(.*?)^```", TEXT, re.M | re.S)
    (tmp_path / "catalog.toml").write_text("\n".join(blocks))
    settings = load_settings(tmp_path / "catalog.toml", name="cast")
    assert set(tomllib.loads("\n".join(blocks))) == {"channels", "rights", "sillytavern"}
    assert settings.channels["avatar"].background == "#ffffff"
    assert [statement.about for statement in settings.rights] == ["transformer/*"]
    assert settings.sillytavern == {"smug": "pride"}


@pytest.mark.parametrize("channel", BUILT_IN.values(), ids=list(BUILT_IN))
def test_the_table_of_channels_is_true(channel: Channel):
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{channel.name}`"))
    assert f"{channel.width}x{channel.height} | {channel.crop} |" in row
    assert channel.format in row.lower()
