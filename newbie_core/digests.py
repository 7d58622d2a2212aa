"""How things get their identity: sha256 over bytes, or over canonical JSON."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


def digest_bytes(data: bytes | memoryview) -> str:
    """sha256 of `data`, 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of `value`: UTF-8, sorted keys, no spaces.

    Floats are refused (their text differs between writers): write `decimal_text` of them.
    """
    _refuse_floats(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest_value(value: Any) -> str:
    """sha256 of `canonical_json(value)`."""
    return digest_bytes(canonical_json(value))


def decimal_text(number: float) -> str:
    """A number as short exact text: 4.5 → "4.5", 7.0 → "7"."""
    text = repr(float(number))
    return text[:-2] if text.endswith(".0") else text


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float; canonical JSON takes decimal_text of it")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)
