"""`newbie night setup` with a real server: the schedule must make runs, and the worker must carry one out.

Two of Prefect's own dependencies have broken this silently: one kept the server from starting, one
kept schedules from making runs. This test sees both.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.nights import Night, wait_for


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Nights at a quarter past three in Berlin."""
    made = Night(tmp_path_factory.mktemp("workplace"))
    try:
        made.set_up("--at", "03:15", "--timezone", "Europe/Berlin")
        yield made
    finally:
        made.stop()


def test_the_cron_schedule_makes_scheduled_runs(night):
    nightly = night.call("GET", "/deployments/name/nightly/nightly")
    schedule = nightly["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("15 3 * * *", "Europe/Berlin")
    assert nightly["parameters"]["store"] == str(night.store)

    def has_runs() -> bool:
        coming = night.command("night", "status", code=0)["next"]
        return any(run["flow"] == "nightly" and run["at"] for run in coming)

    wait_for(has_runs, 90, "a scheduled run of the night to appear")


def test_the_worker_carries_out_a_run_on_demand_and_status_and_artifacts_tell_of_it(night):
    run = night.start("image-set/image-set", catalog="catalogs/storyboard", store=str(night.store), limit=2)
    assert night.ended(run) == "COMPLETED", night.logs()
    assert (night.store / "refs" / "storyboard" / "LATEST").is_file()
    status = night.command("night", "status")
    assert status["worker"] == "ONLINE"
    [ran] = [one for one in status["ran"] if one["id"] == run]
    assert (ran["name"], ran["deployment"], ran["state"]) == ("catalogs/storyboard", "image-set", "COMPLETED")
    assert [one["release"] for one in status["sets"]] == ["r000001"]
    artifacts = {one["key"]: one for one in night.call("POST", "/artifacts/filter", {"limit": 50})}
    assert set(artifacts) >= {"storyboard-plan", "storyboard-progress", "storyboard-sheet"}
    assert artifacts["storyboard-sheet"]["data"].startswith("![contact sheet](data:image/jpeg;base64,")
    assert len(artifacts["storyboard-sheet"]["data"]) < 250_000


def test_the_automation_and_the_units_are_there(night):
    names = [one["name"] for one in night.call("POST", "/automations/filter", {})]
    assert names.count("newbie: a run without heartbeat has crashed") == 1
    for name in ("server", "worker"):
        text = (night.folder / "units" / f"newbie-{name}.service").read_text()
        assert f"WorkingDirectory={night.folder}" in text
        assert "Restart=always" in text


def test_setting_up_again_keeps_what_it_was_told_and_what_runs(night):
    pids = night.pids()
    record = night.set_up()
    assert (record["schedule"]["cron"], record["schedule"]["timezone"]) == ("15 3 * * *", "Europe/Berlin")
    assert record["pids"] == pids and set(pids) == {"server", "worker"}


def test_the_server_of_another_folder_is_left_alone(night, tmp_path):
    words = ["--port", str(night.port), "--home", str(tmp_path / "home")]
    error = night.command("night", "setup", *words, code=1)["error"]
    assert error["code"] == "E_NIGHT_SERVER"
    assert str(night.folder / "prefect") in error["message"]
    assert not (tmp_path / "home").exists()
