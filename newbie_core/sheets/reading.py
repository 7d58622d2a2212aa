"""Read a workbook or CSV file that nobody vouches for.

This process only hashes the file and looks at its first bytes; a limited child process reads the
rest, and its answer can be kept under the file's digest so that an unchanged file is not read again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

import orjson

from newbie_core.errors import Fault, SandboxError, SheetError
from newbie_core.sandbox import SandboxLimits, Worker
from newbie_core.sheets.kinds import (
    TEXT_SUFFIXES,
    WORKBOOK_SUFFIXES,
    Kind,
    foreign_kind,
    is_encrypted,
    is_zip,
    looks_like_text,
)
from newbie_core.sheets.text import visible
from newbie_core.sheets.workbook import Limits, Mark, Sheet, Workbook, collecting_paused

READER_VERSION = 2
"""Raised whenever the same bytes would be read differently; part of every snapshot's key."""

_DEFAULT_LIMITS = Limits()
_CHILD = "newbie_core.sheets.child:read"
_CHILD_LIMITS = SandboxLimits(memory_bytes=1 << 30, cpu_seconds=20)
_WALL_SECONDS = 9.0
_SECONDS_PER_MEGABYTE = 0.3
_RESOURCES = {"memory": "memory", "cpu": "computing time", "time": "time"}


class SnapshotCache(Protocol):
    """A place that keeps what was read from a file; losing an entry only costs time."""

    def load(self, key: str) -> bytes | None:
        """The bytes saved under `key`, or None."""

    def save(self, key: str, data: bytes) -> None:
        """Keep `data` under `key` (64 hexadecimal digits)."""


def read_workbook(
    path: Path,
    *,
    limits: Limits = _DEFAULT_LIMITS,
    encoding: str | None = None,
    merged: Literal["error", "fill"] = "error",
    snapshot: SnapshotCache | None = None,
) -> Workbook:
    """The sheets of an .xlsx, .xlsm, .csv or .tsv file, every cell as text.

    Args:
        encoding: of a CSV file without a mark that is not UTF-8, such as "gb18030" or "cp932".
        merged: what the blank cells of a merged area are: faults of their rows, or its value.
        snapshot: where an unchanged file's cells are kept between runs.

    Raises:
        SheetError: the file cannot be used as a whole; its `faults` say why.
    """
    file = visible(os.fsencode(path.name).decode(errors="replace"))
    data = _file_bytes(path, file, limits)
    kind = _kind(path, file, data)
    request = {
        "path": os.fsencode(path.absolute()).hex(),
        "kind": kind,
        "limits": asdict(limits),
        "encoding": encoding,
        "merged": merged,
    }
    digest = hashlib.sha256(data).hexdigest()
    with collecting_paused():
        answer = _answer(request, digest, len(data), file, snapshot)
        return _workbook(answer, file, path.stem, kind)


def _answer(
    request: dict[str, Any], digest: str, size: int, file: str, snapshot: SnapshotCache | None
) -> dict[str, Any]:
    options = {name: value for name, value in request.items() if name != "path"}
    named = orjson.dumps([digest, READER_VERSION, options], option=orjson.OPT_SORT_KEYS)
    key = hashlib.sha256(named).hexdigest()
    if snapshot is not None and (kept := _kept(snapshot, key, digest)) is not None:
        return kept
    answer = _ask_child(request, size, file)
    if answer["digest"] != digest:
        _refuse(file, "E_FILE_CHANGED", "the file changed while it was read", "run again")
    if snapshot is not None:
        snapshot.save(key, orjson.dumps(answer))
    return answer


def _kept(snapshot: SnapshotCache, key: str, digest: str) -> dict[str, Any] | None:
    data = snapshot.load(key)
    if data is None:
        return None
    try:
        answer: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None  # a torn entry costs one more reading
    return answer if answer["digest"] == digest else None


