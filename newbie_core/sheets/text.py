"""One cell's text: what is trimmed, what is refused, and how messages show it.

The rule, the same for a workbook and a CSV file: white space at both ends goes, the no-break and
the ideographic space with it; a tab or a line break inside becomes one space; any other control
character, half a surrogate pair, U+FFFE or U+FFFF is a fault of the cell.
"""

from __future__ import annotations

import re
import unicodedata

_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAKS = re.compile("\r\n|[\t\n\r\x85\u2028\u2029]")
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SHOWN_LENGTH = 60


def clean(raw: str) -> str:
    """`raw` as a cell's text; ask `refused_character` first."""
    return raw.strip() if raw.isprintable() else _BREAKS.sub(" ", raw).strip()


def refused_character(raw: str) -> str | None:
    """The first character that no cell may hold, as its code point `U+0000`, or None."""
    if raw.isprintable():
        return None
    found = _REFUSED.search(raw)
    return code_point(found.group()) if found else None


def hidden_character(text: str) -> str | None:
    """The first control, zero-width or direction character, as its code point, or None."""
    if text.isprintable():
        return None
    return next((code_point(one) for one in text if unicodedata.category(one) in _UNSAFE), None)


def code_point(character: str) -> str:
    """`U+202E` and its name, where it has one."""
    number = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    return f"{number} ({name})" if name else number


def unescape(raw: str) -> str:
    """`raw` with Excel's `_x000D_` escapes turned into the characters they stand for."""
    if "_x" not in raw:
        return raw
    text = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), raw)
    return _SURROGATES.sub(lambda pair: pair.group().encode("utf-16", "surrogatepass").decode("utf-16"), text)


def shown(text: str) -> str:
    """`text` in quotes as messages show it: hidden characters by code point, long text cut."""
    cut = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
    return f'"{visible(cut)}"'


def visible(text: str) -> str:
    """`text` with every hidden character written as `<U+202E>`."""
    if text.isprintable():
        return text
    return "".join(f"<U+{ord(one):04X}>" if unicodedata.category(one) in _UNSAFE else one for one in text)
