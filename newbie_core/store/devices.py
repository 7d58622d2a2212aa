"""One run a GPU: a lock file per device of this machine, held by whoever makes pictures on it.

The locks are the kernel's, as the store's are: whoever dies holds none. They lie outside every store, for
two stores may share a GPU: in `$NEWBIE_DEVICE_LOCKS`, else in a folder of this user below the system's
temporary one. A lock file names its holder, for those who wait::

    {"pid": 4711, "purpose": "newbie run: cast", "since": "2026-03-02T02:30:04+00:00"}
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from newbie_core.errors import LockedError, StoreError
from newbie_core.store.files import explained
from newbie_core.store.locks import LOCK_FILE, is_taken
from newbie_core.store.names import safe_name

FOLDER_VARIABLE = "NEWBIE_DEVICE_LOCKS"
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
_POLL_SECONDS = 0.5
_TELL_SECONDS = 60.0
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def device_folder() -> Path:
    """Where the lock files of this machine's devices lie."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"newbie-devices-{os.getuid()}"


def visible_devices() -> list[str]:
    """The NVIDIA GPUs this process may use: as CUDA_VISIBLE_DEVICES lists them, else by number."""
    listed = os.environ.get(VISIBLE_VARIABLE)
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(_NVIDIA.iterdir())] if _NVIDIA.is_dir() else []


def device_of(environment: Mapping[str, str]) -> str | None:
    """The GPU an engine says it works on, by the name its lock has; None for a CPU."""
    kind, _, number = environment.get("device", "").partition(":")
    if kind != "cuda":
        return None
    visible, index = visible_devices(), int(number or 0)
    return visible[index] if index < len(visible) else str(index)


@contextlib.contextmanager
def holding_device(
    names: Sequence[str],
    *,
    purpose: str,
    told: Callable[[str], None],
    wait: float | None = None,
) -> Iterator[str]:
    """Hold the first free one of the devices `names`; its name.

    Args:
        purpose: what others are told of us while they wait.
        told: called with one sentence when it has to wait, and again each minute.
        wait: seconds at most; None waits as long as it takes.

    Raises:
        LockedError: all are still held after `wait` seconds.
        StoreError: the folder of the locks cannot be used.
    """
    folder = _open_folder()
    began = time.monotonic()
    tell_at = began
    while True:
        for name in names:
            handle = _open(folder, name)
            if is_taken(handle, fcntl.LOCK_EX):
                try:
                    _sign(handle, purpose)
                    yield name
                finally:
                    os.close(handle)
                return
            os.close(handle)
        now = time.monotonic()
        text = f"waiting for {_spoken(names)}: {'; '.join(_holder(folder, name) for name in names)}"
        if wait is not None and now - began >= wait:
            raise LockedError(f"{text}. Wait for that to end, or name another device")
        if now >= tell_at:
            told(text)
            tell_at = now + _TELL_SECONDS
        time.sleep(_POLL_SECONDS)


def device_holders() -> dict[str, dict[str, str]]:
    """Every held device and its holder's pid, purpose and start, by the lock file's name."""
    held: dict[str, dict[str, str]] = {}
    folder = device_folder()
    if not folder.is_dir():
        return held
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(StoreError):
            handle = _open(folder, path.name)
            try:
                if not is_taken(handle, fcntl.LOCK_SH):
                    held[path.name] = _read(handle)
            finally:
                os.close(handle)
    return held


def _open_folder() -> Path:
    folder = device_folder()
    with explained(folder, "make a folder for locks of devices"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (FOLDER_VARIABLE not in os.environ and found.st_uid != os.getuid()):
        raise StoreError(
            f"{folder}: is not a folder of this user; remove it, or name another in ${FOLDER_VARIABLE}"
        )
    return folder


def _open(folder: Path, name: str) -> int:
    path = folder / safe_name(name)
    with explained(path, "lock"):
        return os.open(path, LOCK_FILE, 0o644)


def _sign(handle: int, purpose: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    os.ftruncate(handle, 0)
    os.pwrite(handle, orjson.dumps({"pid": os.getpid(), "purpose": purpose, "since": since}), 0)


def _read(handle: int) -> dict[str, str]:
    try:
        record = orjson.loads(os.pread(handle, 4096, 0))
        return {key: str(record[key]) for key in ("pid", "purpose", "since")}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {"pid": "", "purpose": "a run that has just begun", "since": ""}


def _holder(folder: Path, name: str) -> str:
    handle = _open(folder, name)
    try:
        record = _read(handle)
    finally:
        os.close(handle)
    return f"{name} is held by {record['purpose']} (process {record['pid']}, since {record['since']})"


def _spoken(names: Sequence[str]) -> str:
    return f"device {names[0]}" if len(names) == 1 else f"one of the devices {', '.join(names)}"
