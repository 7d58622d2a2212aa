"""What the canary costs a night: the share of a night's time that its golden pictures take.

`python -m benchmarks.canary_share` (about four minutes). Nights of 1,000 new pictures of 64x64 by the sketch engine,
each in a new store with fsync, asking 4 golden pictures (what a night asks) and 8 (the most) in turn: once where
the set has no goldens yet and once, with every picture changed, where there are some to compare with.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.fixtures import FLAT_HEADER, flat_row, make_flat, write_csv
from benchmarks.report import Report, Value, command, verdict
from newbie_core.engines import load_engine
from newbie_core.production import RunOptions, open_run
from newbie_core.production.canary import USUAL_GOLDENS
from newbie_core.store import Store

PICTURES = 1_000
GOLDENS = (USUAL_GOLDENS, 8)
REPEATS = 3
TARGET_PERCENT = 1.0


def night(catalog: Path, place: Path, goldens: int) -> tuple[float, float]:
    """Seconds of a whole night of one set, and of its canary."""
    options = RunOptions(engine="sketch", canary=goldens)
    began = time.perf_counter()
    with (
        Store.open(place) as store,
        open_run(catalog, store=store, root=place, engines=load_engine, options=options) as run,
    ):
        asked = time.perf_counter()
        report = run.canary()
        took = time.perf_counter() - asked
        for chunk in run.chunks():
            run.make(chunk)
        run.check()
        run.publish()
    assert report is not None and not report.waiting
    return time.perf_counter() - began, took


def measure() -> Report:
    """First and later nights with each number of goldens, in turn."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        first = make_flat(place / "first", PICTURES)
        later = make_flat(place / "later", PICTURES)
        rows_of_later = ([*flat_row(number)[:-1], str(PICTURES + number)] for number in range(PICTURES))
        write_csv(later / "rows.csv", FLAT_HEADER, rows_of_later)
        for number in range(REPEATS):
            for goldens in GOLDENS:
                store = place / f"store-{goldens}-{number}"
                for name, catalog in (("first", first), ("later", later)):
                    found.setdefault((name, goldens), []).append(night(catalog, store, goldens))
    rows: list[dict[str, Value]] = []
    verdicts = []
    for (name, goldens), nights in found.items():
        percent = statistics.median(100 * canary / whole for whole, canary in nights)
        rows.append(
            {
                "night": name,
                "golden pictures": goldens,
                "whole s": round(statistics.median(whole for whole, _ in nights), 2),
                "canary s": round(statistics.median(canary for _, canary in nights), 3),
                "percent": round(percent, 2),
            }
        )
        verdicts.append(
            verdict(f"{goldens} golden pictures, {name} night", percent, TARGET_PERCENT, "% of the night")
        )
    return Report(
        title=f"The canary's share of a night of {PICTURES:,} pictures of 64x64, sketch engine, medians of {REPEATS}",
        rows=rows,
        verdicts=verdicts,
    )


if __name__ == "__main__":
    command(measure, __doc__)
