"""What happened in a run, or was decided, line by line; each append is durable when it returns."""

from __future__ import annotations

from typing import Any

from newbie_core.errors import MissingError
from newbie_core.store.driver import Driver
from newbie_core.store.records import decode_lines, encode_line, is_torn


class Journal:
    """One append-only journal with one writer at a time (the holder of its set's lock)."""

    def __init__(self, driver: Driver, name: str) -> None:
        self.name = name
        self._driver = driver
        self._is_mended = False

    def append(self, *records: Any) -> None:
        """Add JSON records at the end, together."""
        if not self._is_mended:
            self._mend()
        self._driver.append(self.name, b"".join(encode_line(record) for record in records))

    def read(self) -> tuple[list[Any], list[int]]:
        """The records, and the numbers (from 1) of damaged lines; empty when nothing was written."""
        return decode_lines(self._bytes())

    def torn_end(self) -> bytes:
        """The unfinished last line that a killed writer left; empty when the journal ends well."""
        tail = self._bytes().rpartition(b"\n")[2]
        return tail if is_torn(tail) else b""

    def _mend(self) -> None:
        """End the line a killed writer left torn, so that the next record starts its own."""
        data = self._bytes()
        end = data.rfind(b"\n") + 1
        if data[end:] and is_torn(data[end:]):
            self._driver.replace(self.name, data[:end])
        elif data[end:]:
            self._driver.append(self.name, b"\n")
        self._is_mended = True

    def _bytes(self) -> bytes:
        try:
            return self._driver.read(self.name)
        except MissingError:
            return b""
