import contextlib
import errno
import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from newbie_core.digests import digest_bytes
from newbie_core.errors import LockedError, MissingError, StoreError
from newbie_core.store import LocalDriver, Store

REPOSITORY = Path(__file__).parents[2]
FORK = multiprocessing.get_context("fork")

WRITER = """
import os, sys
from pathlib import Path
from newbie_core.store import Store
store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for digest in store.put_many([os.urandom(3000) for _ in range(20)]):
        print(digest, flush=True)
"""


def start(script, *args):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )


def temporaries(root):
    return [path for path in (root / "tmp").glob("*/*") if path.name != "lock"]


def test_a_writer_killed_in_mid_put_leaves_whole_objects_and_nothing_after_the_sweep(tmp_path):
    acknowledged = set()
    for round_number in range(10):
        with start(WRITER, tmp_path) as writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(0.011 * (round_number + 1))
            writer.kill()
            acknowledged.update(line.strip() for line in writer.stdout if len(line) == 65)
    store = Store.open(tmp_path)
    found = list(store.objects())
    assert acknowledged <= set(found)
    assert acknowledged
    assert [digest for digest in found if digest_bytes(store.get(digest)) != digest] == []
    store.driver.sweep()
    assert temporaries(tmp_path) == []
    assert [path for path in (tmp_path / "tmp").iterdir() if path.name != "lock"] == []


def test_the_temporaries_of_a_living_writer_are_not_swept(tmp_path):
    driver = LocalDriver(tmp_path)
    with driver._temporaries.staged([("name", b"data")], 0o444):
        assert LocalDriver(tmp_path).sweep() == 0
        assert len(temporaries(tmp_path)) == 1
    assert temporaries(tmp_path) == []


def test_a_closed_driver_leaves_no_folder_and_still_works(tmp_path):
    driver = LocalDriver(tmp_path)
    for data in (b"one", b"two!"):
        driver.put_many([("a", data)])
        driver.close()
        assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["lock"]
    assert driver.read("a") == b"two!"


def test_a_driver_goes_on_when_somebody_cleans_its_temporaries_away(tmp_path):
    driver = LocalDriver(tmp_path)
    driver.put_many([("a", b"1")])
    for folder in (tmp_path / "tmp").glob("*-*"):
        (folder / "lock").unlink()
        folder.rmdir()
    driver.put_many([("b", b"2")])
    assert list(driver.names()) == ["a", "b"]


def in_child(run):
    """Run in a forked process and give its exit code: 0 unless it raised."""

    def alone():
        code = 1
        try:
            run()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            # Without what other libraries of this process (Prefect) have put off until its threads end.
            os._exit(code)

    child = FORK.Process(target=alone)
    child.start()
    child.join()
    return child.exitcode


def test_a_forked_child_writes_beside_its_parent(tmp_path):
    driver = LocalDriver(tmp_path)
    driver.put_many([("a", b"1")])
    assert in_child(lambda: driver.put_many([("b", b"2")])) == 0
    driver.put_many([("c", b"3")])
    assert list(driver.names()) == ["a", "b", "c"]


def _create(root, barrier, number, wins):
    driver = LocalDriver(root, durable=False)
    for round_number in range(40):
        barrier.wait()
        if driver.create(f"releases/r{round_number}", b"%d" % number):
            wins.put((round_number, number))


def test_of_two_processes_that_create_a_name_exactly_one_wins(tmp_path):
    barrier, wins = FORK.Barrier(2), FORK.Queue()
    children = [FORK.Process(target=_create, args=(tmp_path, barrier, number, wins)) for number in (1, 2)]
    for child in children:
        child.start()
    winners = dict(wins.get(timeout=20) for _ in range(40))
    for child in children:
        child.join()
    assert wins.empty()
    driver = LocalDriver(tmp_path)
    assert {name: driver.read(name) for name in driver.names("releases")} == {
        f"releases/r{round_number}": b"%d" % number for round_number, number in winners.items()
    }


