"""Write a model, or one part of it, anew as safetensors: out of any layout, into one that others read.

    convert("NewBie.pth", Path("transformer"), allow_pickle=True)      one part → a folder of the hub's form
    convert("my-model", Path("out"), to="comfyui")                     a model → a tree of single files
    convert("my-model", Path("one.safetensors"), to="all-in-one", dtype=torch.bfloat16)

Everything is written beside `out` and renamed when it is whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sentencepiece
import torch

from newbie_core.errors import ModelError
from newbie_core.model.config import PARTS, PartName
from newbie_core.model.weights import config_from_shapes as sizes
from newbie_core.model.weights.finding import PART_FOLDERS
from newbie_core.model.weights.layouts import open_model, open_part
from newbie_core.model.weights.part import Part
from newbie_core.model.weights.paths import check_inside
from newbie_core.model.writing import (
    PartContent,
    comfyui_state,
    hub_config,
    write_all_in_one,
    write_comfyui,
    write_hub,
    write_hub_part,
    write_safetensors,
)

Target = Literal["hub", "comfyui", "all-in-one"]

SPIECE_NAMES: Mapping[PartName, str] = {"text_encoder": "tokenizer.model", "clip_model": "spiece.model"}
"""Names a SentencePiece model out of a weight file gets; the hub's sentencepiece.bpe.model is numbered otherwise."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
TOKENIZER_LIMIT = 200_000_000
"""Bytes a tokenizer file may have; the largest of the published ones has 33 MB."""


def convert(
    source: str | Path,
    out: Path,
    *,
    to: Target = "hub",
    allow_pickle: bool = False,
    dtype: torch.dtype | None = None,
) -> list[Path]:
    """Write `source` anew at `out`; the files written, in order of their paths.

    Weights keep their numbers, bit for bit, unless `dtype` says otherwise. Jina's adapter is merged by then;
    the hub's layout gets factors of zeros, which change nothing.

    Args:
        source: a model in any layout (folder, file or hub id), or a file or folder with one part.
        out: a new folder; a new .safetensors file for "all-in-one", and for one part in ComfyUI's form.

    Raises:
        ModelError: the source cannot be used, `out` exists or has the wrong form, a tokenizer is missing that
            the layout needs, or writing failed. Nothing is left at `out` then.
    """
    _check_new(out)
    parts = _open(source, allow_pickle=allow_pickle)
    as_file = to == "all-in-one" or (to == "comfyui" and len(parts) == 1)
    if as_file != (out.suffix == ".safetensors"):
        wanted = "a .safetensors file" if as_file else "a folder's name"
        raise ModelError(
            f'{out}: expected {wanted} for {len(parts)} part(s) as "{to}"', code="E_MODEL_TARGET"
        )
    if to == "all-in-one" and len(parts) == 1:
        raise ModelError(
            f'{source}: holds one part, {next(iter(parts))}; an all-in-one file needs four, choose "hub" or "comfyui"',
            code="E_MODEL_TARGET",
        )
    with _beside(out) as place:
        _write(place, {name: _content(part) for name, part in parts.items()}, to=to, dtype=dtype)
    return sorted(path for path in out.rglob("*") if path.is_file()) if out.is_dir() else [out]


def _open(source: str | Path, *, allow_pickle: bool) -> Mapping[PartName, Part]:
    """The four parts of a model, or the only one there is."""
    try:
        return open_model(source, allow_pickle=allow_pickle).parts
    except ModelError as whole:
        # A model that lacks a part must not pass for the part that happens to lie at its top.
        folders = (Path(source) / name for names in PART_FOLDERS.values() for name in names)
        if whole.code != "E_MODEL_PART_MISSING" or any(folder.is_dir() for folder in folders):
            raise
        try:
            part = open_part(source, allow_pickle=allow_pickle)
        except ModelError as lone:
            # Several parts but not all four, or none at the top: then the first reason is the true one.
            raise (whole if lone.code in ("E_MODEL_AMBIGUOUS", "E_MODEL_NOT_FOUND") else lone) from None
    return {part.name: part}


def _check_new(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise ModelError(f"{out}: exists, and nothing is overwritten; give a new name", code="E_MODEL_EXISTS")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A place in a hidden folder beside `out`; what was written there becomes `out` unless something went wrong."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".partial", dir=out.parent) as folder:
            place = Path(folder) / out.name
            yield place
            _check_new(out)
            place.rename(out)
    except OSError as error:
        raise ModelError(
            f"{out}: cannot be written: {error.strerror or error}", code="E_MODEL_WRITE"
        ) from error


def _write(
    place: Path, parts: Mapping[PartName, PartContent], *, to: Target, dtype: torch.dtype | None
) -> None:
    lone = next(iter(parts.values())) if len(parts) == 1 else None
    match to:
        case "hub" if lone is not None:
            write_hub_part(place, lone, dtype=dtype)
        case "hub":
            write_hub(place, parts, dtype=dtype)
        case "comfyui" if lone is not None:
            write_safetensors(place, comfyui_state(lone), dtype=dtype)
        case "comfyui":
            write_comfyui(place, parts, dtype=dtype)
        case "all-in-one":
            write_all_in_one(place, {name: parts[name] for name in PARTS}, dtype=dtype)


def _content(part: Part) -> PartContent:
    tokenizer = _tokenizer_files(part)
    return PartContent(
        name=part.name,
        tensors=dict(part.read()),
        config=_config(part),
        tokenizer=tokenizer,
        spiece=_spiece(part, tokenizer),
    )


def _config(part: Part) -> Mapping[str, Any]:
    """The part's own config.json; where it has none, or in the port's words, one made from its sizes."""
    ported = part.name == "transformer" and "hidden_size" in part.config
    if part.config and not ported:
        return part.config
    match part.name:
        case "transformer":
            return hub_config(sizes.transformer_config(part))
        case "text_encoder":
            return hub_config(sizes.gemma_config(part))
        case "clip_model":
            return hub_config(sizes.jina_config(part))
        case "vae":
            return hub_config(sizes.autoencoder_config(part))


def _tokenizer_files(part: Part) -> dict[str, bytes]:
    if part.tokenizer is None:
        return {}
    if isinstance(part.tokenizer, bytes):
        return {SPIECE_NAMES[part.name]: part.tokenizer}
    folder = part.tokenizer.parent
    files: dict[str, bytes] = {}
    for name in TOKENIZER_FILES:
        if (path := folder / name).is_file():
            if check_inside(path, folder).stat().st_size > TOKENIZER_LIMIT:
                raise ModelError(
                    f"{path}: larger than {TOKENIZER_LIMIT} bytes, no tokenizer file",
                    code="E_MODEL_TOKENIZER",
                )
            files[name] = path.read_bytes()
    return files


def _spiece(part: Part, tokenizer: Mapping[str, bytes]) -> bytes | None:
    """A SentencePiece model numbered as ComfyUI's files have it, or none."""
    for name in ("tokenizer.model", "spiece.model"):
        if name in tokenizer and (part.name != "clip_model" or _starts_with_bos(tokenizer[name])):
            return tokenizer[name]
    return None


def _starts_with_bos(spiece: bytes) -> bool:
    # XLM-RoBERTa's own numbering starts with <unk> instead, which ComfyUI would read one row off.
    try:
        pieces = sentencepiece.SentencePieceProcessor(model_proto=spiece)
    except (RuntimeError, ValueError):
        return False
    return bool(pieces.get_piece_size() and pieces.id_to_piece(0) == "<s>")
