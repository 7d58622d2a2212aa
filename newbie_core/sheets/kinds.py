"""What a file really is, told by its first bytes."""

from __future__ import annotations

from typing import Literal

Kind = Literal["xlsx", "csv", "tsv"]
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
TEXT_SUFFIXES = (".csv", ".tsv")

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BINARY = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{\\rtf", "an RTF document"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
)
_MARKUP = (
    (b"urn:schemas-microsoft-com:office:spreadsheet", "an XML Spreadsheet 2003"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<table", "an HTML page"),
    (b"<?xml", "an XML file"),
)


def is_zip(data: bytes) -> bool:
    """Whether the bytes begin as a zip file, such as a workbook, does."""
    return data.startswith(_ZIP)


def is_encrypted(data: bytes) -> bool:
    """Whether this is a workbook with a password, which Excel keeps in an OLE file."""
    return data.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in data


def foreign_kind(data: bytes) -> str | None:
    """What the file is, in words, if it is neither a zip file nor text."""
    if data.startswith(_OLE):
        if "WordDocument".encode("utf-16-le") in data:
            return "an old Word document (.doc)"
        return "an old Excel 97 workbook (.xls)"
    for start, kind in _BINARY:
        if data.startswith(start):
            return kind
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<"):
        return next((kind for mark, kind in _MARKUP if mark in head), None)
    return None


def looks_like_text(data: bytes) -> bool:
    """Whether the start of the file is text, as a CSV file is."""
    head = data[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not any(byte < 32 and byte not in b"\t\r\n" for byte in head)
