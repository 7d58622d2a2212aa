"""What the cells of a workbook refer to: shared strings, and the number formats of their styles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from newbie_core.sheets.formats import BUILT_IN, date_text, is_date, is_long, number_text, shown_number
from newbie_core.sheets.package import Package, damaged
from newbie_core.sheets.text import clean, refused_character, unescape
from newbie_core.sheets.workbook import Limits

NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
# A number that most formats other than General and 0 show with other digits.
_LONGEST_FORMAT = 255  # Excel's own limit
_PROBES = ("0", "7", "-7", "0.5", "1234567.8")


Read = tuple[str, str, str]
"""A cell's text, and the code and detail of its trouble (both empty if it has none)."""


@dataclass(slots=True, kw_only=True)
class Book:
    """What the cells of all sheets of a workbook share, and what was learnt of them so far."""

    limits: Limits
    strings: list[Read]
    formats: dict[str | None, str]
    date_styles: frozenset[str]
    plain_styles: frozenset[str | None]
    from_1904: bool
    cells: int = 0
    troubled: int = 0
    numbers: dict[str, str] = field(default_factory=dict)

    def text(self, raw: str) -> Read:
        """A text cell, as stored."""
        return text_cell(raw, self.limits)

    def number(self, raw: str, style: str | None) -> Read:
        """A number cell: its canonical decimals, unless it is a date, long or shown otherwise."""
        if style in self.date_styles:
            return "", "E_CELL_DATE", date_text(raw, from_1904=self.from_1904)
        text = number_text(raw)
        if text is None:
            return "", "E_CELL_BROKEN", "it is no number"
        if is_long(text):
            return "", "E_CELL_NUMBER_LONG", text
        if style in self.plain_styles:
            return text, "", ""
        code = self.formats.get(style)
        if code is None:
            return "", "E_CELL_BROKEN", "its number format is missing"
        seen = shown_number(text, code)
        return (text, "", "") if seen == text else (text, "E_CELL_SHOWN", seen)


def text_cell(raw: str, limits: Limits) -> Read:
    """A text cell's text, or its trouble; `raw` has no `_x000D_` escapes any more."""
    if len(raw) > limits.text:
        return "", "E_CELL_LENGTH", f"{limits.text:,}"
    refused = refused_character(raw)
    if refused is not None:
        return "", "E_CELL_CHARACTER", refused
    return clean(raw), "", ""


def walk(
    package: Package,
    part: str,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
) -> None:
    """Stream a part of SpreadsheetML, giving each tag's name without its namespace."""
    parser = package.new_parser(part)

    def started(tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(" ")
        if namespace in NAMESPACES:
            start(name, attributes)

    def ended(tag: str) -> None:
        namespace, _, name = tag.rpartition(" ")
        if end is not None and namespace in NAMESPACES:
            end(name)

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    package.parse(part, parser)


def read_book(
    package: Package, styles_part: str | None, strings_part: str | None, limits: Limits, *, from_1904: bool
) -> Book:
    """The shared strings and number formats of a workbook; a part of None is not there."""
    formats = _formats(package, styles_part) if styles_part else []
    plain = {str(style) for style, code in enumerate(formats) if _shows_digits_as_they_are(code)}
    strings = _strings(package, strings_part, limits) if strings_part else []
    return Book(
        limits=limits,
        strings=strings,
        formats={str(style): code for style, code in enumerate(formats)},
        date_styles=frozenset(str(style) for style, code in enumerate(formats) if is_date(code)),
        plain_styles=frozenset({None, *plain} | ({"0"} if not formats else set())),
        from_1904=from_1904,
    )


def _shows_digits_as_they_are(code: str) -> bool:
    return not is_date(code) and all(shown_number(probe, code) == probe for probe in _PROBES)


def _formats(package: Package, part: str) -> list[str]:
    """The number format code of each cell style, in the order that cells refer to them."""
    codes = dict(BUILT_IN)
    styles: list[int] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        if name == "cellXfs":
            inside = True
        elif name == "xf" and inside:
            styles.append(_whole(attributes.get("numFmtId", "0")))
        elif name == "numFmt":
            code = attributes.get("formatCode", "General")
            if len(code) > _LONGEST_FORMAT:
                damaged(f"a number format has {len(code):,} characters")
            codes[_whole(attributes.get("numFmtId", "0"))] = code

    def end(name: str) -> None:
        nonlocal inside
        if name == "cellXfs":
            inside = False

    walk(package, part, start, end)
    return [codes.get(style, "General") for style in styles]


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _strings(package: Package, part: str, limits: Limits) -> list[Read]:
    """The shared strings: all runs of rich text joined, readings (`rPh`) left out."""
    parser = package.new_parser(part)
    strings: list[Read] = []
    parts: list[str] = []
    keep = parts.append
    run, item, phonetic = (tuple(f"{space} {name}" for space in NAMESPACES) for name in ("t", "si", "rPh"))
    reading = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal reading
        if tag in run:
            if not reading:
                parser.CharacterDataHandler = keep
        elif tag in phonetic:
            reading = True

    def end(tag: str) -> None:
        nonlocal reading
        if tag in run:
            parser.CharacterDataHandler = None
        elif tag in item:
            strings.append(text_cell(unescape("".join(parts)), limits))
            parts.clear()
        elif tag in phonetic:
            reading = False

    def bound_text() -> None:
        if sum(map(len, parts)) > 4 * limits.text:
            parts[:] = ["".join(parts)[: 2 * limits.text + 2]]

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    package.parse(part, parser, bound_text)
    return strings