HOLDER = """
import sys, time
from pathlib import Path
from newbie_core.store import Store
with Store.open(Path(sys.argv[1])).writing("leads"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_free_as_soon_as_its_holder_is_killed(tmp_path):
    store = Store.open(tmp_path)
    with start(HOLDER, tmp_path) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match='"leads"') as caught, store.writing("leads"):
            pass
        assert caught.value.exit_code == 11
        with store.writing("villains"), pytest.raises(LockedError), store.collecting():
            pass
        holder.send_signal(signal.SIGKILL)
    with store.writing("leads"), store.publishing():
        pass
    assert all(path.stat().st_size == 0 for path in (tmp_path / "locks").rglob("*") if path.is_file())


class FailingCall:
    """Stands in for an os function and raises on chosen calls, counted from 1."""

    def __init__(self, real, number, *calls):
        self.real, self.number, self.calls, self.count = real, number, calls, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        if not self.calls or self.count in self.calls:
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("call", range(1, 9))
def test_after_one_failed_sync_everything_is_whole(call, tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    store.put(b"warm up")
    monkeypatch.setattr(os, "fsync", FailingCall(os.fsync, errno.EIO, call))
    pictures = [(f"{number:064x}", b"%d" % number * 99, {"n": number}) for number in range(3)]
    digests = store.commit(pictures)
    assert [store.get(digest) for digest in digests] == [data for _, data, _ in pictures]
    assert [store.recall(key) for key, _, _ in pictures] == [record for _, _, record in pictures]


def test_a_failed_sync_has_the_bytes_written_to_a_new_file(tmp_path, monkeypatch):
    driver = LocalDriver(tmp_path)
    driver.put_many([("warm", b"up")])
    synced = []
    failing = FailingCall(lambda handle: synced.append(os.fstat(handle).st_ino), errno.EIO, 1)
    monkeypatch.setattr(os, "fsync", failing)
    driver.put_many([("a", b"data")])
    assert synced[0] == (tmp_path / "a").stat().st_ino


@pytest.mark.parametrize("verb", ["put_many", "create", "replace", "append"])
def test_a_sync_that_keeps_failing_is_an_error_that_names_the_path(verb, tmp_path, monkeypatch):
    driver = LocalDriver(tmp_path)
    driver.replace("a/warm", b"up")
    monkeypatch.setattr(os, "fsync", FailingCall(os.fsync, errno.EIO))
    with pytest.raises(StoreError, match=r"a.*disk"):
        if verb == "put_many":
            driver.put_many([("a/x", b"data")])
        else:
            getattr(driver, verb)("a/x", b"data")
    assert temporaries(tmp_path) == []


def test_an_object_whose_folder_cannot_be_synced_is_not_left_for_a_later_put_to_trust(tmp_path, monkeypatch):
    driver = LocalDriver(tmp_path)
    driver.put_many([("a/warm", b"up")])
    monkeypatch.setattr(os, "fsync", FailingCall(os.fsync, errno.EIO, 2, 4))
    with pytest.raises(StoreError, match=r"new names durable.*check the disk"):
        driver.put_many([("a/x", b"data")])
    assert list(driver.names()) == ["a/warm"]
    assert driver.put_many([("a/x", b"data")]) == ["a/x"]


def test_an_append_whose_sync_failed_once_is_whole(tmp_path, monkeypatch):
    driver = LocalDriver(tmp_path)
    driver.append("journal", b"one\n")
    monkeypatch.setattr(os, "fsync", FailingCall(os.fsync, errno.EIO, 1))
    driver.append("journal", b"two\n")
    driver.append("journal", b"three\n")
    assert driver.read("journal") == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (
            errno.ENOSPC,
            "E_STORE_FULL",
            r"disk is full: [\d,]+ of [\d,]+ bytes are free and 4 were.*free space",
        ),
        (errno.EDQUOT, "E_STORE_FULL", "quota"),
        (errno.EROFS, "E_STORE_READONLY", "read-only"),
        (errno.EACCES, "E_STORE", "permission denied"),
    ],
)
@pytest.mark.parametrize("function", ["write", "fsync"])
def test_what_cannot_be_mended_is_raised_at_once_with_path_and_advice(
    number, code, words, function, tmp_path, monkeypatch
):
    driver = LocalDriver(tmp_path)
    driver.put_many([("a/warm", b"up")])
    failing = FailingCall(getattr(os, function), number, 1)
    monkeypatch.setattr(os, function, failing)
    with pytest.raises(StoreError, match=words) as caught:
        driver.put_many([("a/b", b"data")])
    assert caught.value.code == code
    assert str(tmp_path / "a/b") in str(caught.value)
    assert failing.count == 1
    assert temporaries(tmp_path) == []
    assert driver.stat("a/b") is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("function", ["open", "write", "fsync", "rename", "mkdir", "link"])
def test_whichever_call_fails_things_are_whole_or_absent_and_a_second_try_succeeds(
    function, number, tmp_path, monkeypatch
):
    store = Store.open(tmp_path)
    (tmp_path / "actions/ab").rmdir()
    call, reached = 0, True
    while reached:
        call += 1
        pictures = [
            (f"{kind}{call:062x}", f"{kind}{call}".encode() * 99, {"n": call}) for kind in ("ab", "cd")
        ]
        failing = FailingCall(getattr(os, function), number, call)
        with monkeypatch.context() as patch, contextlib.suppress(StoreError):
            patch.setattr(os, function, failing)
            store.commit(pictures)
            store.driver.create(f"releases/r{call}", b"x" * 99)
        reached = failing.count >= call
        assert temporaries(tmp_path) == []
        assert [name for name in store.every_file() if name[:3] != "rel" and store.check_file(name)] == []
        for key, data, _ in pictures:
            assert store.recall(key) is None or store.has(digest_bytes(data))
        store.commit(pictures)
        assert [store.recall(key) for key, _, _ in pictures] == [record for _, _, record in pictures]
    assert call > 1


def _write_past_the_limit(root):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    driver = LocalDriver(root)
    driver.append("journal", b"x" * 900)
    for act in (
        lambda: driver.put_many([("a", b"small"), ("b", b"x" * 2000)]),
        lambda: driver.append("journal", b"y" * 200),
    ):
        with pytest.raises(StoreError, match="ulimit"):
            act()


def test_a_write_cut_short_by_the_system_leaves_nothing_half_done(tmp_path):
    assert in_child(lambda: _write_past_the_limit(tmp_path)) == 0
    driver = LocalDriver(tmp_path)
    assert {name: driver.read(name) for name in driver.names()} == {"journal": b"x" * 900}
    assert temporaries(tmp_path) == []


def test_a_write_taken_in_small_pieces_is_whole(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    driver = LocalDriver(tmp_path)
    driver.put_many([("a", bytes(range(100)))])
    assert driver.read("a") == bytes(range(100))


def test_planted_links_are_refused_and_named(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b").write_bytes(b"secret")
    root = tmp_path / "store"
    root.mkdir()
    driver = LocalDriver(root)
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "b")
    (root / "dangling").symlink_to(outside / "new")
    for name, link in [
        ("folder/b", "folder"),
        ("folder/new", "folder"),
        ("file", "file"),
        ("dangling", "dangling"),
    ]:
        for act in (
            lambda name=name: driver.read(name),
            lambda name=name: driver.stat(name),
            lambda name=name: driver.put_many([(name, b"planted")]),
            lambda name=name: driver.put_many([], then=[(name, b"planted")]),
            lambda name=name: driver.replace(name, b"planted"),
            lambda name=name: driver.append(name, b"planted"),
            lambda name=name: driver.lock(name, shared=False).__enter__(),
        ):
            with pytest.raises(StoreError, match=f"{root / link}: .*symbolic link"):
                act()
    for name in ("folder/new", "dangling"):
        with pytest.raises(StoreError, match="symbolic link"):
            driver.create(name, b"planted")
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"b": b"secret"}
    assert set(driver.names()) == {"dangling", "file", "folder"}


def test_a_pipe_in_the_place_of_a_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="pipe"):
        LocalDriver(tmp_path).read("pipe")


def test_objects_are_read_only_and_journals_are_not(tmp_path):
    driver = LocalDriver(tmp_path)
    driver.put_many([("object", b"x")])
    driver.append("journal", b"x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("object", "journal")]
    assert [mode & 0o222 for mode in modes] == [0, 0o200]


def test_writing_where_the_root_has_gone_says_so(tmp_path):
    with pytest.raises(MissingError, match="gone"):
        LocalDriver(tmp_path / "gone").put_many([("a", b"x")])
