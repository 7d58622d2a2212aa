"""A sheet's drawing with thumbnails: each stands in its cell, moves and hides with it, and has a name of ours.

By that name ("newbie: aria/happy") a thumbnail of an earlier copy is found and taken out; pictures of the
author stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from newbie_core.sheets.additions import Thumbnail
from newbie_core.sheets.splices import Element, said, spliced

if TYPE_CHECKING:
    from newbie_core.sheets.book_copy import BookCopy

_NAME = "newbie: "
_DRAWING_TYPE = "application/vnd.openxmlformats-officedocument.drawing+xml"
_SPACES = {
    False: (
        "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing",
        "http://schemas.openxmlformats.org/drawingml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
    True: (
        "http://purl.oclc.org/ooxml/drawingml/spreadsheetDrawing",
        "http://purl.oclc.org/ooxml/drawingml/main",
        "http://purl.oclc.org/ooxml/officeDocument/relationships",
    ),
}
_HEAD = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_EMU = 9525
"""English metric units in a pixel."""
_MARGIN = 2 * _EMU
_USUAL_COLUMN, _USUAL_ROW = 609_600, 190_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A thumbnail and its cell, column and row counted from 0."""

    column: int
    row: int
    thumbnail: Thumbnail


def used_columns(book: BookCopy, part: str, first_row: int, most: int) -> Iterator[int]:
    """The last column of each of the author's pictures that reach `first_row`, as far as it is before `most`."""
    data, root = book.tree(part)
    for anchor in root.children:
        if _is_ours(anchor) or (start := anchor.child("from")) is None:
            continue
        row, column = _number(data, start, "row"), _number(data, start, "col")
        if (end := anchor.child("to")) is not None:
            row, column = _number(data, end, "row"), _number(data, end, "col")
        elif (size := anchor.child("ext")) is not None:
            column += _steps(size.attributes.get("cx", ""), _USUAL_COLUMN)
            row += _steps(size.attributes.get("cy", ""), _USUAL_ROW)
        if row >= first_row and column < most:
            yield column


def place_pictures(
    book: BookCopy, sheet: str, part: str | None, pictures: Sequence[Placed], *, strict: bool
) -> str | None:
    """Put the pictures into the sheet's drawing, in place of those of an earlier copy.

    Returns:
        The relationship of a new drawing, where the sheet had none.
    """
    if part is None and not pictures:
        return None
    relation = None
    space, _, office = _SPACES[strict]
    if part is None:
        name = book.new_name("xl/drawings/drawing", ".xml")
        book.write(name, _HEAD + f'<xdr:wsDr xmlns:xdr="{space}"></xdr:wsDr>'.encode())
        book.declare(part=name, kind=_DRAWING_TYPE)
        (relation,) = book.relate(sheet, [(f"{office}/drawing", f"/{name}", False)])
        part = name.lower()
    data, root = book.tree(part)
    stale = [anchor for anchor in root.children if _is_ours(anchor)]
    kept = [anchor for anchor in root.children if not _is_ours(anchor)]
    if not stale and not pictures:
        return relation
    gone = _embedded(stale) - _embedded(kept)
    keys = list(dict.fromkeys(placed.thumbnail.key for placed in pictures))
    links = [(f"{office}/image", f"/{book.media(key)}", False) for key in keys]
    ids = dict(zip(keys, book.relate(part, links, without=gone), strict=True))
    numbers = [one.attributes.get("id", "") for anchor in kept for one in anchor.within("cNvPr")]
    first = max((int(one) for one in numbers if one.isdecimal() and len(one) < 9), default=1) + 1
    anchors = [
        _anchor(root.prefix, placed, ids[placed.thumbnail.key], number, strict=strict)
        for number, placed in enumerate(pictures, start=first)
    ]
    book.write(
        part, spliced(data, [*(anchor.removed() for anchor in stale), root.appended(b"".join(anchors))])
    )
    return relation


def _embedded(anchors: Sequence[Element]) -> set[str]:
    """The relationships of the pictures in some anchors."""
    return {one for anchor in anchors for blip in anchor.within("blip") if (one := blip.get("embed"))}


def _is_ours(anchor: Element) -> bool:
    return any(one.attributes.get("name", "").startswith(_NAME) for one in anchor.within("cNvPr"))


def _steps(length: str, step: int) -> int:
    """How many columns or rows of usual size a length reaches over, beyond the first."""
    return (int(length) - 1) // step if length.isdecimal() and 0 < len(length) < 12 else 0


def _number(data: bytes, corner: Element, name: str) -> int:
    element = corner.child(name)
    if element is None or not element.closing:
        return 0
    text = data[element.opened : element.closing].strip()
    return int(text) if text.isdigit() and len(text) < 8 else 0


def _anchor(p: str, placed: Placed, relation: str, number: int, *, strict: bool) -> bytes:
    _, drawing, office = _SPACES[strict]
    seen = placed.thumbnail
    wide, high = seen.width * _EMU, seen.height * _EMU

    def corner(name: str, right: int, down: int) -> str:
        return (
            f"<{p}{name}><{p}col>{placed.column}</{p}col><{p}colOff>{right}</{p}colOff>"
            f"<{p}row>{placed.row}</{p}row><{p}rowOff>{down}</{p}rowOff></{p}{name}>"
        )

    text = said(seen.text[:200])
    head = (
        f'<{p}twoCellAnchor editAs="twoCell">'
        + corner("from", _MARGIN, _MARGIN)
        + corner("to", _MARGIN + wide, _MARGIN + high)
        + f'<{p}pic><{p}nvPicPr><{p}cNvPr id="{number}" name="{_NAME}'
    )
    tail = (
        f'"/><{p}cNvPicPr><a:picLocks xmlns:a="{drawing}" noChangeAspect="1"/></{p}cNvPicPr></{p}nvPicPr>'
        f'<{p}blipFill><a:blip xmlns:a="{drawing}" xmlns:r="{office}" r:embed="{relation}"/>'
        f'<a:stretch xmlns:a="{drawing}"><a:fillRect/></a:stretch></{p}blipFill>'
        f'<{p}spPr><a:xfrm xmlns:a="{drawing}"><a:off x="0" y="0"/><a:ext cx="{wide}" cy="{high}"/></a:xfrm>'
        f'<a:prstGeom xmlns:a="{drawing}" prst="rect"><a:avLst/></a:prstGeom></{p}spPr></{p}pic>'
        f"<{p}clientData/></{p}twoCellAnchor>"
    )
    return head.encode() + text + b'" descr="' + text + tail.encode()
