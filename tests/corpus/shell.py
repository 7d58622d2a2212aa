"""Run `newbie` as a person does: a process of its own, watched for time, memory and stray files.

Each is a copy of one that has imported what a run needs (see `preloaded`): what counts here is how inputs end.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from newbie_core.cli import main
from tests import preloaded

SECONDS = 10.0
BYTES = 1_500_000_000
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = '[picture]\nsize = "64x64"\n'


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One finished command: its exit code, its JSON object, what it told the person."""

    exit_code: int
    report: dict[str, Any]
    out: str
    told: str
    seconds: float
    peak_bytes: int

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Every fault of the report, whatever its severity."""
        return [
            fault for key in ("rejected", "warnings", "infos") for fault in self.report.get(key, []) if fault
        ]

    @property
    def said(self) -> str:
        """All the text a person or a program could read."""
        return self.out + self.told


def patience() -> float:
    """How much longer than on a machine with nothing else to do a command may take."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def newbie(*arguments: str | Path, folder: Path) -> Ran:
    """`newbie ARGUMENTS` in `folder`; fails where it takes too long or too much memory."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "NEWBIE_FSYNC": "0", "NEWBIE_ENGINE": "sketch"}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as told,
        Path(os.devnull).open() as nothing,
    ):
        start = time.monotonic()
        process = preloaded.start(
            [*map(str, arguments)],
            cwd=folder,
            environment=environment,
            streams=(nothing.fileno(), out.fileno(), told.fileno()),
            session=True,
            modules="line",
        )
        peak = _watch(process, start)
        seconds = time.monotonic() - start
        out.seek(0)
        told.seek(0)
        text, errors = out.read().decode(), told.read().decode()
    assert seconds <= SECONDS * patience(), f"{arguments} took {seconds:.1f} s\n{errors}"
    assert peak <= BYTES, f"{arguments} took {peak:,} bytes of memory"
    assert "Traceback" not in errors, errors
    report = orjson.loads(text) if "--json" in arguments and text else {}
    return Ran(
        exit_code=process.returncode,
        report=report,
        out=text,
        told=errors,
        seconds=seconds,
        peak_bytes=peak,
    )


def _watch(process: preloaded.Process, start: float) -> int:
    """Wait for the process, or end it when its time is over; the most memory its whole tree ever held."""
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for pid in _tree(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), _peak(pid))
        if time.monotonic() - start > SECONDS * patience():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(0.02)
    return sum(peaks.values())


def _tree(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    return found


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return 0


def show(folder: Path, *arguments: str, store: str = "store") -> dict[str, Any]:
    """What `newbie show ARGUMENTS --json` prints; in this process, since it only looks."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.chdir(folder):
            code = main(["show", "--json", "--store", store, "--", *arguments])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert code == 0, out.getvalue()
    record: dict[str, Any] = orjson.loads(out.getvalue())
    return record


def has_release(folder: Path, store: str = "store") -> bool:
    """Whether anything at all is published in the store."""
    return any((folder / store / "refs").glob("*/*"))


def made_objects(folder: Path, store: str = "store") -> int:
    """How many files the store's objects are: none, as long as no engine has worked."""
    return sum(path.is_file() for path in (folder / store / "objects").rglob("*"))


def files_outside(folder: Path, store: str = "store") -> dict[str, tuple[int, int]]:
    """Every file and folder below `folder` but the store's, with its size and time of change."""
    inside = folder / store
    found = {}
    for path in sorted(folder.rglob("*")):
        if path != inside and inside not in path.parents:
            status = path.lstat()
            found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns)
    return found


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A catalog that `prepare` writes into `catalog/`, and the command it is given to."""

    name: str
    prepare: Callable[[Path], object]
    settings: str = SETTINGS
    command: tuple[str, ...] = ("run",)
    target: str = "catalog"

    def go(self, folder: Path) -> Finished:
        """Write the catalog into `folder` and run the command on it."""
        catalog = folder / "catalog"
        catalog.mkdir()
        self.prepare(catalog)
        if self.settings:
            (catalog / "catalog.toml").write_text(self.settings, encoding="utf-8")
        before = files_outside(folder)
        ran = newbie(*self.command, self.target, "--store", "store", "--json", folder=folder)
        return Finished(folder=folder, ran=ran, before=before, after=files_outside(folder))


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A trial that has been carried out."""

    folder: Path
    ran: Ran
    before: dict[str, tuple[int, int]] = field(repr=False)
    after: dict[str, tuple[int, int]] = field(repr=False)

    def released(self) -> set[str]:
        """The ids of the release that counts; none where there is no release."""
        if not has_release(self.folder):
            return set()
        return set(show(self.folder, "catalog")["ids"])

    def prompt(self, picture_id: str) -> str:
        """The XML prompt of a released picture."""
        prompt: str = show(self.folder, "catalog", picture_id)["prompt"]
        return prompt
