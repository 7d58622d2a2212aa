"""The bad-input corpus: one small function a case that writes the file, and what must come of it.

    path = CASES["B02-shown-007"].build(folder)

`outcome` is "refused" (the file raises), "rejects" (some rows do not come through) or "accepted".
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
HEADER = ("id", "name", "appearance")
SECRET = "SECRET-OF-THE-HOST"
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file of the corpus and what a person must be told of it."""

    name: str
    build: Callable[[Path], Path]
    outcome: Literal["refused", "rejects", "accepted"]
    expected_codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    at: tuple[int, str] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    sheet: str = "characters"
    encoding: str | None = None
    merged: Literal["error", "fill"] = "error"

    @property
    def kind(self) -> Literal["xlsx", "csv"]:
        return "csv" if self.name.startswith("C") else "xlsx"


# --- writing workbooks by hand -------------------------------------------------------------------


def text_cell(address: str, text: str, style: int = 0) -> str:
    """`address` holding text, stored inline as openpyxl does."""
    return (
        f'<c r="{address}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
    )


def number_cell(address: str, number: str, style: int = 0) -> str:
    return f'<c r="{address}" s="{style}"><v>{number}</v></c>'


def row_xml(number: int, cells: Iterable[str], attributes: str = "") -> str:
    """A row of ready cells (beginning with "<") and of texts."""
    made = [
        cell if cell.startswith("<c ") else text_cell(f"{chr(65 + index)}{number}", cell)
        for index, cell in enumerate(cells)
    ]
    return f'<row r="{number}" {attributes}>{"".join(made)}</row>'


def sheet_xml(rows: Sequence[Sequence[str] | str], after: str = "", before: str = "") -> str:
    """A worksheet; a row given as a string is taken as its XML."""
    body = "".join(
        row if isinstance(row, str) else row_xml(number, row) for number, row in enumerate(rows, start=1)
    )
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{body}</sheetData>{after}</worksheet>'


def styles_xml(formats: Sequence[str]) -> str:
    """A style for each number format: style 0 is General, style 1 the first of `formats`."""
    codes = "".join(
        f'<numFmt numFmtId="{164 + index}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>'
        for index, code in enumerate(formats)
    )
    styles = "".join(f'<xf numFmtId="{164 + index}" applyNumberFormat="1"/>' for index in range(len(formats)))
    return (
        f'<styleSheet xmlns="{MAIN}"><numFmts count="{len(formats)}">{codes}</numFmts>'
        f'<cellStyleXfs count="1"><xf numFmtId="9"/></cellStyleXfs>'
        f'<cellXfs count="{len(formats) + 1}"><xf numFmtId="0"/>{styles}</cellXfs></styleSheet>'
    )


def strings_xml(items: Iterable[str]) -> str:
    """A shared strings part; an item that begins with "<si" is taken as its XML."""
    made = "".join(item if item.startswith("<si") else f"<si><t>{escape(item)}</t></si>" for item in items)
    return f'<sst xmlns="{MAIN}">{made}</sst>'


def workbook_parts(
    sheets: Mapping[str, str],
    *,
    formats: Sequence[str] = (),
    strings: Iterable[str] | None = None,
    states: Mapping[str, str] | None = None,
    properties: str = "",
) -> dict[str, str | bytes]:
    """The parts of a plain workbook with these worksheets."""
    states = states or {}
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{index}" r:id="rId{index}"'
        f' state="{states.get(name, "visible")}"/>'
        for index, name in enumerate(sheets, start=1)
    )
    links = "".join(
        f'<Relationship Id="rId{index}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{index}.xml"/>'
        for index in range(1, len(sheets) + 1)
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" '
        f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{properties}'
        f"<sheets>{listed}</sheets></workbook>",
    }
    for index, xml in enumerate(sheets.values(), start=1):
        parts[f"xl/worksheets/sheet{index}.xml"] = xml
    if strings is not None:
        parts["xl/sharedStrings.xml"] = strings_xml(strings)
        links += f'<Relationship Id="rIdS" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
    if formats:
        parts["xl/styles.xml"] = styles_xml(formats)
        links += f'<Relationship Id="rIdF" Type="{RELATIONS}/styles" Target="styles.xml"/>'
    parts["xl/_rels/workbook.xml.rels"] = f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>'
    return parts


