"""The zip file around a workbook: its parts, counted, capped and parsed without any DTD.

Everything here runs in the limited child process. A part is streamed through expat, which keeps
nothing but the open tags; a DTD is refused at its first character, in whatever encoding the part is.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn
from xml.parsers import expat

from newbie_core.errors import Fault, SheetError
from newbie_core.sheets.text import visible
from newbie_core.sheets.workbook import Limits

_CHUNK_BYTES = 1 << 20
_SMALL_PART_BYTES = 1 << 20
_LONGEST_TAG_BYTES = 4 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_XML_ENCODINGS = ("utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii")
_ENCRYPTED_FLAG = 0x1
_OUT_OF_MEMORY = 1  # expat's XML_ERROR_NO_MEMORY
_SAVE_AGAIN = "open it in Excel and save it again, or upload it again"


def refuse(code: str, message: str, fix: str = "", *, sheet: str | None = None) -> NoReturn:
    """Stop reading the file. The parent process puts the file's name into the fault."""
    raise SheetError(
        faults=[Fault(file="", code=code, message=message, fix=fix, sheet=sheet, severity="file")]
    )


def damaged(message: str, *, sheet: str | None = None) -> NoReturn:
    """Stop at something that Excel does not write."""
    refuse("E_FILE_DAMAGED", message, _SAVE_AGAIN, sheet=sheet)


def check_troubled(count: int, limits: Limits) -> None:
    """Stop where listing what is wrong would itself be a flood."""
    if count > limits.troubled_cells:
        refuse(
            "E_FILE_CELLS",
            f"more than {limits.troubled_cells:,} cells cannot be used",
            "look at the columns of dates, formulas or errors, and type them as text",
        )


