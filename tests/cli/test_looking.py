"""`newbie show`, `releases`, `diff`, `rollback`, `export`, `verify`, `gc`."""

import json
import shutil
import zipfile

import pytest

from newbie_core.cli import main
from newbie_core.images import decode, pixel_digest, read_record
from newbie_core.store import Store, object_name
from tests.catalogs.building import make_catalog, set_cell


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """The folder of a catalog and a store; the set's second release changed aria's two pictures."""
    folder = tmp_path_factory.mktemp("pattern")
    catalog = make_catalog(
        folder / "cast", toml='title = "The cast"\n[picture]\nsize = "64x64"\nnegative = "lowres"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEWBIE_FSYNC", "0")
        assert main(["run", str(catalog), "--store", str(folder / "store")]) == 0
        set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
        assert main(["run", str(catalog), "--store", str(folder / "store")]) == 0
    return folder


@pytest.fixture
def two(pattern, tmp_path, shell):
    """The shell's folder with a set of two releases, as a test may change it."""
    for name in ("cast", "store"):
        shutil.copytree(pattern / name, tmp_path / name)
    return tmp_path


def damage_picture(folder) -> str:
    """Overwrite one released picture; its id."""
    with Store.open(folder / "store", durable=False) as store:
        from newbie_core.releases import Shelf

        shelf = Shelf(store, "cast")
        entry = shelf.read(shelf.current()).content.entries[-1]
        place = store.driver.local_path(object_name(entry.object))
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    return entry.id


# Show


def test_a_version_is_shown(shell, two):
    said = shell("show", "cast")
    assert said.code == 0
    assert said.out.startswith("The cast · r000002 · 4 pictures\n")
    assert "engine sketch" in said.out
    shown = shell("show", "cast", "--json").json
    assert set(shown) == {
        "catalog", "release", "digest", "parent", "title", "engine", "template", "pictures", "ids", "held", "failed",
        "rejected", "attestation", "explanation", "view",
    }  # fmt: skip
    assert (shown["release"], shown["parent"], shown["pictures"]) == ("r000002", "r000001", 4)
    assert shown["attestation"]["generated"] == 2
    assert shell("show", "cast", "--release", "r000001", "--json").json["parent"] is None


def test_a_picture_is_shown_with_why_it_changed_and_when(shell, two):
    shown = shell("show", "cast", "aria/sad", "--json").json
    assert set(shown) == {
        "id", "release", "key", "seed", "size", "steps", "guidance", "negative", "pixels", "object", "causes",
        "environment", "history", "file", "prompt",
    }  # fmt: skip
    assert (shown["size"], shown["steps"], shown["guidance"], shown["negative"]) == (
        "64x64",
        28,
        "4.5",
        "lowres",
    )
    assert shown["causes"] == ['characters!D2 "silver_hair" → "blue_hair"']
    assert [row["release"] for row in shown["history"]] == ["r000002", "r000001"]
    assert "<appearance>blue_hair</appearance>" in shown["prompt"]
    assert pixel_digest(decode((two / shown["file"]).read_bytes())) == shown["pixels"]
    text = shell("show", "cast", "aria/sad").out
    assert 'because  characters!D2 "silver_hair" → "blue_hair"' in text
    assert "<appearance>blue_hair</appearance>" in text


def test_a_picture_file_is_shown_wherever_it_lies(shell, two):
    shutil.copy(two / "store/views/cast/r000002/pictures/ren/sad.png", two / "found.png")
    shown = shell("show", "found.png", "--json").json
    assert (shown["engine"], shown["width"], shown["negative"]) == ("sketch", 64, "lowres")
    assert "<appearance>black_hair</appearance>" in shown["prompt"]
    assert shell("show", "found.png").out.startswith("engine: sketch\n")


def test_a_file_that_is_no_picture_of_ours_is_told(shell, tmp_path):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert "carries no record" in shell("show", "other.png").err
    assert shell("show", "other.png").code != 0
    assert shell("show", "broken.png").code != 0


def test_a_picture_that_is_not_there_is_named_with_the_nearest(shell, two):
    said = shell("show", "cast", "aria/sat", "--json")
    assert said.code == 1
    assert said.json["error"]["message"] == 'r000002 has no picture "aria/sat"; did you mean "aria/sad"?'


def test_a_set_is_known_by_its_name_after_its_folder_is_gone(shell, two):
    shutil.rmtree(two / "cast")
    assert shell("show", "cast", "--json").json["pictures"] == 4
    said = shell("show", "cats")
    assert said.code == 2
    assert 'no folder, no file and no set in the store; did you mean "cast"?' in said.err


def test_a_file_is_the_same_set_however_its_accents_are_written(shell, tmp_path):
    file = tmp_path / "Zoe\u0308.csv"
    file.write_text("id,name\na,A\n")
    assert shell("run", file, "--json").json["catalog"] == "Zo\u00eb"
    assert shell("show", file, "--json").json["ids"] == ["a"]


@pytest.mark.parametrize(
    "command", [["show", "cast"], ["releases", "cast"], ["verify"], ["gc"], ["rollback", "cast", "r000001"]]
)
def test_commands_that_need_a_store_say_when_there_is_none(shell, cast, command):
    said = shell(*command)
    assert said.code == 1
    assert "there is no store; name one with --store, or make one with `newbie run`" in said.err


# Releases, diff, rollback


def test_versions_are_listed_with_what_changed(shell, two):
    listed = shell("releases", "cast", "--json").json
    assert listed["latest"] == "r000002"
    assert [set(row) for row in listed["releases"]] == [
        {"release", "digest", "latest", "made", "pictures", "added", "changed", "removed", "problem"}
    ] * 2
    assert [(row["release"], row["added"], row["changed"]) for row in listed["releases"]] == [
        ("r000001", 4, 0),
        ("r000002", 0, 2),
    ]
    first, second = shell("releases", "cast").out.splitlines()
    assert first.startswith("  r000001  ")
    assert second.startswith("* r000002  ")
    assert second.endswith("4 pictures  2 changed")


def test_versions_are_compared(shell, two):
    said = shell("diff", "cast")
    assert said.out.splitlines() == [
        "~ aria/happy (prompt, pixels)",
        '    characters!D2 "silver_hair" → "blue_hair"',
        "~ aria/sad (prompt, pixels)",
        '    characters!D2 "silver_hair" → "blue_hair"',
        "r000001 → r000002: 2 pictures differ",
    ]
    found = shell("diff", "cast", "r000002", "r000001", "--json").json
    assert (found["old"], found["new"]) == ("r000002", "r000001")
    assert [row["id"] for row in found["differences"]] == ["aria/happy", "aria/sad"]


def test_a_first_version_has_nothing_to_be_compared_with(shell, cast):
    shell("run", "cast")
    said = shell("diff", "cast")
    assert said.code == 1
    assert "r000001 is the first release" in said.err


def test_an_unknown_version_is_named_with_the_nearest(shell, two):
    for words in (
        ["show", "cast", "--release", "r00001"],
        ["rollback", "cast", "r00001"],
        ["diff", "cast", "r00001"],
    ):
        said = shell(*words)
        assert said.code == 1
        assert 'has no release "r00001"; did you mean "r000001"?' in said.err


def test_going_back_and_forth(shell, two):
    said = shell("rollback", "cast", "r000001", "--json")
    assert (said.json["release"], said.json["before"]) == ("r000001", "r000002")
    assert shell("show", "cast", "--json").json["release"] == "r000001"
    again = shell("run", "cast")
    assert "nothing new; r000001 (0 generated" in again.out
    assert "rolled back from" in again.err
    assert shell("run", "cast", "--republish", "--json").json["release"] == "r000003"
    assert (
        shell("rollback", "cast", "r000002").out
        == "cast: r000002 counts now (was r000003); no version was deleted\n"
    )


# Export


def test_a_version_is_copied_out_under_readable_names(shell, two):
    said = shell("export", "cast", "--to", "out", "--json")
    assert said.json == {"catalog": "cast", "release": "r000002", "pictures": 4, "to": "out"}
    listing = json.loads((two / "out/release.json").read_bytes())
    assert [row["id"] for row in listing["pictures"]] == ["aria/happy", "aria/sad", "ren/happy", "ren/sad"]
    for row in listing["pictures"]:
        data = (two / "out" / row["file"]).read_bytes()
        assert pixel_digest(decode(data)) == row["pixels"]
        assert read_record(data)["seed"] == row["seed"]
    assert (two / "out/contact-sheet.png").is_file()


def test_a_public_copy_leaves_prompts_seeds_and_models_out(shell, two):
    shell("export", "cast", "--to", "out", "--profile", "public")
    listing = json.loads((two / "out/release.json").read_bytes())
    assert set(listing["pictures"][0]) == {"id", "file", "width", "height", "pixels"}
    for row in listing["pictures"]:
        data = (two / "out" / row["file"]).read_bytes()
        assert pixel_digest(decode(data)) == row["pixels"]
        assert set(read_record(data)) == {"format", "key", "software"}
        assert not any(
            word in data for word in (b"blue_hair", b"black_hair", b"lowres", b"parameters", b"appearance")
        )


def test_a_zip_of_a_version_is_the_same_every_time(shell, two):
    shell("export", "cast", "--to", "one.zip")
    shell("export", "cast", "--to", "two.zip")
    assert (two / "one.zip").read_bytes() == (two / "two.zip").read_bytes()
    with zipfile.ZipFile(two / "one.zip") as archive:
        assert archive.testzip() is None
        assert "pictures/aria/sad.png" in archive.namelist()


def test_only_some_pictures_of_an_older_version_may_be_copied(shell, two):
    said = shell("export", "cast", "--to", "out", "--only", "aria/*", "--release", "r000001", "--json")
    assert (said.json["pictures"], said.json["release"]) == (2, "r000001")
    assert not (two / "out/contact-sheet.png").exists()


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(shell, two):
    (two / "out").mkdir()
    assert shell("export", "cast", "--to", "out").code == 1
    assert list((two / "out").iterdir()) == []
    assert shell("export", "cast", "--to", "none", "--only", "x").code == 1
    damage_picture(two)
    for place in ("torn", "torn.zip"):
        assert shell("export", "cast", "--to", place).code == 1
    assert not list(two.glob("*torn*")) + list(two.glob(".*torn*"))


# Verify and gc


def test_a_whole_store_is_told_so(shell, two):
    said = shell("verify")
    assert said.code == 0
    assert said.out.startswith("2 releases, 8 pictures, ")
    assert said.out.endswith(" files: all whole\n")
    found = shell("verify", "cast", "--pixels", "--json").json
    assert set(found) == {"ok", "releases", "pictures", "files", "damaged", "repaired"}
    assert (found["ok"], found["damaged"]) == (True, [])


def test_damage_is_named_repaired_and_made_again(shell, two):
    picture = damage_picture(two)
    said = shell("verify")
    assert said.code == 1
    assert f"damaged: cast · r000002 · {picture}: " in said.out
    found = shell("verify", "--repair", "--json").json
    assert not found["ok"]
    assert set(found["damaged"][0]) == {"set", "release", "id", "object", "problem"}
    assert any(name.startswith("objects/") for name in found["repaired"])
    report = shell("run", "cast", "--json").json
    assert (report["generated"], report["new"]) == (1, False)
    assert shell("verify").code == 0


def test_gc_is_a_dry_run_unless_applied(shell, two):
    plain = shell("gc")
    assert plain.code == 0
    assert plain.out.startswith("no version needs: ")
    found = shell("gc", "--apply", "--keep-days", "0", "--json").json
    assert set(found) == {"applied", "live", "objects", "actions", "views", "emptied", "bytes"}
    assert found["applied"]
    assert shell("verify").code == 0


def test_gc_refuses_while_a_release_cannot_be_read(shell, two):
    digest = shell("show", "cast", "--json").json["digest"]
    with Store.open(two / "store", durable=False) as store:
        place = store.driver.local_path(object_name(digest))
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    said = shell("gc", "--apply", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "E_GC_UNREADABLE")


@pytest.mark.parametrize("days", ["-1", "many", "99999999999"])
def test_gc_refuses_days_that_are_none(shell, two, days):
    assert shell("gc", "--keep-days", days).code == 2
