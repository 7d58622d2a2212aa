"""Results to stdout, everything else to stderr; one JSON object where programs read."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from newbie_core.errors import Fault, InputError, NewbieError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from newbie_core.plans import Change

_CHANGES_SHOWN = 30
_IDS_SHOWN = 4
_FAULTS_SHOWN = 200
_LINE_EVERY = 10.0


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # half a surrogate pair, from a file name that is no Unicode: orjson refuses it
        text = json.dumps(value, indent=2)
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    sys.stderr.write(printable(text) + "\n")


def result(text: str) -> None:
    """A line of the result, on stdout."""
    sys.stdout.write(printable(text) + "\n")


def printable(text: str) -> str:
    """The text with control characters spelled out: a sheet's cell must not drive the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def error_record(error: NewbieError, *, catalog: str | None) -> dict[str, Any]:
    """A failure as `--json` prints it."""
    faults = error.faults if isinstance(error, InputError) else ()
    return {
        "catalog": catalog,
        "error": {"code": error.code, "message": str(error), "exit_code": error.exit_code},
        "rejected": [fault.record() for fault in faults],
    }


def say_faults(faults: Sequence[Fault]) -> None:
    """The faults, rejected rows first; infos are counted only."""
    shown = [fault for fault in faults if fault.severity != "info"]
    shown.sort(key=lambda fault: fault.severity == "warning")
    for fault in shown[:_FAULTS_SHOWN]:
        say(f"{'warning' if fault.severity == 'warning' else 'rejected'}: {fault}")
    if len(shown) > _FAULTS_SHOWN:
        say(f"… and {len(shown) - _FAULTS_SHOWN} more (see --json)")
    for fault in faults:
        if fault.severity == "info":
            say(f"note: {fault}")


def change_lines(sign: str, changes: Sequence[Change]) -> Iterable[str]:
    """Changes with the same causes on one line: `~ aria/happy, aria/sad … (8): characters!D14 …`."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for change in changes:
        groups.setdefault(tuple(map(str, change.causes)), []).append(change.id)
    for number, (causes, ids) in enumerate(groups.items()):
        if number == _CHANGES_SHOWN:
            yield f"{sign} … and {len(groups) - number} more groups (see --json)"
            return
        more = f" … ({len(ids)} pictures)" if len(ids) > _IDS_SHOWN else ""
        yield f"{sign} {', '.join(ids[:_IDS_SHOWN])}{more}"
        for cause in causes:
            yield f"    {cause}"


def spoken_seconds(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 3 min, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def spoken_bytes(count: int) -> str:
    """Bytes as people say them: 37 kB, 640 MB, 8.1 GB."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


class Meter:
    """Progress with time left: a bar on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, what: str, total: int, *, quiet: bool = False) -> None:
        self._what = what
        self._total = total
        self._quiet = quiet or total == 0
        self._done = 0
        self._lock = threading.Lock()
        self._started = self._told = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Meter:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self) -> None:
        """One more is done; may be called from any thread."""
        with self._lock:
            self.at(self._done + 1)

    def at(self, done: int, total: int | None = None) -> None:
        """So many are done."""
        self._done = done
        self._total = total or self._total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=self._total)
        elif not self._quiet and time.monotonic() - self._told >= _LINE_EVERY:
            self._told = time.monotonic()
            left = (self._told - self._started) / max(1, done) * (self._total - done)
            say(f"{self._what}: {done} of {self._total}, {spoken_seconds(left)} left")
