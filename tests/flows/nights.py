"""A folder with nights set up by `newbie night setup`: a real server, pool and worker."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.catalogs.building import make_catalog

ROOT = Path(__file__).resolve().parents[2]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
CHARACTERS = "id,name\n" + "".join(f"c{number},C{number}\n" for number in range(10))
TOML = '[engine]\nname = "slow_engine:StripesEngine"\n[picture]\nsize = "64x64"\n'


class Night:
    """Nights in a copy of what a deployment needs, so that store, runs and processes are its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.stripes = folder / "stripes"
        self.stripes.mkdir()
        for name in ("flows", "catalogs", "templates", "newbie_core"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("prefect.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        shutil.copy(ROOT / "tests" / "engines" / "plugin.py", folder / "slow_engine.py")
        make_catalog(folder / "sets" / "cast", toml=TOML, characters=CHARACTERS)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "NEWBIE_DEVICE_LOCKS": str(folder / "devices"),
            "PYTHONPATH": str(folder),
            "STRIPES": str(self.stripes),
        }

    def command(self, *words: str, code: int | None = 0) -> dict[str, Any]:
        """`newbie WORDS --json` there; its JSON."""
        run = subprocess.run(
            [sys.executable, "-m", "newbie_core.cli", *words, "--store", str(self.store), "--json"],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert code is None or run.returncode == code, run.stdout + run.stderr + self.logs()
        record: dict[str, Any] = json.loads(run.stdout)
        return record

    def set_up(self, *words: str) -> dict[str, Any]:
        """`newbie night setup`, with units written beside and not into the person's own systemd."""
        port, units = str(self.port), str(self.folder / "units")
        return self.command("night", "setup", "--port", port, "--units", units, *words)

    def stop(self) -> None:
        """`newbie night stop`."""
        self.command("night", "stop")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of the server's API; None while it cannot be reached."""
        request = urllib.request.Request(self.environment["PREFECT_API_URL"] + path, method=method)
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=20) as answer:
                return json.loads(answer.read() or b"null")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def start(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run now, a busy server more than once; the run's id."""
        wanted = {"parameters": parameters, "idempotency_key": str(uuid.uuid4())}
        answers: list[Any] = []

        def is_made() -> bool:
            found = self.call("GET", f"/deployments/name/{deployment}")
            answers.append(found and self.call("POST", f"/deployments/{found['id']}/create_flow_run", wanted))
            return bool(answers[-1])

        wait_for(is_made, 120, f"a run of {deployment}")
        return str(answers[-1]["id"])

    def state(self, run: str) -> str:
        """The type of a run's state."""
        found = self.call("GET", f"/flow_runs/{run}")
        return str(found["state_type"]) if found else ""

    def ended(self, run: str, seconds: float = 240) -> str:
        """The state in which a run ends."""
        wait_for(lambda: self.state(run) in ENDED, seconds, f"run {run} to end; it is {self.state(run)}")
        return self.state(run)

    def under_way(self) -> list[str]:
        """The ids of runs that run, or are about to."""
        wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
        found = self.call("POST", "/flow_runs/filter", wanted)
        return ["unknown"] if found is None else [run["id"] for run in found]

    def made(self) -> list[str]:
        """The ids of pictures the stripes engine made."""
        file = self.stripes / "made"
        return file.read_text().split() if file.exists() else []

    def pids(self) -> dict[str, int]:
        """The processes that setup started and that live."""
        notes = json.loads((self.folder / "prefect" / "night.json").read_text())
        living = self.processes()
        return {name: pid for name, pid in notes["pids"].items() if pid in living}

    def processes(self) -> dict[int, str]:
        """Every living process that works in this folder, with its command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"STRIPES={self.stripes}".encode() in environment.split(b"\0") and command:
                found[int(entry.name)] = command
        return found

    def logs(self) -> str:
        """The last words of server and worker."""
        return "".join(
            file.read_text(errors="replace")[-3000:] for file in (self.folder / "prefect").glob("*.log")
        )


def wait_for(is_true: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `is_true`, at most `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_true():
            return
        time.sleep(0.5)
    pytest.fail(f"waited {seconds} s for {what}")
