"""Templates on disk and their renderings."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from newbie_core.catalogs.catalog import CORE_COLUMNS
from newbie_core.prompts.templates import RowProblem, Template, load_template, render_all, stock_folder

COLUMNS = tuple(spec.name for spec in CORE_COLUMNS)


def make_template(text: str, **included: str) -> Template:
    """A template of this text; `frame="..."` stands beside it as frame.j2."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "own.xml.j2").write_text(text, encoding="utf-8")
        for stem, other in included.items():
            (folder / f"{stem}.j2").write_text(other, encoding="utf-8")
        return load_template("own.xml.j2", [folder])


def stock_template() -> Template:
    return load_template("character.xml.j2", [stock_folder()])


def render(
    template: Template | str,
    *values: Mapping[str, str],
    columns: Sequence[str] = COLUMNS,
    extra_fields: Sequence[str] = (),
) -> list[str | RowProblem]:
    """What the template gives for each of `values`."""
    made = make_template(template) if isinstance(template, str) else template
    return list(render_all(made, values or [{}], columns=columns, extra_fields=extra_fields))


def render_one(template: Template | str, **values: str) -> str:
    """The prompt of one picture."""
    answer = render(template, values)[0]
    assert isinstance(answer, str), answer
    return answer
