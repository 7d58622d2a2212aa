"""What the store asks of a place that keeps bytes: few verbs, each with an object-store counterpart.

A local folder is one such place (`local.py`). On S3 `create` is a PUT with If-None-Match,
`replace` a PUT with If-Match, `stat` a HEAD whose token is the ETag, `lock` a lease.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from newbie_core.errors import StoreError

_BAD_PART = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|[\\\x00-\x1f\x7f\ud800-\udfff]")


class Stat(NamedTuple):
    """What a place says of a name without reading it."""

    size: int
    """-1 when the name is there and is no plain file."""
    token: str
    """Equal tokens of a settled name mean equal bytes."""
    settled: bool
    """True when no later change can leave the token as it is (the clock has moved on since)."""


class Driver(Protocol):
    """A place that keeps bytes under names.

    A name is a relative POSIX path (`check_name`). Every method may be called from several
    threads and processes at once. What fails raises a StoreError that names the path.
    """

    def read(self, name: str) -> bytes:
        """All bytes of `name`; MissingError when it is not there."""
        ...

    def stat(self, name: str) -> Stat | None:
        """Size and change token; None when it is not there; StoreError when it is no plain file."""
        ...

    def stat_many(self, names: Sequence[str]) -> list[Stat | None]:
        """`stat` of each name, quickly; size -1 stands for what is no plain file."""
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Every name below the folder `prefix`, sorted, temporaries left out."""
        ...

    def put_many(
        self, items: Sequence[tuple[str, bytes]], *, then: Sequence[tuple[str, bytes]] = ()
    ) -> list[str]:
        """Store all items, each whole or absent; durable when it returns.

        `items` are named by their content: a name that is there with the same size is left
        alone. `then` are records: each replaces what was there, and none appears before every
        item is durable. Returns the names among `items` that were written.
        """
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Publish `data` under a name never used before; False, changing nothing, when it is there."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Put `data` in the place of whatever was there; readers see the old or the new whole."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Add `data` at the end, durable when it returns; a crash can leave a torn end."""
        ...

    def remove(self, name: str) -> None:
        """Take `name` away; nothing happens when it is not there. A power cut may bring it back."""
        ...

    def move_many(self, moves: Sequence[tuple[str, str]]) -> None:
        """Rename each first name to its second, replacing what is there; durable when it returns."""
        ...

    def prepare(self, folders: Iterable[str]) -> None:
        """Make folders ahead of time, where a place has such a thing."""
        ...

    def local_path(self, name: str) -> Path | None:
        """The file behind `name`, where there is one."""
        ...

    def free_bytes(self) -> int | None:
        """Room left to us, where the place knows."""
        ...

    def now(self) -> float:
        """The place's own clock, in seconds since 1970."""
        ...

    def sweep(self) -> int:
        """Remove what dead writers left half done; returns how many temporaries went."""
        ...

    def lock(self, name: str, *, shared: bool, wait: float = 0) -> AbstractContextManager[None]:
        """Hold `name` locked; LockedError at once, or after `wait` seconds. Freed by death."""
        ...


def check_name(name: str) -> str:
    """`name` when it is a relative POSIX path without empty, `.` or `..` parts; StoreError otherwise."""
    if _BAD_PART.search(name):
        raise StoreError(
            f"{name!r} is not a name in the store; expected a relative path with single slashes, "
            "without '.', '..', backslash or control characters"
        )
    return name


def folder_of(name: str) -> str:
    """The part of `name` before its last slash, or ''."""
    return name.rpartition("/")[0]
