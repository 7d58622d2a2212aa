"""What a weight file says of itself before any number is read: its kind and its safetensors header.

A safetensors file is eight bytes of length, a JSON header of that length, then the tensors::

    {"x_embedder.weight": {"dtype": "BF16", "shape": [2304, 64], "data_offsets": [0, 294912]}, …}

Checkpoints come from strangers: every number in a header is checked against the file's true length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, Literal

from newbie_core.errors import ModelError
from newbie_core.model.config import Shape

FileKind = Literal["safetensors", "pickle"]

HEADER_LIMIT = 100_000_000
"""Bytes a header may have; the safetensors library's own limit."""

JSON_LIMIT = 50_000_000
"""Bytes a config.json or shard index may have."""

BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32,
    "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
"""Width of one number, by safetensors' names of data types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """One tensor as its header describes it; `dtype` as safetensors spells it."""

    dtype: str
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A safetensors header: tensors in the order of the file, and the free strings beside them."""

    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]


def file_kind(path: Path) -> FileKind:
    """What `path` is by its first bytes, whatever its name.

    Raises:
        ModelError: it is neither safetensors nor a pickle; says what it is and what to do.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}", code="E_MODEL_READ") from error
    _refuse_other_formats(path, start)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        # A safetensors header may be 128 bytes long, which is also a pickle's first byte; only one has a brace.
        return "safetensors" if start[8:9] == b"{" and start[4:8] == b"\0\0\0\0" else "pickle"
    if len(start) < 9:
        raise ModelError(
            f"{path}: truncated: it has {len(start)} bytes, a weight file has at least 9; fetch it again",
            code="E_MODEL_TRUNCATED",
        )
    if start[8:9] != b"{":
        raise ModelError(
            f"{path}: not a weight file: it starts with {start[:8]!r}; expected safetensors",
            code="E_MODEL_FORMAT",
        )
    return "safetensors"


def _refuse_other_formats(path: Path, start: bytes) -> None:
    if start[:4] == b"GGUF":
        raise ModelError(
            f"{path}: a GGUF file, whose quantised weights are not read here; "
            "expected a bf16 safetensors file of the same part, fetch that one",
            code="E_MODEL_GGUF",
        )
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path}: a git-lfs pointer, not the file it stands for; "
            'run "git lfs pull" in its repository, or download the file itself',
            code="E_MODEL_LFS",
        )
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise ModelError(
            f"{path}: a web page, not a weight file: the download was answered with a login or error page; "
            "fetch the file again, logged in if its repository asks for it",
            code="E_MODEL_HTML",
        )


def read_header(path: Path) -> Header:
    """The header of a safetensors file, every entry checked against the file's length.

    Raises:
        ModelError: another kind of file, a damaged header, or a file shorter than its header says.
    """
    if file_kind(path) != "safetensors":
        raise ModelError(f"{path}: a pickle; expected a safetensors file", code="E_MODEL_PICKLE")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > HEADER_LIMIT:
            raise _damaged(path, f"its header would be {length} bytes long, the limit is {HEADER_LIMIT}")
        if 8 + length > size:
            raise _truncated(path, size, 8 + length)
        text = file.read(length)
    entries = _parse(path, text)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, '"__metadata__" is not a table of strings')
    spans = {key: _span(path, key, entry) for key, entry in entries.items()}
    _check_spans(path, spans, size - 8 - length)
    tensors = {
        key: StoredTensor(dtype=entries[key]["dtype"], shape=tuple(entries[key]["shape"])) for key in spans
    }
    return Header(tensors=tensors, metadata=metadata)


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a name appears twice")
        return table

    try:
        entries = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not valid JSON: {error}") from error
    if not isinstance(entries, dict):
        raise _damaged(path, "its header is not a table")
    return entries


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _span(path: Path, key: str, entry: object) -> tuple[int, int]:
    """Where the tensor lies in the data; dtype, shape and length must fit each other."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f'the entry of "{key}" has not dtype, shape and data_offsets')
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _damaged(path, f'"{key}" has the unknown data type {dtype!r}')
    if not isinstance(shape, list) or not all(map(_whole, shape)):
        raise _damaged(path, f'"{key}" has the shape {shape!r}')
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_whole, offsets)):
        raise _damaged(path, f'"{key}" has the offsets {offsets!r}')
    begin, end = offsets
    if end - begin != (prod(shape) * BITS[dtype] + 7) // 8:
        raise _damaged(path, f'"{key}" takes {end - begin} bytes, which {dtype} of shape {shape} does not')
    return begin, end


def _check_spans(path: Path, spans: Mapping[str, tuple[int, int]], size: int) -> None:
    """Tensors must lie without holes or overlaps, as the format demands, and fill the file exactly."""
    ordered = sorted(spans.values())
    needed = max((end for _, end in ordered), default=0)
    if needed > size:
        raise _truncated(path, size, needed)
    if (ordered and ordered[0][0] != 0) or any(left[1] != right[0] for left, right in pairwise(ordered)):
        raise _damaged(path, "its tensors overlap or leave holes")
    if needed < size:
        raise _damaged(path, f"{size - needed} bytes follow its last tensor")


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path}: damaged safetensors file: {what}; fetch it again", code="E_MODEL_HEADER")


def _truncated(path: Path, found: int, expected: int) -> ModelError:
    return ModelError(
        f"{path}: truncated: {expected - found} bytes are missing (its header asks for {expected}, "
        f"{found} are there); fetch it again",
        code="E_MODEL_TRUNCATED",
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file holding one table, such as config.json or a shard index.

    Raises:
        ModelError: unreadable, too large, not JSON, or not a table.
    """
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise ModelError(
                f"{path}: larger than {JSON_LIMIT} bytes, no configuration", code="E_MODEL_CONFIG"
            )
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}", code="E_MODEL_READ") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON: {error}; fetch it again", code="E_MODEL_CONFIG") from error
    if not isinstance(table, dict):
        raise ModelError(f"{path}: not a JSON table", code="E_MODEL_CONFIG")
    return table
