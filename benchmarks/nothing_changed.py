"""How long a night takes in which nothing, or next to nothing, changed.

`python -m benchmarks.nothing_changed` (about ten minutes, most of it for making 220,000 pictures
once). `newbie run` and `newbie plan` as processes of their own, less the interpreter's start, for a
flat set of distinct rows and a crossed one; then the flat set with its file rewritten (an unused
column more: the same cells in other bytes) and with one cell changed.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.fixtures import FLAT_HEADER, flat_row, make_crossed, make_flat, write_csv
from benchmarks.report import Report, Value, command, verdict
from benchmarks.shell import newbie, python

LARGE, SMALL = 100_000, 10_000
REPEATS = 3
TARGET_SECONDS = 5.0
TARGET_GROWTH = 1.2


class Set:
    """A catalog that was made and published, and the store it is in."""

    def __init__(self, name: str, catalog: Path, pictures: int) -> None:
        self.name = name
        self.catalog = catalog
        self.pictures = pictures
        self._store = catalog.with_name(f"{catalog.name}-store")
        self._idle = statistics.median(python("-c", "pass").wall for _ in range(5))
        newbie("run", catalog, store=self._store)
        newbie("run", catalog, store=self._store)  # the first after a publication hashes what it linked

    def row(self, verb: str, what: str, *, repeats: int = REPEATS) -> dict[str, Value]:
        """The medians of a command, run so many times."""
        took = [newbie(verb, self.catalog, store=self._store) for _ in range(repeats)]
        return {
            "set": self.name,
            "pictures": self.pictures,
            "command": verb,
            "changed": what,
            "wall s": round(_median([one.wall for one in took]) - self._idle, 2),
            "CPU s": round(_median([one.cpu for one in took]), 2),
            "peak MB": round(max(one.memory for one in took)),
        }


def rewritten(catalog: Path, pictures: int) -> None:
    """The flat set's file with a column that nobody reads."""
    rows = ([*flat_row(number), "x"] for number in range(pictures))
    write_csv(catalog / "rows.csv", [*FLAT_HEADER, "reviewer's initials"], rows)


def one_cell_changed(catalog: Path, pictures: int) -> None:
    """The flat set's file with another expression in its middle row."""
    rows = [flat_row(number) for number in range(pictures)]
    rows[pictures // 2][FLAT_HEADER.index("expression")] = "embarrassed"
    write_csv(catalog / "rows.csv", FLAT_HEADER, rows)


def measure() -> Report:
    """Both sets in both sizes, then the changes to the large flat one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        flat = Set("flat", make_flat(place / "flat", LARGE), LARGE)
        sets = [
            Set("flat", make_flat(place / "small", SMALL), SMALL),
            flat,
            Set("crossed", make_crossed(place / "few", 100, 10, 10), SMALL),
            Set("crossed", make_crossed(place / "crossed", 100, 50, 20), LARGE),
        ]
        rows = [one.row(verb, "nothing") for one in sets for verb in ("run", "plan")]
        rewritten(flat.catalog, LARGE)
        rows.append(flat.row("run", "bytes only", repeats=1))
        one_cell_changed(flat.catalog, LARGE)
        rows += [flat.row(verb, "one cell", repeats=1) for verb in ("plan", "run")]
    return Report(
        title="Nothing changed: seconds beyond the interpreter's start, medians",
        rows=rows,
        verdicts=_told(rows),
    )


def _told(rows: list[dict[str, Value]]) -> list[str]:
    unchanged = {
        (row["set"], row["command"], row["pictures"]): row for row in rows if row["changed"] == "nothing"
    }
    told = []
    for kind in ("flat", "crossed"):
        for verb in ("run", "plan"):
            small, large = unchanged[kind, verb, SMALL], unchanged[kind, verb, LARGE]
            seconds = float(large["wall s"])
            told.append(verdict(f"{kind}, {verb}, {LARGE:,}", seconds, TARGET_SECONDS, "s wall"))
            growth = float(large["CPU s"]) / float(small["CPU s"]) / (LARGE / SMALL)
            told.append(verdict(f"{kind}, {verb}: CPU against linear growth", growth, TARGET_GROWTH, "x"))
    return told


def _median(values: list[float]) -> float:
    return float(statistics.median(values))


if __name__ == "__main__":
    command(measure, __doc__)
