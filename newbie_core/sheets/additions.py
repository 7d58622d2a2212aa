"""A copy of a workbook or CSV file with columns added to its tables; everything else stays as it is.

The copy is made in a limited child process, from bytes that `read_workbook` has read before. A column
whose heading is there already is written again in its place, so a copy of a copy has it once.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from newbie_core.errors import Fault, SandboxError, SheetError
from newbie_core.sandbox import SandboxLimits, Worker
from newbie_core.sheets.kinds import TEXT_SUFFIXES
from newbie_core.sheets.text import visible
from newbie_core.sheets.workbook import Limits

_CHILD = "newbie_core.sheets.copies:copy"
_CHILD_LIMITS = SandboxLimits(memory_bytes=3 << 30, cpu_seconds=120)
_WALL_SECONDS = 60.0
_SECONDS_PER_MEGABYTE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a cell leads: a relative or whole address, percent-encoded, and what is said of it."""

    target: str
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small picture inside a cell: its key among the pictures, its size in pixels, its alternative text."""

    key: str
    width: int
    height: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedCell:
    """What one added cell holds: a text, which is never a formula, or a whole number; a link; a picture."""

    value: str | int | None = None
    link: Link | None = None
    picture: Thumbnail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedColumn:
    """One column: its heading, its width in characters, and its place where the sheet has it already.

    Attributes:
        place: counted from 0.
        cells: by row number; rows that are not named here are empty.
    """

    heading: str
    width: float = 16
    place: int | None = None
    cells: Mapping[int, AddedCell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What is added to one sheet; `header_row` is numbered as Excel shows it."""

    sheet: str
    header_row: int
    columns: Sequence[AddedColumn]


def add_columns(
    path: Path,
    additions: Sequence[Addition],
    *,
    digest: str,
    pictures: Mapping[str, bytes],
    limits: Limits,
    encoding: str | None = None,
) -> bytes:
    """The bytes of a copy of the file at `path` with the additions.

    Args:
        digest: the sha256 of the file that was read; another one is refused.
        pictures: JPEG files by the key that thumbnails name.
        limits: those the file was read with.

    Raises:
        SheetError: the file changed, breaks a limit, or has no room for the columns.
    """
    file = visible(os.fsencode(path.name).decode(errors="replace"))
    request = {
        "path": os.fsencode(path.absolute()).hex(),
        "digest": digest,
        "kind": path.suffix.lower().lstrip(".") if path.suffix.lower() in TEXT_SUFFIXES else "xlsx",
        "limits": asdict(limits),
        "encoding": encoding,
        "additions": [_record(addition) for addition in additions],
        "pictures": {key: base64.b64encode(data).decode() for key, data in pictures.items()},
    }
    size = path.stat().st_size + sum(map(len, pictures.values()))
    answer = _ask_child(request, file, _WALL_SECONDS + _SECONDS_PER_MEGABYTE * size / 1e6)
    if answer["faults"]:
        raise SheetError(faults=[Fault(**{**record, "file": file}) for record in answer["faults"]])
    return base64.b64decode(answer["copy"])


def _ask_child(request: dict[str, Any], file: str, seconds: float) -> dict[str, Any]:
    try:
        with Worker(_CHILD, _CHILD_LIMITS) as worker:
            answer: dict[str, Any] = worker.call(request, seconds=seconds)
    except SandboxError as error:
        fault = Fault(
            file=file,
            code="E_FILE_LIMIT" if error.reason in ("memory", "cpu", "time") else "E_FILE_DAMAGED",
            message=f"no copy of the file can be made ({error})",
            fix="use --no-thumbnails, or copy the cells into a new workbook",
            severity="file",
        )
        raise SheetError(faults=[fault]) from None
    return answer


def _record(addition: Addition) -> dict[str, Any]:
    columns = [
        {
            "heading": column.heading,
            "width": column.width,
            "place": column.place,
            "cells": [[number, asdict(cell)] for number, cell in sorted(column.cells.items())],
        }
        for column in addition.columns
    ]
    return {"sheet": addition.sheet, "header_row": addition.header_row, "columns": columns}


def addition_of(record: Mapping[str, Any]) -> Addition:
    """The addition that the parent process described."""
    return Addition(
        sheet=record["sheet"],
        header_row=record["header_row"],
        columns=[
            AddedColumn(
                heading=column["heading"],
                width=column["width"],
                place=column["place"],
                cells={number: _cell_of(cell) for number, cell in column["cells"]},
            )
            for column in record["columns"]
        ],
    )


def _cell_of(record: Mapping[str, Any]) -> AddedCell:
    link, picture = record["link"], record["picture"]
    return AddedCell(
        value=record["value"],
        link=Link(**link) if link else None,
        picture=Thumbnail(**picture) if picture else None,
    )
