"""The commands of docs/delivery.md do what the document says."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from newbie_core.catalogs.outlets import BUILT_IN, Channel
from newbie_core.catalogs.settings import load_settings
from newbie_core.cli import main
from tests.catalogs.building import make_catalog

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "delivery.md").read_text()
COMMANDS = re.findall(r"^newbie export .*", TEXT, re.M)
CERTIFICATES = re.findall(r"^openssl .*", TEXT, re.M)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a released set."""
    folder = tmp_path_factory.mktemp("delivery-docs")
    make_catalog(folder / "cast")
    assert main(["run", str(folder / "cast"), "--store", str(folder / "store")]) == 0
    return folder


@pytest.fixture(scope="module")
def authority(workplace: Path) -> Iterator[str]:
    """The certificate that the document makes in the workplace, and the address of a time stamp authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    if not all(map(importlib.util.find_spec, ("c2pa", "cryptography"))):
        pytest.skip('the extra "c2pa" is not installed')
    from tests.delivery.certifying import time_stamps

    for line in CERTIFICATES:
        subprocess.run(shlex.split(line), cwd=workplace, check=True, capture_output=True)
    (workplace / "stamps").mkdir()
    with time_stamps(workplace / "stamps") as address:
        yield address


@pytest.mark.parametrize("line", COMMANDS)
def test_every_export_of_the_document_works(workplace, monkeypatch, request, line):
    monkeypatch.chdir(workplace)
    if "--sign" in line:
        line = re.sub(r"http\S+", request.getfixturevalue("authority"), line)
    words = shlex.split(line, comments=True)[1:]
    assert main(words) == 0
    place = Path(words[words.index("--to") + 1])
    assert place.is_file() if place.suffix == ".zip" else (place / "rights.json").is_file()


def test_the_document_has_commands_for_every_format():
    assert len(COMMANDS) >= 9 and len(CERTIFICATES) == 2
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


def test_the_table_of_signing_errors_has_every_code():
    sources = "".join(path.read_text() for path in (ROOT / "newbie_core").glob("*/*.py"))
    assert set(re.findall(r"E_SIGN_\w+", sources)) == set(re.findall(r"^\| `(E_SIGN_\w+)`", TEXT, re.M))
