"""A copy of a workbook with columns added: edited parts are spliced, all others keep their bytes.

What is edited: the sheet, its relationships, its drawing, the list of content types, and the styles at
their end. Formulas keep the values stored with them, for no formula's cell is touched.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from newbie_core.sheets.additions import Addition
from newbie_core.sheets.package import Package, damaged
from newbie_core.sheets.sheet_copy import SheetCopy, Styles
from newbie_core.sheets.splices import Element, Splice, counted, plain, read_tree, said, spliced
from newbie_core.sheets.workbook import Limits
from newbie_core.sheets.xlsx import find_places

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_TYPES = "[content_types].xml"
_RELATIONS_SPACE = "http://schemas.openxmlformats.org/package/2006/relationships"
_RELATIONS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
_HEAD = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_LINK_FONT = '<{p}font><{p}u/><{p}sz val="10"/><{p}color rgb="FF0563C1"/><{p}name val="Calibri"/></{p}font>'
_FORM = (
    '<{p}xf numFmtId="{number}" fontId="{font}" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" '
    'applyFont="1" applyAlignment="1"><{p}alignment vertical="center" wrapText="1"/></{p}xf>'
)


def copy_book(
    data: bytes, additions: Sequence[Addition], pictures: Mapping[str, bytes], limits: Limits
) -> bytes:
    """The bytes of the copy.

    Args:
        pictures: JPEG files by the key that thumbnails name.

    Raises:
        SheetError: the file breaks a limit, or a sheet has no room for the columns.
    """
    package = Package(data, limits)
    places = find_places(package)
    book = BookCopy(package, pictures)
    styles = _add_styles(book, places.styles)
    for addition in additions:
        if addition.sheet not in places.sheets:
            damaged("the sheet is not in the file any more", sheet=addition.sheet)
        SheetCopy(book, places.sheets[addition.sheet], addition, styles, limits).write()
    book.drop_orphans()
    return book.packed()


class BookCopy:
    """The parts of a workbook, some of them with other bytes than before."""

    def __init__(self, package: Package, pictures: Mapping[str, bytes]) -> None:
        self.package = package
        self._names = {name: package.label(name) for name in package}
        self._changed: dict[str, bytes] = {}
        self._removed: set[str] = set()
        self._loose: set[str] = set()
        self._pictures = pictures
        self._media: dict[str, str] = {}

    def __contains__(self, part: str) -> bool:
        return part in self._names

    def read(self, part: str) -> bytes:
        """A part as it stands now, in an encoding that begins with ASCII."""
        return self._changed[part] if part in self._changed else plain(self.package.bytes_of(part))

    def tree(self, part: str, *, closed: frozenset[str] = frozenset()) -> tuple[bytes, Element]:
        """A part's bytes and its elements."""
        data = self.read(part)
        return data, read_tree(self.package, part, data, closed=closed)

    def write(self, part: str, data: bytes) -> None:
        """Keep `data` as a part, new or not."""
        self._names.setdefault(part.lower(), part)
        self._changed[part.lower()] = data

    def new_name(self, stem: str, suffix: str) -> str:
        """A name that no part has: `xl/drawings/drawing4.xml`."""
        number = 1
        while f"{stem}{number}{suffix}".lower() in self._names:
            number += 1
        return f"{stem}{number}{suffix}"

    def targets(self, part: str) -> dict[str, tuple[str, str]]:
        """The relationships of a part by id: the kind, and the lower-case name of the part it leads to ("" outside)."""
        source = _relations_of(part)
        if source not in self._names:
            return {}
        _, root = self.tree(source)
        folder = posixpath.dirname(part)
        found = {}
        for link in root.children:
            target = link.attributes.get("Target", "").replace("\\", "/")
            inside = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/").lower()
            outside = link.attributes.get("TargetMode") == "External"
            kind = link.attributes.get("Type", "").rpartition("/")[2]
            found[link.attributes.get("Id", "")] = (kind, "" if outside else inside)
        return found

    def relate(
        self, part: str, links: Sequence[tuple[str, str, bool]], *, without: Iterable[str] = ()
    ) -> list[str]:
        """Add relationships (type, target, outside) to a part and take some away; the ids of the new ones."""
        source, gone = _relations_of(part), set(without)
        if not links and not gone:
            return []
        if source not in self._names:
            name = posixpath.join(
                posixpath.dirname(self._names[part]), "_rels", posixpath.basename(self._names[part]) + ".rels"
            )
            self.write(name, _HEAD + f'<Relationships xmlns="{_RELATIONS_SPACE}"></Relationships>'.encode())
        before = self.targets(part)
        self._loose.update(before[one][1] for one in gone if one in before)
        data, root = self.tree(source)
        ids, number, parts = [], 0, []
        for kind, target, outside in links:
            number += 1
            while f"newbie{number}" in before and f"newbie{number}" not in gone:
                number += 1
            ids.append(f"newbie{number}")
            mode = b' TargetMode="External"' if outside else b""
            head = f'<{root.prefix}Relationship Id="newbie{number}" Type="{kind}" Target="'.encode()
            parts.append(head + said(target) + b'"' + mode + b"/>")
        splices = [link.removed() for link in root.children if link.attributes.get("Id") in gone]
        self.write(source, spliced(data, [*splices, root.appended(b"".join(parts))]))
        return ids

    def declare(self, *, part: str = "", extension: str = "", kind: str) -> None:
        """Say the content type of a new part, or of every part with an extension."""
        data, root = self.tree(_TYPES)
        if extension:
            known = {
                item.attributes.get("Extension", "").lower()
                for item in root.children
                if item.name == "Default"
            }
            if extension in known:
                return
            text = f'<{root.prefix}Default Extension="{extension}" ContentType="{kind}"/>'
            first = root.children[0].start if root.children else root.closing
            self.write(_TYPES, spliced(data, [Splice(start=first, end=first, data=text.encode())]))
            return
        text = f'<{root.prefix}Override PartName="/{part}" ContentType="{kind}"/>'
        self.write(_TYPES, spliced(data, [root.appended(text.encode())]))

    def media(self, key: str) -> str:
        """The part that holds a picture, stored once however many rows show it."""
        if key not in self._media:
            if not self._media:
                self.declare(extension="jpeg", kind="image/jpeg")
            self._media[key] = f"xl/media/newbie-{key[:32]}.jpeg"
            self.write(self._media[key], self._pictures[key])
        return self._media[key]

    def drop_orphans(self) -> None:
        """Leave out pictures that only removed relationships led to."""
        if not self._loose:
            return
        used: set[str] = set()
        for source in [name for name in self._names if name.endswith(".rels")]:
            folder, base = posixpath.split(source)
            part = posixpath.join(posixpath.dirname(folder), base.removesuffix(".rels"))
            used.update(target for _, target in self.targets(part).values())
        self._removed.update(name for name in self._loose - used if name.startswith("xl/media/"))

    def packed(self) -> bytes:
        """The bytes of the copy; equal parts give equal bytes."""
        out = io.BytesIO()
        left = dict(self._changed)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for info in self.package.infos():
                name = info.filename.replace("\\", "/").lstrip("/").lower()
                if name in self._removed:
                    continue
                data = left.pop(name) if name in left else self.package.bytes_of(name)
                _store(archive, info.filename, data, info.compress_type, info.date_time)
            for name, data in left.items():
                if name not in self._removed:
                    method = zipfile.ZIP_STORED if name.endswith(".jpeg") else zipfile.ZIP_DEFLATED
                    _store(archive, self._names[name], data, method, _ZIP_TIME)
        return out.getvalue()


