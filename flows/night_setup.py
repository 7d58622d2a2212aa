"""Everything a night needs, in one go: server, pool, deployments, automation, worker, systemd units.

Every step may be repeated: what is there already is left, and the deployments are made as `prefect.yaml`
says now.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows.night import NOTES, ONLINE, POOL, USUAL_PORT, USUAL_STORE, ask, home_of, read_notes, worker_of
from flows.units import USER_UNITS, is_of_system, unit_text
from newbie_core.cli.output import print_json, result, say
from newbie_core.errors import NewbieError

_SERVER_SECONDS = 300
_END_SECONDS = 30
_PATIENCE_SECONDS = 120.0
_NOT_THERE, _UNUSABLE = 404, 422
_HEARTBEAT_SECONDS = 30
_ZOMBIE_SECONDS = 100
"""A run is taken for dead after three missed heartbeats; fewer would crash healthy runs of a busy machine."""

_TOGETHER = 2
"""Runs a worker takes at once: a second night must be seen to be refused; GPUs are kept apart by their locks."""

_ASKED = {"at": None, "timezone": None, "port": None, "catalogs": None, "store": USUAL_STORE}
"""What setup may be told, with what it is when nobody says."""
_FOLDERS = ("catalogs", "store")

AUTOMATION = "newbie: a run without heartbeat has crashed"


def set_up(given: argparse.Namespace) -> int:
    """Set nights up here; the exit code.

    Raises:
        NewbieError: this is no folder with `prefect.yaml`, or a step failed.
    """
    root = Path.cwd()
    if not (root / "prefect.yaml").is_file():
        raise NewbieError(
            f"{root}: there is no prefect.yaml; run this in the folder that holds flows/ and catalogs/",
            code="E_NIGHT",
        )
    home = home_of(given)
    notes = read_notes(home)
    asked = _remember(given, notes.get("asked", {}))
    pids: dict[str, int] = _living(notes.get("pids", {}))
    port = given.port or USUAL_PORT
    api = f"http://127.0.0.1:{port}/api"
    if "server" in pids and notes["api"] != api:
        raise NewbieError(
            f"a server of this folder runs at {notes['api']}; `newbie night stop` ends it, then set up again",
            code="E_NIGHT_SERVER",
        )
    if _is_healthy(api):
        _refuse_another(api, home)
    environment = _environment(root, home, api)
    try:
        home.mkdir(parents=True, exist_ok=True)
        units = _write_units(given, root, home, port, environment)
    except OSError as error:
        raise NewbieError(f"{error}; name another folder", code="E_NIGHT") from error
    systemd = not given.no_start and given.units is None and _has_user_systemd()
    temporary = _start_server(api, home, port, environment, pids, systemd=systemd)
    try:
        nightly = _prepare(given, root, api, environment)
    except BaseException as error:
        _end(temporary)
        if isinstance(error, OSError):
            raise NewbieError(
                f"the server at {api} did not do as it was asked: {error}", code="E_NIGHT_SERVER"
            ) from error
        raise
    if given.no_start:
        if temporary:
            _end(temporary)
            del pids["server"]
    elif systemd:
        _systemctl("enable", "--now", "newbie-worker")
    elif "worker" not in pids:
        pids["worker"] = _start("worker", _worker_command(), home, environment, root)
    notes = {"api": api, "root": str(root), "asked": asked, "pids": pids}
    (home / NOTES).write_text(_text(notes), encoding="utf-8")
    if not given.no_start:
        _await_worker(api, home)
    _tell(given, api, home, units, pids, nightly, systemd=systemd)
    return 0


def _remember(given: argparse.Namespace, before: Mapping[str, Any]) -> dict[str, Any]:
    """Take what setup is not told now from what it was told `before`; what holds now."""
    asked: dict[str, Any] = {}
    for name, usual in _ASKED.items():
        if getattr(given, name) == usual and name in before:
            setattr(given, name, Path(before[name]) if name == "store" else before[name])
        if (value := getattr(given, name)) != usual:
            asked[name] = str(Path(value).absolute()) if name in _FOLDERS else value
    return asked


def end_processes(home: Path, *, json: bool) -> int:
    """End the server and the worker that setup started; the exit code."""
    notes = read_notes(home)
    living = _living(notes.get("pids", {}))
    for name in ("worker", "server"):
        if name in living:
            _end(living[name])
            say(f"ended the {name} (process {living[name]})")
    if json:
        print_json({"ended": living})
    elif not living:
        units = "; `systemctl --user stop newbie-worker newbie-server` ends units"
        result(f"nothing runs that setup started here{units if _has_user_systemd() else ''}")
    if notes:
        (home / NOTES).write_text(_text({**notes, "pids": {}}), encoding="utf-8")
    return 0


def _text(notes: Mapping[str, Any]) -> str:
    return json.dumps(notes, indent=2) + "\n"


def _environment(root: Path, home: Path, api: str) -> dict[str, str]:
    """What server, worker and runs share, measured on SQLite: see docs/night.md."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(_HEARTBEAT_SECONDS),
        "NEWBIE_ROOT": str(root),
        "PYTHONPATH": str(root),
    }


