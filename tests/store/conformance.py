"""What every Driver promises. Each function takes a fresh driver; `PROMISES` lists them all.

A new driver (object store, network share) joins `test_conformance.py` and must keep every one.
"""

import threading
import time

import pytest

from newbie_core.errors import LockedError, MissingError, StoreError
from newbie_core.store import Driver

BAD_NAMES = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a\\b",
    "a\0b",
    "a\nb",
    "\ud800",
]


def what_is_put_reads_back_whole(driver: Driver):
    items = [(f"objects/{number % 7}/{number}", bytes([number]) * number) for number in range(100)]
    assert driver.put_many(items) == [name for name, _ in items]
    assert [driver.read(name) for name, _ in items] == [data for _, data in items]


def a_name_of_the_same_size_is_left_alone_and_of_another_replaced(driver: Driver):
    driver.put_many([("a", b"first"), ("b", b"first")])
    assert driver.put_many([("a", b"other"), ("b", b"longer one")]) == ["b"]
    assert (driver.read("a"), driver.read("b")) == (b"first", b"longer one")


def records_after_the_items_always_replace(driver: Driver):
    driver.put_many([], then=[("actions/a", b"first")])
    assert driver.put_many([("objects/o", b"o")], then=[("actions/a", b"other")]) == ["objects/o"]
    assert driver.read("actions/a") == b"other"


def what_is_not_there_is_told_apart(driver: Driver):
    assert driver.stat("a/b") is None
    with pytest.raises(MissingError, match="a/b"):
        driver.read("a/b")


def names_are_sorted_and_below_their_folder_only(driver: Driver):
    names = ["a-b/c", "a/b", "a/b.c", "ab/c", "z/y/x"]
    driver.put_many([(name, b"x") for name in reversed(names)])
    assert list(driver.names()) == sorted(names)
    assert list(driver.names("a")) == ["a/b", "a/b.c"]
    assert list(driver.names("z")) == ["z/y/x"]
    assert list(driver.names("nothing")) == []


def create_publishes_once_and_never_replaces(driver: Driver):
    assert driver.create("releases/r1", b"mine")
    assert not driver.create("releases/r1", b"yours")
    assert driver.read("releases/r1") == b"mine"


def one_of_many_threads_creates(driver: Driver):
    results = []
    barrier = threading.Barrier(8)

    def run(number):
        barrier.wait()
        results.append((driver.create("r", b"%d" % number), number))

    _in_threads(run, 8)
    (winner,) = [number for won, number in results if won]
    assert driver.read("r") == b"%d" % winner


def replace_puts_the_new_in_the_place_of_the_old(driver: Driver):
    for data in (b"old", b"newer", b""):
        driver.replace("refs/LATEST", data)
        assert driver.read("refs/LATEST") == data


def append_adds_at_the_end(driver: Driver):
    for data in (b"one\n", b"", b"two\n"):
        driver.append("runs/r/journal", data)
    assert driver.read("runs/r/journal") == b"one\ntwo\n"


def append_goes_on_after_a_replace(driver: Driver):
    driver.append("j", b"one\ntor")
    driver.replace("j", b"one\n")
    driver.append("j", b"two\n")
    assert driver.read("j") == b"one\ntwo\n"


def remove_takes_away_and_may_be_repeated(driver: Driver):
    driver.replace("a/b", b"x")
    driver.remove("a/b")
    driver.remove("a/b")
    driver.remove("never/was")
    assert driver.stat("a/b") is None


def a_move_takes_the_bytes_along(driver: Driver):
    driver.put_many([("a/1", b"1"), ("a/2", b"2")])
    driver.move_many([("a/1", "trash/t/a/1"), ("a/2", "trash/t/a/2")])
    assert list(driver.names()) == ["trash/t/a/1", "trash/t/a/2"]
    assert driver.read("trash/t/a/2") == b"2"
    with pytest.raises(MissingError):
        driver.move_many([("a/1", "b")])


def a_token_changes_with_the_bytes_and_only_then(driver: Driver):
    driver.replace("a", b"12345")
    first = driver.stat("a")
    driver.read("a")
    assert driver.stat("a")[:2] == first[:2]
    assert first.size == 5
    driver.replace("a", b"54321")
    assert driver.stat("a").token != first.token


def tokens_settle(driver: Driver):
    driver.replace("a", b"1")
    time.sleep(0.02)
    assert driver.stat("a").settled