class Package:
    """The parts of one workbook by lower-case name; making one checks what the zip file claims."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._limits = limits
        self._archive = _open(data, limits)
        self._parts: dict[str, zipfile.ZipInfo] = {}
        for part in self._archive.infolist():
            if not part.filename.endswith("/"):
                self._add(part)
        self._check_sizes()

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def label(self, name: str) -> str:
        """A part's name as messages show it."""
        return visible(self._parts[name].filename if name in self._parts else name)

    def infos(self) -> list[zipfile.ZipInfo]:
        """The parts in the order of the file."""
        return list(self._parts.values())

    def bytes_of(self, name: str) -> bytes:
        """A whole part."""
        return b"".join(self.chunks(name))

    def size(self, name: str) -> int:
        """A part's unpacked bytes; 0 where it is missing."""
        return self._parts[name].file_size if name in self._parts else 0

    def chunks(self, name: str) -> Iterator[bytes]:
        """A part's bytes, a MiB at a time."""
        return (chunk for chunk, _ in self._chunks(name))

    def start(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of a part."""
        return next(self._chunks(name, size=limit))[0]

    def new_parser(self, name: str, *, namespaces: bool = True) -> expat.XMLParserType:
        """An expat parser (of `URI tag` names with `namespaces`) that refuses any DTD or entity of a part."""

        def declares(*_: object) -> NoReturn:
            refuse(
                "E_FILE_DTD",
                f"the part {self.label(name)} declares a DTD or entities, which no spreadsheet needs",
                "it was refused unread; save the sheet anew from Excel",
            )

        parser = expat.ParserCreate(None, " " if namespaces else None)
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartDoctypeDeclHandler = declares
        parser.EntityDeclHandler = declares
        return parser

    def parse(
        self,
        name: str,
        parser: expat.XMLParserType,
        between: Callable[[], None] | None = None,
        pieces: Callable[[bytes], Iterable[bytes]] = lambda chunk: (chunk,),
    ) -> None:
        """Stream a part through `parser`, calling `between` after each MiB.

        Args:
            pieces: which parts of a chunk the parser gets, in their order.

        Raises:
            SheetError: the part is not there, not whole, or not plain XML.
        """
        if name not in self._parts:
            damaged(f"the part {self.label(name)} is missing")

        def declared(version: str, encoding: str | None, standalone: int) -> None:
            if encoding is not None and encoding.lower() not in _XML_ENCODINGS:
                damaged(f"the part {self.label(name)} is in the encoding {visible(encoding[:40])}")

        parser.XmlDeclHandler = declared
        try:
            fed = 0
            for chunk, last in self._chunks(name):
                for piece in pieces(chunk):
                    parser.Parse(piece, last)
                    fed += len(piece)
                if fed - parser.CurrentByteIndex > _LONGEST_TAG_BYTES:
                    damaged(
                        f"the part {self.label(name)} has a tag longer than {_LONGEST_TAG_BYTES >> 20} MiB"
                    )
                if between is not None:
                    between()
        except expat.ExpatError as error:
            if error.code == _OUT_OF_MEMORY:
                raise MemoryError from None
            damaged(f"the part {self.label(name)} is not whole XML ({error})")

    def check_prologs(self, parsed: set[str]) -> None:
        """Refuse a DTD in any part, also in those that nobody parses (all but `parsed`)."""
        for name in self._parts:
            if name not in parsed:
                self._check_prolog(name)

    def _check_prolog(self, name: str) -> None:
        class RootReached(Exception):
            pass

        def stop(tag: str, attributes: dict[str, str]) -> None:
            raise RootReached

        parser = self.new_parser(name)
        parser.StartElementHandler = stop
        try:
            for chunk, last in self._chunks(name, size=1 << 16):
                parser.Parse(chunk, last)
        except (RootReached, expat.ExpatError, LookupError, ValueError):
            return  # its root, or a picture or broken part that is never used

    def _chunks(self, name: str, size: int = _CHUNK_BYTES) -> Iterator[tuple[bytes, bool]]:
        try:
            with self._archive.open(self._parts[name]) as stream:
                while chunk := stream.read(size):
                    yield chunk, False
                yield b"", True
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            damaged(f"the part {self.label(name)} is not what the zip directory says ({error})")

    def _add(self, part: zipfile.ZipInfo) -> None:
        name = part.filename.replace("\\", "/").lstrip("/").lower()
        if name in self._parts:
            refuse("E_FILE_PARTS", f"the part {visible(part.filename)} is there twice", _SAVE_AGAIN)
        if part.flag_bits & _ENCRYPTED_FLAG:
            refuse_encrypted()
        if part.compress_type not in _METHODS:
            damaged(f"the part {visible(part.filename)} is packed in a way that Excel does not use")
        self._parts[name] = part

    def _check_sizes(self) -> None:
        """Hold the sizes that the parts declare to the limits; `zipfile` never yields more than those."""
        cap, ratio = self._limits.unpacked_bytes, self._limits.ratio
        for part in self._parts.values():
            if part.file_size > cap:
                _refuse_bomb(part.filename, f"{cap >> 20} MiB")
            if part.file_size > max(_SMALL_PART_BYTES, ratio * part.compress_size):
                _refuse_bomb(part.filename, f"{ratio} times its packed size")
        if sum(part.file_size for part in self._parts.values()) > cap:
            _refuse_bomb("", f"{cap >> 20} MiB")


def refuse_encrypted() -> NoReturn:
    """Stop at a workbook with a password."""
    refuse("E_FILE_ENCRYPTED", "the workbook is password protected", "save it without a password")


def _open(data: bytes, limits: Limits) -> zipfile.ZipFile:
    end = data.rfind(b"PK\x05\x06")
    directory_bytes = int.from_bytes(data[end + 12 : end + 16], "little")
    # Counted in the bytes, before `zipfile` makes an object of each.
    if end >= 0 and data[max(0, end - directory_bytes) : end].count(b"PK\x01\x02") > limits.parts:
        refuse("E_FILE_PARTS", f"the workbook has more than {limits.parts:,} parts", _SAVE_AGAIN)
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        refuse(
            "E_FILE_DAMAGED",
            f"this is not a readable .xlsx ({error}); it was probably cut short",
            "upload it again",
        )


def _refuse_bomb(name: str, bound: str) -> NoReturn:
    what = f"the part {visible(name)}" if name else "the workbook"
    refuse(
        "E_FILE_BOMB",
        f"{what} expands to more than {bound}: refused",
        "copy the cells into a new workbook",
    )
