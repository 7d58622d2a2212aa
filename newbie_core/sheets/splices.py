"""Edit XML by its bytes: find where elements stand, put text between them, leave every other byte as it is.

What is put in is ASCII with character references, so it is right in any encoding that begins with ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from newbie_core.sheets.package import Package, damaged

_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=>/]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
_DECLARED = re.compile(rb"""(<\?xml[^>]*?)\s+encoding\s*=\s*["'][^"']*["']""")
_UNSAID = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """Bytes in the place of those from `start` to `end`."""

    start: int
    end: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class Element:
    """One element: `tag` as it is written, byte offsets of its start, of the end of its start tag, and of its end."""

    tag: str
    attributes: Mapping[str, str]
    start: int
    opened: int
    end: int = 0
    closing: int = 0
    children: list[Element] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The tag without its prefix."""
        return self.tag.rpartition(":")[2]

    @property
    def prefix(self) -> str:
        """The tag's prefix with its colon; empty where it has none."""
        before, colon, _ = self.tag.rpartition(":")
        return before + colon

    def get(self, name: str) -> str | None:
        """The attribute of that name, whatever its prefix."""
        return next((text for key, text in self.attributes.items() if key.rpartition(":")[2] == name), None)

    def child(self, name: str) -> Element | None:
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def within(self, name: str) -> Iterable[Element]:
        """Every element of that name below this one."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.within(name)

    def appended(self, data: bytes) -> Splice:
        """`data` as the last thing inside the element."""
        if self.closing:
            return Splice(start=self.closing, end=self.closing, data=data)
        closed = b">" + data + f"</{self.tag}>".encode()
        return Splice(start=self.end - 2, end=self.end, data=closed)

    def removed(self) -> Splice:
        """The element taken out."""
        return Splice(start=self.start, end=self.end, data=b"")


def spliced(data: bytes, splices: Iterable[Splice]) -> bytes:
    """`data` with every splice made; of several at one place the first given comes first."""
    parts, at = [], 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        if splice.start < at:
            raise AssertionError("two splices overlap")
        parts += [data[at : splice.start], splice.data]
        at = splice.end
    return b"".join([*parts, data[at:]])


def tag_end(data: bytes, start: int) -> int:
    """Where the tag that begins at `start` ends."""
    found = _TAG.match(data, start)
    if found is None:
        damaged("a tag cannot be followed")
    return found.end()


def plain(data: bytes) -> bytes:
    """A part's bytes in an encoding that begins with ASCII: UTF-16 becomes UTF-8."""
    for starts, name in (
        ((b"\xff\xfe", b"\xfe\xff"), "utf-16"),
        ((b"<\0",), "utf-16-le"),
        ((b"\0<",), "utf-16-be"),
    ):
        if data.startswith(starts):
            return _DECLARED.sub(rb"\1", data.decode(name).encode(), count=1)
    return data


def read_tree(package: Package, part: str, data: bytes, *, closed: frozenset[str] = frozenset()) -> Element:
    """The elements of a part; those inside elements named in `closed` are left out.

    Raises:
        SheetError: it declares a DTD, or is not whole.
    """
    parser = package.new_parser(part, namespaces=False)
    open_: list[Element] = []
    roots: list[Element] = []
    shut = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal shut
        if shut or (open_ and open_[-1].name in closed):
            shut += 1
            return
        at = parser.CurrentByteIndex
        element = Element(tag=tag, attributes=attributes, start=at, opened=tag_end(data, at))
        (open_[-1].children if open_ else roots).append(element)
        open_.append(element)

    def end(tag: str) -> None:
        nonlocal shut
        if shut:
            shut -= 1
            return
        element = open_.pop()
        if data[element.opened - 2 : element.opened] == b"/>":
            element.end = element.opened
        else:
            element.closing = parser.CurrentByteIndex
            element.end = data.index(b">", element.closing) + 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parse(parser, data, package.label(part))
    return roots[0]


def parse(parser: expat.XMLParserType, data: bytes, label: str) -> None:
    """Feed a whole part to `parser`."""
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        damaged(f"the part {label} is not whole XML ({error})")


def with_attributes(tag: bytes, changes: Mapping[str, str | None]) -> bytes:
    """A start tag with attributes set, or taken away where the value is None."""
    for name, value in changes.items():
        pattern = rb"\s" + name.encode() + rb"""\s*=\s*(?:"[^"]*"|'[^']*')"""
        tag = re.sub(pattern, b"", tag, count=1)
        if value is not None:
            cut = len(tag) - (2 if tag.endswith(b"/>") else 1)
            tag = tag[:cut].rstrip() + f' {name}="'.encode() + said(value) + b'"' + tag[cut:]
    return tag


def said(text: str) -> bytes:
    """A text as it stands in XML, in an element or in double quotes."""
    clean = _UNSAID.sub("", text)
    marks = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
    return escape(clean, marks).encode("ascii", "xmlcharrefreplace")


def counted(element: Element, data: bytes, added: int) -> Splice | None:
    """The element's start tag with its `count` raised."""
    number = element.attributes.get("count")
    if number is None:
        return None
    tag = with_attributes(data[element.start : element.opened], {"count": str(len(element.children) + added)})
    return Splice(start=element.start, end=element.opened, data=tag)
