"""What the line costs a picture: everything but the engine, from the sheet to the published version.

`python -m benchmarks.line` (about two minutes). `newbie run` of a new flat set on the null engine,
as a process of its own: read, plan, render, encode, embed, hash, store, publish, link the view,
draw the contact sheet.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.fixtures import make_flat
from benchmarks.report import Report, Value, command, verdict
from benchmarks.shell import newbie

SIZES = (1_000, 10_000, 20_000)
FSYNCED = 2_000
TARGET_MS = 1.0
TARGET_GROWTH = 1.25


def run_new(place: Path, count: int, *, durable: bool) -> dict[str, Value]:
    """A first run of `count` pictures in a new store."""
    name = f"{count}-{durable}"
    took = newbie("run", make_flat(place / name, count), store=place / f"store-{name}", durable=durable)
    return {
        "pictures": count,
        "fsync": "yes" if durable else "no",
        "wall s": round(took.wall, 2),
        "wall ms a picture": round(1000 * took.wall / count, 3),
        "CPU ms a picture": round(1000 * took.cpu / count, 3),
        "peak MB": round(took.memory),
    }


def measure() -> Report:
    """New sets of three sizes without fsync, and one with."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = [run_new(place, count, durable=False) for count in SIZES]
        plain = run_new(place, FSYNCED, durable=False)
        durable = run_new(place, FSYNCED, durable=True)
    by_size = {int(row["pictures"]): row for row in rows}
    small, large = (float(by_size[count]["peak MB"]) for count in (SIZES[0], SIZES[-1]))
    middle = by_size[10_000]
    adds = float(durable["wall ms a picture"]) - float(plain["wall ms a picture"])
    return Report(
        title="The line without its engine: a first `newbie run` (64x64 null pictures)",
        rows=[*rows, plain, durable],
        verdicts=[
            verdict("wall a picture at 10,000", float(middle["wall ms a picture"]), TARGET_MS, "ms"),
            verdict("CPU a picture at 10,000", float(middle["CPU ms a picture"]), TARGET_MS, "ms"),
            verdict(f"peak memory, {SIZES[-1]:,} against {SIZES[0]:,}", large / small, TARGET_GROWTH, "x"),
            f"fsync adds {adds:.2f} ms a picture at {FSYNCED:,}",
        ],
    )


if __name__ == "__main__":
    command(measure, __doc__)