def _store(
    archive: zipfile.ZipFile, name: str, data: bytes, method: int, when: tuple[int, int, int, int, int, int]
) -> None:
    entry = zipfile.ZipInfo(name, when)
    entry.compress_type = method
    entry.create_system = 0
    archive.writestr(entry, data)


def _relations_of(part: str) -> str:
    folder, base = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{base}.rels")


def _add_styles(book: BookCopy, part: str | None) -> Styles:
    """The styles of added cells, at the end of the workbook's own; none where it has no styles."""
    if part is None or part not in book:
        return Styles()
    data, root = book.tree(part)
    fonts, forms = root.child("fonts"), root.child("cellXfs")
    if fonts is None or forms is None:
        return Styles()
    splices: list[Splice] = []
    (font,) = _appended(data, fonts, [_LINK_FONT.format(p=root.prefix)], splices)
    looks = [
        _FORM.format(p=root.prefix, number=number, font=face) for number, face in ((0, 0), (1, 0), (0, font))
    ]
    text, number, link = _appended(data, forms, looks, splices)
    if splices:
        book.write(part, spliced(data, splices))
    return Styles(text=text, number=number, link=link)


def _appended(data: bytes, parent: Element, wanted: Sequence[str], splices: list[Splice]) -> list[int]:
    """The places of elements among their parent's children; those that are not there come at its end."""
    known = {data[child.start : child.end]: at for at, child in enumerate(parent.children)}
    new: list[bytes] = []
    places = []
    for text in wanted:
        raw = text.encode()
        if raw not in known:
            known[raw] = len(parent.children) + len(new)
            new.append(raw)
        places.append(known[raw])
    if new:
        if raised := counted(parent, data, len(new)):
            splices.append(raised)
        splices.append(parent.appended(b"".join(new)))
    return places