def _server_command(port: int) -> list[str]:
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


def _worker_command() -> list[str]:
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    return [*worker, "--limit", str(_TOGETHER)]


def _start_server(
    api: str, home: Path, port: int, environment: Mapping[str, str], pids: dict[str, int], *, systemd: bool
) -> int | None:
    """See that a server answers; the process that was started for it here."""
    if _is_healthy(api):
        return None
    if systemd:
        _systemctl("enable", "--now", "newbie-server")
        started = None
    else:
        started = pids["server"] = _start("server", _server_command(port), home, environment, home)
    say(f"waiting for the server at {api} (its first start takes about a minute)")
    end = time.monotonic() + _SERVER_SECONDS
    while not _is_healthy(api):
        if time.monotonic() > end or (started and not _living({"server": started})):
            _end(started)
            raise NewbieError(
                f"the server does not answer at {api}; {home / 'server.log'} says why", code="E_NIGHT_SERVER"
            )
        time.sleep(1.0)
    return started


def _await_worker(api: str, home: Path) -> None:
    """Wait until the server knows of a worker: before, status would say that nothing will run."""
    end = time.monotonic() + _SERVER_SECONDS
    while not _is_there(api):
        if time.monotonic() > end:
            raise NewbieError(
                f"no worker asks the server at {api} for runs; {home / 'worker.log'} says why",
                code="E_NIGHT_SERVER",
            )
        time.sleep(1.0)


def _is_there(api: str) -> bool:
    try:
        return worker_of(api) == ONLINE
    except OSError:
        return False


