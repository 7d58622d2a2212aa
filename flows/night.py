"""`newbie night`: set nights up, say how they go, end what was started (`python -m flows.night`).

Status asks the server's API and the store, and imports no Prefect: it answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from newbie_core.cli.arguments import make_parser
from newbie_core.cli.output import print_json, result, say
from newbie_core.errors import NewbieError
from newbie_core.releases import Shelf
from newbie_core.releases.shelf import sets
from newbie_core.store import Store
from newbie_core.store.devices import device_holders

POOL = "newbie"
USUAL_PORT = 4200
USUAL_HOME = ".prefect"
USUAL_STORE = Path("store")
NOTES = "night.json"
"""In the server's folder: where its API is, and which processes setup started."""

ONLINE = "ONLINE"
"""What a worker is that asks for runs."""

_RUNS_SHOWN = 10
_ASK_SECONDS = 15
_WHOLE = 100
"""Per cent."""
_BUSY = 503
"""What Prefect's API answers while SQLite is locked."""
_BAD = ("FAILED", "CRASHED")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one `newbie night` command; the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = make_parser().parse_args(["night", *words])
    try:
        if given.action == "status":
            return _status(given)
        from flows.night_setup import end_processes, set_up

        return set_up(given) if given.action == "setup" else end_processes(home_of(given), json=given.json)
    except NewbieError as error:
        if given.json:
            print_json({"error": {"code": error.code, "message": str(error), "exit_code": error.exit_code}})
        say(f"newbie night: {error}")
        return error.exit_code


def home_of(given: argparse.Namespace) -> Path:
    """The server's folder."""
    return Path(given.home or os.environ.get("PREFECT_HOME") or USUAL_HOME).absolute()


def api_of(given: argparse.Namespace, home: Path) -> str:
    """Where the server's API is: as asked for, as the environment says, as setup noted."""
    if given.port is not None:
        return f"http://127.0.0.1:{given.port}/api"
    return str(
        os.environ.get("PREFECT_API_URL")
        or read_notes(home).get("api")
        or f"http://127.0.0.1:{USUAL_PORT}/api"
    )


def _store_of(given: argparse.Namespace, home: Path) -> Path:
    """The store: as asked for, else as setup was told."""
    if given.store != USUAL_STORE:
        return Path(given.store)
    notes = read_notes(home)
    return Path(notes.get("root", "."), notes.get("asked", {}).get("store", USUAL_STORE))


