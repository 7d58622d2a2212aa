"""What Prefect adds to a run: the flow against the shell's way, in one process.

`python -m benchmarks.prefect_path` (about fifteen minutes). The same new set of 5,000 pictures of 64x64 is
made by the flow `image-set` and by `open_run`, in turn, each time in a new store with fsync: by the null engine, which
takes no time itself, three times, and by the sketch engine once. Both make no page, which is the same work on either
way. CPU time is that of the run's processes without the server's; on a busy machine it is the steadier of the two. The
server is started before, and a first small flow has paid for Prefect's imports.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.fixtures import make_flat
from benchmarks.null_engine import NULL_ENGINE
from benchmarks.report import Report, Value, command, verdict
from newbie_core.engines import load_engine
from newbie_core.production import RunOptions, carry_out, open_run
from newbie_core.store import Store

PICTURES = 5_000
ENGINES = {"none": (NULL_ENGINE, 3), "sketch": ("sketch", 1)}
"""Name in the table → engine, and how often both ways are measured."""
TARGET = 1.10


def by_shell(catalog: Path, store: Path, engine: str) -> None:
    """As `newbie run` does it, without its command line."""
    options = RunOptions(engine=engine)
    with (
        Store.open(store) as opened,
        open_run(catalog, store=opened, root=store, engines=load_engine, options=options) as run,
    ):
        carry_out(run)


def by_flow(catalog: Path, store: Path, engine: str) -> None:
    """As a deployment does it."""
    from flows.image_set import image_set

    image_set(str(catalog), str(store), engine=engine, page=False)


WAYS: dict[str, Callable[[Path, Path, str], None]] = {"shell": by_shell, "flow": by_flow}


def measure() -> Report:
    """Both ways in turn, on a server of their own."""
    from prefect.testing.utilities import prefect_test_harness

    rows: list[dict[str, Value]] = []
    verdicts = []
    with tempfile.TemporaryDirectory() as folder, prefect_test_harness(server_startup_timeout=120):
        place = Path(folder)
        by_flow(make_flat(place / "few", 100), place / "store", NULL_ENGINE)
        catalog = make_flat(place / "many", PICTURES)
        for label, (engine, repeats) in ENGINES.items():
            found = _medians(catalog, place / label, engine, repeats)
            rows += [
                {
                    "engine": label,
                    "way": way,
                    "s": round(took[0], 2),
                    "ms a picture": round(1000 * took[0] / PICTURES, 2),
                    "CPU s": round(took[1], 2),
                }
                for way, took in found.items()
            ]
            for at, what in enumerate(("", ", CPU")):
                ratio = found["flow"][at] / found["shell"][at]
                verdicts.append(verdict(f"flow against shell, engine {label}{what}", ratio, TARGET, "x"))
    return Report(
        title=f"The Prefect path: {PICTURES:,} new pictures, with fsync, server started before",
        rows=rows,
        verdicts=verdicts,
    )


def _medians(catalog: Path, place: Path, engine: str, repeats: int) -> dict[str, tuple[float, float]]:
    """Seconds and CPU seconds by way."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number in range(repeats):
        for name, way in WAYS.items():
            start, cpu = time.perf_counter(), _cpu_seconds()
            way(catalog, place / f"{name}-{number}", engine)
            times[name].append((time.perf_counter() - start, _cpu_seconds() - cpu))
    return {
        name: (statistics.median(wall for wall, _ in found), statistics.median(cpu for _, cpu in found))
        for name, found in times.items()
    }


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    command(measure, __doc__)
