"""`newbie model`: look into checkpoints, convert them, write small ones."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie_core.cli.output import print_json, result, spoken_bytes
from newbie_core.errors import ModelError

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals
    from newbie_core.model.adapters import LokrFactors, LoraFactors
    from newbie_core.model.weights.part import ModelFiles, Part

_ADAPTER_REFUSED = "E_MODEL_ADAPTER"


def model(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Carry out `info`, `convert` or `tiny`."""
    return {"info": _info, "convert": _convert, "tiny": _tiny}[given.verb](given)


def _info(given: argparse.Namespace) -> int:
    record = _adapter_record(given) if _is_adapter_folder(Path(given.source)) else None
    if record is None:
        try:
            record = _source_record(given)
        except ModelError as error:
            if error.code != _ADAPTER_REFUSED:
                raise
            record = _adapter_record(given)
    if given.json:
        print_json(record)
    else:
        for line in _lines(record):
            result(line)
    return 0


def _is_adapter_folder(path: Path) -> bool:
    return (path / "adapter_config.json").is_file() or (path / "adapter_model.safetensors").is_file()


def _source_record(given: argparse.Namespace) -> dict[str, Any]:
    """Of a whole model, or of a single part's file."""
    from newbie_core.model.weights.layouts import open_model, open_part

    try:
        files = open_model(given.source, revision=given.revision, allow_pickle=given.allow_pickle)
    except ModelError as whole:
        if not Path(given.source).exists():
            raise
        try:
            part = open_part(given.source, allow_pickle=given.allow_pickle)
        except ModelError as alone:
            raise (alone if alone.code == _ADAPTER_REFUSED else whole) from None
        digests = _digests([part], recheck=given.recheck)
        return {"source": given.source, "parts": {part.name: _part_record(part, digests)}}
    return _model_record(files, recheck=given.recheck)


def _model_record(files: ModelFiles, *, recheck: bool) -> dict[str, Any]:
    from newbie_core.model.memory import PLANS, forecast
    from newbie_core.model.stages import sizes_of

    sizes = sizes_of(files)
    digests = _digests(files.parts.values(), recheck=recheck)
    return {
        "source": files.source,
        "layout": files.layout,
        "revision": files.revision,
        "shift": files.shift,
        "parts": {name: _part_record(part, digests) for name, part in files.parts.items()},
        "sizes": asdict(sizes),
        "predicted_peak_bytes": {plan: forecast(sizes, plan, width=1024, height=1024).peak for plan in PLANS},
    }


def _paths(part: Part) -> list[Path]:
    return [*part.files, *([part.tokenizer] if isinstance(part.tokenizer, Path) else [])]


def _digests(parts: Iterable[Part], *, recheck: bool) -> dict[Path, str]:
    """sha256 of every file, each read once: one file may hold all parts."""
    from newbie_core.model.weights.digests import file_digest

    paths = dict.fromkeys(path for part in parts for path in _paths(part))
    return {path: file_digest(path, recheck=recheck) for path in paths}


def _part_record(part: Part, digests: Mapping[Path, str]) -> dict[str, Any]:
    tokenizer = "inside the weight file" if isinstance(part.tokenizer, bytes) else None
    return {
        "layout": part.layout,
        "tensors": len(part.shapes),
        "parameters": part.parameters,
        "dtype": part.dtype,
        "tokenizer": part.tokenizer.name if isinstance(part.tokenizer, Path) else tokenizer,
        "files": [
            {
                "file": str(path),
                "bytes": path.stat().st_size,
                "sha256": digests[path],
            }
            for path in _paths(part)
        ],
    }


def _adapter_record(given: argparse.Namespace) -> dict[str, Any]:
    from newbie_core.model.adapters import read_adapter

    adapter = read_adapter(given.source)
    return {
        "source": str(adapter.file),
        "kind": adapter.kind,
        "digest": adapter.digest,
        "modules": {
            name: {"shape": list(factors.shape), "rank": _rank(factors), "scale": factors.scale}
            for name, factors in adapter.modules.items()
        },
    }


def _rank(factors: LoraFactors | LokrFactors) -> int | None:
    """The inner side of the thinnest product; none where a LoKr's factors are whole."""
    from newbie_core.model.adapters import LoraFactors

    if isinstance(factors, LoraFactors):
        return int(factors.down.shape[0])
    products = [pair[1].shape[0] for pair in (factors.w1, factors.w2) if len(pair) == 2]
    return int(min(products)) if products else None


def _lines(record: dict[str, Any]) -> list[str]:
    if "modules" in record:
        head = [f"{record['source']}: a {record['kind']} adapter of {len(record['modules'])} modules"]
        modules = record["modules"].items()
        return head + [
            f"  {name}  {each['shape']}, rank {each['rank'] or 'full'}, scale {each['scale']:g}"
            for name, each in modules
        ]
    lines = [str(record["source"])]
    if "layout" in record:
        lines.append(f"layout    {record['layout']}")
        lines.append(f"revision  {record['revision']}")
    for name, part in record["parts"].items():
        lines.append(
            f"{name}: {part['parameters']:,} parameters in {part['tensors']} tensors, {part['dtype']}"
            + (f", tokenizer {part['tokenizer']}" if part["tokenizer"] else "")
        )
        for file in part["files"]:
            lines.append(f"  {file['file']}  {spoken_bytes(file['bytes'])}  sha256 {file['sha256']}")
    if "sizes" in record:
        sizes = record["sizes"]["transformer"]
        lines.append(
            f"transformer: width {sizes['dim']}, {sizes['n_layers']} layers, {sizes['n_heads']} heads, "
            f"{sizes['n_kv_heads']} key and value heads"
        )
        foreseen = record["predicted_peak_bytes"].items()
        lines.append(
            "predicted peak at 1024x1024 in bf16: " + ", ".join(f"{p} {spoken_bytes(b)}" for p, b in foreseen)
        )
    return lines


def _convert(given: argparse.Namespace) -> int:
    from newbie_core.model.convert import convert
    from newbie_core.model.stages import DTYPES

    dtype = None if given.dtype is None else DTYPES[given.dtype]
    written = convert(given.source, given.out, to=given.to, allow_pickle=given.allow_pickle, dtype=dtype)
    return _tell_written(given, written)


def _tiny(given: argparse.Namespace) -> int:
    from newbie_core.model.stages import DTYPES
    from newbie_core.model.tiny import write_tiny

    if given.folder.exists() and (not given.folder.is_dir() or any(given.folder.iterdir())):
        raise ModelError(f"{given.folder}: is there already; name a new folder", code="E_MODEL_EXISTS")
    if given.pickled and given.layout != "consolidated":
        raise ModelError("--pickled is for --layout consolidated only", code="E_MODEL_LAYOUT")
    try:
        path = write_tiny(
            given.folder,
            layout=given.layout,
            seed=given.seed,
            size=given.size,
            dtype=DTYPES[given.dtype],
            pickled=given.pickled,
        )
    except OSError as error:
        raise ModelError(
            f"{given.folder}: cannot be written: {error.strerror or error}; name another folder",
            code="E_MODEL_WRITE",
        ) from error
    files = sorted(file for file in given.folder.rglob("*") if file.is_file())
    if not given.json:
        result(f"a random model in layout {given.layout}: --model {path}")
        return 0
    print_json({"model": str(path), "files": [str(file) for file in files]})
    return 0


def _tell_written(given: argparse.Namespace, written: list[Path]) -> int:
    if given.json:
        print_json({"files": [str(path) for path in written]})
    else:
        for path in written:
            result(f"{path}  {spoken_bytes(path.stat().st_size)}")
    return 0
