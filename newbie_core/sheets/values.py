"""What an id, a whole number and a yes or no may look like in a cell."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import NamedTuple

from newbie_core.sheets.text import hidden_character, shown

LONGEST_ID = 255
LARGEST_INTEGER = 2**63 - 1
_FULL_WIDTH_DIGITS = {0xFF10 + digit: 0x30 + digit for digit in range(10)}
_SURELY_SMALL = 18  # digits
_LONGEST_WORD = 20

_DRIVE = re.compile("[A-Za-z]:")
_INTEGER = re.compile(r"[0-9]{1,30}(?:\.0{1,9})?")
_YES_WORDS = "yes y true t 1 on x ok ✓ ✔ ☑ √ ○ ◯ 是 对 對 有 启用 啟用 开 開 はい 有効 真 オン"
_NO_WORDS = "no n false f 0 off - ✗ ✘ ☐ 否 不 无 無 停用 禁用 关 關 いいえ 無効 偽 オフ"
_YES, _NO = frozenset(_YES_WORDS.split()), frozenset(_NO_WORDS.split())


class Problem(NamedTuple):
    """Why a cell's text is refused, and what to do about it."""

    code: str
    message: str
    fix: str


def id_problem(text: str) -> Problem | None:
    """Why `text` cannot be an id; None if it can.

    Ids are labels and never become paths, so `CON`, `-rf` and `.git` are as good as any. `/` and `#`
    stand between the parts of a picture's id.
    """
    if text.isalnum() and len(text) <= LONGEST_ID:
        return None
    reason = _id_reason(text)
    if reason is None:
        return None
    return Problem("E_ROW_ID_BAD", f"the id {shown(text)} {reason}", "give the row another id")


def _id_reason(text: str) -> str | None:
    if len(text) > LONGEST_ID:
        return f"has {len(text):,} characters, more than {LONGEST_ID}"
    for mark in "/\\#":
        if mark in text:
            return f'has a "{mark}", which ids may not have'
    if _DRIVE.match(text):
        return "looks like a path on a Windows drive"
    if not text.strip("."):
        return "has nothing but dots"
    hidden = hidden_character(text)
    return f"has the invisible character {hidden}" if hidden else None


def id_key(text: str) -> str:
    """Ids with the same key are one id to people and to file systems: "Aria" and "ａｒｉａ"."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def integer(text: str) -> str | Problem:
    """A whole number without needless zeros."""
    if text.isascii() and text.isdigit() and len(text) <= _SURELY_SMALL:
        return str(int(text))
    # Full-width digits only: NFKC would also make 102 of "10²".
    plain = text.translate(_FULL_WIDTH_DIGITS)
    if plain.isascii() and _INTEGER.fullmatch(plain):
        number = int(plain.partition(".")[0])
        if number <= LARGEST_INTEGER:
            return str(number)
    fix = "leave it empty to have one chosen" if plain == "-1" else f"write one from 0 to {LARGEST_INTEGER}"
    return Problem("E_CELL_INTEGER", f"{shown(text)} is not a whole number that can be used", fix)


def flag(text: str) -> str | Problem:
    """ "yes" or "no", from any of the words that people use for them."""
    word = unicodedata.normalize("NFKC", text).casefold()
    if word in _YES:
        return "yes"
    if word in _NO:
        return "no"
    near = word if len(word) <= _LONGEST_WORD else ""
    close = difflib.get_close_matches(near, [*sorted(_YES), *sorted(_NO)], n=1, cutoff=0.6)
    hint = f'did you mean "{close[0]}"? Write yes or no' if close else "write yes or no"
    return Problem("E_CELL_FLAG", f"{shown(text)} is neither yes nor no", hint)
