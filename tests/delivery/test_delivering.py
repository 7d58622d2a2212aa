"""Folders and zips: whole or not there, nothing overwritten, nothing left behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from newbie_core.delivery import read_pattern
from newbie_core.delivery.fields import describe, table_order
from newbie_core.delivery.places import new_place, sweep_partials
from newbie_core.errors import DeliveryError, ReleaseError, StoreError
from tests.delivery.conftest import make_release

ROOT = Path(__file__).resolve().parents[2]


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_pattern_names_the_files_of_a_folder_and_its_list(export, tmp_path):
    done = export(pattern=read_pattern("{character}/{version}-{expression}.png"))
    assert (done.pictures, done.files) == (4, 4)
    names = [f"{who}/r000001-{face}.png" for who in ("aria", "ren") for face in ("happy", "sad")]
    assert files_in(tmp_path / "out") == sorted([*names, "contact-sheet.png", "release.json", "rights.json"])
    listed = json.loads((tmp_path / "out/release.json").read_bytes())["pictures"]
    assert [row["file"] for row in listed] == names


def test_a_zip_has_the_same_files_and_the_same_bytes_each_time(export, tmp_path):
    pattern = read_pattern("{name}_{expression}_{seed}.png")
    export("one.zip", pattern=pattern)
    export("two", kind="zip", pattern=pattern)
    export("three.zip", kind="folder", pattern=pattern)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert sorted(archive.namelist()) == files_in(tmp_path / "three.zip")
        assert any(name.startswith("Aria_happy_") for name in archive.namelist())


def test_names_that_fall_together_stop_the_export_before_anything_is_written(export, tmp_path):
    with pytest.raises(DeliveryError, match='"aria/happy" has that name too'):
        export(pattern=read_pattern("{character}.png"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_exists_is_overwritten(export, tmp_path):
    (tmp_path / "out").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for place in ("out", "link"):
        with pytest.raises(ReleaseError, match="exists already"):
            export(place)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("packed", [False, True])
def test_what_appears_meanwhile_is_not_overwritten(tmp_path, packed):
    with (
        pytest.raises(ReleaseError, match="exists already"),
        new_place(tmp_path / "out", packed=packed) as place,
    ):
        place.write("a.txt", b"new")
        (tmp_path / "out").write_text("mine")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("packed", [False, True])
def test_a_failure_leaves_nothing_behind(tmp_path, packed):
    with pytest.raises(ZeroDivisionError), new_place(tmp_path / "out", packed=packed) as place:
        place.write("a.txt", b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(export, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        export("file/out")


KILLED = """
import os, signal, sys
from pathlib import Path
from newbie_core.delivery.places import new_place
with new_place(Path(sys.argv[1]), packed=sys.argv[2] == "zip") as place:
    place.write("a.txt", b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_next_export_removes_what_a_killed_one_left(export, tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "out"), kind],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGKILL
    left = list(tmp_path.iterdir())
    assert [path.suffix for path in left] == [".part"]
    export()
    assert not left[0].exists() and (tmp_path / "out").is_dir()


def test_an_export_under_way_keeps_its_partial_place(tmp_path):
    with new_place(tmp_path / "one", packed=False) as place:
        assert sweep_partials(tmp_path) == 0
        place.write("a.txt", b"whole")
    assert (tmp_path / "one/a.txt").read_bytes() == b"whole"


def test_only_partial_places_of_ours_are_swept(tmp_path):
    for name in (".newbie-export-0123456789ab.part", ".newbie-export-x.part", "mine.part", ".torn.part"):
        (tmp_path / name).mkdir()
    held = os.open(tmp_path / ".newbie-export-0123456789ab.part", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert sweep_partials(tmp_path) == 0
    os.close(held)
    assert sweep_partials(tmp_path) == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_the_fields_of_a_picture_are_its_ids_its_cells_and_its_settings(shelf, release):
    pictures = describe(shelf, release, release.content.entries)
    fields = pictures[0].fields
    assert {name: fields[name] for name in ("id", "character", "expression", "name", "version", "copy")} == {
        "id": "aria/happy",
        "character": "aria",
        "expression": "happy",
        "name": "Aria",
        "version": "r000001",
        "copy": "1",
    }
    assert fields["seed"] == str(pictures[0].entry.seed)
    assert [picture.fields["number"] for picture in pictures] == ["1", "2", "3", "4"]


def test_without_a_told_order_the_tables_are_known_by_their_rows(shelf, release):
    tables = shelf.tables(release.manifest)
    assert table_order(release, tables, None) == ("characters", "expressions")
    assert table_order(release, tables, ["expressions", "characters"]) == ("expressions", "characters")
    assert table_order(release, tables, ["nowhere", 1]) == ("characters", "expressions")


def test_cells_are_inherited_from_the_base_row_and_copies_are_counted(tmp_path):
    shelf = make_release(
        tmp_path,
        characters="id,base,name,gender,appearance,count\naria,,Aria,1girl,silver_hair,2\naria2,aria,,,,1\n",
    )
    release = shelf.read(shelf.current())
    fields = {p.entry.id: p.fields for p in describe(shelf, release, release.content.entries)}
    assert fields["aria2"]["name"] == "Aria"
    assert (fields["aria#2"]["copy"], fields["aria#2"]["id"]) == ("2", "aria--2")
    shelf.store.close()
