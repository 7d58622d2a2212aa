"""One worksheet's XML with added columns: cells, links, widths, and thumbnails in its drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

from newbie_core.sheets.additions import AddedCell, Addition
from newbie_core.sheets.drawing_copy import Placed, place_pictures, used_columns
from newbie_core.sheets.package import refuse
from newbie_core.sheets.splices import Element, Splice, parse, said, spliced, tag_end, with_attributes
from newbie_core.sheets.workbook import Limits, column_letter

if TYPE_CHECKING:
    from newbie_core.sheets.book_copy import BookCopy

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_OFFICE = "http://purl.oclc.org/ooxml/officeDocument/relationships"
_PICTURE_POINTS = 75.0
"""The height of a row with a thumbnail: 100 pixels."""
_LONGEST_TEXT = 2000
_LARGEST_NUMBER = 10**15
_ORDER = (
    "sheetPr dimension sheetViews sheetFormatPr cols sheetData sheetCalcPr sheetProtection protectedRanges scenarios "
    "autoFilter sortState dataConsolidate customSheetViews mergeCells phoneticPr conditionalFormatting "
    "dataValidations hyperlinks printOptions pageMargins pageSetup headerFooter rowBreaks colBreaks "
    "customProperties cellWatches ignoredErrors smartTags drawing legacyDrawing legacyDrawingHF drawingHF picture "
    "oleObjects controls webPublishItems tableParts extLst"
).split()
_LIKE_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_EMPTY = AddedCell()


@dataclass(frozen=True, slots=True, kw_only=True)
class Styles:
    """The styles of added cells, by their places in the workbook's list; None where it has no list."""

    text: int | None = None
    number: int | None = None
    link: int | None = None


@dataclass(slots=True, kw_only=True)
class _Cell:
    """A cell that is there: its column from 0 and its bytes."""

    column: int
    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class _Line:
    """A row that is there: its number, its bytes, its cells from a column on, the style of its last filled cell."""

    number: int
    start: int
    opened: int
    end: int
    closing: int
    attributes: Mapping[str, str]
    cells: list[_Cell] = field(default_factory=list)
    style: str | None = None


