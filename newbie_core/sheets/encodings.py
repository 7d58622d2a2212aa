"""Which character encoding a CSV file has: its mark, UTF-8, or the only old one that makes sense.

Old encodings nearly all "decode" each other's bytes, so an old one is taken only when nine in ten
characters it gives are everyday ones of its language and no other encoding can say the same.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from types import MappingProxyType

from newbie_core.sheets.package import refuse

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WESTERN_LETTERS = frozenset("ÀÂÄÇÈÉÊËÎÏÔÖÙÛÜŒàâäçèéêëîïôöùûüœßáíóúñÁÍÓÚÑãõÃÕåÅøØæÆ¿¡°©®«»€£–—‘’“”•…™")
_RARE_SHARE = 0.1
_CJK_MARKS = frozenset(
    "　、。，．・：；？！…—～（）［］「」『』【】《》〈〉“”‘’％＋－＝＆＃＠＊○●★☆♪→←↑↓×÷〇々ー"
)
_SETTINGS = (
    "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be gb2312 gbk gb18030 big5 big5hkscs cp950 cp932 shift_jis "
    "shift_jisx0213 shift_jis_2004 euc_jp euc_jisx0213 euc_jis_2004 cp949 euc_kr johab koi8-r koi8-u "
    "iso8859-1 iso8859-2 iso8859-5 iso8859-7 iso8859-9 iso8859-15 mac-roman "
    "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874 ascii"
)
SETTINGS = frozenset(_SETTINGS.split())
"""Encodings that the setting `encoding` may name, by Python's name."""


def decode(data: bytes, setting: str | None) -> tuple[str, str, bool]:
    """The file's text without its mark, the encoding used, and whether that was guessed.

    A byte order mark wins over `setting`.

    Raises:
        SheetError: no encoding, or more than one, fits; or a byte is not of the encoding.
    """
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        refuse("E_FILE_ENCODING", "the file is in UTF-32", "save it as CSV UTF-8")
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], name), name, False
    if setting is not None:
        name = _setting(setting)
        return _strictly(data, name), name, False
    try:
        return data.decode("utf-8"), "utf-8", False
    except UnicodeDecodeError:
        return _guess(data)


def _setting(setting: str) -> str:
    try:
        name = codecs.lookup(setting).name
    except (LookupError, ValueError):
        name = ""
    if name not in SETTINGS:
        known = "utf-8, utf-16, gb18030, big5, cp932, euc_jp, cp949, cp1252"
        refuse("E_FILE_ENCODING", f'encoding = "{setting[:40]}" is not known', f"use one of {known}")
    return name


def _strictly(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(name, "replace")
        line = before.count("\n") + 1
        place = len(before.rpartition("\n")[2].encode(name)) + 1
        refuse(
            "E_FILE_BYTE",
            f"line {line}, byte {place}: 0x{data[error.start]:02X} is not {name.upper()}",
            'save the file as CSV UTF-8, or set "encoding" to what it is',
        )


def _guess(data: bytes) -> tuple[str, str, bool]:
    lenient = data.decode("utf-8", "surrogateescape")
    wide = [one for one in lenient if one > "\x7f"]
    bad = sum("\udc80" <= one <= "\udcff" for one in wide)
    if bad * 2 < len(wide):
        _strictly(data, "utf-8")
    candidates = [(name, text) for name in _EVERYDAY if (text := _plausible(data, name)) is not None]
    if len(candidates) == 1:
        name, text = candidates[0]
        return text, name, True
    if not candidates:
        if b"\x00" in data[:200]:
            refuse("E_FILE_ENCODING", "the file looks like UTF-16 without a mark", "save it as CSV UTF-8")
        _strictly(data, "utf-8")
    names = ", ".join(name for name, _ in candidates)
    refuse(
        "E_FILE_ENCODING",
        f"the file is not UTF-8, and could be any of {names}",
        'save it as CSV UTF-8, or set "encoding" to the right one',
    )


def _plausible(data: bytes, name: str) -> str | None:
    try:
        text = data.decode(name)
    except UnicodeDecodeError:
        return None
    return text if _EVERYDAY[name](text, name) else None


def _by_lead_bytes(*ranges: tuple[int, int]) -> Callable[[str, str], bool]:
    """A check that nearly every character's bytes in its encoding are in one of the ranges."""

    def everyday(text: str, name: str) -> bool:
        wide = {one for one in set(text) if one > "\x7f" and one not in _CJK_MARKS}
        rare = 0
        for one in wide:
            raw = one.encode(name)
            pair = int.from_bytes(raw, "big")
            rare += len(raw) != 2 or not any(low <= pair <= high for low, high in ranges)
        return rare <= len(wide) * _RARE_SHARE

    return everyday


def _western(text: str, name: str) -> bool:
    if any(one > "\x7f" and one not in _WESTERN_LETTERS for one in set(text)):
        return False
    return (
        re.search("[^\x00-\x7f]{3}", text) is None
        and re.search("[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]", text) is not None
    )


_EVERYDAY: MappingProxyType[str, Callable[[str, str], bool]] = MappingProxyType(
    {
        "gb18030": _by_lead_bytes((0xB0A1, 0xD7F9), (0xA3A1, 0xA3FE)),
        "big5": _by_lead_bytes((0xA440, 0xC67E), (0xA2AF, 0xA343)),
        "cp932": _by_lead_bytes((0x829F, 0x8396), (0x889F, 0x9872), (0x824F, 0x829A)),
        "euc_jp": _by_lead_bytes((0xA4A1, 0xA5F6), (0xB0A1, 0xCFD3), (0xA3A1, 0xA3FE)),
        "cp949": _by_lead_bytes((0xB0A1, 0xC8FE)),
        "cp1252": _western,
    }
)
"""The old encodings that may be found, each with the test that a text is everyday text of it."""
