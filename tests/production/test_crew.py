"""Several processes make one run's pictures; whoever dies loses nothing but time."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from newbie_core.engines import load_engine
from newbie_core.errors import EngineError, LockedError, PlanError
from newbie_core.production import RunOptions, carry_out, open_run
from newbie_core.store import Store
from newbie_core.store.devices import device_holders, device_of, holding_device
from tests.catalogs.building import SMALL, make_catalog
from tests.releases.building import root_of, run

ROOT = Path(__file__).resolve().parents[2]
STRIPES = '[engine]\nname = "tests.engines.plugin:StripesEngine"\n' + SMALL
CHARACTERS = "id,name\n" + "".join(f"c{number},C{number}\n" for number in range(12))


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Locks of devices and notes for the engine, of this test only; child processes find the tests."""
    monkeypatch.setenv("NEWBIE_DEVICE_LOCKS", str(tmp_path / "devices"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notes = tmp_path / "stripes"
    notes.mkdir()
    monkeypatch.setenv("STRIPES", str(notes))
    return notes


@pytest.fixture
def catalog(tmp_path):
    return make_catalog(tmp_path / "cast", toml=STRIPES, characters=CHARACTERS)


def store_at(folder: Path) -> Store:
    return Store.open(folder, durable=False)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(is_true, seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_two_processes_of_which_one_is_killed_publish_what_one_does(tmp_path, catalog, places):
    with store_at(tmp_path / "alone") as store:
        alone = run(catalog, store)
    (places / "made").unlink()
    (places / "slow").write_text("0.15")
    with store_at(tmp_path / "crew") as store:
        killed = []

        def kill_one(crew):
            wait_until(lambda: (places / "made").exists())
            killed.append(crew.processes()[0])
            os.kill(killed[0], signal.SIGKILL)

        with open_run(
            catalog, store=store, root=root_of(store), engines=load_engine, options=RunOptions(workers=2)
        ) as under_way:
            killer = threading.Thread(target=kill_one, args=(under_way._hands,))
            killer.start()
            report = carry_out(under_way)
            killer.join()
            processes = under_way._hands.processes()
    assert killed and killed[0] not in processes
    assert (report.generated, report.failed, report.digest) == (12, [], alone.digest)
    assert not any(alive(pid) for pid in processes)


def test_a_picture_that_kills_its_process_fails_and_the_others_are_made(tmp_path, catalog, places):
    toml = STRIPES.replace("plugin:StripesEngine", "deadly:DeadlyEngine")
    make_catalog(catalog, toml=toml + "[run]\nworkers = 2\n", characters=CHARACTERS)
    (places / "deadly").write_text("c5")
    with store_at(tmp_path / "store") as store:
        report = run(catalog, store)
    assert [picture_id for picture_id, _ in report.failed] == ["c5"]
    assert "died twice (signal 9)" in report.failed[0][1]
    assert report.generated == 11


def test_an_engine_that_cannot_work_ends_the_run_with_its_own_words(tmp_path, catalog, places):
    (places / "broken").write_text("*")
    with store_at(tmp_path / "store") as store, pytest.raises(EngineError, match="the stripes ran out"):
        run(catalog, store, workers=2)


def test_processes_take_the_devices_that_are_free_and_die_with_their_parent(tmp_path, catalog, places):
    toml = STRIPES + '[run]\ndevices = ["cpu-a", "cpu-b"]\n[canary]\npictures = 1\n'
    make_catalog(catalog, toml=toml, characters=CHARACTERS)
    (places / "slow").write_text("0.5")
    command = [
        sys.executable,
        "-m",
        "newbie_core.cli",
        "run",
        str(catalog),
        "--store",
        str(tmp_path / "store"),
    ]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(device_holders()) == 2 and (places / "made").exists())
        held = device_holders()
        assert set(held) == {"cpu-a", "cpu-b"}
        assert {holder["purpose"] for holder in held.values()} == {"newbie run cast"}
        children = [int(holder["pid"]) for holder in held.values()]
        told: list[str] = []
        with (
            pytest.raises(LockedError, match=r"cpu-a is held by newbie run cast \(process \d+, since "),
            holding_device(["cpu-a", "cpu-b"], purpose="another", told=told.append, wait=0),
        ):
            pass
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not any(alive(pid) for pid in children))
    wait_until(lambda: not device_holders())
    (places / "slow").unlink()
    with store_at(tmp_path / "store") as store:
        assert run(catalog, store).exit_code == 0
    assert len(set((places / "made").read_text().split())) == 12


def test_who_waits_for_a_device_says_for_whom_and_gets_it_next(tmp_path):
    told: list[str] = []
    got = threading.Event()

    def wait_for_it() -> None:
        with holding_device(["0"], purpose="nightly brand", told=told.append):
            got.set()

    with holding_device(["0"], purpose="newbie run cast", told=told.append):
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        wait_until(lambda: bool(told))
        assert not got.is_set()
    waiting.join()
    assert got.is_set()
    assert told[0].startswith(f"waiting for device 0: 0 is held by newbie run cast (process {os.getpid()}")


def test_a_gpu_is_named_as_the_processes_of_this_machine_see_it(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [device_of({"device": name}) for name in ("cuda", "cuda:1", "cpu", "mps")] == [
        "3",
        "5",
        None,
        None,
    ]
    assert device_of({}) is None


def test_more_workers_than_devices_are_refused(tmp_path, catalog):
    make_catalog(catalog, toml=STRIPES + '[run]\ndevices = ["cpu-a"]\n', characters=CHARACTERS)
    with store_at(tmp_path / "store") as store, pytest.raises(PlanError, match="one process a GPU"):
        run(catalog, store, workers=2)


def test_a_fault_in_handling_a_death_ends_the_run_and_does_not_hang_it(tmp_path, catalog, places):
    class Broken(logging.Handler):
        """A handler of logs that fails, as one does that cannot reach its server."""

        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("no server for logs")

    make_catalog(
        catalog, toml=STRIPES.replace("plugin:StripesEngine", "deadly:DeadlyEngine"), characters=CHARACTERS
    )
    (places / "deadly").write_text("c5")
    logger, broken = logging.getLogger("newbie_core.production.crew"), Broken()
    logger.addHandler(broken)
    try:
        with store_at(tmp_path / "store") as store, pytest.raises(RuntimeError, match="no server for logs"):
            run(catalog, store, workers=2)
    finally:
        logger.removeHandler(broken)