class SheetCopy:
    """Writes the additions of one sheet into a copy of its workbook."""

    def __init__(self, book: BookCopy, part: str, addition: Addition, styles: Styles, limits: Limits) -> None:
        self._book, self._part, self._addition, self._styles = book, part, addition, styles
        self._data, self._root = book.tree(part, closed=frozenset({"sheetData"}))
        self._office = (
            OFFICE if "purl.oclc.org" not in " ".join(self._root.attributes.values()) else STRICT_OFFICE
        )
        self._splices: list[Splice] = []
        self._columns = self._find_columns(limits)
        self._picture_rows = {
            number
            for column in addition.columns
            for number, cell in column.cells.items()
            if cell.picture is not None
        }

    def write(self) -> None:
        """Splice cells, widths, links and the drawing into the sheet's part."""
        sheet_data = self._root.child("sheetData")
        if sheet_data is None:
            return
        for line in _lines(self._data, self._book, self._part, sheet_data, min(self._columns)):
            self._write_line(line)
        self._write_dimension()
        self._write_widths()
        drawing = self._write_pictures()
        self._write_links()
        if drawing is not None:
            self._insert("drawing", drawing)
        self._book.write(self._part, spliced(self._data, self._splices))

    def _find_columns(self, limits: Limits) -> list[int]:
        """The place of each column: where it is, else behind everything the sheet shows."""
        own = {column.place for column in self._addition.columns if column.place is not None}
        used = {-1, *own}
        sheet_data = self._root.child("sheetData")
        if sheet_data is not None:
            used.add(_last_filled(self._data, self._book, self._part, sheet_data))
        used.update(self._last_of_merges(limits))
        drawing = self._drawing_part()
        if drawing is not None:
            used.update(used_columns(self._book, drawing, self._addition.header_row - 1, limits.columns))
        free = max(used) + 1
        columns = []
        for column in self._addition.columns:
            columns.append(free if column.place is None else column.place)
            free += column.place is None
        if max(columns) >= limits.columns:
            refuse(
                "E_WRITEBACK_ROOM",
                f"has text up to column {column_letter(max(used))}, and a sheet may have {limits.columns} columns",
                'remove empty columns, or raise "columns" in [limits] of catalog.toml',
                sheet=self._addition.sheet,
            )
        return columns

    def _last_of_merges(self, limits: Limits) -> Iterator[int]:
        merges = self._root.child("mergeCells")
        for merge in merges.children if merges else ():
            _, _, bottom, right = area(merge.attributes.get("ref", ""))
            if bottom >= self._addition.header_row and right < limits.columns:
                yield right

    def _drawing_part(self) -> str | None:
        element = self._root.child("drawing")
        if element is None:
            return None
        _, target = self._book.targets(self._part).get(element.get("id") or "", ("", ""))
        return target or None

    # Cells

    def _write_line(self, line: _Line) -> None:
        if line.number < self._addition.header_row:
            return
        new = {place: self._cell(line, place, at) for at, place in enumerate(self._columns)}
        there = {cell.column: cell for cell in line.cells}
        if not any(new.values()) and not there.keys() & new.keys():
            return
        tag = self._data[line.start : line.opened]
        changed = with_attributes(tag, {"spans": None, **self._height(line)})
        inside: list[bytes] = []
        for place in sorted(new):
            if place in there:
                cell = there[place]
                self._splices.append(Splice(start=cell.start, end=cell.end, data=new[place]))
                continue
            after = next((cell for cell in line.cells if cell.column > place), None)
            if after is not None:
                self._splices.append(Splice(start=after.start, end=after.start, data=new[place]))
            else:
                inside.append(new[place])
        content = b"".join(inside)
        if line.closing:
            self._splices.append(Splice(start=line.closing, end=line.closing, data=content))
        elif content:
            changed = changed[:-2].rstrip() + b">" + content + f"</{self._root.prefix}row>".encode()
        if changed != tag:
            self._splices.append(Splice(start=line.start, end=line.opened, data=changed))

    def _height(self, line: _Line) -> dict[str, str | None]:
        if line.number not in self._picture_rows:
            return {}
        try:
            points = float(line.attributes.get("ht", "0"))
        except ValueError:
            points = 0.0
        if points >= _PICTURE_POINTS:
            return {}
        return {"ht": f"{_PICTURE_POINTS:g}", "customHeight": "1"}

    def _cell(self, line: _Line, place: int, at: int) -> bytes:
        column = self._addition.columns[at]
        reference = f"{column_letter(place)}{line.number}"
        if line.number == self._addition.header_row:
            return self._text(reference, column.heading, line.style)
        cell = column.cells.get(line.number, _EMPTY)
        if cell.value is None or cell.value == "":
            return b""
        if isinstance(cell.value, int) and 0 <= cell.value < _LARGEST_NUMBER:
            style = "" if self._styles.number is None else f' s="{self._styles.number}"'
            p = self._root.prefix
            return f'<{p}c r="{reference}"{style}><{p}v>{cell.value}</{p}v></{p}c>'.encode()
        number = self._styles.link if cell.link else self._styles.text
        return self._text(reference, str(cell.value), None if number is None else str(number))

    def _text(self, reference: str, text: str, style: str | None) -> bytes:
        p = self._root.prefix
        look = b"" if style is None else b' s="' + said(style) + b'"'
        short = text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
        body = said(_LIKE_ESCAPE.sub("_x005F_", short))
        head = f'<{p}c r="{reference}"'.encode() + look
        return (
            head
            + f' t="inlineStr"><{p}is><{p}t xml:space="preserve">'.encode()
            + body
            + (f"</{p}t></{p}is></{p}c>".encode())
        )

    # Everything around the cells

    def _write_dimension(self) -> None:
        element = self._root.child("dimension")
        if element is None or ":" not in (ref := element.attributes.get("ref", "")):
            return
        top, left, bottom, right = area(ref)
        right = max(right, *self._columns)
        corners = f"{column_letter(left)}{top}:{column_letter(right)}{bottom}"
        tag = with_attributes(self._data[element.start : element.opened], {"ref": corners})
        self._splices.append(Splice(start=element.start, end=element.opened, data=tag))

    def _write_widths(self) -> None:
        new = {
            place: column.width
            for place, column in zip(self._columns, self._addition.columns, strict=True)
            if column.place is None
        }
        if not new:
            return
        p = self._root.prefix
        element = self._root.child("cols")
        ranges = [dict(child.attributes) for child in element.children] if element else []
        kept = [piece for one in ranges for piece in _without(one, new)]
        kept += [
            {"min": str(place + 1), "max": str(place + 1), "width": f"{width:g}", "customWidth": "1"}
            for place, width in new.items()
        ]
        kept.sort(key=lambda one: int(one["min"]))
        body = b"".join(f"<{p}col".encode() + _attributes(one) + b"/>" for one in kept)
        data = f"<{p}cols>".encode() + body + f"</{p}cols>".encode()
        if element is not None:
            self._splices.append(Splice(start=element.start, end=element.end, data=data))
        else:
            self._insert("cols", data)

    def _write_links(self) -> None:
        element = self._root.child("hyperlinks")
        stale = [
            link
            for link in (element.children if element else ())
            if self._is_ours(link.attributes.get("ref", ""))
        ]
        links = [
            (f"{column_letter(place)}{number}", cell.link)
            for place, column in zip(self._columns, self._addition.columns, strict=True)
            for number, cell in sorted(column.cells.items())
            if cell.link is not None
        ]
        ids = self._book.relate(
            self._part,
            [(f"{self._office}/hyperlink", link.target, True) for _, link in links],
            without=[found for link in stale if (found := link.get("id"))],
        )
        p = self._root.prefix
        body = b"".join(
            f'<{p}hyperlink xmlns:r="{self._office}" ref="{reference}" r:id="{one}" tooltip="'.encode()
            + said(link.tip[:200])
            + b'"/>'
            for (reference, link), one in zip(links, ids, strict=True)
        )
        if element is None:
            if body:
                self._insert("hyperlinks", f"<{p}hyperlinks>".encode() + body + f"</{p}hyperlinks>".encode())
        elif not body and len(stale) == len(element.children):
            self._splices.append(element.removed())
        else:
            self._splices += [link.removed() for link in stale]
            self._splices.append(element.appended(body))

    def _is_ours(self, reference: str) -> bool:
        top, left, bottom, right = area(reference)
        return left == right and left in self._columns and top == bottom > self._addition.header_row

    def _write_pictures(self) -> bytes | None:
        """Put the thumbnails into the drawing; the element that names it, where the sheet had none."""
        pictures = [
            Placed(column=place, row=number - 1, thumbnail=cell.picture)
            for place, column in zip(self._columns, self._addition.columns, strict=True)
            for number, cell in sorted(column.cells.items())
            if cell.picture is not None
        ]
        relation = place_pictures(
            self._book, self._part, self._drawing_part(), pictures, strict=self._office == STRICT_OFFICE
        )
        if relation is None:
            return None
        return f'<{self._root.prefix}drawing xmlns:r="{self._office}" r:id="{relation}"/>'.encode()

    def _insert(self, name: str, data: bytes) -> None:
        """Put an element in where the schema wants it among the sheet's own."""
        later = _ORDER[_ORDER.index(name) + 1 :]
        at = next(
            (
                child.start
                for child in self._root.children
                if child.name in later or child.name == "AlternateContent"
            ),
            self._root.closing,
        )
        self._splices.append(Splice(start=at, end=at, data=data))


