"""The commands and settings of docs/night.md are what the document says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newbie_core.catalogs.settings import load_settings
from newbie_core.cli.arguments import make_parser
from newbie_core.production.hooks import signature

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "night.md").read_text()


@pytest.mark.parametrize("line", re.findall(r"^newbie .*", TEXT, re.M))
def test_every_command_parses(line):
    make_parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", TEXT, re.M | re.S))
def test_every_setting_is_read(block, tmp_path):
    (tmp_path / "catalog.toml").write_text(block)
    assert load_settings(tmp_path / "catalog.toml", name="cast") != load_settings(
        tmp_path / "none", name="cast"
    )


def test_the_receiver_of_the_document_knows_our_signature():
    names: dict[str, object] = {}
    [code] = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    exec(code, names)
    is_ours = names["is_ours"]
    assert is_ours(b"{}", f"sha256={signature('secret', b'{}')}", "secret")
    assert not is_ours(b"{ }", f"sha256={signature('secret', b'{}')}", "secret")
