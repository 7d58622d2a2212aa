"""A page with an evaluation's table and pictures, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from newbie_core.nano.evaluation import Rate, Result, Verdict, mistakes, table
from newbie_core.nano.trials import KINDS

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: left }
figure { display: inline-block; margin: .25rem; vertical-align: top } figcaption { font-size: 12px; max-width: 14rem }
img { display: block } .wrong { outline: 3px solid #c33 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } }
"""


def write_page(
    folder: Path, results: Sequence[Result], verdicts: Sequence[Verdict], judge: Mapping[str, Rate]
) -> None:
    """Write `folder`/index.html and table.md; pictures lie in `folder`/pictures already."""
    (folder / "table.md").write_text(table(results) + "\n", encoding="utf-8")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>The small model, measured</title>",
        f"<style>{_STYLE}</style><h1>The small model, measured</h1>",
        "<h2>The judge on drawings</h2>",
        _table([(name.replace("_", " "), str(rate), f"{rate.of:,}") for name, rate in judge.items()]),
    ]
    for result in results:
        rows = [(name.replace("_", " "), str(rate), f"{rate.of:,}") for name, rate in result.rates.items()]
        parts += [f"<h2>{escape(KINDS[result.kind])}</h2>", _table(rows), _pictures(folder, result, verdicts)]
    wrong = "".join(f"<li>{escape(line)}</li>" for line in mistakes(verdicts))
    parts.append(f"<h2>What is wrong most often</h2><ul>{wrong}</ul>")
    (folder / "index.html").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr><th>what<th>right (95 % interval)<th>of</tr>{body}</table>"


def _pictures(folder: Path, result: Result, verdicts: Sequence[Verdict]) -> str:
    """The first pictures of a kind, then those that are wrong."""
    known = {each.number: each for each in verdicts if each.kind == result.kind}
    found = []
    for file in sorted((folder / "pictures").glob(f"{result.kind}-[0-9]*.png")):
        verdict = known.get(int(file.stem.removeprefix(f"{result.kind}-").partition("-")[0]))
        if verdict is None:
            continue
        wrong = sorted({name for names in verdict.wrong for name in names})
        if False in verdict.strict and "expression" not in wrong:
            wrong.append("a part of the face")
        mark = " class=wrong" if wrong else ""
        caption = escape(", ".join(wrong).replace("_", " "))
        found.append(
            f"<figure><img{mark} src='pictures/{file.name}' alt='{escape(KINDS[result.kind])}' loading=lazy>"
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return "<div>" + "".join(found) + "</div>"
