"""A workbook's bytes to sheets of text: its parts list, shared strings, number formats, sheets."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NoReturn

from newbie_core.errors import Fault, SheetError
from newbie_core.sheets.merges import apply_merges
from newbie_core.sheets.package import Package, damaged, refuse, refuse_encrypted
from newbie_core.sheets.shared import read_book, walk
from newbie_core.sheets.text import clean, visible
from newbie_core.sheets.workbook import Limits
from newbie_core.sheets.worksheet import Grid, read_worksheet

_RELATION_ID = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships id",
)
_LONGEST_NAME = 100  # Excel allows 31
_PROPERTIES = "docprops/core.xml"
_TRUE = ("1", "true")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """One relationship: what it is for, and the part or outside address that it points to."""

    kind: str
    target: str
    outside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """One sheet as the workbook lists it."""

    name: str
    relation: str
    hidden: bool


def read_xlsx(data: bytes, limits: Limits, merged: Literal["error", "fill"]) -> dict[str, Any]:
    """The answer to the parent process: `sheets` and the `faults` that stop nothing.

    Raises:
        SheetError: the file is no workbook, or breaks a limit.
    """
    package = Package(data, limits)
    root = _workbook_part(package)
    listed, from_1904 = _sheet_list(package, root)
    links = _links(package, root)
    parts = {sheet.name: _part_of(sheet, links) for sheet in listed}
    used = [part for part in parts.values() if part is not None]
    if len(set(used)) < len(used):
        damaged("two sheets share one part")
    strings_part = _target(links, "sharedStrings")
    package.check_prologs(parsed={*used, strings_part or ""})
    book = read_book(package, _target(links, "styles"), strings_part, limits, from_1904=from_1904)
    sheets, faults = [], _book_faults(package)
    for sheet in listed:
        part = parts[sheet.name]
        if part is None:
            continue
        grid = read_worksheet(package, part, sheet.name, book)
        apply_merges(grid, merged, limits, sheet.name)
        faults += _sheet_faults(sheet, grid)
        sheets.append(_record(sheet, grid))
    _check_text(sheets, limits)
    return {
        "sheets": sheets,
        "faults": [fault.record() for fault in faults],
        "encoding": None,
        "author": _author(package),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a workbook keeps what is edited: its sheets' parts by name, and its styles."""

    sheets: dict[str, str]
    styles: str | None


def find_places(package: Package) -> Places:
    """The parts of a workbook that `read_xlsx` has read before."""
    root = _workbook_part(package)
    links = _links(package, root)
    listed, _ = _sheet_list(package, root)
    parts = {sheet.name: _part_of(sheet, links) for sheet in listed}
    return Places(
        sheets={name: part for name, part in parts.items() if part is not None},
        styles=_target(links, "styles"),
    )


def _author(package: Package) -> str:
    """Who saved the workbook last, as it says itself; nothing where it does not, or is broken there."""
    if _PROPERTIES not in package:
        return ""
    parser = package.new_parser(_PROPERTIES)
    texts: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        parser.CharacterDataHandler = texts.append if tag.endswith(" lastModifiedBy") else None

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: start("", {})
    try:
        package.parse(_PROPERTIES, parser)
    except SheetError:
        return ""
    return visible(clean("".join(texts)[:_LONGEST_NAME]))


def _check_text(sheets: list[dict[str, Any]], limits: Limits) -> None:
    """Refuse a long shared text used so often that the answer itself would be the bomb."""
    rows = chain.from_iterable(sheet["rows"] for sheet in sheets)
    if sum(map(len, chain.from_iterable(rows))) > limits.text_per_file:
        message = f"the cells hold more than {limits.text_per_file:,} characters in all"
        refuse("E_FILE_CELLS", message, "split the file")


def _record(sheet: _Listed, grid: Grid) -> dict[str, Any]:
    marks = [[number, marks] for number, marks in sorted(grid.marks.items())]
    return {
        "name": sheet.name,
        "hidden": sheet.hidden,
        "numbers": grid.numbers,
        "rows": grid.rows,
        "marks": marks,
    }


def _workbook_part(package: Package) -> str:
    """The part that lists the sheets, or a refusal that says what kind of zip file this is."""
    if "encryptedpackage" in package:
        refuse_encrypted()
    for link in _links(package, "").values():
        if link.kind == "officeDocument" and link.target in package:
            if link.target.endswith(".bin"):
                _refuse_kind("a binary workbook (.xlsb)")
            if not link.target.startswith(("word/", "ppt/")):
                return link.target
    if "xl/workbook.xml" in package:
        return "xl/workbook.xml"
    _refuse_kind(_zip_kind(package))


