"""Rows without content, counted in the bytes: a sheet formatted to its last row has a million of them.

Only what is certain is passed over: rows numbered one after the other, with nothing but the attributes and styled
empty cells that Excel and LibreOffice write. All else goes to the parser, which decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# No possessive quantifiers: with them CPython 3.11.2 takes in half a row after the last whole one. None is needed: each
# step can match in one way only.
_ROW = (
    rb'<row r="([0-9]{1,7})"'
    rb'(?: (?:s|ht|spans|customFormat|customHeight|thickTop|thickBot|x14ac:dyDescent)="[0-9.:]*")* ?'
    rb'(?:/>|>(?:<c r="[A-Z]{1,2}\1"(?: s="[0-9]{1,5}")?(?:/>|></c>))*</row>)'
)
_NUMBERS = re.compile(rb'<row r="([0-9]+)')
_RUN = re.compile(rb"(?:" + _ROW + rb"){32,}")
_MARKUP = re.compile(rb"<[!?]")  # comments, CDATA, instructions: what looks like a row may be none

Skip = Callable[[int, int], bool]
"""Given the first and the last number of empty rows: whether they follow the rows read so far, and now count as read."""


class EmptyRows:
    """Cuts runs of empty rows out of a worksheet's bytes, chunk by chunk."""

    def __init__(self, skip: Skip) -> None:
        self._skip = skip
        self._plain = True
        self._tail = b""

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The parts of `chunk` to be parsed; each must be parsed before the next is asked for."""
        # An XML declaration may open the part; its `<?` stands before the fifth byte.
        start = 5 if not self._tail else 0
        if self._plain and _MARKUP.search(self._tail + chunk, start):
            self._plain = False
        self._tail = chunk[-1:] or self._tail
        place = 0
        for run in _RUN.finditer(chunk) if self._plain else ():
            yield chunk[place : run.start()]
            place = run.start()
            numbers = list(map(int, _NUMBERS.findall(run.group())))
            first, last = numbers[0], numbers[-1]
            if numbers == list(range(first, last + 1)) and self._skip(first, last):
                place = run.end()
        yield chunk[place:]
