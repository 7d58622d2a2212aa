"""Writers, cleaners and readers at the same time; and the same run elsewhere."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from line import (
    Reference,
    copy_store,
    end,
    here,
    latest,
    make_catalog,
    pictures_of,
    process,
    remembered,
    require_converges,
    require_sound,
    start,
    view_names,
)

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")


def test_of_two_writers_of_one_set_one_proceeds_and_the_other_exits_11_at_once(
    reference: Reference, store: Path
) -> None:
    first = start("run", reference.catalog, "--store", store, "--json")
    while first.poll() is None and not (store / "locks" / "sets" / "cast").exists():
        time.sleep(0.002)
    began = time.monotonic()
    second = process("run", reference.catalog, "--store", store, "--json")
    took = time.monotonic() - began
    ended = end(first)
    assert ended.code == 0, ended.err
    assert second.code == 11, second.err
    assert second.json["error"]["exit_code"] == 11
    assert "cast" in second.json["error"]["message"]
    assert took < 10
    assert ended.json["digest"] == reference.digest
    require_sound(store, allowed=[reference.digest])


def test_many_writers_started_together_publish_one_release(reference: Reference, store: Path) -> None:
    ended = [
        end(writer)
        for writer in [start("run", reference.catalog, "--store", store, "--json") for _ in "1234"]
    ]
    codes = sorted(one.code for one in ended)
    assert codes[0] == 0
    assert set(codes) <= {0, 11}, [one.err for one in ended]
    assert {one.json["release"] for one in ended if one.code == 0} == {"r000001"}
    require_converges(store, reference.catalog, reference)


def test_writers_of_two_sets_both_succeed(reference: Reference, store: Path, tmp_path: Path) -> None:
    other = make_catalog(tmp_path / "other", name="other", characters=2)
    writers = [start("run", catalog, "--store", store, "--json") for catalog in (reference.catalog, other)]
    ended = [end(writer) for writer in writers]
    assert [one.code for one in ended] == [0, 0], [one.err for one in ended]
    assert latest(store) == reference.digest
    require_sound(store, allowed=[ended[1].json["digest"]], name="other")


def test_a_collection_during_a_run_is_refused_or_harmless(
    reference: Reference, store: Path, tmp_path: Path
) -> None:
    small = make_catalog(tmp_path / "small", characters=2)
    assert here("run", small, "--store", store, "--json").code == 0
    collections = []
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            collections.append(here("gc", "--store", store, "--apply", "--keep-days", "0", "--json"))
            done.wait(0.01)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for kill_at in (4, 12, 20, None):
            running = start("run", reference.catalog, "--store", store, "--json")
            while kill_at and running.poll() is None and remembered(store) < kill_at:
                time.sleep(0.001)
            if kill_at:
                running.kill()
            ended = end(running)
            if kill_at is None and ended.code == 11:  # a collection held the store at that moment
                ended = process("run", reference.catalog, "--store", store, "--wait", "30", "--json")
    finally:
        done.set()
        collector.join()
    assert ended.code == 0, ended.err
    assert ended.json["digest"] == reference.digest
    assert {one.code for one in collections} <= {0, 11}, {one.err for one in collections}
    assert any(one.code == 11 for one in collections)
    require_converges(store, reference.catalog, reference)


def test_verify_finds_no_damage_in_a_store_that_is_being_written(
    reference: Reference, store: Path, tmp_path: Path
) -> None:
    verified = []
    small = make_catalog(tmp_path / "small", characters=2)
    assert here("run", small, "--store", store, "--json").code == 0
    running = start("run", reference.catalog, "--store", store, "--json")
    while running.poll() is None:
        verified.append(here("verify", "--store", store, "--json"))
        time.sleep(0.01)
    assert end(running).code == 0
    assert [one.json["damaged"] for one in verified if one.code] == []
    assert len({one.json["files"] for one in verified}) > 1


def as_owner_without_root(*arguments: str) -> list[str]:
    """The command as this user whose rights are those of the files' modes."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", *arguments]


@needs_root
@needs_setpriv
@pytest.mark.parametrize("folder", ["objects", "releases", "refs", "tmp"])
def test_a_folder_that_may_not_be_written_is_named_and_the_run_resumes_when_it_may(
    reference: Reference, store: Path, tmp_path: Path, folder: str
) -> None:
    small = make_catalog(tmp_path / "small", characters=1)
    first = here("run", small, "--store", store, "--json")
    closed = [store / folder, *(path for path in (store / folder).rglob("*") if path.is_dir())]
    for path in closed:
        path.chmod(0o555)
    refused = process("run", reference.catalog, "--store", store, "--json", prefix=as_owner_without_root())
    for path in closed:
        path.chmod(0o755)
    assert refused.code == 1, refused.err
    assert "Traceback" not in refused.err
    assert str(store / folder) in refused.json["error"]["message"]
    assert "permission" in refused.json["error"]["message"]
    require_sound(store, allowed=[first.json["digest"]])
    require_converges(store, reference.catalog, reference, run=here)


@needs_root
def test_a_read_only_disk_is_named_and_nothing_is_lost(reference: Reference, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
    try:
        store = copy_store(reference.store, disk / "store")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        refused = process("run", reference.catalog, "--store", store, "--json")
        assert refused.code == 1
        assert "Traceback" not in refused.err
        assert str(store) in refused.json["error"]["message"]
        assert "read-only" in refused.json["error"]["message"]
        assert here("verify", "--store", store, "--json").code == 0
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        require_converges(store, reference.catalog, reference, run=here)
    finally:
        subprocess.run(["umount", disk], check=True)


AS_NOBODY = (
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)
"""Another user, who may read (the interpreter may lie in a home folder) and write nothing of others."""


@pytest.mark.parametrize(
    "env",
    [
        {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4242", "LANG": "tr_TR.UTF-8"},
    ],
)
def test_the_same_catalog_elsewhere_gives_the_same_digest_and_pictures(
    reference: Reference, tmp_path: Path, env: dict[str, str]
) -> None:
    folder = tmp_path / "a folder of another name ä"
    catalog = Path(shutil.copytree(reference.catalog, folder / "elsewhere"))
    os.utime(catalog / "characters.csv", (0, 0))
    ended = process("run", catalog.name, "--store", "the store", "--json", env=env, cwd=folder)
    assert ended.code == 0, ended.err
    assert ended.json["digest"] == reference.digest
    assert pictures_of(view_names(folder / "the store")) == reference.view


@needs_root
@needs_setpriv
def test_another_user_gets_the_same_digest_and_pictures(reference: Reference, tmp_path: Path) -> None:
    catalog = Path(shutil.copytree(reference.catalog, tmp_path / "theirs"))
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    env = {"HOME": str(home), "USER": "nobody"}
    ended = process("run", catalog, "--store", home / "store", "--json", env=env, prefix=AS_NOBODY, cwd=home)
    if "Operation not permitted" in ended.err and "setpriv" in ended.err:
        pytest.skip(f"setpriv may not change the user here: {ended.err}")
    assert ended.code == 0, ended.err
    assert (home / "store" / "format.json").stat().st_uid == 65534
    assert ended.json["digest"] == reference.digest
    assert pictures_of(view_names(home / "store")) == reference.view