def _zip_kind(package: Package) -> str:
    if "mimetype" in package:
        kind = package.start("mimetype", 100).decode("ascii", "replace")
        if "opendocument.spreadsheet" in kind:
            return "an OpenDocument spreadsheet (.ods)"
        return f"a file of the kind {visible(kind.strip())}"
    folders = {"word/": "a Word document", "ppt/": "a PowerPoint file", "index/": "an Apple Numbers file"}
    for folder, kind in folders.items():
        if any(name.startswith(folder) for name in package):
            return kind
    return "a zip archive without a workbook"


def _refuse_kind(kind: str) -> NoReturn:
    refuse("E_FILE_KIND", f"this is {kind}, not an .xlsx workbook", "save it as .xlsx and upload that")


def _sheet_list(package: Package, root: str) -> tuple[list[_Listed], bool]:
    listed: list[_Listed] = []
    from_1904 = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal from_1904
        if name == "workbookPr":
            from_1904 = attributes.get("date1904") in _TRUE
        elif name == "sheet":
            relation = next((attributes[key] for key in _RELATION_ID if key in attributes), "")
            hidden = attributes.get("state", "visible") != "visible"
            listed.append(_Listed(name=attributes.get("name", ""), relation=relation, hidden=hidden))

    walk(package, root, start)
    if len(listed) > len(list(package)):
        damaged(f"the workbook lists {len(listed):,} sheets, more than it stores")
    names = Counter(sheet.name.casefold() for sheet in listed)
    for sheet in listed:
        fits = 0 < len(sheet.name.strip()) <= _LONGEST_NAME
        if not fits or _CONTROL.search(sheet.name) or names[sheet.name.casefold()] > 1:
            damaged(
                f'the sheet name "{visible(sheet.name[:60])}" is empty, long, doubled or has control characters'
            )
    if not listed:
        damaged("the workbook lists no sheets")
    return listed, from_1904


def _part_of(sheet: _Listed, links: dict[str, _Link]) -> str | None:
    """The part that holds a sheet's cells; None for a chart sheet, which has none."""
    link = links.get(sheet.relation)
    if link is None or link.outside:
        damaged("the sheet is listed but not stored", sheet=sheet.name)
    return link.target if link.kind == "worksheet" else None


def _links(package: Package, part: str) -> dict[str, _Link]:
    """The relationships of a part (of the whole package for ""), by id."""
    folder, base = posixpath.split(part)
    source = posixpath.join(folder, "_rels", f"{base}.rels")
    found: dict[str, _Link] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(" ")[2] == "Relationship":
            target = attributes.get("Target", "").replace("\\", "/")
            found[attributes.get("Id", "")] = _Link(
                kind=attributes.get("Type", "").rpartition("/")[2],
                target=posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/").lower(),
                outside=attributes.get("TargetMode") == "External",
            )

    if source in package:
        parser = package.new_parser(source)
        parser.StartElementHandler = start
        package.parse(source, parser)
    return found


def _target(links: dict[str, _Link], kind: str) -> str | None:
    return next((link.target for link in links.values() if link.kind == kind and not link.outside), None)


def _book_faults(package: Package) -> list[Fault]:
    names = list(package)
    faults = []
    if any(name.endswith("vbaproject.bin") or "/macrosheets/" in name for name in names):
        message = "the workbook holds macros; they were not run, only its cells were read"
        faults.append(Fault(file="", code="W_FILE_MACROS", message=message, severity="warning"))
    outside = sum("/externallinks/" in name and name.endswith(".xml") for name in names)
    outside += "xl/connections.xml" in names
    if outside:
        message = f"the workbook links to {outside} other files or sources; none was opened"
        fix = "the values stored at the last save were read"
        faults.append(Fault(file="", code="W_FILE_LINKS", message=message, fix=fix, severity="warning"))
    return faults


def _sheet_faults(sheet: _Listed, grid: Grid) -> list[Fault]:
    notes = []
    if sheet.hidden:
        notes.append(("I_SHEET_HIDDEN", f"the sheet is hidden; its {len(grid.rows):,} rows were read"))
    if grid.hidden_rows or grid.hidden_columns:
        hidden = f"{grid.hidden_rows:,} rows and {grid.hidden_columns:,} columns are hidden; they were read"
        notes.append(("I_ROWS_HIDDEN", hidden))
    if grid.empty_rows:
        empty = f"{grid.empty_rows:,} rows are formatted but empty; they were skipped"
        notes.append(("I_ROWS_EMPTY", empty))
    return [
        Fault(file="", sheet=sheet.name, code=code, message=message, severity="info")
        for code, message in notes
    ]
