"""Sheets with more rows than the limit, told from their bytes: parsing up to the limit would take ten times as long.

Only what is certain is counted: rows in the form that Excel and LibreOffice write, with a value that begins with a
digit in the first cell that is not empty. A sheet with fewer such rows goes to the parser, which decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_VALUE = (
    rb'<row r="([0-9]{1,7})"[^<>]*>'
    rb'(?:<c r="[A-Z]{1,3}\1"(?: s="[0-9]{1,5}")?/>)*'
    rb'<c r="[A-Z]{1,3}\1"(?: s="[0-9]{1,5}")?(?: t="[%s]")?><v>[0-9]'
)
_NUMBER = re.compile(_VALUE % b"nb")
_NUMBER_OR_TEXT = re.compile(_VALUE % b"nbs")
_MARKUP = re.compile(rb"<[!?]")  # comments, CDATA, instructions: what looks like a row may be none
SHORTEST_BYTES = len(b'<row r="1"><c r="A1"><v>1</v></c></row>')
"""No row that is counted takes less; a part of fewer bytes than rows times this need not be looked at."""


def first_beyond(chunks: Iterable[bytes], rows: int, last: int, *, texts: bool) -> int | None:
    """The number of a row past `last`, where at least `rows` rows up to `last` have content; None where that is unsure.

    Args:
        chunks: the worksheet's bytes. A row cut by the end of a chunk is not counted.
        texts: whether every shared text of the workbook has characters, so that a reference to one is content.
    """
    pattern = _NUMBER_OR_TEXT if texts else _NUMBER
    seen, tail = 0, b""
    for chunk in chunks:
        # An XML declaration may open the part; its `<?` stands before the fifth byte.
        if _MARKUP.search(tail + chunk, 0 if tail else 5):
            return None
        tail = chunk[-1:] or tail
        numbers = pattern.findall(chunk)
        if numbers and int(numbers[-1]) > last:
            place = next(place for place, number in enumerate(numbers) if int(number) > last)
            return int(numbers[place]) if seen + place >= rows else None
        seen += len(numbers)
    return None
