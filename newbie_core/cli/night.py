"""The command about nights, carried out by `python -m flows.night`: this package works without Prefect."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.errors import NewbieError

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

CARRIED_OUT_BY = "flows.night"
_EXAMPLES = """\
examples:
  newbie night setup                              # server, pool, deployments, automation, worker: all of it
  newbie night setup --at 03:15 --timezone Asia/Shanghai
  newbie night setup --units units --no-start     # unit files only, to be enabled by you
  newbie night status                             # what ran, runs, is next, failed; ends with 1 if something is wrong
  newbie night status --json
  newbie night stop                               # ends what setup started without systemd
"""
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def add_night(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The command `night` with what it takes."""
    night = add("night", "set unattended nights up, and say how they go")
    night.epilog = _EXAMPLES
    night.formatter_class = argparse.RawDescriptionHelpFormatter
    night.add_argument("action", choices=("setup", "status", "stop"), help="what to do")
    night.add_argument("--catalogs", metavar="DIR", help="the folder of the sets (default: catalogs)")
    night.add_argument("--at", type=_time, metavar="HH:MM", help="when nights begin (default: 02:30)")
    night.add_argument("--timezone", metavar="ZONE", help="of --at, such as Asia/Tokyo (the default)")
    night.add_argument("--port", type=int, metavar="N", help="of the Prefect server (default: 4200)")
    night.add_argument("--home", metavar="DIR", help="the server's data (default: .prefect)")
    night.add_argument("--units", metavar="DIR", help="write the systemd unit files there")
    night.add_argument("--no-start", action="store_true", help="start nothing that stays")


def night(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Hand the command on to Prefect's side; its exit code.

    Raises:
        NewbieError: the flows are not installed.
    """
    if find_spec("flows") is None:
        raise NewbieError(
            "the flows are not installed beside newbie_core; install the whole package, or run in its checkout",
            code="E_NIGHT",
        )
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    command = [sys.executable, "-m", CARRIED_OUT_BY, *_words(given)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def _words(given: argparse.Namespace) -> list[str]:
    """The command line again."""
    words = [given.action, "--store", str(given.store)]
    for name in ("catalogs", "at", "timezone", "port", "home", "units"):
        if (value := getattr(given, name)) is not None:
            words += [f"--{name}", str(value)]
    words += ["--json"] if given.json else []
    return words + (["--no-start"] if given.no_start else [])


def _time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is no time of day; write it as 02:30')
    return f"{int(match[1]):02}:{match[2]}"