def _refuse_another(api: str, home: Path) -> None:
    """Leave alone a server that keeps its data elsewhere: its deployments of our names are another's."""
    try:
        whose = ask(api, "GET", "/admin/settings", patience=_PATIENCE_SECONDS)["home"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if Path(whose).resolve() != home.resolve():
        raise NewbieError(
            f"another Prefect server answers at {api} (its data: {whose}); choose a free port with --port, "
            "or name its folder with --home",
            code="E_NIGHT_SERVER",
        )


def _asked(api: str, method: str, path: str, body: Any = None) -> Any:
    """An answer of a server that may be busy with its own start."""
    return ask(api, method, path, body, patience=_PATIENCE_SECONDS)


def _prepare(
    given: argparse.Namespace, root: Path, api: str, environment: Mapping[str, str]
) -> Mapping[str, Any]:
    """Pool, deployments, schedule, automation; the night's deployment as it was made."""
    try:
        _asked(api, "GET", f"/work_pools/{POOL}")
    except urllib.error.HTTPError as error:
        if error.code != _NOT_THERE:
            raise
        _prefect(["work-pool", "create", POOL, "--type", "process"], root, environment)
    _prefect(["--no-prompt", "deploy", "--all"], root, environment)
    nightly = _asked(api, "GET", "/deployments/name/nightly/nightly")
    parameters = dict(nightly["parameters"])
    if given.catalogs is not None:
        parameters["catalogs"] = str(Path(given.catalogs).absolute())
    if given.store != USUAL_STORE:
        parameters["store"] = str(given.store.absolute())
    if parameters != nightly["parameters"]:
        _asked(api, "PATCH", f"/deployments/{nightly['id']}", {"parameters": parameters})
    if given.at is not None or given.timezone is not None:
        _reschedule(api, nightly, given.at, given.timezone)
    known = _asked(api, "POST", "/automations/filter", {})
    if not any(automation["name"] == AUTOMATION for automation in known):
        _asked(api, "POST", "/automations/", _automation())
    made: Mapping[str, Any] = _asked(api, "GET", "/deployments/name/nightly/nightly")
    return made


def _reschedule(api: str, nightly: Mapping[str, Any], at: str | None, zone: str | None) -> None:
    schedule = nightly["schedules"][0]
    cron = schedule["schedule"]["cron"]
    if at is not None:
        hour, _, minute = at.partition(":")
        cron = f"{int(minute)} {int(hour)} * * *"
    wanted = {"cron": cron, "timezone": zone or schedule["schedule"]["timezone"], "day_or": True}
    try:
        _asked(api, "PATCH", f"/deployments/{nightly['id']}/schedules/{schedule['id']}", {"schedule": wanted})
    except urllib.error.HTTPError as error:
        if error.code != _UNUSABLE:
            raise
        raise NewbieError(
            f'the server refuses the schedule "{cron}" in {wanted["timezone"]}; '
            "name a time zone such as Asia/Tokyo",
            code="E_NIGHT_SCHEDULE",
        ) from None


def _automation() -> dict[str, Any]:
    """Runs whose heartbeat stops are marked crashed: after a worker's death nobody else would."""
    states = [f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")]
    return {
        "name": AUTOMATION,
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "for_each": ["prefect.resource.id"],
            "after": ["prefect.flow-run.heartbeat"],
            "expect": ["prefect.flow-run.heartbeat", *states],
            "threshold": 1,
            "within": _ZOMBIE_SECONDS,
        },
        "actions": [{"type": "change-flow-run-state", "state": "CRASHED", "message": "Missing heartbeats"}],
    }


def _prefect(arguments: list[str], root: Path, environment: Mapping[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env={**os.environ, **environment},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        said = (run.stderr or run.stdout).strip().splitlines()[-3:]
        raise NewbieError(f"`prefect {' '.join(arguments)}` failed: {' '.join(said)}", code="E_NIGHT_PREFECT")


def _write_units(
    given: argparse.Namespace, root: Path, home: Path, port: int, environment: Mapping[str, str]
) -> Path:
    """Write the unit files; the folder they are in."""
    usual = USER_UNITS if _has_user_systemd() else home / "units"
    folder = Path(given.units).absolute() if given.units else usual
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in (("server", _server_command(port)), ("worker", _worker_command())):
        text = unit_text(
            name,
            command,
            root=root,
            home=home,
            environment=environment,
            user=getpass.getuser() if is_of_system(folder) else None,
        )
        (folder / f"newbie-{name}.service").write_text(text, encoding="utf-8")
    return folder


def _has_user_systemd() -> bool:
    if shutil.which("systemctl") is None:
        return False
    run = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True, check=False)
    return run.returncode == 0


def _systemctl(*words: str) -> None:
    for command in (["daemon-reload"], list(words)):
        run = subprocess.run(["systemctl", "--user", *command], capture_output=True, text=True, check=False)
        if run.returncode:
            raise NewbieError(
                f"`systemctl --user {' '.join(command)}` failed: {run.stderr.strip()}", code="E_NIGHT"
            )


def _start(name: str, command: list[str], home: Path, environment: Mapping[str, str], folder: Path) -> int:
    """Start a process that outlives this one, its words in a log; its id."""
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process.pid


def _living(pids: Mapping[str, int]) -> dict[str, int]:
    """Those of the processes that live and are Prefect's: an id may be another's by now."""
    return {name: pid for name, pid in pids.items() if _is_prefect(pid)}


def _is_prefect(pid: int) -> bool:
    try:
        is_zombie = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return not is_zombie and b"prefect" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _end(pid: int | None) -> None:
    """End a process that setup started, with what it started."""
    if pid is None or not _is_prefect(pid):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(pid, number)
        end = time.monotonic() + _END_SECONDS
        while _is_prefect(pid) and time.monotonic() < end:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.2)


def _is_healthy(api: str) -> bool:
    try:
        return ask(api, "GET", "/health") is True
    except (OSError, ValueError):
        return False


def _tell(
    given: argparse.Namespace,
    api: str,
    home: Path,
    units: Path,
    pids: Mapping[str, int],
    nightly: Mapping[str, Any],
    *,
    systemd: bool,
) -> None:
    schedule = nightly["schedules"][0]["schedule"]
    parameters = nightly["parameters"]
    record = {"api": api, "units": str(units), "pids": dict(pids), "systemd": systemd, "home": str(home)}
    if given.json:
        print_json({**record, "schedule": schedule, "parameters": parameters})
        return
    result(f"server     {api}; its pages: {api.removesuffix('/api')}")
    result(
        f"night      {_spoken(schedule['cron'])} {schedule['timezone']}: "
        f"every set under {parameters['catalogs']} into {parameters['store']}"
    )
    result("look       `newbie night status` says what ran, what is next, what failed")
    result(f"now        PREFECT_API_URL={api} prefect deployment run nightly/nightly")
    result(f"units      {units}/newbie-server.service, newbie-worker.service")
    result(f"secrets    NAME=VALUE lines in {home}/environment reach the worker under systemd")
    if systemd:
        result("running    under systemd; `loginctl enable-linger` keeps it running when you log out")
    elif given.no_start:
        whose = "sudo systemctl" if is_of_system(units) else "systemctl --user"
        files = " ".join(shlex.quote(f"{units}/newbie-{name}.service") for name in ("server", "worker"))
        result(f"start it   {whose} enable --now {files}")
    else:
        named = ", ".join(f"{name} (process {pid})" for name, pid in pids.items())
        result(f"running    {named}, until the machine restarts; `newbie night stop` ends it")


def _spoken(cron: str) -> str:
    """When nights begin, as people write it where they begin daily."""
    minute, hour, *rest = cron.split()
    daily = rest == ["*"] * 3 and minute.isdecimal() and hour.isdecimal()
    return f"{int(hour):02}:{int(minute):02}" if daily else f'"{cron}"'