def area(reference: str) -> tuple[int, int, int, int]:
    """Top row (from 1), left column (from 0), bottom row, right column of `B2:D9`; all 0 where it is none."""
    first, _, last = reference.replace("$", "").partition(":")
    top, left = _corner(first)
    bottom, right = _corner(last or first)
    return top, left, bottom, right


def _corner(text: str) -> tuple[int, int]:
    letters = text.rstrip("0123456789")
    digits = text[len(letters) :]
    if not letters.isascii() or not letters.isalpha() or len(letters) > 3 or not 0 < len(digits) < 8:
        return 0, 0
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - 64
    return int(digits), column - 1


def _without(one: dict[str, str], places: Mapping[int, float]) -> list[dict[str, str]]:
    """A range of columns with some taken out of it."""
    try:
        first, last = int(one["min"]), int(one["max"])
    except (KeyError, ValueError):
        return []
    pieces, at = [], first
    for place in sorted(places):
        if first <= place + 1 <= last:
            if at <= place:
                pieces.append({**one, "min": str(at), "max": str(place)})
            at = place + 2
    if at <= last:
        pieces.append({**one, "min": str(at), "max": str(last)})
    return pieces


def _attributes(one: Mapping[str, str]) -> bytes:
    return b"".join(f' {name}="'.encode() + said(value) + b'"' for name, value in one.items())


