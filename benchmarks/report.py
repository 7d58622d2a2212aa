"""What a benchmark found: rows of named values, as a table for people and as JSON for programs."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

Value = str | float | int

_PACKAGES = ("Pillow", "numpy", "zlib-ng", "orjson", "jinja2", "lxml", "openpyxl", "torch", "diffusers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One benchmark's result.

    Attributes:
        title: what was measured, and how.
        rows: one mapping of column to value each, all with the same columns.
        verdicts: the targets, each with what was found.
    """

    title: str
    rows: Sequence[Mapping[str, Value]]
    verdicts: Sequence[str] = ()

    def table(self) -> str:
        """The result as a Markdown table."""
        names = list(self.rows[0])
        cells = [names, *([_shown(row[name]) for name in names] for row in self.rows)]
        widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
        lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return (
            "\n".join([f"## {self.title}", "", *lines, "", *(f"- {line}" for line in self.verdicts)]) + "\n"
        )

    def record(self) -> dict[str, object]:
        """The result as programs read it."""
        return {"title": self.title, "rows": [dict(row) for row in self.rows], "verdicts": self.verdicts}


def verdict(name: str, found: float, limit: float, unit: str, *, at_least: bool = False) -> str:
    """One target in words: what was found, and whether it is met."""
    met = found >= limit if at_least else found <= limit
    sign = "≥" if at_least else "≤"
    return f"{'met' if met else 'MISSED'}: {name} {_shown(found)} {unit} (target {sign} {_shown(limit)})"


def machine() -> str:
    """Processor, cores, load and the versions that decide the result."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    processor = next(names, platform.processor() or platform.machine())
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{processor}, {os.cpu_count()} cores ({load}), Python {platform.python_version()}, {packages}"


def command(measure: Callable[[], Report], about: str | None) -> None:
    """A benchmark's command line: the table, or one JSON object with `--json`."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    report = measure()
    if given.json:
        print(json.dumps({"machine": machine(), **report.record()}, indent=2, ensure_ascii=False))
    else:
        print(f"{machine()}\n\n{report.table()}")


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value
