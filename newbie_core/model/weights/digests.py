"""sha256 of weight files, remembered, so that gigabytes are read once and not at every start.

A file counts as unchanged while its path, size, time of change and inode are the same; `recheck` reads it again.
The memory is one small JSON file::

    {"/models/ae.safetensors": {"size": 335304388, "mtime_ns": 17…, "inode": 42, "sha256": "afc8e2…"}}
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from newbie_core.errors import ModelError
from newbie_core.model.weights.part import ModelFiles

logger = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")


def cache_path() -> Path:
    """The file digests are remembered in; NEWBIE_CACHE, else XDG_CACHE_HOME, moves it."""
    if own := os.environ.get("NEWBIE_CACHE"):
        return Path(own).expanduser() / "digests.json"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "newbie-assets" / "digests.json"


def file_digest(path: Path, *, recheck: bool = False) -> str:
    """sha256 of the file's bytes, 64 lower-case hex digits.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        target = path.resolve(strict=True)
        state = _state(target)
        if not recheck and (known := _remembered(str(target), state)) is not None:
            return known
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        unchanged = _state(target) == state
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}", code="E_MODEL_READ") from error
    if unchanged:
        _remember(str(target), {**state, "sha256": digest})
    return digest


def model_digests(files: ModelFiles, *, recheck: bool = False) -> dict[str, str]:
    """sha256 of each weight and tokenizer file of a model, by "part/filename".

    Raises:
        ModelError: a file cannot be read.
    """
    known: dict[Path, str] = {}
    digests: dict[str, str] = {}
    for name, part in files.parts.items():
        tokenizer = (part.tokenizer,) if isinstance(part.tokenizer, Path) else ()
        for path in (*part.files, *tokenizer):
            # One file may hold all four parts.
            if path not in known:
                known[path] = file_digest(path, recheck=recheck)
            digests[f"{name}/{path.name}"] = known[path]
    return digests


def _state(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}


def _remembered(name: str, state: dict[str, Any]) -> str | None:
    entry = _load().get(name)
    if not isinstance(entry, dict) or {**entry, **state} != entry:
        return None
    digest = entry.get("sha256")
    return digest if isinstance(digest, str) and _SHA256.fullmatch(digest) else None


def _load() -> dict[str, Any]:
    path = cache_path()
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("%s: ignored, it cannot be read: %s; weight files are hashed anew", path, error)
        return {}
    if not isinstance(table, dict):
        logger.warning("%s: ignored, it is not a table; weight files are hashed anew", path)
        return {}
    return table


def _remember(name: str, entry: dict[str, Any]) -> None:
    path = cache_path()
    text = json.dumps({**_load(), name: entry}, sort_keys=True, indent=1)
    own = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(text)
        own.replace(path)
    except OSError as error:
        logger.warning("%s: cannot be written: %s; weight files are hashed anew each time", path, error)
        with suppress(OSError):
            own.unlink(missing_ok=True)
