"""A run may be killed at any moment: nothing published is harmed, and the next run goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from line import (
    IN_FLIGHT,
    Ended,
    Reference,
    dice,
    end,
    here,
    latest,
    make_catalog,
    process,
    release_number,
    remembered,
    require_converges,
    require_sound,
    start,
    temporaries,
    two_at_a_time,
)

SUITE_ROUNDS, CAMPAIGN_ROUNDS = 10, 200

COUNTING = """
import os, sys
from newbie_core.engines import sketch
drawn, draw = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND), sketch._draw
def counted(job):
    picture = draw(job)
    os.write(drawn, job.key.encode() + b"\\n")
    return picture
sketch._draw = counted
from newbie_core.cli import main
sys.exit(main())
"""
"""The command, noting each picture the engine gives."""


def kill_after(seconds: float, reference: Reference, store: Path) -> int:
    """Start a run and kill it, and its children, after so many seconds; its exit code."""
    running = start("run", reference.catalog, "--store", store, "--json")
    try:
        running.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        running.kill()
    return end(running).code


def kill_and_resume(
    reference: Reference, folder: Path, number: int, resume: Callable[..., Ended] = process
) -> int:
    """One round: up to three kills, the oracle after each, then a run to the end; how many kills hit."""
    random, store = dice("kill", number), folder / f"round-{number}"
    hits = 0
    for _ in range(random.randint(1, 3)):
        code = kill_after(random.uniform(0, reference.seconds), reference, store)
        assert code in (0, -signal.SIGKILL)
        hits += code != 0
        require_sound(store, allowed=[None, reference.digest])
    require_converges(store, reference.catalog, reference, run=resume)
    shutil.rmtree(store)
    return hits


def test_a_run_killed_at_any_moment_goes_on_to_the_same_release(reference: Reference, tmp_path: Path) -> None:
    hits = two_at_a_time(lambda n: kill_and_resume(reference, tmp_path, n, here), range(SUITE_ROUNDS))
    assert sum(hits) >= SUITE_ROUNDS / 2


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_two_hundred_rounds_of_kills_lose_nothing(reference: Reference, tmp_path: Path) -> None:
    rounds = range(SUITE_ROUNDS, SUITE_ROUNDS + CAMPAIGN_ROUNDS)
    hits = two_at_a_time(lambda n: kill_and_resume(reference, tmp_path, n), rounds)
    print(f"{CAMPAIGN_ROUNDS} rounds, {sum(hits)} kills in mid-run, 0 damaged")
    assert sum(hits) >= CAMPAIGN_ROUNDS / 2


def test_a_killed_run_loses_no_more_than_the_pictures_in_flight(tmp_path: Path) -> None:
    catalog, store, drawn = (
        make_catalog(tmp_path / "many", characters=20),
        tmp_path / "store",
        tmp_path / "drawn",
    )
    counting = (sys.executable, "-c", COUNTING, str(drawn))
    lost = []
    for share in (0.2, 0.5, 0.8):
        running = start("run", catalog, "--store", store, "--json", command=counting)
        while running.poll() is None and (len(lines(drawn)) < share * 80):
            time.sleep(0.002)
        running.kill()
        end(running)
        before = remembered(store)
        lost.append(len(lines(drawn)) - before - sum(lost))
    ended = process("run", catalog, "--store", store, "--json", command=counting)
    assert ended.code == 0, ended.err
    assert ended.json["generated"] == 80 - before
    assert len(lines(drawn)) == 80 + sum(lost)
    assert max(lost) <= IN_FLIGHT + 1


def lines(path: Path) -> list[bytes]:
    """The lines of a file that may not be there yet."""
    return path.read_bytes().splitlines() if path.exists() else []


def test_a_run_stopped_by_sigterm_keeps_what_it_made_and_the_last_release(tmp_path: Path) -> None:
    small = make_catalog(tmp_path / "small", characters=2)
    many = make_catalog(tmp_path / "many", characters=20)
    store = tmp_path / "store"
    first = process("run", small, "--store", store, "--json")
    running = start("run", many, "--store", store, "--json")
    while running.poll() is None and remembered(store) < 20:
        time.sleep(0.002)
    running.send_signal(signal.SIGTERM)
    stopped = end(running)
    assert stopped.code == 143, stopped.err
    assert "Traceback" not in stopped.err
    assert latest(store) == first.json["digest"]
    assert temporaries(store) == []
    made = remembered(store)
    assert 20 <= made < 80
    resumed = process("run", many, "--store", store, "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["generated"] == 80 - made
    require_sound(store, allowed=[resumed.json["digest"]])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_sigterm_at_any_other_moment_ends_with_143_and_no_harm(
    reference: Reference, store: Path, share: float
) -> None:
    running = start("run", reference.catalog, "--store", store, "--json")
    time.sleep(share * reference.seconds)
    running.send_signal(signal.SIGTERM)
    stopped = end(running)
    assert stopped.code in (0, 143, -signal.SIGTERM), stopped.err
    require_sound(store, allowed=[None, reference.digest])
    require_converges(store, reference.catalog, reference)


def test_the_next_run_starts_at_once_when_the_lock_holder_was_killed(
    reference: Reference, store: Path
) -> None:
    running = start("run", reference.catalog, "--store", store, "--json")
    while running.poll() is None and not remembered(store):
        time.sleep(0.002)
    running.kill()
    end(running)
    assert (store / "locks" / "sets" / "cast").exists()
    ended = require_converges(store, reference.catalog, reference)
    assert ended.json["seconds"] < 10


def test_release_numbers_do_not_come_from_a_clock(tmp_path: Path) -> None:
    store, numbers = tmp_path / "store", []
    for characters in (1, 2, 3):
        catalog = make_catalog(tmp_path / f"catalog-{characters}", characters=characters)
        for path in store.rglob("*"):
            os.utime(
                path, (4e9, 4e9), follow_symlinks=False
            )  # files of the year 2096: a clock set back since
        ended = here("run", catalog, "--store", store, "--json")
        assert ended.code == 0, ended.err
        numbers.append(release_number(ended.json))
        os.utime(store / "refs" / "cast" / "LATEST", (0, 0))
    assert numbers == [1, 2, 3]
