"""A copy of a CSV file with fields added at the end of its records; what was there keeps its bytes."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence

from newbie_core.sheets.additions import AddedCell, AddedColumn, Addition
from newbie_core.sheets.csv_text import separator_of
from newbie_core.sheets.encodings import decode

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NOTHING = AddedCell()
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def copy_csv(data: bytes, addition: Addition, encoding: str | None, *, tabs: bool) -> bytes:
    """The file's bytes with the added columns, in its encoding; a character it lacks is spelled out.

    Columns that the header has already are written in their places; the others come behind the header's
    last field. A record with more fields than the header, which is rejected
    anyway, has them behind its own.
    """
    text, used, _ = decode(data, encoding)
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    separator, skipped = separator_of(text, tabs=tabs)
    copied = [text[:skipped]]
    width = 0
    for number, record, raw in _records(text[skipped:], separator):
        if number < addition.header_row or not any(field.strip() for field in record):
            copied.append(raw)
            continue
        if number == addition.header_row:
            width = len(record)
        copied.append(_with_fields(record, raw, addition, number, width, separator))
    return mark + "".join(copied).encode(used, "backslashreplace")


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str], str]]:
    """Each record with its number and its own text, the line end included."""
    csv.field_size_limit(len(text) + 1)
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(iter(lines), delimiter=separator, strict=True)
    line = 0
    for number, record in enumerate(reader, start=1):
        yield number, record, "".join(lines[line : reader.line_num])
        line = reader.line_num


def _with_fields(
    record: Sequence[str], raw: str, addition: Addition, number: int, width: int, separator: str
) -> str:
    is_header = number == addition.header_row
    body = raw.rstrip("\r\n")
    ending = raw[len(body) :]
    new = [_said(column, number, is_header=is_header) for column in addition.columns if column.place is None]
    old = {
        column.place: _said(column, number, is_header=is_header)
        for column in addition.columns
        if column.place is not None
    }
    if old:
        if len(record) > width:
            return raw
        fields = [*_raw_fields(body, separator), *([""] * (width - len(record)))]
        body = separator.join(
            _written([old[at]], separator) if at in old else field for at, field in enumerate(fields)
        )
    else:
        body += separator * max(0, width - len(record))
    return body + "".join(separator + _written([field], separator) for field in new) + ending


def _raw_fields(body: str, separator: str) -> list[str]:
    """A record's fields as they are written, quotes and all."""
    fields, start, inside = [], 0, False
    for at, one in enumerate(body):
        if one == '"' and body[start] == '"':
            inside = not inside
        elif one == separator and not inside:
            fields.append(body[start:at])
            start = at + 1
    return [*fields, body[start:]]


def _said(column: AddedColumn, number: int, *, is_header: bool) -> str:
    if is_header:
        return column.heading
    value = column.cells.get(number, _NOTHING).value
    text = "" if value is None else str(value)
    text = " ".join(text.split())
    return "'" + text if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text


def _written(fields: Sequence[str], separator: str) -> str:
    if fields == [""]:
        return ""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="").writerow(fields)
    return out.getvalue()
