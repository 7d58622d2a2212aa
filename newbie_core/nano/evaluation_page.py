"""A page with an evaluation's table and pictures, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from newbie_core.nano.evaluation import Rate, Result, Verdict, mistakes, table
from newbie_core.nano.trials import KINDS, Kind

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: left }
figure { display: inline-block; margin: .25rem; vertical-align: top } figcaption { font-size: 12px; max-width: 14rem }
img { display: block } .wrong { outline: 3px solid #c33 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } }
"""


def prepare_page(folder: Path) -> Path:
    """The folder for the pictures of a page, without those of an evaluation before."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    (folder / "forms.png").unlink(missing_ok=True)
    for kind in KINDS:
        for old in pictures.glob(f"{kind}-[0-9]*.png"):
            old.unlink()
    return pictures


def write_page(
    folder: Path, results: Sequence[Result], verdicts: Sequence[Verdict], judge: Mapping[str, Rate]
) -> None:
    """Write `folder`/index.html, table.md and, where they were compared, forms.png.

    Pictures lie in `folder`/pictures already.
    """
    (folder / "table.md").write_text(table(results) + "\n", encoding="utf-8")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>The small model, measured</title>",
        f"<style>{_STYLE}</style><h1>The small model, measured</h1>",
        "<h2>The judge on drawings</h2>",
        _table([(name.replace("_", " "), str(rate), f"{rate.of:,}") for name, rate in judge.items()]),
    ]
    if (forms := compared_forms(folder / "pictures")) is not None:
        forms.save(folder / "forms.png", optimize=True)
        parts += ["<h2>The same requests in three forms</h2>", f"<img src=forms.png alt='{_FORMS_SAY}'>"]
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
        verdict = known.get(_number(file))
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


FORMS: dict[Kind, str] = {"two": "XML", "two_ordered": "tags in\norder", "two_shuffled": "tags,\nshuffled"}
"""Kinds that ask for the same scenes, with the names of the rows in the picture that compares them."""

_FORMS_SAY = "Pairs of characters, asked for in XML, as tags in order and as shuffled tags"
_ACROSS, _MARGIN, _SIDE = 6, 96, 192


def compared_forms(pictures: Path) -> Image.Image | None:
    """The first square pictures of each form, a row a form; None where a form has none."""
    files = {kind: {_number(each): each for each in pictures.glob(f"{kind}-[0-9]*.png")} for kind in FORMS}
    shared = sorted(set.intersection(*(set(found) for found in files.values())))
    rows: dict[Kind, list[Image.Image]] = {kind: [] for kind in FORMS}
    for number in shared:
        made = {kind: Image.open(files[kind][number]).convert("RGB") for kind in FORMS}
        if all(each.size == (_SIDE, _SIDE) for each in made.values()):
            for kind, each in made.items():
                rows[kind].append(each)
    across = min(_ACROSS, len(rows["two"]))
    if not across:
        return None
    sheet = Image.new("RGB", (_MARGIN + across * _SIDE, len(FORMS) * _SIDE), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (kind, name) in enumerate(FORMS.items()):
        pen.multiline_text(
            (8, row * _SIDE + _SIDE // 2 - 20), name, fill="black", font=ImageFont.load_default(18)
        )
        for column, each in enumerate(rows[kind][:across]):
            sheet.paste(each, (_MARGIN + column * _SIDE, row * _SIDE))
    return sheet


def _number(file: Path) -> int:
    """The trial's number in a kept picture's name, KIND-NUMBER.png or KIND-NUMBER-wrong.png."""
    return int(file.stem.removesuffix("-wrong").rpartition("-")[2])
