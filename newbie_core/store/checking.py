"""Tell whether any file of the store is what it should be, by the rule of its kind."""

from __future__ import annotations

from typing import Literal

from newbie_core.digests import digest_bytes
from newbie_core.errors import DamageError, MissingError, StoreError
from newbie_core.store.driver import Driver
from newbie_core.store.layout import (
    FORMAT,
    FORMAT_TEXT,
    JOURNAL,
    JOURNALLED,
    NAMED,
    SEALED,
    TRASH,
    digest_of,
)
from newbie_core.store.records import decode_lines, unseal, unseal_named

Problem = Literal["missing", "changed", "truncated", "unreadable", "unexpected"]
"""One word for what is wrong with a file; None stands for nothing."""


def problem_of(driver: Driver, name: str) -> Problem | None:
    """What is wrong with the file `name`, every byte of it considered."""
    try:
        data = driver.read(name)
    except MissingError:
        return "missing"
    except StoreError:
        return "unreadable"
    return _problem(_first_name(name), data)


def _first_name(name: str) -> str:
    """The name a file had before it went to the trash."""
    parts = name.split("/")
    return "/".join(parts[2:]) if parts[0] == TRASH else name


def _problem(name: str, data: bytes) -> Problem | None:
    area, _, rest = name.partition("/")
    if name == FORMAT:
        return None if data == FORMAT_TEXT else "changed"
    if digest := digest_of(name):
        return _object_problem(digest, data)
    if area not in SEALED:
        return "unexpected"
    if area in JOURNALLED and rest.endswith(f"/{JOURNAL}"):
        return "changed" if decode_lines(data)[1] else None
    return _record_problem(name, data)


def _object_problem(digest: str, data: bytes) -> Problem | None:
    if digest_bytes(data) == digest:
        return None
    return "changed" if data else "truncated"


def _record_problem(name: str, data: bytes) -> Problem | None:
    is_named = name.partition("/")[0] in NAMED
    try:
        unseal_named(data, name) if is_named else unseal(data, name)
    except DamageError:
        return "changed" if data else "truncated"
    return None
