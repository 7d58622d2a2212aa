"""A Frictionless Data Package (v1): `datapackage.json`, the table `pictures.csv`, and every picture file.

A cell of the table that a spreadsheet would take for a formula begins with an apostrophe; so does one that
begins with apostrophes before such a sign, so that `plain_cell` gives back every text.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence

import orjson

from newbie_core.delivery.fields import singular
from newbie_core.delivery.layouts import Commission, Layout, Written, listing, name_files
from newbie_core.digests import digest_bytes
from newbie_core.images import read_record

TABLE = "pictures.csv"
PACKAGE = "datapackage.json"
_MEDIA = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")

Cell = str | int


def text_cell(text: str) -> str:
    """A text that stays one in a spreadsheet."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain_cell(text: str) -> str:
    """The text that `text_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def package_layout(work: Commission) -> Layout:
    """The pictures in their folders, the table and its description.

    Raises:
        DeliveryError: the pattern gives names that cannot be used.
    """

    def pages(written: Sequence[Written]) -> Iterator[tuple[str, bytes]]:
        columns, rows = _columns(work), [_row(work, each) for each in written]
        table = _table(columns, rows)
        yield TABLE, table
        yield PACKAGE, _package(work, columns, table, written)
        yield "release.json", listing(work, written)

    return Layout(files=name_files(work), pages=pages)


def _columns(work: Commission) -> dict[str, dict[str, object]]:
    """The table's columns with their schema, in their order."""
    sha256: dict[str, object] = {"type": "string", "constraints": {"pattern": "[0-9a-f]{64}"}}
    columns: dict[str, dict[str, object]] = {
        "id": {"type": "string", "constraints": {"required": True}},
        "file": {"type": "string", "constraints": {"required": True, "unique": True}},
        "channel": {"type": "string"},
        "width": {"type": "integer", "constraints": {"minimum": 1}},
        "height": {"type": "integer", "constraints": {"minimum": 1}},
        "format": {"type": "string", "constraints": {"enum": sorted(_MEDIA)}},
        "bytes": {"type": "integer"},
        "sha256": sha256,
        "pixels": {**sha256, "description": "of the picture's pixels before any channel"},
    }
    if work.profile == "private":
        columns |= {
            "name": {"type": "string"},
            "key": sha256,
            "seed": {"type": "integer"},
            "steps": {"type": "integer"},
            "guidance": {"type": "number"},
            "negative": {"type": "string"},
            "prompt": {"type": "string"},
        }
    tables = dict.fromkeys(table for picture in work.pictures for table in picture.rows)
    for table in tables:
        name = singular(table)
        if name not in columns:
            columns[name] = {"type": "string", "description": f"row of the table {table}"}
    return columns


def _row(work: Commission, written: Written) -> dict[str, Cell]:
    file, picture = written.file, written.file.picture
    entry, (width, height) = picture.entry, written.file.size
    row: dict[str, Cell] = {singular(table): text_cell(row_id) for table, row_id in picture.rows.items()}
    row |= {
        "id": text_cell(entry.id),
        "file": text_cell(file.name),
        "channel": file.channel.name if file.channel else "",
        "width": width,
        "height": height,
        "format": file.format,
        "bytes": written.bytes,
        "sha256": written.sha256,
        "pixels": entry.pixels,
    }
    if work.profile == "private":
        recipe = work.release.content.recipes[entry.recipe]
        record = read_record(work.shelf.store.get(entry.object)) or {}
        row |= {
            "name": text_cell(picture.fields.get("name", "")),
            "key": entry.key,
            "seed": entry.seed,
            "steps": recipe.steps,
            "guidance": recipe.guidance,
            "negative": text_cell(recipe.negative),
            "prompt": text_cell(str(record.get("prompt", ""))),
        }
    return row


def _table(columns: dict[str, dict[str, object]], rows: Sequence[dict[str, Cell]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _package(
    work: Commission, columns: dict[str, dict[str, object]], table: bytes, written: Sequence[Written]
) -> bytes:
    release = work.release
    fields = [{"name": name, **schema} for name, schema in columns.items()]
    resources: list[dict[str, object]] = [
        {
            "profile": "tabular-data-resource",
            "name": "pictures",
            "path": TABLE,
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True},
            "bytes": len(table),
            "hash": f"sha256:{digest_bytes(table)}",
            "schema": {"fields": fields, "primaryKey": ["file"], "missingValues": [""]},
        }
    ]
    resources.extend(
        {
            "profile": "data-resource",
            "name": f"picture-{number:06}",
            "title": each.file.picture.entry.id,
            "path": each.file.name,
            "format": each.file.format,
            "mediatype": _MEDIA[each.file.format],
            "bytes": each.bytes,
            "hash": f"sha256:{each.sha256}",
        }
        for number, each in enumerate(written, 1)
    )
    value = {
        "profile": "data-package",
        "name": f"{slug(release.content.set)}-{release.ref.name}",
        "title": release.content.title or release.content.set,
        "version": f"{release.ref.number}.0.0",
        "id": release.ref.digest,
        "resources": resources,
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def slug(text: str) -> str:
    """A name as the specification wants it: a-z, 0-9, ".", "-" and "_"; "set" where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-.") or "set"