def _walk(data: bytes, book: BookCopy, part: str, sheet_data: Element, handlers: _Handlers) -> None:
    """Call the handlers for what stands between the start and the end of `sheetData`."""
    parser = book.package.new_parser(part, namespaces=False)
    prefix = sheet_data.prefix
    names = (f"{prefix}row", f"{prefix}c", f"{prefix}v", f"{prefix}is", f"{prefix}f")
    row, cell, *filled = names

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == cell:
            handlers.open_cell(parser, attributes)
        elif tag == row:
            handlers.open_row(parser, attributes)
        elif tag in filled:
            handlers.fill()

    def end(tag: str) -> None:
        if tag == cell:
            handlers.close_cell(parser)
        elif tag == row:
            handlers.close_row(parser)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parse(parser, data, book.package.label(part))


class _Handlers:
    """Follows the rows and cells of a sheet; addresses that are left out follow from the one before."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.number, self.column, self.last = 0, -1, -1
        self.filled = False

    def open_row(self, parser: expat.XMLParserType, attributes: Mapping[str, str]) -> None:
        self.number = int(attributes["r"]) if "r" in attributes else self.number + 1
        self.column = -1

    def open_cell(self, parser: expat.XMLParserType, attributes: Mapping[str, str]) -> None:
        reference = attributes.get("r")
        self.column = _corner(reference)[1] if reference else self.column + 1
        self.filled = False

    def fill(self) -> None:
        self.filled = True
        self.last = max(self.last, self.column)

    def close_cell(self, parser: expat.XMLParserType) -> None:
        """The cell has ended."""

    def close_row(self, parser: expat.XMLParserType) -> None:
        """The row has ended."""


class _Collector(_Handlers):
    """Keeps every row with the bytes of its cells from a column on."""

    def __init__(self, data: bytes, first: int) -> None:
        super().__init__(data)
        self.lines: list[_Line] = []
        self._first = first
        self._style: str | None = None

    def open_row(self, parser: expat.XMLParserType, attributes: Mapping[str, str]) -> None:
        super().open_row(parser, attributes)
        start = parser.CurrentByteIndex
        opened = tag_end(self.data, start)
        self.lines.append(
            _Line(
                number=self.number, start=start, opened=opened, end=opened, closing=0, attributes=attributes
            )
        )

    def open_cell(self, parser: expat.XMLParserType, attributes: Mapping[str, str]) -> None:
        super().open_cell(parser, attributes)
        self._style = attributes.get("s")
        if self.column >= self._first:
            start = parser.CurrentByteIndex
            self.lines[-1].cells.append(_Cell(column=self.column, start=start, end=tag_end(self.data, start)))

    def close_cell(self, parser: expat.XMLParserType) -> None:
        if self.filled and self.column < self._first:
            self.lines[-1].style = self._style
        if self.column >= self._first:
            cell = self.lines[-1].cells[-1]
            if self.data[cell.end - 2 : cell.end] != b"/>":
                cell.end = self.data.index(b">", parser.CurrentByteIndex) + 1

    def close_row(self, parser: expat.XMLParserType) -> None:
        line = self.lines[-1]
        if self.data[line.opened - 2 : line.opened] != b"/>":
            line.closing = parser.CurrentByteIndex
            line.end = self.data.index(b">", line.closing) + 1


def _last_filled(data: bytes, book: BookCopy, part: str, sheet_data: Element) -> int:
    handlers = _Handlers(data)
    _walk(data, book, part, sheet_data, handlers)
    return handlers.last


def _lines(data: bytes, book: BookCopy, part: str, sheet_data: Element, first: int) -> Sequence[_Line]:
    handlers = _Collector(data, first)
    _walk(data, book, part, sheet_data, handlers)
    return handlers.lines
