"""Small files that check themselves: sealed records and journal lines.

A sealed record is one line of format, digest and length, then the payload::

    newbie-sealed-1 9f86d081…0a08 4
    test

A journal line is the length and crc32 of its JSON, then the JSON::

    23 1c291ca3 {"event":"run started"}
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import orjson

from newbie_core.digests import digest_bytes
from newbie_core.errors import DamageError

_TAG = b"newbie-sealed-1"
_LINE = re.compile(rb"([0-9]{1,10}) ([0-9a-f]{8}) (.*)\Z", re.DOTALL)
_LINE_BEGUN = re.compile(rb"[0-9]{1,10}(?: [0-9a-f]{0,8})?\Z")


def seal(payload: bytes) -> bytes:
    """The file text that carries `payload` and notices any changed bit of itself."""
    return _header(payload) + payload


def unseal(data: bytes, name: str) -> bytes:
    """The payload of a sealed file; DamageError, naming `name`, when any bit is not as sealed."""
    end = data.find(b"\n") + 1
    payload = data[end:]
    if data[:end] != _header(payload):
        raise DamageError(
            f"{name}: is damaged: {len(data)} bytes do not match the digest in their first line; "
            "restore it from a copy, or remove it to have it made again"
        )
    return payload


def seal_named(payload: bytes, name: str) -> bytes:
    """A sealed file that also knows its own name, so that two files swapped are noticed."""
    return seal(name.encode() + b"\n" + payload)


def unseal_named(data: bytes, name: str) -> bytes:
    """The payload sealed for this name; DamageError when it is damaged or another name's."""
    written, _, payload = unseal(data, name).partition(b"\n")
    if written != name.encode():
        raise DamageError(
            f"{name}: holds what belongs to {written.decode(errors='replace')}; "
            "restore it from a copy, or remove it to have it made again"
        )
    return payload


def encode_line(record: Any) -> bytes:
    """One journal line for a JSON value."""
    body = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return _line_start(body) + body + b"\n"


def decode_lines(data: bytes) -> tuple[list[Any], list[int]]:
    """The journal's records, and the numbers (from 1) of its damaged lines.

    A last line that stops in the middle is what a killed writer leaves: it is passed over.
    """
    *lines, tail = data.split(b"\n")
    records: list[Any] = []
    damaged: list[int] = []
    for number, line in enumerate(lines, start=1):
        body = _body(line)
        if body is None:
            damaged.append(number)
        else:
            records.append(orjson.loads(body))
    if tail and not is_torn(tail):
        damaged.append(len(lines) + 1)
    return records, damaged


def is_torn(tail: bytes) -> bool:
    """Whether an unfinished last line is the beginning of a good one."""
    match = _LINE.match(tail)
    if match is None:
        return _LINE_BEGUN.match(tail) is not None
    return len(match[3]) <= int(match[1])


def _header(payload: bytes) -> bytes:
    return b"%s %s %d\n" % (_TAG, digest_bytes(payload).encode(), len(payload))


def _line_start(body: bytes) -> bytes:
    return b"%d %08x " % (len(body), zlib.crc32(body))


def _body(line: bytes) -> bytes | None:
    match = _LINE.match(line)
    if match is None or not line.startswith(_line_start(match[3])):
        return None
    return match[3]