def _ask_child(request: dict[str, Any], size: int, file: str) -> dict[str, Any]:
    seconds = _WALL_SECONDS + _SECONDS_PER_MEGABYTE * size / 1e6
    try:
        with Worker(_CHILD, _CHILD_LIMITS) as worker:
            answer: dict[str, Any] = worker.call(request, seconds=seconds)
    except SandboxError as error:
        if error.reason in _RESOURCES:
            message = f"reading the file took more {_RESOURCES[error.reason]} than a sheet may use"
            _refuse(file, "E_FILE_LIMIT", message, "copy the cells into a new workbook, or split it")
        _refuse(file, "E_FILE_DAMAGED", f"the file cannot be read ({error})", "save it anew from Excel")
    return answer


def _workbook(answer: dict[str, Any], file: str, stem: str, kind: Kind) -> Workbook:
    csv_name = visible(os.fsencode(stem).decode(errors="replace"))
    faults = [Fault(**{**record, "file": file}) for record in answer["faults"]]
    if answer["sheets"] is None:
        raise SheetError(faults=faults)
    sheets = tuple(
        Sheet(
            name=sheet["name"] or csv_name,
            file=file,
            kind="xlsx" if kind == "xlsx" else "csv",
            numbers=sheet["numbers"],
            rows=sheet["rows"],
            marks={number: [Mark(*mark) for mark in marks] for number, marks in sheet["marks"]},
            hidden=sheet["hidden"],
        )
        for sheet in answer["sheets"]
    )
    return Workbook(
        file=file,
        digest=answer["digest"],
        encoding=answer["encoding"],
        sheets=sheets,
        faults=tuple(faults),
        author=answer.get("author", ""),
    )


def _file_bytes(path: Path, file: str, limits: Limits) -> bytes:
    """The file's bytes, if it is a plain file of a bearable size; a named pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        _refuse(file, "E_FILE_MISSING", "there is no such file", "check the path in the catalog")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be used"
        _refuse(file, "E_FILE_UNREADABLE", f"the file cannot be opened ({reason})", "check its permissions")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        _refuse(file, "E_FILE_UNREADABLE", "this is not a plain file", "name a workbook or CSV file")
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        size = f"{limits.file_bytes / 1e6:g} MB"
        _refuse(file, "E_FILE_SIZE", f"the file is larger than {size}", "split it")
    if not data:
        _refuse(file, "E_FILE_EMPTY", "the file is empty", "upload it again")
    return data


def _kind(path: Path, file: str, data: bytes) -> Kind:
    """How to read the file, from its suffix; its bytes must agree."""
    suffix = path.suffix.lower()
    if suffix not in WORKBOOK_SUFFIXES + TEXT_SUFFIXES:
        message = f'"{visible(path.suffix)}" is not a kind of file that is read here'
        _refuse(file, "E_FILE_KIND", message, "use .xlsx, .xlsm, .csv or .tsv")
    if path.name.startswith("~$"):
        _refuse(file, "E_FILE_KIND", "this is Excel's own lock file", "close Excel and name the workbook")
    if is_encrypted(data):
        message = "the workbook is password protected"
        _refuse(file, "E_FILE_ENCRYPTED", message, "save it without a password")
    kind = foreign_kind(data)
    if kind is not None:
        _refuse_kind(file, kind, suffix)
    if suffix in TEXT_SUFFIXES:
        if is_zip(data):
            _refuse_kind(file, "a zip file or Excel workbook", suffix)
        return "tsv" if suffix == ".tsv" else "csv"
    if not is_zip(data):
        _refuse_kind(
            file, "a text file such as CSV" if looks_like_text(data) else "no Excel workbook", suffix
        )
    return "xlsx"


def _refuse_kind(file: str, kind: str, suffix: str) -> NoReturn:
    message = f"this is {kind}, although its name ends in {suffix}"
    _refuse(file, "E_FILE_KIND", message, "save it from Excel as .xlsx, or give it its right name")


def _refuse(file: str, code: str, message: str, fix: str) -> NoReturn:
    raise SheetError(faults=[Fault(file=file, code=code, message=message, fix=fix, severity="file")])
