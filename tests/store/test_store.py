import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from memory_driver import MemoryDriver

from newbie_core.digests import digest_bytes
from newbie_core.errors import DamageError, LockedError, MissingError, StoreError
from newbie_core.store import LocalDriver, Store, object_name, seal
from newbie_core.store.formats import make_store

KEY = "ab" * 32


def object_path(store, digest):
    return store.driver.local_path(object_name(digest))


def overwrite(path, data):
    """Change a file in place, as a failing disk or a careless hand does: size, times and mode are kept."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flip(path, bit=0):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    overwrite(path, data)


class CountingDriver(LocalDriver):
    """A local folder that counts what is read."""

    reads = 0

    def read(self, name):
        self.reads += 1
        return super().read(name)


def objects_read(store, digests):
    """How many objects `check_changed` reads, and what it finds."""
    before = store.driver.reads
    problems = store.check_changed(digests)
    return store.driver.reads - before, problems


@pytest.fixture
def counted(tmp_path):
    driver = CountingDriver(tmp_path / "counted", durable=False)
    driver.root.mkdir()
    make_store(driver)
    return Store(driver)


@pytest.fixture(params=["local", "memory"])
def any_store(request, tmp_path):
    if request.param == "local":
        return Store.open(tmp_path / "any", durable=False)
    driver = MemoryDriver()
    make_store(driver)
    return Store(driver)


def test_an_object_is_named_by_its_digest_and_comes_back(any_store):
    digest = any_store.put(b"picture")
    assert digest == digest_bytes(b"picture")
    assert any_store.get(digest) == b"picture"
    assert any_store.has(digest)
    assert list(any_store.objects()) == [digest]
    assert object_name(digest) == f"objects/{digest[:2]}/{digest[2:]}"


def test_objects_put_together_keep_their_order_and_may_repeat(any_store):
    data = [b"b", b"a", b"b", b""]
    digests = any_store.put_many(data)
    assert [any_store.get(digest) for digest in digests] == data
    assert any_store.put_many([]) == []


def test_what_is_not_there_is_missing(any_store):
    digest = digest_bytes(b"never")
    assert not any_store.has(digest)
    assert any_store.check(digest, quick=True) == any_store.check(digest, quick=False) == "missing"
    assert any_store.check_changed([digest]) == {digest: "missing"}
    with pytest.raises(MissingError):
        any_store.get(digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_what_is_no_digest_is_refused(store, digest):
    for act in (store.get, store.has, lambda digest: store.check_changed([digest]), store.recall):
        if act == store.recall and digest == "ab" * 31:
            continue
        with pytest.raises(StoreError, match="expected"):
            act(digest)


def test_a_damaged_object_is_never_given_out(store):
    digest = store.put(b"picture")
    flip(object_path(store, digest))
    with pytest.raises(DamageError, match=f"{digest[2:]}.*restore"):
        store.get(digest)


@pytest.mark.parametrize(
    ("data", "problem"), [(b"pictura", "changed"), (b"pic", "truncated"), (b"", "truncated")]
)
def test_check_says_what_is_wrong(store, data, problem):
    digest = store.put(b"picture")
    store.check_changed([digest])
    assert store.check(digest, quick=True) is None
    overwrite(object_path(store, digest), data)
    assert store.check(digest, quick=False) == problem


def test_an_object_behind_a_link_or_folder_is_unreadable(store, tmp_path):
    for place in ("link", "folder"):
        digest = store.put(place.encode())
        path = object_path(store, digest)
        path.unlink()
        if place == "link":
            path.symlink_to(tmp_path)
        else:
            path.mkdir()
        assert store.check(digest, quick=True) == store.check(digest, quick=False) == "unreadable"
        assert store.check_changed([digest]) == {digest: "unreadable"}
        with pytest.raises(StoreError):
            store.put(place.encode())


@pytest.mark.parametrize("damaged", [b"pictura", b"pic"])
def test_putting_an_object_again_mends_it(store, damaged):
    digest = store.put(b"picture")
    overwrite(object_path(store, digest), damaged)
    assert store.put(b"picture") == digest
    assert store.get(digest) == b"picture"


def test_objects_that_nobody_touched_are_not_read_again(counted):
    digests = counted.put_many([b"%d" % number for number in range(20)])
    counted.check_changed(digests)
    assert counted.trusted(digests) == set(digests)
    assert objects_read(counted, digests) == (0, {})
    counted.close()
    again = Store(counted.driver)
    assert again.trusted(digests) == set(digests)
    assert objects_read(again, digests) == (0, {})


def test_a_change_that_restores_size_and_time_is_found_by_reading_one_object(counted):
    digests = counted.put_many([b"%d" % number for number in range(20)])
    for digest in digests:
        flip(object_path(counted, digest))
        assert counted.check_changed(digests) == {digest: "changed"}
        flip(object_path(counted, digest))
    assert counted.check_changed(digests) == {}
    flip(object_path(counted, digests[7]))
    assert objects_read(counted, digests) == (2, {digests[7]: "changed"})  # it, and the index to be merged


def test_two_objects_swapped_are_found(store):
    first, second = store.put_many([b"first one", b"second 1"])
    store.check_changed([first, second])
    paths = [object_path(store, digest) for digest in (first, second)]
    paths[0].rename(paths[0].with_name("x"))
    paths[1].rename(paths[0])
    paths[0].with_name("x").rename(paths[1])
    assert set(store.check_changed([first, second])) == {first, second}


def test_views_are_links_that_do_not_cost_hashing(counted, tmp_path):
    digests = counted.put_many([b"%d" % number for number in range(5)])
    counted.check_changed(digests)
    for digest in digests:
        assert counted.link_view(digest, tmp_path / digest)
        assert counted.link_view(digest, tmp_path / digest)
    counted.note_linked()
    assert objects_read(counted, digests) == (0, {})
    assert [(tmp_path / digest).read_bytes() for digest in digests] == [b"0", b"1", b"2", b"3", b"4"]
    flip(tmp_path / digests[3])
    assert counted.check_changed(digests) == {digests[3]: "changed"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*digests, "counted"])


def test_a_view_replaces_the_file_of_its_name(store, tmp_path):
    (tmp_path / "view").write_bytes(b"old")
    assert store.link_view(store.put(b"new"), tmp_path / "view")
    assert (tmp_path / "view").read_bytes() == b"new"


def test_a_view_is_a_copy_where_links_are_impossible(store, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(18, "Invalid cross-device link")

    digest = store.put(b"picture")
    monkeypatch.setattr(os, "link", refuse)
    assert not store.link_view(digest, tmp_path / "view")
    assert (tmp_path / "view").read_bytes() == b"picture"
    assert object_path(store, digest).stat().st_nlink == 1


def test_a_view_of_a_store_without_files_is_a_copy(tmp_path):
    driver = MemoryDriver()
    make_store(driver)
    store = Store(driver)
    assert not store.link_view(store.put(b"picture"), tmp_path / "view")
    assert (tmp_path / "view").read_bytes() == b"picture"


def test_an_object_damaged_before_it_was_linked_is_still_found(store, tmp_path):
    digest = store.put(b"picture")
    store.check_changed([digest])
    flip(object_path(store, digest))
    store.link_view(digest, tmp_path / "view")
    store.note_linked()
    assert store.check_changed([digest]) == {digest: "changed"}


def test_an_action_is_remembered_and_replaced(any_store):
    assert any_store.recall(KEY) is None
    for record in ({"object": "a"}, {"object": "b"}):
        any_store.remember(KEY, record)
        assert any_store.recall(KEY) == record


def test_a_commit_stores_objects_and_their_records(any_store):
    pictures = [(f"{number:064x}", b"%d" % number, {"number": number}) for number in range(10)]
    digests = any_store.commit(pictures)
    assert [any_store.get(digest) for digest in digests] == [data for _, data, _ in pictures]
    assert [any_store.recall(key) for key, _, _ in pictures] == [record for _, _, record in pictures]


def test_a_damaged_action_is_forgotten_and_listed(store):
    other = "cd" * 32
    for key in (KEY, other):
        store.remember(key, {"object": key})
    path = store.driver.local_path(f"actions/ab/{KEY}")
    flip(path, 8 * 100)
    assert store.recall(KEY) is None
    assert store.damaged_actions() == [f"actions/ab/{KEY}"]
    overwrite(path, store.driver.local_path(f"actions/cd/{other}").read_bytes())
    assert store.recall(KEY) is None
    assert store.damaged_actions() == [f"actions/ab/{KEY}"]


def test_a_memo_comes_back_until_it_is_damaged(store):
    assert store.memo_load("plans/leads") is None
    store.memo_save("plans/leads", b"rows")
    assert store.memo_load("plans/leads") == b"rows"
    path = store.driver.local_path("memo/plans/leads")
    flip(path, 8 * 90)
    assert store.memo_load("plans/leads") is None
    assert not path.exists()


def test_the_index_may_be_lost_or_damaged_at_any_time(store):
    digests = store.put_many([b"a", b"b"])
    store.check_changed(digests)
    path = store.driver.local_path("memo/tokens")
    flip(path, 8 * 120)
    again = Store(store.driver)
    assert again.trusted(digests) == set()
    assert again.check_changed(digests) == {}
    assert again.trusted(digests) == set(digests)
    assert again.check_file("memo/tokens") is None


def test_two_writers_of_the_index_keep_each_others_notes(store):
    other = Store(store.driver)
    first, second = store.put(b"first"), other.put(b"second")
    store.check_changed([first])
    other.check_changed([second])
    assert Store(store.driver).trusted([first, second]) == {first, second}


def test_a_journal_is_read_as_written_and_outlives_a_torn_end(any_store):
    journal = any_store.journal("2026-11-20 nightly")
    assert journal.read() == ([], [])
    journal.append({"event": "started"}, {"event": "made", "n": 1})
    any_store.driver.append(journal.name, b'20 1234abcd {"event"')
    assert journal.read() == ([{"event": "started"}, {"event": "made", "n": 1}], [])
    again = any_store.journal("2026-11-20 nightly")
    again.append({"event": "ended"})
    assert again.read() == ([{"event": "started"}, {"event": "made", "n": 1}, {"event": "ended"}], [])
    assert [found.name for found in any_store.journals()] == [journal.name]


def test_runs_whose_names_look_alike_have_journals_of_their_own(store):
    assert len({store.journal(run).name for run in ("a/b", "a_b", "a?b", "../a")}) == 4


def test_sets_are_written_side_by_side_and_the_collector_alone(any_store):
    with any_store.writing("leads"), any_store.writing("a/b \u2603"), any_store.publishing():
        with pytest.raises(LockedError, match='"leads"'), any_store.writing("leads"):
            pass
        with pytest.raises(LockedError, match="writing to the store"), any_store.collecting():
            pass
    with any_store.collecting(), pytest.raises(LockedError, match="cleaned"), any_store.writing("leads"):
        pass
    with any_store.writing("leads"):
        pass


def test_a_lock_is_waited_for(any_store):
    held, done = threading.Event(), threading.Event()

    def hold():
        with any_store.publishing():
            held.set()
            done.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    threading.Timer(0.1, done.set).start()
    with any_store.publishing(wait=5):
        pass
    holder.join()


def test_what_is_quarantined_or_trashed_is_out_of_use(any_store):
    damaged, unused = any_store.put(b"damaged"), any_store.put(b"unused")
    assert any_store.quarantine(object_name(damaged)) == f"quarantine/{object_name(damaged)}"
    (name,) = any_store.trash(object_name(unused))
    assert name.startswith("trash/20")
    assert name.endswith(f"Z/{object_name(unused)}")
    assert list(any_store.objects()) == []
    assert any_store.check_file(name) is None
    assert list(any_store.every_file()) == ["format.json", name]


def filled(store):
    """A store with a file of every kind, one of each in the trash too."""
    digest = store.put(b"picture")
    store.commit([(KEY, b"another", {"object": "o"})])
    store.memo_save("plan", b"rows")
    store.check_changed(list(store.objects()))
    store.journal("run").append({"event": "started"}, {"event": "ended"})
    store.driver.create("releases/r000001", seal(b"manifest"))
    store.driver.replace("refs/LATEST", seal(b"r000001"))
    store.driver.replace("runs/run/report", seal(b"report"))
    store.trash(object_name(digest))
    with store.writing("leads"):
        return store


def test_a_flipped_bit_of_any_stored_file_is_found(store):
    names = list(filled(store).every_file())
    assert {name.split("/")[0] for name in names} == {
        "actions", "format.json", "memo", "objects", "refs", "releases", "runs", "trash"
    }  # fmt: skip
    assert [name for name in names if store.check_file(name)] == []
    for name in names:
        path = store.driver.local_path(name)
        path.chmod(0o644)
        data = path.read_bytes()
        for bit in range(len(data) * 8):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert store.check_file(name) == "changed", (name, bit)
        path.write_bytes(data)


def test_an_emptied_or_stray_file_is_found(store):
    for name in list(filled(store).every_file()):
        if "journal" not in name:
            overwrite(store.driver.local_path(name), b"")
            assert store.check_file(name), name
    store.driver.replace("objects/ab/notes.txt", b"hello")
    store.driver.replace("notes.txt", b"hello")
    assert store.check_file("objects/ab/notes.txt") == store.check_file("notes.txt") == "unexpected"
    assert store.check_file("objects/ab/none") == "missing"
    assert {"notes.txt", "objects/ab/notes.txt"} <= set(store.every_file())


def test_a_folder_that_is_no_store_is_refused_and_what_is_in_it_is_named(tmp_path):
    (tmp_path / "thesis.docx").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"not empty: found thesis.docx"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_no_store_is_made_where_none_is_wanted(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(MissingError) as caught:
            Store.open(path, create=False)
        assert caught.value.code == "E_NO_STORE"
    assert list(tmp_path.iterdir()) == []


def test_a_store_whose_making_was_cut_short_is_made_on(tmp_path):
    Store.open(tmp_path)
    (tmp_path / "format.json").unlink()
    store = Store.open(tmp_path)
    assert len(list((tmp_path / "objects").iterdir())) == 256
    store.put(b"x")
    (tmp_path / "format.json").unlink()
    with pytest.raises(DamageError, match=r"format.json is missing"):
        Store.open(tmp_path)


def test_an_unknown_format_is_refused_with_the_known_one(store):
    path = store.driver.local_path("format.json")
    overwrite(path, b'{"format":2,"hash":"sha256"}\n')
    with pytest.raises(StoreError, match=r'"format":2.*knows only.*"format":1'):
        Store(store.driver)
    overwrite(path, b"{" * 10)
    with pytest.raises(DamageError, match="damaged"):
        Store(store.driver)


def test_a_store_is_opened_by_several_at_once(tmp_path):
    errors = []

    def run():
        try:
            Store.open(tmp_path / "s", durable=False).put(b"x")
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_the_store_starts_without_the_heavy_libraries():
    code = "import sys, newbie_core.store; print(sorted({'torch', 'numpy', 'PIL'} & {*sys.modules}))"
    root = Path(__file__).parents[2]
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True) == "[]\n"