def stat_many_answers_in_order(driver: Driver):
    driver.put_many([("a/1", b"1"), ("b/22", b"22")])
    found = driver.stat_many(["b/22", "a/none", "none/at/all", "a/1", "a/1/below"])
    assert [stat and stat.size for stat in found] == [2, None, None, 1, None]


def names_that_leave_the_store_are_refused_by_every_verb(driver: Driver):
    driver.replace("good", b"x")
    for name in BAD_NAMES:
        for act in _verbs(driver):
            with pytest.raises(StoreError, match="is not a name in the store"):
                act(name)


def an_exclusive_lock_keeps_everybody_out(driver: Driver):
    with driver.lock("locks/set", shared=False):
        for shared in (True, False):
            with pytest.raises(LockedError), driver.lock("locks/set", shared=shared):
                pass
        with driver.lock("locks/other", shared=False):
            pass
    with driver.lock("locks/set", shared=False):
        pass


def shared_locks_share_and_keep_the_exclusive_out(driver: Driver):
    with (
        driver.lock("lock", shared=True),
        driver.lock("lock", shared=True),
        pytest.raises(LockedError),
        driver.lock("lock", shared=False),
    ):
        pass


def a_lock_is_waited_for_as_long_as_asked(driver: Driver):
    held, done = threading.Event(), threading.Event()

    def hold():
        with driver.lock("lock", shared=False):
            held.set()
            done.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    began = time.monotonic()
    with pytest.raises(LockedError), driver.lock("lock", shared=False, wait=0.1):
        pass
    assert time.monotonic() - began >= 0.1
    threading.Timer(0.1, done.set).start()
    with driver.lock("lock", shared=False, wait=5):
        pass
    holder.join()


def a_lock_is_free_after_an_error_inside(driver: Driver):
    with pytest.raises(ZeroDivisionError), driver.lock("lock", shared=False):
        raise ZeroDivisionError
    with driver.lock("lock", shared=False):
        pass


def threads_may_put_the_same_things_at_once(driver: Driver):
    items = [(f"objects/{number:02x}", b"%d" % number * 50) for number in range(40)]
    _in_threads(lambda number: driver.put_many(items[number:] + items[:number]), 4)
    assert [(name, driver.read(name)) for name in driver.names()] == items


def the_clock_goes_and_free_room_is_known_or_none(driver: Driver):
    assert abs(driver.now() - time.time()) < 60
    room = driver.free_bytes()
    assert room is None or room > 0


def prepared_folders_hold_no_names_and_nothing_is_there_to_sweep(driver: Driver):
    driver.prepare(["objects/00", "objects/01"])
    driver.prepare(["objects/00"])
    assert list(driver.names()) == []
    assert driver.sweep() == 0


def _verbs(driver):
    yield driver.read
    yield driver.stat
    yield driver.remove
    yield driver.local_path
    yield lambda name: driver.stat_many([name])
    yield lambda name: driver.create(name, b"x")
    yield lambda name: driver.replace(name, b"x")
    yield lambda name: driver.append(name, b"x")
    yield lambda name: driver.put_many([(name, b"x")])
    yield lambda name: driver.put_many([], then=[(name, b"x")])
    yield lambda name: driver.move_many([("good", name)])
    yield lambda name: driver.prepare([name])
    yield lambda name: driver.lock(name, shared=True).__enter__()


def _in_threads(run, count):
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


PROMISES = [
    what_is_put_reads_back_whole,
    a_name_of_the_same_size_is_left_alone_and_of_another_replaced,
    records_after_the_items_always_replace,
    what_is_not_there_is_told_apart,
    names_are_sorted_and_below_their_folder_only,
    create_publishes_once_and_never_replaces,
    one_of_many_threads_creates,
    replace_puts_the_new_in_the_place_of_the_old,
    append_adds_at_the_end,
    append_goes_on_after_a_replace,
    remove_takes_away_and_may_be_repeated,
    a_move_takes_the_bytes_along,
    a_token_changes_with_the_bytes_and_only_then,
    tokens_settle,
    stat_many_answers_in_order,
    names_that_leave_the_store_are_refused_by_every_verb,
    an_exclusive_lock_keeps_everybody_out,
    shared_locks_share_and_keep_the_exclusive_out,
    a_lock_is_waited_for_as_long_as_asked,
    a_lock_is_free_after_an_error_inside,
    threads_may_put_the_same_things_at_once,
    the_clock_goes_and_free_room_is_known_or_none,
    prepared_folders_hold_no_names_and_nothing_is_there_to_sweep,
]
