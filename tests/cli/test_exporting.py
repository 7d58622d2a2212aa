"""`newbie export` as a person types it: versions, the catalog's own channels, refusals that say what to do."""

from __future__ import annotations

import pytest

from tests.catalogs.building import SMALL, make_catalog

TINY = '[channels.tiny]\nsize = "16x16"\nformat = "webp"\n[sillytavern]\nsad = "remorse"\n'
UNKNOWN = '[engine]\nname = "tests.delivery.weighty:WeightyEngine"\n'


@pytest.fixture
def made(shell, tmp_path):
    """A released set with a channel and a label of its own."""
    make_catalog(tmp_path / "cast", toml=SMALL + TINY)
    assert shell("run", "cast").code == 0
    return tmp_path


def test_channels_and_labels_of_the_catalog_are_used(shell, made):
    said = shell(
        "export", "cast@r000001", "--to", "out", "--as", "sillytavern", "--channel", "tiny", "--json"
    )
    assert said.code == 0
    assert sorted(path.name for path in (made / "out/aria").iterdir()) == ["joy.webp", "remorse.webp"]
    assert "remorse" not in said.json["missing"]["aria"] and len(said.json["missing"]["aria"]) == 26
    assert "note: aria: no picture for" in said.err


REFUSED = {
    ("cast@r000001", "--release", "r000002"): "E_EXPORT_VERSION",
    ("cast@r000009",): "E_RELEASE_MISSING",
    ("cast", "--channel", "tny"): "E_EXPORT_CHANNEL",
    ("cast", "--pattern", "{charcter}"): "E_EXPORT_PATTERN",
    ("cast", "--pattern", "{character}"): "E_EXPORT_NAME",
    ("cast", "--pattern", "../{id}"): "E_EXPORT_NAME",
}


def test_what_cannot_be_done_has_a_code_and_leaves_nothing(shell, made):
    for words, code in REFUSED.items():
        said = shell("export", *words, "--to", "out", "--json")
        assert (said.code in (1, 2), said.json["error"]["code"]) == (True, code)
        assert not (made / "out").exists()


def test_commercial_refuses_and_lists_every_picture(shell, tmp_path):
    make_catalog(tmp_path / "cast", toml=SMALL + UNKNOWN)
    shell("run", "cast")
    said = shell("export", "cast", "--to", "shop", "--commercial", "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "E_EXPORT_RIGHTS")
    assert len(said.json["rejected"]) == 4
    assert "own.safetensors" in said.err and "[rights." in said.err
    with (tmp_path / "cast/catalog.toml").open("a") as file:
        file.write('[rights."weights/own.safetensors"]\nlicence = "CC0-1.0"\ncommercial = "yes"\n')
    assert shell("export", "cast", "--to", "shop", "--commercial").code == 0


def test_a_folder_with_an_at_in_its_name_is_itself(shell, tmp_path):
    make_catalog(tmp_path / "cast@home")
    assert shell("run", "cast@home").code == 0
    assert shell("export", "cast@home", "--to", "out").code == 0
