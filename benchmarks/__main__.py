"""Run every benchmark and write `results.md`; name some to run only those."""

from __future__ import annotations

import argparse
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import Report, machine

NAMES = (
    "png",
    "planning",
    "line",
    "nothing_changed",
    "prefect_path",
    "canary_share",
    "page",
    "write_back",
    "model_forward",
    "model_counts",
    "model_memory",
    "model_gpu",
)
RESULTS = Path(__file__).with_name("results.md")


def main() -> None:
    """Measure, print, write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    reports: dict[str, Report] = {}
    for name in given.names or NAMES:
        reports[name] = importlib.import_module(f"benchmarks.{name}").measure()
        if not given.json:
            print(reports[name].table(), flush=True)
    where = machine()
    if given.json:
        records = {name: report.record() for name, report in reports.items()}
        print(json.dumps({"machine": where, "results": records}, indent=2, ensure_ascii=False))
    if not given.names:
        tables = "\n".join(report.table() for report in reports.values())
        RESULTS.write_text(
            f"# Results\n\n{datetime.now(UTC):%Y-%m-%d}; {where}\n\n{tables}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
