"""A deployment on a real server: the schedule must make runs, and a worker must carry one out.

Two of Prefect's own dependencies have broken this silently: one kept the server from starting, one
kept schedules from making runs. This test sees both.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREFECT = [sys.executable, "-m", "prefect"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a deployment needs, so that its store and runs are its own."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("flows", "catalogs", "templates", "newbie_core"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", folder)
    return folder


@pytest.fixture(scope="module")
def server(workplace: Path) -> Iterator[dict[str, str]]:
    """The environment of a running Prefect server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(workplace / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "NEWBIE_ROOT": str(workplace),
    }
    command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (workplace / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: call(environment, "GET", "/health") is True, 120, "the server to be healthy")
        yield environment
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def call(environment: dict[str, str], method: str, path: str, body: Any = None) -> Any:
    """An answer of the server's API; None while it cannot be reached."""
    request = urllib.request.Request(environment["PREFECT_API_URL"] + path, method=method)
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=10) as answer:
            return json.loads(answer.read() or b"null")
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def wait_for(is_true: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `is_true`, at most `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_true():
            return
        time.sleep(0.5)
    pytest.fail(f"waited {seconds} s for {what}")


def prefect(environment: dict[str, str], workplace: Path, *arguments: str) -> str:
    """Run Prefect's command line; its output."""
    run = subprocess.run(
        [*PREFECT, *arguments], env=environment, cwd=workplace, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def deployed(server: dict[str, str], workplace: Path) -> dict[str, str]:
    """The server with prefect.yaml deployed on it."""
    prefect(server, workplace, "work-pool", "create", "newbie", "--type", "process")
    prefect(server, workplace, "--no-prompt", "deploy", "--all")
    return server


def test_the_cron_schedule_makes_scheduled_runs(deployed):
    nightly = call(deployed, "GET", "/deployments/name/nightly/nightly")
    assert nightly["schedules"][0]["schedule"]["cron"] == "30 2 * * *"
    question = {"deployments": {"id": {"any_": [nightly["id"]]}}}

    def has_runs() -> bool:
        runs = call(deployed, "POST", "/flow_runs/filter", question) or []
        return any(run["state_type"] == "SCHEDULED" and run["expected_start_time"] for run in runs)

    wait_for(has_runs, 60, "a scheduled run of the night to appear")


def test_a_worker_carries_out_a_run_on_demand(deployed, workplace):
    deployment = call(deployed, "GET", "/deployments/name/image-set/image-set")
    parameters = {"catalog": "catalogs/storyboard", "store": "store", "limit": 2}
    run = call(
        deployed, "POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters}
    )
    worker = subprocess.run(
        [*PREFECT, "worker", "start", "--pool", "newbie", "--limit", "1", "--run-once"],
        env=deployed,
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=180,
    )
    state = call(deployed, "GET", f"/flow_runs/{run['id']}")["state"]
    assert state["type"] == "COMPLETED", worker.stdout + worker.stderr
    assert (workplace / "store" / "refs" / "storyboard" / "LATEST").is_file()
