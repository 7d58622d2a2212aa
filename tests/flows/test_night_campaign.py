"""Nights on a real server, pool and worker, with everything killed that can be: minutes, by `make campaign`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.nights import Night, wait_for

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]
CHROMIUM = Path("/usr/bin/chromium")
PICTURES = 10


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Nights over one set of ten pictures."""
    made = Night(tmp_path_factory.mktemp("nights"))
    try:
        made.set_up("--catalogs", "sets")
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def fresh(night: Night) -> None:
    """A second a picture, another look for all of them, and everything running."""
    if {"server", "worker"} - night.pids().keys() or not night.call("GET", "/health"):
        night.set_up("--catalogs", "sets")
    (night.stripes / "made").unlink(missing_ok=True)
    (night.stripes / "slow").write_text("1.0")
    names = "".join(f"c{number},C{number} {time.time_ns()}\n" for number in range(PICTURES))
    (night.folder / "sets" / "cast" / "characters.csv").write_text("id,name\n" + names)


def release_of(night: Night) -> str | None:
    sets = night.command("night", "status", code=None)["sets"]
    return next((one["release"] for one in sets if one["set"] == "cast"), None)


def told(what: str, began: float) -> None:
    print(f"\n[night] {what}: {time.monotonic() - began:.0f} s")


def test_a_scheduled_night_and_one_on_demand_complete(night):
    began = time.monotonic()
    (night.stripes / "slow").write_text("0.01")
    nightly = night.call("GET", "/deployments/name/nightly/nightly")
    place = f"/deployments/{nightly['id']}/schedules/{nightly['schedules'][0]['id']}"
    every_minute = {"cron": "* * * * *", "timezone": "UTC", "day_or": True}
    night.call("PATCH", place, {"schedule": every_minute})

    def completed() -> bool:
        return any(
            run["flow"] == "nightly" and run["state"] == "COMPLETED"
            for run in night.command("night", "status", code=None)["ran"]
        )

    try:
        wait_for(completed, 300, "a scheduled night to complete")
    finally:
        night.call("PATCH", place, {"schedule": nightly["schedules"][0]["schedule"]})
    told("a scheduled night completed", began)
    wait_for(lambda: not night.under_way(), 120, "the scheduled nights to end")
    run = night.start("nightly/nightly")
    assert night.ended(run) == "COMPLETED"
    assert len(night.made()) == PICTURES + 4  # four golden ones beside


def test_two_overlapping_nights_make_one(night):
    runs = [night.start("nightly/nightly") for _ in range(2)]
    states = sorted(night.ended(run) for run in runs)
    assert states == ["CANCELLED", "COMPLETED"], night.logs()


def test_a_run_whose_every_process_is_killed_is_shown_as_crashed_by_the_automation(night):
    (night.stripes / "slow").write_text("15")
    run = night.start("nightly/nightly")
    wait_for(lambda: night.state(run) == "RUNNING", 240, "the night to run")
    wait_for(lambda: night.made(), 240, "a first picture")
    for pid, command in night.processes().items():
        if "server" not in command:
            os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    assert night.ended(run, 300) == "CRASHED"
    told("worker and run killed: the run was shown as crashed", began)
    ran = night.command("night", "status", code=1)["ran"]
    [message] = [one["message"] for one in ran if one["id"] == run]
    assert message == "Missing heartbeats"


def test_a_night_whose_server_is_killed_publishes_and_ends_with_its_own_exit_code(night):
    before, began = release_of(night), time.monotonic()
    words = ["-m", "flows.nightly", "--catalogs", "sets", "--store", str(night.store)]
    process = subprocess.Popen(
        [sys.executable, *words],
        env=night.environment,
        cwd=night.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: len(night.made()) > 5, 180, "the first pictures")
        os.killpg(night.pids()["server"], signal.SIGKILL)
        out, _ = process.communicate(timeout=400)
    finally:
        process.kill()
        process.wait()
    told("the server killed in mid-run: the night had ended", began)
    assert process.returncode == 0, out
    assert "cast: published" in out
    assert release_of(night) != before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_killed_worker_leaves_a_crashed_run_no_orphans_and_the_next_run_makes_the_rest(night, number):
    (night.stripes / "slow").write_text("15")
    run = night.start("nightly/nightly")
    wait_for(lambda: night.state(run) == "RUNNING", 240, "the night to run")
    wait_for(lambda: night.made(), 240, "a first picture")
    os.kill(night.pids()["worker"], number)
    began = time.monotonic()
    assert night.ended(run, 300) == "CRASHED"
    told(f"a worker ended by {number.name}: its run was shown as crashed", began)

    def left() -> list[str]:
        return [command for command in night.processes().values() if "server" not in command]

    wait_for(lambda: not left(), 60, f"no process of the run to be left: {left()}")
    (night.stripes / "slow").write_text("0.01")
    night.set_up("--catalogs", "sets")
    made = set(night.made())
    assert night.ended(night.start("nightly/nightly")) == "COMPLETED", night.logs()
    assert set(night.made()) >= made
    assert len(set(night.made())) == PICTURES


def test_prefects_pages_show_what_we_made(night):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright takes the pictures of pages")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there")
    folder = Path(os.environ.get("NEWBIE_SHOTS", night.folder / "shots"))
    folder.mkdir(exist_ok=True, parents=True)
    (night.stripes / "slow").write_text("0.01")
    assert night.ended(night.start("nightly/nightly"), 400) == "COMPLETED"
    base = night.environment["PREFECT_API_URL"].removesuffix("/api")
    artifacts = {one["key"]: one for one in night.call("POST", "/artifacts/latest/filter", {"limit": 50})}
    shown = {
        "cast-plan": f"{PICTURES} pictures in all, {PICTURES} to make",
        "cast-progress": f"cast: {PICTURES} of {PICTURES} pictures",
        "cast-sheet": "cast r0",
        "night-summary": "published",
    }
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        for key, words in shown.items():
            page.goto(f"{base}/artifacts/artifact/{artifacts[key]['latest_id']}", timeout=240_000)
            page.get_by_text(words).first.wait_for(timeout=240_000)
            if key == "cast-sheet":
                page.wait_for_function(
                    "[...document.images].some(one => one.src.startsWith('data:') && one.naturalWidth > 100)",
                    timeout=120_000,
                )
            page.screenshot(path=str(folder / f"{key}.png"))
            assert "base64" not in page.inner_text("body"), "the picture's data is spelled out"
        browser.close()
