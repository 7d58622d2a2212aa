"""Start `newbie` as a shell does, and tell what it took."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.null_engine import NULL_ENGINE

ROOT = Path(__file__).resolve().parent.parent

_WATCH = """
import os, sys, time
start = time.perf_counter()
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process's peak memory counts from its parent's, so a small one stands between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One process, its limited children in the CPU time: seconds, and the most memory it held in MB."""

    wall: float
    cpu: float
    memory: float


def newbie(*arguments: str | Path, store: Path, durable: bool = False) -> Took:
    """One `newbie` command on the null engine; SystemExit when it fails."""
    end = ["--engine", NULL_ENGINE, "--store", str(store), "--json"]
    return python("-m", "newbie_core.cli", *map(str, arguments), *end, durable=durable)


def python(*arguments: str, durable: bool = False) -> Took:
    """One Python process in the checkout."""
    environment = os.environ | {"NEWBIE_FSYNC": "1" if durable else "0"}
    command = [sys.executable, "-S", "-c", _WATCH, sys.executable, *arguments]
    watched = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    if watched.returncode:
        said = watched.stderr.decode(errors="replace")
        raise SystemExit(f"{' '.join(arguments)}: {said[-2000:]}")
    wall, cpu, memory = map(float, watched.stdout.split())
    return Took(wall=wall, cpu=cpu, memory=memory / 1000)
