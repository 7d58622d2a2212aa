"""Read, validate and plan 20,000 rows of an Excel workbook, against the plain way to do it.

`python -m benchmarks.planning` (about a minute). The plain way is one process and the tools anybody
would take: openpyxl, one compiled Jinja template, lxml, json and sha256. It does the same work on
the same file: headers matched by name, ids unique, whole numbers and positions checked, tags looked
up, inherited defaults, the stock template rendered, the result parsed and written canonically, one
key a row. Ours also checks the file itself, and renders in limited children. Both start cold.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from lxml import etree
from openpyxl import load_workbook

from benchmarks.fixtures import WIDE_HEADER, make_wide
from benchmarks.null_engine import NullEngine
from benchmarks.report import Report, Value, command, verdict
from newbie_core.catalogs import open_catalog
from newbie_core.plans import Previous, make_plan
from newbie_core.prompts.lint import _COLOURED, _COLOURS, _TAGS, TAG_COLUMNS
from newbie_core.prompts.templates import stock_folder

ROWS = 20_000
REPEATS = 3
TARGET = 5.0

_NUMBERS = ("seed",)
_TEXTS = ("n", "position", "caption")
_PERSON = (
    "name",
    "gender",
    "appearance",
    "clothing",
    "body_type",
    "expression",
    "action",
    "pose",
    "position",
)
_FURTHER = ("interaction", "environment", "perspective", "atmosphere", "quality", "objects", "other")
_PLAIN = re.compile(r"[A-Za-z0-9(][A-Za-z0-9 _\-'():.!?/+]*")
_POINT = re.compile(r"x:0?\.\d+, y:0?\.\d+")


def plain_plan(file: Path) -> dict[str, str]:
    """The keys of all rows by id, the plain way."""
    sheet = load_workbook(file)["rows"]
    known = {*_TAGS.split(), *(f"{colour}_{noun}" for colour in _COLOURS for noun in _COLOURED)}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(stock_folder()), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["tags"] = _spelt
    template = environment.get_template("character.xml.j2")
    engine, source = NullEngine().identity().fingerprint, hashlib.sha256(b"template").hexdigest()
    keys: dict[str, str] = {}
    columns: dict[str, int] = {}
    for cells in sheet.iter_rows(values_only=True):
        texts = ["" if cell is None else str(cell).strip() for cell in cells]
        if not columns:
            columns = {name: texts.index(name) for name in WIDE_HEADER}
            continue
        row = {name: texts[at] for name, at in columns.items() if texts[at]}
        if _problems(row, keys, known):
            continue
        xml = _canonical(template.render(_context(row)))
        prompt = hashlib.sha256(xml.encode()).hexdigest()
        parts = [prompt, row.get("negative", ""), row["seed"], 64, 64, 28, "4.5", engine, source]
        keys[row["id"]] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return keys


def _problems(row: dict[str, str], keys: dict[str, str], known: set[str]) -> list[str]:
    """What is wrong with a row; unknown tags are only counted."""
    found = []
    if not row.get("id") or row["id"] in keys or "/" in row["id"]:
        found.append("id")
    found.extend(name for name in _NUMBERS if not row.get(name, "0").isdigit())
    if "position" in row and not _POINT.fullmatch(row["position"]):
        found.append("position")
    unknown = 0
    for name, text in row.items():
        if name in TAG_COLUMNS:
            unknown += sum(tag.strip().lower().replace(" ", "_") not in known for tag in text.split(","))
    return found


def _context(row: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys((*WIDE_HEADER, *_FURTHER), "") | row
    values = {name: _escaped(text) for name, text in values.items()}
    values["characters"] = [{name: values[name] for name in (*_PERSON, "interaction")} | {"number": 1}]
    values["count_tags"] = "1girl, solo" if row.get("gender") == "1girl" else "1boy, solo"
    return values


def _spelt(text: str) -> str:
    tags = dict.fromkeys(" ".join(tag.split()) for tag in text.split(","))
    return ", ".join(t.replace(" ", "_").lower() if _PLAIN.fullmatch(t) else t for t in tags if t)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _canonical(text: str) -> str:
    """The prompt parsed and written again: fields trimmed, each tag once."""
    blocks = []
    for block in etree.fromstring(f"<prompt>{text}</prompt>"):
        if not len(block):
            blocks.append(f"<{block.tag}>{_escaped(block.text or '')}</{block.tag}>")
            continue
        lines = [f"<{block.tag}>"]
        for field in block:
            value = " ".join((field.text or "").split())
            if field.tag not in _TEXTS:
                value = ", ".join(dict.fromkeys(tag.strip() for tag in value.split(",")))
            lines.append(f"<{field.tag}>{_escaped(value)}</{field.tag}>")
        blocks.append("\n".join([*lines, f"</{block.tag}>"]))
    return "\n\n".join(blocks) + "\n"


def our_plan(folder: Path) -> dict[str, str]:
    """The keys of all rows by id, as a run makes them without any cache."""
    engine = NullEngine()
    plan = make_plan(
        open_catalog(folder),
        engine=engine.identity(),
        capabilities=engine.capabilities(),
        previous=Previous(),
    )
    return {item.picture.id: item.key for item in plan.items}


def measure() -> Report:
    """Both ways in turn."""
    with tempfile.TemporaryDirectory() as place:
        folder = make_wide(Path(place) / "wide", ROWS)
        ways: dict[str, Callable[[], dict[str, str]]] = {
            "plain": lambda: plain_plan(folder / "cast.xlsx"),
            "ours": lambda: our_plan(folder),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(REPEATS):
            for name, way in ways.items():
                start = time.perf_counter()
                if len(way()) != ROWS:
                    raise SystemExit(f"{name}: rows are missing")
                times[name].append(time.perf_counter() - start)
    best = {name: sorted(found)[REPEATS // 2] for name, found in times.items()}
    rows: list[dict[str, Value]] = [
        {"way": name, "median s": round(seconds, 2), "µs a row": round(1e6 * seconds / ROWS)}
        for name, seconds in best.items()
    ]
    return Report(
        title=f"Read, validate and plan {ROWS:,} rows x {len(WIDE_HEADER)} columns of .xlsx, cold",
        rows=rows,
        verdicts=[verdict("times the plain way", best["plain"] / best["ours"], TARGET, "x", at_least=True)],
    )


if __name__ == "__main__":
    command(measure, __doc__)
