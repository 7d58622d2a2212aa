"""Start `newbie` as a shell does, and tell what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.null_engine import NULL_ENGINE

ROOT = Path(__file__).resolve().parent.parent


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
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=-1
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {said.decode(errors='replace')[-2000:]}")
    return Took(wall=wall, cpu=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss / 1000)
