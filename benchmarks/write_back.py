"""How long it takes to write a version of 5,000 rows back into a copy of its workbook, and how large that is.

`python -m benchmarks.write_back` (some minutes, most of them for making the pictures once). `newbie
writeback` as a process of its own: first with thumbnails to make, then with those it remembers, then
without any. The pictures are of 192x192 pixels; larger ones only cost the first time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.fixtures import make_wide
from benchmarks.null_engine import USUAL_ENGINE
from benchmarks.report import Report, Value, command, verdict
from benchmarks.shell import python

ROWS = 5000
TARGET_SECONDS = 20.0


def measure() -> Report:
    """Three copies of one workbook."""
    rows: list[dict[str, Value]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        catalog = make_wide(folder / "wide", ROWS)
        settings = catalog / "catalog.toml"
        settings.write_text(settings.read_text().replace("64x64", "192x192"))
        store = ("--store", str(folder / "store"))
        python("-m", "newbie_core.cli", "run", str(catalog), "--engine", USUAL_ENGINE, *store)
        ways = (("thumbnails, first", ()), ("thumbnails, again", ()), ("none", ("--no-thumbnails",)))
        for number, (way, words) in enumerate(ways):
            copy = folder / "back" / f"{number}.xlsx"
            took = python(
                "-m", "newbie_core.cli", "writeback", str(catalog), "--out", str(copy), *words, *store
            )
            rows.append(
                {
                    "pictures": way,
                    "rows": ROWS,
                    "wall s": round(took.wall, 2),
                    "CPU s": round(took.cpu, 2),
                    "peak MB": round(took.memory),
                    "copy MB": round(copy.stat().st_size / 1e6, 2),
                }
            )
    slowest = max(float(row["wall s"]) for row in rows)
    return Report(
        title=f"Write back {ROWS:,} rows x 18 columns of .xlsx with pictures of 192x192",
        rows=rows,
        verdicts=[verdict("the slowest copy", slowest, TARGET_SECONDS, "s")],
    )


if __name__ == "__main__":
    command(measure, __doc__)
