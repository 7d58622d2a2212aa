"""The tensors of one or more weight files, by their stored names; numbers are read one tensor at a time."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.weights.headers import (
    StoredTensor,
    file_kind,
    read_header,
    read_json,
)
from newbie_core.model.weights.paths import check_inside

INDEX_SUFFIX = ".index.json"

DTYPE_NAMES: Mapping[torch.dtype, str] = {
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int64: "I64",
}

# What torch's unpickler lets through when bytes make no sense to it.
_DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
)

_TRAINING_STATE = frozenset({"param_groups", "last_epoch", "_step_count", "base_lrs", "optimizer_state_dict"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What lies in a set of files.

    Attributes:
        where: the path errors name: the one file, or the index or folder of many.
        tensors: by stored name, across all files.
        homes: the file each tensor lies in.
    """

    where: Path
    files: tuple[Path, ...]
    tensors: Mapping[str, StoredTensor]
    homes: Mapping[str, Path]
    metadata: Mapping[str, str] = field(default_factory=dict)
    pickled: bool = False

    @contextmanager
    def reading(self) -> Iterator[Callable[[str], Tensor]]:
        """A function from stored name to tensor; safetensors stay mapped, so only what is asked for is read.

        Raises:
            ModelError: a file changed or cannot be read.
        """
        if self.pickled:
            yield _read_pickle(self.files[0]).__getitem__
            return
        with ExitStack() as stack:
            try:
                opened = {
                    file: stack.enter_context(safe_open(file, framework="pt", device="cpu"))
                    for file in self.files
                }
            except (SafetensorError, OSError) as error:
                raise ModelError(f"{self.where}: cannot be read: {error}", code="E_MODEL_READ") from error

            def get(key: str) -> Tensor:
                try:
                    tensor: Tensor = opened[self.homes[key]].get_tensor(key)
                except (SafetensorError, OSError) as error:
                    message = f'{self.homes[key]}: "{key}" cannot be read: {error}; did the file change?'
                    raise ModelError(message, code="E_MODEL_READ") from error
                return tensor

            yield get


def open_stored(path: Path, *, allow_pickle: bool, root: Path | None = None) -> Stored:
    """Open one weight file, or a shard index with all its shards.

    Args:
        root: the model's folder, out of which no link may lead; none for a file a person named.

    Raises:
        ModelError: not readable safetensors, shards missing, a pickle without leave, a link out of `root`.
    """
    if root is not None:
        check_inside(path, root)
    if path.name.endswith(INDEX_SUFFIX):
        return _open_sharded(path, root or path.parent)
    if file_kind(path) == "pickle":
        return _open_pickle(path, allow_pickle=allow_pickle)
    header = read_header(path)
    homes = dict.fromkeys(header.tensors, path)
    return Stored(where=path, files=(path,), tensors=header.tensors, homes=homes, metadata=header.metadata)


def shard_files(index: Path) -> tuple[Path, ...]:
    """The shards `index` names, in order of name, all of them there.

    Raises:
        ModelError: the index is damaged, names a path instead of a file, or a shard is missing.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f'{index}: has no "weight_map"; fetch it again', code="E_MODEL_INDEX")
    names = set(weight_map.values())
    for name in names:
        if not isinstance(name, str) or not name or name != Path(name).name or "\\" in name or name == "..":
            raise ModelError(
                f"{index}: names the shard {name!r}; expected a file beside the index", code="E_MODEL_INDEX"
            )
    absent = sorted(name for name in names if not (index.parent / name).is_file())
    if absent:
        raise ModelError(
            f"{index}: {len(absent)} of {len(names)} shards are missing: {', '.join(absent[:10])}; "
            f"put them into {index.parent}",
            code="E_MODEL_SHARDS",
        )
    return tuple(index.parent / name for name in sorted(names))


def _open_sharded(index: Path, root: Path) -> Stored:
    files = shard_files(index)
    tensors: dict[str, StoredTensor] = {}
    homes: dict[str, Path] = {}
    for file in files:
        check_inside(file, root)
        for key, tensor in read_header(file).tensors.items():
            if key in homes:
                raise ModelError(
                    f'{index}: "{key}" lies in {homes[key].name} and in {file.name}; fetch both again',
                    code="E_MODEL_INDEX",
                )
            tensors[key], homes[key] = tensor, file
    absent = sorted(set(read_json(index)["weight_map"]) - set(tensors))
    if absent:
        raise ModelError(
            f"{index}: {len(absent)} tensors it names are in no shard: {', '.join(absent[:10])}",
            code="E_MODEL_INDEX",
        )
    return Stored(where=index, files=files, tensors=tensors, homes=homes)


def _open_pickle(path: Path, *, allow_pickle: bool) -> Stored:
    if not allow_pickle:
        raise ModelError(
            f"{path}: a pickle, which is a program as much as data; expected safetensors. If you trust where it "
            f'is from, run "newbie model convert {path} OUT --allow-pickle" once and use OUT',
            code="E_MODEL_PICKLE",
        )
    tensors = {
        key: StoredTensor(dtype=DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype)), shape=tuple(tensor.shape))
        for key, tensor in _read_pickle(path).items()
    }
    homes = dict.fromkeys(tensors, path)
    return Stored(where=path, files=(path,), tensors=tensors, homes=homes, pickled=True)


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """The state dictionary in a pickle; one level of "model" or "state_dict" is unwrapped."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    try:
        with warnings.catch_warnings():
            # torch warns of old storages and other pickle protocols; what comes of them is checked below.
            warnings.simplefilter("ignore")
            # Only torch's zip files can be mapped into memory.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _unsafe(path, zipped, error) from error
    except _DAMAGE as error:
        raise ModelError(
            f"{path}: damaged or truncated pickle: {_first_line(error)}; fetch it again",
            code="E_MODEL_TRUNCATED",
        ) from error
    if isinstance(content, dict):
        for level in ("model", "state_dict"):
            if isinstance(content.get(level), dict):
                content = content[level]
                break
    return _state_of(path, content)


def _state_of(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, dict) and _TRAINING_STATE & content.keys():
        raise ModelError(
            f"{path}: the state of an optimizer or scheduler, no model; expected consolidated.00-of-01.pth or "
            "consolidated_ema.00-of-01.pth beside it",
            code="E_MODEL_OPTIMIZER",
        )
    if not isinstance(content, dict) or not content:
        raise ModelError(
            f"{path}: holds {type(content).__name__}, expected a table of tensors",
            code="E_MODEL_PICKLE_CONTENT",
        )
    odd = [
        str(key)
        for key, value in content.items()
        if not isinstance(key, str) or not isinstance(value, Tensor)
    ]
    if odd:
        raise ModelError(
            f"{path}: {len(odd)} entries are no tensors: {', '.join(odd[:10])}; expected a plain state dictionary",
            code="E_MODEL_PICKLE_CONTENT",
        )
    return content


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _unsafe(path: Path, zipped: bool, error: pickle.UnpicklingError) -> ModelError:
    wanted: list[str] = []
    if zipped:
        try:
            wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        except (pickle.UnpicklingError, *_DAMAGE):
            wanted = []
    if wanted:
        asks = f"it asks for {', '.join(sorted(wanted)[:10])}, which a model does not need"
    else:
        named = re.search(r"GLOBAL (\S+)", str(error))
        asks = f"it asks for {named[1]}" if named else _first_line(error)
    return ModelError(
        f"{path}: refused: unpickling it could run code: {asks}; expected plain tensors, "
        "get the model as safetensors",
        code="E_MODEL_PICKLE_UNSAFE",
    )