def read_notes(home: Path) -> dict[str, Any]:
    """What setup noted; nothing when it noted nothing."""
    try:
        notes: dict[str, Any] = json.loads((home / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes


def ask(api: str, method: str, path: str, body: Any = None, *, patience: float = 0.0) -> Any:
    """An answer of the server's API.

    Args:
        patience: seconds in which a server that is busy (503) or slow is asked again.

    Raises:
        OSError: it cannot be reached, or refuses (`urllib.error.HTTPError`).
    """
    if not api.startswith(("http://", "https://")):
        raise NewbieError(f"PREFECT_API_URL {api} is no http URL", code="E_NIGHT")
    request = urllib.request.Request(api + path, method=method)
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(request, data, timeout=_ASK_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except OSError as error:
            is_busy = isinstance(error, TimeoutError) or getattr(error, "code", None) == _BUSY
            if not is_busy or time.monotonic() > end:
                raise
        time.sleep(1.0)


def _status(given: argparse.Namespace) -> int:
    home = home_of(given)
    api = api_of(given, home)
    record: dict[str, Any] = {
        "api": api,
        "server": False,
        "worker": None,
        "ran": [],
        "next": [],
        "failed": [],
        "progress": [],
    }
    try:
        record |= _asked(api)
    except (OSError, ValueError) as error:
        record["problem"] = f"{api} does not answer: {getattr(error, 'reason', None) or error}"
    record["sets"] = _sets(_store_of(given, home))
    record["devices"] = device_holders()
    last = next((run for run in record["ran"] if run["flow"] == "nightly"), None)
    code = 1 if record["worker"] != ONLINE or (last and last["state"] in _BAD) else 0
    if given.json:
        print_json({**record, "exit_code": code})
    else:
        _tell(record, is_set_up=bool(read_notes(home)))
    return code


def _asked(api: str) -> dict[str, Any]:
    def found(path: str, question: Mapping[str, Any]) -> Any:
        return ask(api, "POST", path, question, patience=_ASK_SECONDS)

    flows = {flow["id"]: flow["name"] for flow in found("/flows/filter", {"limit": 100})}
    names = {one["id"]: one["name"] for one in found("/deployments/filter", {"limit": 100})}
    ran = found(
        "/flow_runs/filter",
        {
            "sort": "START_TIME_DESC",
            "limit": _RUNS_SHOWN,
            "flow_runs": {"start_time": {"is_null_": False}},
        },
    )
    coming = found(
        "/flow_runs/filter",
        {
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 5,
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING"]}}},
        },
    )
    runs = [_run(run, flows, names) for run in ran]
    under_way = [run["id"] for run in runs if run["state"] == "RUNNING"]
    shown = {"type": {"any_": ["progress"]}, "flow_run_id": {"any_": under_way}}
    progress = found("/artifacts/filter", {"artifacts": shown}) if under_way else []
    return {
        "server": True,
        "worker": worker_of(api),
        "ran": runs,
        "next": [
            {"flow": flows.get(run["flow_id"]), "at": run["expected_start_time"], "state": run["state_name"]}
            for run in coming
        ],
        "failed": [run for run in runs if run["state"] in _BAD],
        "progress": [one["description"] for one in progress if one["data"] < _WHOLE],
    }


def _run(run: Mapping[str, Any], flows: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": run["id"],
        "name": run["name"],
        "flow": flows.get(run["flow_id"]),
        "deployment": names.get(run["deployment_id"] or ""),
        "state": run["state_type"],
        "started": run["start_time"],
        "ended": run["end_time"],
        "seconds": round(run.get("estimated_run_time") or run["total_run_time"], 1),
        "message": (run["state"] or {}).get("message"),
    }


def worker_of(api: str) -> str | None:
    """Whether a worker of the pool is there: `ONLINE`, OFFLINE, or None where there is no pool."""
    try:
        workers = ask(api, "POST", f"/work_pools/{POOL}/workers/filter", {}, patience=_ASK_SECONDS)
    except urllib.error.HTTPError:
        return None
    return ONLINE if any(worker["status"] == ONLINE for worker in workers) else "OFFLINE"


def _sets(root: Path) -> list[dict[str, Any]]:
    if not (root / "format.json").exists():
        return []
    with Store.open(root, create=False, doubtful=True) as store:
        found = []
        for name in sets(store):
            current = Shelf(store, name).current()
            found.append(
                {
                    "set": name,
                    "release": current.name if current else None,
                    "digest": current.digest if current else None,
                    "held_back": store.driver.stat(f"refs/{name}/PROPOSAL") is not None,
                }
            )
        return found


def _tell(record: Mapping[str, Any], *, is_set_up: bool) -> None:
    if not record["server"]:
        more = "`journalctl --user -u newbie-server` or server.log in the server's folder says why it ended"
        say(f"{record['problem']}. `newbie night setup` starts it{'; ' + more if is_set_up else ''}")
    else:
        result(f"server {record['api']}, worker {record['worker'] or 'not set up'}")
        if record["worker"] != ONLINE:
            say("no worker is there, so no night would run; `newbie night setup` starts one")
    for run in record["ran"]:
        why = f": {run['message']}" if run["state"] in _BAD and run["message"] else ""
        result(
            f"ran    {_hour(run['started'])} {run['state'].lower():9} {run['name']} ({run['seconds']:.0f} s){why}"
        )
    for words in record["progress"]:
        result(f"now    {words}")
    for run in record["next"]:
        result(f"next   {_hour(run['at'])} {run['flow']}{' (late)' if run['state'] == 'Late' else ''}")
    if record["server"] and not record["next"]:
        result("next   nothing yet; Prefect notes the nights to come within a minute or two")
    for one in record["sets"]:
        held = ", a newer one is held back" if one["held_back"] else ""
        result(f"set    {one['set']}: {one['release'] or 'nothing published'}{held}")
    for device, holder in record["devices"].items():
        result(f"device {device}: {holder['purpose']} (process {holder['pid']}, since {holder['since']})")


def _hour(text: str | None) -> str:
    """A time of the API in this machine's time zone."""
    from datetime import datetime

    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M %Z}" if text else "?"


if __name__ == "__main__":
    sys.exit(main())