def write_parts(path: Path, parts: Mapping[str, str | bytes], level: int = 6) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return path


def table_file(
    rows: Sequence[Sequence[str] | str],
    *,
    header: Sequence[str] = HEADER,
    formats: Sequence[str] = (),
    strings: Iterable[str] | None = None,
    after: str = "",
    properties: str = "",
) -> Callable[[Path], Path]:
    """A builder of cast.xlsx with one sheet "characters": the header, then `rows`."""

    def build(folder: Path) -> Path:
        xml = sheet_xml([header, *rows], after=after)
        parts = workbook_parts({"characters": xml}, formats=formats, strings=strings, properties=properties)
        return write_parts(folder / "cast.xlsx", parts)

    return build


def parts_file(
    change: Callable[[dict[str, str | bytes]], None], name: str = "cast.xlsx"
) -> Callable[[Path], Path]:
    """A builder of a sound workbook after `change` has had its way with the parts."""

    def build(folder: Path) -> Path:
        xml = sheet_xml([HEADER, ['<c r="A2" t="s"><v>0</v></c>', "Aria", "blue eyes"]])
        parts = workbook_parts({"characters": xml}, strings=["aria"])
        change(parts)
        return write_parts(folder / name, parts)

    return build


def bytes_file(name: str, data: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return build


def csv_file(text: str, encoding: str = "utf-8", name: str = "characters.csv") -> Callable[[Path], Path]:
    return bytes_file(name, text.encode(encoding))


# --- A: container and parser ---------------------------------------------------------------------


def bomb_strings(folder: Path, mebibytes: int = 1024) -> Path:
    """One shared string of a GiB."""
    xml = sheet_xml([HEADER, ['<c r="A2" t="s"><v>0</v></c>']])
    parts = workbook_parts({"characters": xml}, strings=[])

    def chunks() -> Iterable[bytes]:
        yield f'<sst xmlns="{MAIN}"><si><t>'.encode()
        block = b"A" * (1 << 20)
        for _ in range(mebibytes):
            yield block
        yield b"</t></si></sst>"

    return _streamed(folder, "xl/sharedStrings.xml", chunks(), parts)


def bomb_that_lies(folder: Path) -> Path:
    """A part that declares 1,000 bytes and holds 8 MiB."""
    path = bomb_strings(folder, mebibytes=8)
    data = bytearray(path.read_bytes())
    place = data.rfind(b"xl/sharedStrings.xml") - 46 + 24
    struct.pack_into("<I", data, place, 1000)
    path.write_bytes(bytes(data))
    return path


def million_rows(folder: Path) -> Path:
    """1,048,576 full rows of four cells."""
    parts = workbook_parts({"characters": ""})

    def chunks() -> Iterable[bytes]:
        yield f'<worksheet xmlns="{MAIN}"><sheetData>{row_xml(1, HEADER)}'.encode()
        for first in range(2, 1_048_577, 4096):
            rows = [
                f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>1</v></c><c r="C{n}"><v>2</v></c>'
                f'<c r="D{n}"><v>3</v></c></row>'
                for n in range(first, min(first + 4096, 1_048_577))
            ]
            yield "".join(rows).encode()
        yield b"</sheetData></worksheet>"

    return _streamed(folder, "xl/worksheets/sheet1.xml", chunks(), parts)


def million_empty_rows(folder: Path) -> Path:
    """Two real rows, then formatted empty ones to the end of the grid."""
    parts = workbook_parts({"characters": ""})

    def chunks() -> Iterable[bytes]:
        head = row_xml(1, HEADER) + row_xml(2, ("aria", "Aria", "blue eyes"))
        yield f'<worksheet xmlns="{MAIN}"><sheetData>{head}'.encode()
        for first in range(3, 1_048_577, 8192):
            last = min(first + 8192, 1_048_577)
            yield "".join(
                f'<row r="{n}" s="1" customFormat="1" ht="20"/>' for n in range(first, last)
            ).encode()
        yield b"</sheetData></worksheet>"

    return _streamed(folder, "xl/worksheets/sheet1.xml", chunks(), parts)


def _streamed(folder: Path, name: str, chunks: Iterable[bytes], parts: Mapping[str, str | bytes]) -> Path:
    path = folder / "cast.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, data in parts.items():
            if other != name:
                archive.writestr(other, data)
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w") as stream:
            for chunk in chunks:
                stream.write(chunk)
    return path


def _put(name: str, part: str | bytes) -> Callable[[dict[str, str | bytes]], None]:
    def change(parts: dict[str, str | bytes]) -> None:
        parts[name] = part

    return change


def _prepend(name: str, text: str) -> Callable[[dict[str, str | bytes]], None]:
    def change(parts: dict[str, str | bytes]) -> None:
        parts[name] = text + str(parts[name])

    return change


def _quadratic(parts: dict[str, str | bytes]) -> None:
    entity = f'<!DOCTYPE x [<!ENTITY a "{"A" * 100_000}">]>'
    parts["xl/sharedStrings.xml"] = f'{entity}<sst xmlns="{MAIN}"><si><t>{"&a;" * 20_000}</t></si></sst>'


def xxe(folder: Path) -> Path:
    """A shared string that would be the text of a file of the host."""
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    entity = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'
    part = f'{entity}<sst xmlns="{MAIN}"><si><t>&a;</t></si></sst>'
    return parts_file(_put("xl/sharedStrings.xml", part))(folder)


def duplicate_part(folder: Path) -> Path:
    path = parts_file(lambda parts: None)(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/SharedStrings.xml", strings_xml(["other"]))
    return path


def truncated(folder: Path) -> Path:
    path = parts_file(lambda parts: None)(folder)
    path.write_bytes(path.read_bytes()[:600])
    return path


def encrypted_zip(folder: Path) -> Path:
    path = parts_file(lambda parts: None)(folder)
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(bytes(data))
    return path


def _many_parts(parts: dict[str, str | bytes]) -> None:
    parts.update({f"xl/media/image{index}.png": b"" for index in range(2_100)})


def open_document(folder: Path) -> Path:
    parts = {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}
    return write_parts(folder / "cast.xlsx", parts)


def two_sheets(folder: Path) -> Path:
    """A visible sheet, a hidden one, and hidden rows."""
    first = sheet_xml(
        [HEADER, ("aria", "Aria", "blue eyes"), row_xml(3, ("ren", "Ren", "hat"), 'hidden="1"')]
    )
    second = sheet_xml([HEADER, ("mika", "Mika", "red hair")])
    sheets = {"characters": first, "old cast": second}
    return write_parts(folder / "cast.xlsx", workbook_parts(sheets, states={"old cast": "veryHidden"}))


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1000
SOUND = ("aria", "Aria", "blue eyes")
UTF16_DTD = (
    f'<?xml version="1.0" encoding="UTF-16"?>{LAUGHS}<sst xmlns="{MAIN}"><si><t>aria</t></si></sst>'.encode(
        "utf-16"
    )
)
DIMENSION = '<dimension ref="A1:XFD1048576"/>'


def dimension_lie(folder: Path) -> Path:
    xml = sheet_xml([HEADER, SOUND], before=DIMENSION)
    return write_parts(folder / "cast.xlsx", workbook_parts({"characters": xml}))


def _case(name: str, build: Callable[[Path], Path], outcome: str, *codes: str, **more: object) -> Case:
    return Case(name=name, build=build, outcome=outcome, expected_codes=codes, **more)  # type: ignore[arg-type]


def _dtd(name: str, build: Callable[[Path], Path]) -> Case:
    return _case(name, build, "refused", "E_FILE_DTD", words=("DTD", "refused"))


def _is_really(name: str, data: bytes, word: str, file: str = "cast.xlsx") -> Case:
    return _case(name, bytes_file(file, data), "refused", "E_FILE_KIND", words=(word,))


CONTAINER_CASES = (
    _case(
        "A01-bomb-sst",
        bomb_strings,
        "refused",
        "E_FILE_BOMB",
        words=("xl/sharedStrings.xml", "expands", "256"),
    ),
    _case("A02-bomb-lies", bomb_that_lies, "refused", "E_FILE_DAMAGED", words=("xl/sharedStrings.xml",)),
    _case(
        "A03-far-cell",
        table_file([SOUND, row_xml(1048576, [text_cell("XFD1048576", "x")])]),
        "refused",
        "E_SHEET_FAR_CELL",
        words=("XFD1048576", "20000 x 256", "Ctrl+End"),
    ),
    _case(
        "A05-out-of-grid",
        table_file([SOUND, row_xml(3, [text_cell("ZZZZZZ4294967295", "x")])]),
        "refused",
        "E_SHEET_GRID",
        words=("ZZZZZZ4294967295",),
    ),
    _case(
        "A06-million-empty-rows",
        million_empty_rows,
        "accepted",
        "I_ROWS_EMPTY",
        good=("aria",),
        words=("1,048,574",),
    ),
    _case("A07-million-full-rows", million_rows, "refused", "E_SHEET_ROWS", words=("20,000", '"rows"')),
    _case("A08-dimension-lie", dimension_lie, "accepted", good=("aria",)),
    _dtd("A10-laughs-sst", parts_file(_prepend("xl/sharedStrings.xml", LAUGHS))),
    _dtd("A10-laughs-sheet", parts_file(_prepend("xl/worksheets/sheet1.xml", LAUGHS))),
    _dtd("A10-laughs-workbook", parts_file(_prepend("xl/workbook.xml", LAUGHS))),
    _dtd("A10-laughs-unused-part", parts_file(_put("xl/comments9.xml", LAUGHS + "<comments/>"))),
    _dtd("A10-laughs-relations", parts_file(_prepend("_rels/.rels", LAUGHS))),
    _dtd("A11-quadratic", parts_file(_quadratic)),
    _dtd("A12-xxe-file", xxe),
    _dtd("A13-utf16-dtd", parts_file(_put("xl/sharedStrings.xml", UTF16_DTD))),
    _case("A14-duplicate-part", duplicate_part, "refused", "E_FILE_PARTS", words=("twice",)),
    _case(
        "A15-truncated",
        truncated,
        "refused",
        "E_FILE_DAMAGED",
        words=("not a readable .xlsx", "upload it again"),
    ),
    _is_really("A17-html-as-xlsx", b"<html><table><tr><td>id</td></tr></table></html>", "HTML"),
    _is_really("A17-csv-as-xlsx", b"id,name\naria,Aria\n", "CSV"),
    _is_really("A17-xls-as-xlsx", OLE + "Workbook".encode("utf-16-le"), ".xls"),
    _is_really("A17-pdf-as-xlsx", b"%PDF-1.7\n", "PDF"),
    _is_really("A17-png-as-xlsx", b"\x89PNG\r\n\x1a\n", "PNG"),
    _is_really("A17-xlsx-as-csv", b"PK\x03\x04 and more", "Excel", "cast.csv"),
    _case("A17-ods-as-xlsx", open_document, "refused", "E_FILE_KIND", words=("OpenDocument",)),
    _case(
        "A18-empty-file", bytes_file("cast.xlsx", b""), "refused", "E_FILE_EMPTY", words=("file is empty",)
    ),
    _case(
        "A19-encrypted",
        bytes_file("cast.xlsx", OLE + "EncryptedPackage".encode("utf-16-le")),
        "refused",
        "E_FILE_ENCRYPTED",
        words=("password protected",),
    ),
    _case("A19-encrypted-zip", encrypted_zip, "refused", "E_FILE_ENCRYPTED", words=("password protected",)),
    _case(
        "A20-macro",
        parts_file(_put("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0"), "cast.xlsm"),
        "accepted",
        "W_FILE_MACROS",
        good=("aria",),
        words=("macros",),
    ),
    _case(
        "A20-external-links",
        parts_file(_put("xl/externalLinks/externalLink1.xml", "<externalLink/>")),
        "accepted",
        "W_FILE_LINKS",
        good=("aria",),
        words=("none was opened",),
    ),
    _case("A23-missing-sheet", parts_file(lambda parts: None), "accepted", good=("aria",)),
    _case("A24-hidden", two_sheets, "accepted", "I_SHEET_HIDDEN", "I_ROWS_HIDDEN", good=("aria", "ren")),
    _case(
        "A25-thousands-of-parts", parts_file(_many_parts), "refused", "E_FILE_PARTS", words=("2,000 parts",)
    ),
)


# --- B: what a cell means ------------------------------------------------------------------------


def _aria(second: str) -> list[Sequence[str]]:
    """A sound row, and one with this cell in column C."""
    return [SOUND, ("ren", "Ren", second)]


def _bad_cell(name: str, cell: str, code: str, *words: str, formats: Sequence[str] = ()) -> Case:
    build = table_file(_aria(cell), formats=formats)
    return _case(name, build, "rejects", code, words=words, good=("aria",), at=(3, "C"))


def _good_cell(name: str, cell: str, text: str, formats: Sequence[str] = ()) -> Case:
    build = table_file(_aria(cell), formats=formats)
    return _case(name, build, "accepted", good=("aria", "ren"), values={"appearance": text})


PHONETIC = '<si><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh></si>'
RICH = "<si><r><t>long </t></r><r><rPr><b/></rPr><t>hair</t></r></si>"

CELL_CASES = (
    _case("B01-text-007", table_file([("007", "Bond", "suit")]), "accepted", good=("007",)),
    _case(
        "B02-shown-007",
        table_file([SOUND, (number_cell("A3", "7", 1), "Bond", "suit")], formats=["000"]),
        "rejects",
        "E_CELL_SHOWN",
        words=("is a number shown as 007", "format the column as Text"),
        good=("aria",),
        at=(3, "A"),
    ),
    _case(
        "B03-whole-float", table_file([(number_cell("A2", "42.0"), "Aria", "hat")]), "accepted", good=("42",)
    ),
    _good_cell("B03-half", number_cell("C3", "0.5"), "0.5"),
    _good_cell("B03-tenths", number_cell("C3", "0.30000000000000004"), "0.3"),
    _bad_cell("B04-long-number", number_cell("C3", "1234567890123456"), "E_CELL_NUMBER_LONG", "15 digits"),
    _bad_cell("B05-formula", '<c r="C3"><f>1+1</f><v></v></c>', "E_CELL_FORMULA", "no stored value", "save"),
    _good_cell("B05-formula-stored", '<c r="C3"><f>1+1</f><v>2</v></c>', "2"),
    _good_cell("B05-formula-empty-text", '<c r="C3" t="str"><f>""</f><v></v></c>', ""),
    _bad_cell("B06-error-value", '<c r="C3" t="e"><v>#N/A</v></c>', "E_CELL_ERROR", "#N/A"),
    _bad_cell(
        "B07-date",
        number_cell("C3", "45352", 1),
        "E_CELL_DATE",
        "Excel turned this into a date",
        "2024-03-01",
        formats=["yyyy\\-mm\\-dd"],
    ),
    _bad_cell("B07-date-iso", '<c r="C3" t="d"><v>2024-03-01</v></c>', "E_CELL_DATE", "2024-03-01"),
    _case(
        "B07-date-as-id",
        table_file([SOUND, (number_cell("A3", "45352", 1), "Ren", "hat")], formats=["m/d"]),
        "rejects",
        "E_CELL_DATE",
        good=("aria",),
        at=(3, "A"),
        words=("2024-03-01",),
    ),
    _case(
        "B08-1904",
        table_file(
            _aria(number_cell("C3", "43890", 1)),
            formats=["d mmm yyyy"],
            properties='<workbookPr date1904="1"/>',
        ),
        "rejects",
        "E_CELL_DATE",
        good=("aria",),
        at=(3, "C"),
        words=("2024-03-01",),
    ),
    _good_cell("B09-boolean", '<c r="C3" t="b"><v>1</v></c>', "TRUE"),
    _good_cell("B10-1E5", "1E5", "1E5"),
    _case(
        "B11-names-that-mean-nothing",
        table_file([(name, name, "hat") for name in ("NA", "None", "null", "nan")]),
        "accepted",
        good=("NA", "None", "null", "nan"),
    ),
    _case(
        "B12-merged",
        table_file(
            [("a", "A", "red hair"), ("b", "B"), ("c", "C")],
            after='<mergeCells><mergeCell ref="C2:C3"/></mergeCells>',
        ),
        "rejects",
        "E_CELL_MERGED",
        good=("a", "c"),
        at=(3, "C"),
        words=("C2:C3", "unmerge"),
    ),
    _case(
        "B12-merged-fill",
        table_file(
            [("a", "A", "red hair"), ("b", "B")], after='<mergeCells><mergeCell ref="C2:C3"/></mergeCells>'
        ),
        "accepted",
        good=("a", "b"),
        merged="fill",
        values={"appearance": "red hair"},
    ),
    _case(
        "B13-duplicate-headers",
        table_file([("a", "b", "c")], header=("id", "name", "ID")),
        "rejects",
        "E_SHEET_COLUMN_DUP",
        words=("columns A", "and C"),
        at=(1, "C"),
    ),
    _case(
        "B14-header-spaces",
        table_file([SOUND], header=("\ufeff ＩＤ\u00a0", "\u200bCharacter Name", "　外貌")),
        "accepted",
        good=("aria",),
        values={"name": "Aria", "appearance": "blue eyes"},
    ),
    _case(
        "B15-header-in-row-3",
        table_file([HEADER, SOUND], header=("Cast of the spring game",)),
        "accepted",
        good=("aria",),
    ),
    _case(
        "B15-no-header",
        table_file([("x", "y")], header=("foo", "bar")),
        "rejects",
        "E_SHEET_HEADER",
        words=("no header row", '"foo"', '"id"'),
    ),
    _case(
        "B16-duplicate-id",
        table_file([("a", "1"), ("Aria", "2"), ("b", "3"), ("ａｒｉａ", "4")]),
        "rejects",
        "E_ROW_ID_DUP",
        words=("row 5", "row 3"),
        good=("a", "b"),
        at=(3, "A"),
    ),
    _case(
        "B18-blank-id",
        table_file([SOUND, ("", "Ren", "hat")]),
        "rejects",
        "E_ROW_ID_BLANK",
        good=("aria",),
        at=(3, "A"),
        words=("id is empty",),
    ),
    _good_cell("B19-spaces", " \u00a0pad\u3000 ", "pad"),
    _bad_cell("B21-long-cell", "x" * 32_768, "E_CELL_LENGTH", "32,767"),
    _good_cell("B21-longest-cell", "x" * 32_767, "x" * 32_767),
    _case(
        "B22-bidi-in-id",
        table_file([SOUND, ("ad\u202emin", "Ren", "hat"), ("re\u200bn", "Ren", "hat")]),
        "rejects",
        "E_ROW_ID_BAD",
        words=("U+202E", "U+200B"),
        good=("aria",),
        at=(3, "A"),
    ),
    _bad_cell("B23-lone-surrogate", "x_xD83D_y", "E_CELL_CHARACTER", "U+D83D"),
    _bad_cell("B23-escaped-nul", "x_x0000_y", "E_CELL_CHARACTER", "U+0000"),
    _bad_cell("B23-noncharacter", "x_xFFFE_y", "E_CELL_CHARACTER", "U+FFFE"),
    _good_cell("B23-escaped-return", "red_x000D_\nhair", "red hair"),
    _good_cell("B23-escaped-underscore", "_x005F_x000D_", "_x000D_"),
    _good_cell("B24-all-scripts", "👩‍🎤 猫耳 قطة ﷽ e\u0301 𠮷", "👩‍🎤 猫耳 قطة ﷽ e\u0301 𠮷"),
    _case(
        "B24-phonetic-and-rich",
        table_file(
            [('<c r="A2" t="s"><v>0</v></c>', "x", '<c r="C2" t="s"><v>1</v></c>')], strings=[PHONETIC, RICH]
        ),
        "accepted",
        good=("東京",),
        values={"appearance": "long hair"},
    ),
    _case(
        "B25-row-inserted-above", table_file([("new", "New", "hat"), SOUND]), "accepted", good=("new", "aria")
    ),
    _case(
        "B26-column-added",
        table_file([(*SOUND, number_cell("D2", "45352", 1))], header=(*HEADER, "due date"), formats=["m/d"]),
        "accepted",
        "I_COLUMN_UNKNOWN",
        good=("aria",),
    ),
)


# --- C: CSV --------------------------------------------------------------------------------------

PLAIN = "id,name,appearance\naria,Aria,blue eyes\n"
CHINESE = "编号,名称,外貌\n一号,小红,蓝色的眼睛，长发\n二号,小明,黑色短发，校服\n"
TAIWANESE = "編號,名稱,外貌\n一號,小紅,藍色的眼睛，長髮\n二號,小明,黑色短髮，制服\n"
JAPANESE = "識別子,名前,見た目\nいち,さくら,青い目とながい髪\nに,れん,みじかい黒髪、めがね\n"
KOREAN = "id,name,appearance\n하나,민지,파란 눈과 긴 머리\n둘,지훈,짧은 머리와 안경\n"
FRENCH = "id,name,appearance\naria,Aria,yeux bleus très clairs\nren,Hélène,cheveux châtains\n"


def _csv(name: str, text: str, outcome: str, *codes: str, encoding: str = "utf-8", **more: object) -> Case:
    return _case(name, csv_file(text, encoding), outcome, *codes, **more)


def _found(name: str, text: str, encoding: str, good: tuple[str, ...]) -> Case:
    return _csv(name, text, "accepted", "I_FILE_ENCODING", encoding=encoding, good=good, words=("read as",))


CSV_CASES = (
    _csv("C01-utf8-bom", PLAIN, "accepted", encoding="utf-8-sig", good=("aria",)),
    _csv("C02-utf16-bom", CHINESE, "accepted", encoding="utf-16", good=("一号", "二号")),
    _found("C03-gbk", CHINESE, "gbk", ("一号", "二号")),
    _case("C03-gbk-set", csv_file(CHINESE, "gbk"), "accepted", good=("一号", "二号"), encoding="gbk"),
    _case(
        "C04-unknown-setting",
        csv_file(CHINESE, "gbk"),
        "refused",
        "E_FILE_ENCODING",
        encoding="rot13",
        words=("rot13", "gb18030"),
    ),
    _found("C05-cp932", JAPANESE, "cp932", ("いち", "に")),
    _found("C05-big5", TAIWANESE, "big5", ("一號", "二號")),
    _found("C05-euc-jp", JAPANESE, "euc_jp", ("いち", "に")),
    _case("C05-cp949", csv_file(KOREAN, "cp949"), "accepted", good=("하나", "둘"), encoding="cp949"),
    _found("C05-cp1252", FRENCH, "cp1252", ("aria", "ren")),
    _csv(
        "C05-ambiguous",
        "id,name\naria,앙\n",
        "refused",
        "E_FILE_ENCODING",
        encoding="cp949",
        words=("could be any of", "cp949", "encoding"),
    ),
    _case(
        "C06-invalid-byte",
        bytes_file("characters.csv", "id,name\naria,猫\nren,犬".encode() + b"\xff" + "鳥\n".encode()),
        "refused",
        "E_FILE_BYTE",
        words=("line 3", "0xFF", "byte 8"),
    ),
    _case(
        "C06-invalid-byte-in-ascii",
        bytes_file("characters.csv", b"id,name\naria,Aria\nren,R\xffn\n"),
        "refused",
        "E_FILE_BYTE",
        words=("line 3", "0xFF"),
    ),
    _csv(
        "C07-mixed-ends", "id,name\raria,Aria\r\nren,Ren\nmika,Mika", "accepted", good=("aria", "ren", "mika")
    ),
    _csv(
        "C08-nul",
        "id,name\naria,Aria\nren,R\0en\n",
        "rejects",
        "E_CELL_CHARACTER",
        good=("aria",),
        at=(3, "B"),
        words=("U+0000",),
    ),
    _csv(
        "C09-unclosed-quote",
        'id,name\naria,"Aria\nren,Ren\n',
        "refused",
        "E_FILE_QUOTE",
        words=("line 2", "never closed"),
    ),
    _csv(
        "C09-text-after-quote",
        'id,name\naria,"Aria" Stark\nren,Ren\n',
        "refused",
        "E_FILE_QUOTE",
        words=("line 2",),
    ),
    _csv(
        "C10-extra-field",
        "id,name\naria,Aria\nren,Ren,tall, dark\nmika,Mika,,\n",
        "rejects",
        "E_ROW_FIELDS",
        good=("aria", "mika"),
        at=(3, "C"),
        words=("4 fields", '"tall"'),
    ),
    _csv("C11-quoted-newline", 'id,name\naria,"A\nB"\nren,"x ""y"""\n', "accepted", good=("aria", "ren")),
    _csv("C12-short-row", "id,name,appearance\naria\nren,Ren,hat\n", "accepted", good=("aria", "ren")),
    _csv("C13-semicolons", PLAIN.replace(",", ";"), "accepted", good=("aria",), values={"name": "Aria"}),
    _csv("C13-tabs", PLAIN.replace(",", "\t"), "accepted", good=("aria",), values={"name": "Aria"}),
    _csv("C13-excel-sep-line", "sep=;\n" + PLAIN.replace(",", ";"), "accepted", good=("aria",)),
    _csv(
        "C14-huge-field",
        f"id,name\naria,Aria\nren,{'x' * 140_000}\n",
        "rejects",
        "E_CELL_LENGTH",
        good=("aria",),
        at=(3, "B"),
        words=("32,767",),
    ),
    _csv("C15-empty", "", "refused", "E_FILE_EMPTY", words=("file is empty",)),
    _csv("C15-blank-lines", "\n\n \n", "refused", "E_FILE_EMPTY"),
    _csv("C15-header-only", "id,name\n", "accepted"),
    _csv("C16-shrunk", "id,name\naria,Aria\n", "accepted", good=("aria",)),
)


# --- D: names ------------------------------------------------------------------------------------


def _ids(name: str, *ids: str, good: bool) -> Case:
    build = table_file([SOUND, *((one, "x", "y") for one in ids)])
    if good:
        return _case(name, build, "accepted", good=("aria", *ids))
    return _case(name, build, "rejects", *["E_ROW_ID_BAD"] * len(ids), good=("aria",), at=(3, "A"))


NAME_CASES = (
    _ids("D01-paths", "../../etc/passwd", "..\\..\\x", "/abs", "C:\\x", "C:x", "\\\\srv\\x", good=False),
    _ids("D03-dots", "..", ".", "...", good=False),
    _ids("D04-windows-names", "CON", "aux.png", "COM¹", "LPT9", good=True),
    _ids("D06-long-names", "n" * 250, "名" * 100, good=True),
    _ids("D06-too-long", "n" * 256, good=False),
    _ids("D07-shell-words", "-rf", "~root", "$HOME", "LATEST", ".git", "re:zero", "=1+1", "👩", good=True),
    _ids("D09-suffixes", "x.png", "x.exe", good=True),
)

CASES: dict[str, Case] = {
    case.name: case for case in (*CONTAINER_CASES, *CELL_CASES, *CSV_CASES, *NAME_CASES)
}


def large_table(path: Path, rows: int = 20_000, columns: int = 18) -> Path:
    """A workbook with shared strings as Excel writes it, for measuring."""
    strings = [*(f"header{index}" for index in range(2, columns)), *(f"tag, {index}" for index in range(500))]
    lines = [row_xml(1, ("id", *(f"header{index}" for index in range(2, columns + 1))))]
    for number in range(2, rows + 2):
        cells = "".join(
            f'<c r="{chr(65 + index)}{number}" t="s"><v>{(number * index) % len(strings)}</v></c>'
            for index in range(1, columns)
        )
        lines.append(f'<row r="{number}">{text_cell(f"A{number}", f"c{number}")}{cells}</row>')
    xml = f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    return write_parts(path, workbook_parts({"characters": xml}, strings=strings), level=1)


def large_csv(path: Path, rows: int = 100_000) -> Path:
    """A CSV file of ten columns, for measuring."""
    buffer = io.StringIO()
    buffer.write("id,name,gender,appearance,clothing,expression,action,seed,count,enabled\n")
    for number in range(rows):
        buffer.write(f'c{number},名前{number},1girl,"long hair, blue eyes",dress,smile,walk,{number},1,yes\n')
    path.write_text(buffer.getvalue(), encoding="utf-8")
    return path
