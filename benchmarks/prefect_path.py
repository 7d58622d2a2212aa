"""What Prefect adds to a run: the flow against the shell's way, in one process.

`python -m benchmarks.prefect_path` (about three minutes). The same new set of 5,000 null pictures is
made by the flow `image-set` and by `open_run`, in turn, each time in a new store with fsync. The
server is started before, and a first small flow has paid for Prefect's imports.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.fixtures import make_flat
from benchmarks.null_engine import NULL_ENGINE
from benchmarks.report import Report, Value, command, verdict
from newbie_core.engines import load_engine
from newbie_core.production import RunOptions, open_run
from newbie_core.production.run import carry_out
from newbie_core.store import Store

PICTURES = 5_000
REPEATS = 3
TARGET = 1.10


def by_shell(catalog: Path, store: Path) -> None:
    """As `newbie run` does it, without its command line."""
    options = RunOptions(engine=NULL_ENGINE)
    with (
        Store.open(store) as opened,
        open_run(catalog, store=opened, root=store, engines=load_engine, options=options) as run,
    ):
        carry_out(run)


def by_flow(catalog: Path, store: Path) -> None:
    """As a deployment does it."""
    from flows.image_set import image_set

    image_set(str(catalog), str(store), engine=NULL_ENGINE)


def measure() -> Report:
    """Both ways in turn, on a server of their own."""
    from prefect.testing.utilities import prefect_test_harness

    ways: dict[str, Callable[[Path, Path], None]] = {"shell": by_shell, "flow": by_flow}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder, prefect_test_harness(server_startup_timeout=120):
        place = Path(folder)
        by_flow(make_flat(place / "few", 100), place / "store")
        catalog = make_flat(place / "many", PICTURES)
        for number in range(REPEATS):
            for name, way in ways.items():
                start = time.perf_counter()
                way(catalog, place / f"{name}-{number}")
                times[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(found) for name, found in times.items()}
    rows: list[dict[str, Value]] = [
        {"way": name, "median s": round(found, 2), "ms a picture": round(1000 * found / PICTURES, 3)}
        for name, found in seconds.items()
    ]
    return Report(
        title=f"The Prefect path: {PICTURES:,} new null pictures, with fsync, server started before",
        rows=rows,
        verdicts=[verdict("flow against shell", seconds["flow"] / seconds["shell"], TARGET, "x")],
    )


if __name__ == "__main__":
    command(measure, __doc__)
