"""What Excel shows for a number: dates, and formats that alter its digits.

Only the formats that people put on ids, counts and names are drawn here (`000`, `0.00`, `#,##0`,
`0%`, `"CH"000`); of any other the cell's fault shows the format itself.
"""

from __future__ import annotations

import datetime
import re
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType

BUILT_IN = MappingProxyType(
    {0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00"}
    | {12: "# ?/?", 13: "# ??/??", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00"}
    | {41: "#,##0", 42: "$#,##0", 43: "#,##0.00", 44: "$#,##0.00", 48: "##0.0E+0", 49: "@"}
    # 27-36 and 50-58 are the dates of Chinese, Japanese and Korean Excel.
    | dict.fromkeys((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)), "yyyy-mm-dd")
)
"""Number format id to its code, for the formats that a workbook does not write out."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_ASIDE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[\$(?P<money>[^\]-]*)(?:-[^\]]*)?\]|\[[^\]]*\]'
    r"|(?P<digits>[0#?][0#?,.]*)|(?P<other>.)",
    re.DOTALL,
)
_LAST_SERIAL = 2_958_465
_LONG = 10**15
_EXACT_DIGITS = 15


def number_text(raw: str) -> str | None:
    """A stored number in plain decimals with the 15 digits that Excel shows, or None if it is none.

    `42.0` is "42", `1E-3` is "0.001", `0.30000000000000004` is "0.3".
    """
    if not _NUMBER.fullmatch(raw):
        return None
    value = float(raw)
    if value in (float("inf"), float("-inf")):
        return None
    return format(Decimal(f"{value:.{_EXACT_DIGITS - 1}e}").normalize() + 0, "f")


def is_long(text: str) -> bool:
    """Whether a number, as `number_text` gives it, has digits that Excel may have dropped."""
    return len(text) > _EXACT_DIGITS and abs(Decimal(text)) >= _LONG


def is_date(code: str) -> bool:
    """Whether a number format shows a date or a time."""
    section = _ASIDE.sub("", code.split(";")[0]).lower()
    if "general" in section:
        return False
    return re.search("[dmyhsgb]|e(?![+-])", section) is not None


def date_text(raw: str, *, from_1904: bool) -> str:
    """A stored serial number as the date or time that Excel shows, in ISO order."""
    try:
        serial = float(raw)
    except ValueError:
        return raw
    if not 0 <= serial <= _LAST_SERIAL:
        return "########"
    days, seconds = divmod(round(serial * 86400), 86400)
    clock = f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}".removesuffix(":00")
    if days == 0 and not from_1904:
        return clock
    # Excel believes that 1900 was a leap year.
    if days == 60 and not from_1904:
        day = "1900-02-29"
    else:
        first = datetime.date(1904, 1, 1) if from_1904 else datetime.date(1899, 12, 30 + (days < 60))
        day = str(first + datetime.timedelta(days=days))
    return day if seconds == 0 else f"{day} {clock}"


def shown_number(text: str, code: str) -> str:
    """The number `text` (plain decimals) as a format shows it, or with the format if it cannot be drawn."""
    section = _section(code, negative=text.startswith("-"))
    if _ASIDE.sub("", section).strip().lower() in ("", "general", "@"):
        return text
    drawn = _draw(text, section)
    return drawn if drawn is not None else f"{text} in the format {code}"


def _section(code: str, *, negative: bool) -> str:
    """The part of a format that is for positive or for negative numbers."""
    parts: list[str] = re.findall(r'(?:"[^"]*"|\\.|[^;])+', code) or [code]
    if negative and len(parts) > 1:
        return parts[1]
    return ("-" + parts[0]) if negative else parts[0]


def _draw(text: str, section: str) -> str | None:
    shown: list[str] = []
    tokens = list(_TOKEN.finditer(section))
    percent = any(token["other"] == "%" for token in tokens)
    number = abs(Decimal(text)) * (100 if percent else 1)
    holders = [token for token in tokens if token["digits"]]
    if len(holders) != 1:
        return None
    for token in tokens:
        if token["digits"]:
            shown.append(_digits(number, token["digits"]))
        elif token["other"] and token["other"] not in "%-+ ()$€£¥/:":
            return None
        else:
            shown.append(token["quoted"] or token["escaped"] or token["money"] or token["other"] or "")
    return "".join(shown).strip()


def _digits(number: Decimal, holder: str) -> str:
    whole, _, fraction = holder.partition(".")
    # Commas after the last digit place divide by a thousand each.
    number = number.scaleb(-3 * (len(whole) - len(whole.rstrip(","))))
    rounded = number.quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_UP)
    units, _, decimals = format(rounded, "f").partition(".")
    grouped = f"{int(units):,}" if "," in whole.rstrip(",") else units
    padded = grouped.rjust(whole.count("0"), "0") if units != "0" or "0" in whole else ""
    while decimals and fraction[len(decimals) - 1] != "0" and decimals.endswith("0"):
        decimals = decimals[:-1]
    return f"{padded}.{decimals}" if fraction else padded
