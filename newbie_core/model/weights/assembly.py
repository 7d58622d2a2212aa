"""Make a part from what a file holds: canonical names, sizes, and a check that nothing is missing or too much."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.config import PartName, Shape
from newbie_core.model.weights import config_from_shapes as sizes
from newbie_core.model.weights import shape_tables as tables
from newbie_core.model.weights.headers import read_json
from newbie_core.model.weights.identify import Claim
from newbie_core.model.weights.part import Layout, Part
from newbie_core.model.weights.paths import check_inside
from newbie_core.model.weights.renames import (
    UNUSED_NORM,
    Recipe,
    bfl_recipes,
    jina_recipes,
    plain_recipes,
    port_recipes,
)
from newbie_core.model.weights.stored import Stored

NUMBERS = frozenset({"F64", "F32", "F16", "BF16"})
"""Data types a weight may have."""

TOKENIZER_LIMIT = 64_000_000
"""Bytes a tokenizer inside a weight file may have; Gemma's is 4.7 million."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "sentencepiece.bpe.model", "spiece.model")
TOKENIZER_FOLDERS: Mapping[PartName, str] = {"text_encoder": "tokenizer", "clip_model": "tokenizer_2"}


def make_part(
    stored: Stored, claim: Claim, *, layout: Layout, folder: Path | None = None, root: Path | None = None
) -> Part:
    """The part `claim` found in `stored`, checked against the table of its tensors.

    Args:
        folder: the folder that belongs to this part alone, where config.json and a tokenizer are looked for.
        root: the model's folder, out of which no link may lead.

    Raises:
        ModelError: tensors missing, too many, misshapen or not plain numbers; a configuration that disagrees.
    """
    recipes = _recipes(stored, claim)

    def read() -> Iterator[tuple[str, Tensor]]:
        with stored.reading() as get:
            for recipe in recipes:
                yield recipe.name, recipe.make(*(get(claim.keys[key]) for key in recipe.keys))

    used = {claim.keys[key] for recipe in recipes for key in recipe.keys}
    part = Part(
        name=claim.part,
        layout=layout,
        files=tuple(file for file in stored.files if file in {stored.homes[key] for key in used}),
        shapes={recipe.name: recipe.shape for recipe in recipes},
        dtype=_main_dtype(stored, used),
        config=_config(stored, folder, root),
        tokenizer=_tokenizer(stored, claim, folder, root),
        read=read,
    )
    _check_shapes(stored, claim, part, recipes)
    return part


def _recipes(stored: Stored, claim: Claim) -> list[Recipe]:
    shapes = {key: stored.tensors[name].shape for key, name in claim.keys.items()}
    match claim.form:
        case "port":
            recipes = port_recipes(shapes)
        case "jina":
            recipes = jina_recipes(shapes, str(stored.where))
        case "bfl-vae":
            recipes = bfl_recipes(shapes)
        case _:
            recipes = plain_recipes(shapes)
    seen: dict[str, Recipe] = {}
    for recipe in recipes:
        if recipe.name in seen:
            first, second = claim.keys[seen[recipe.name].keys[0]], claim.keys[recipe.keys[0]]
            raise ModelError(
                f'{stored.where}: "{first}" and "{second}" are the same tensor by two names; expected one of them',
                code="E_MODEL_EXTRA_KEYS",
            )
        seen[recipe.name] = recipe
    return recipes


def _main_dtype(stored: Stored, used: set[str]) -> str:
    counts: dict[str, int] = {}
    for key in sorted(used):
        tensor = stored.tensors[key]
        if tensor.dtype not in NUMBERS:
            raise ModelError(
                f'{stored.where}: "{key}" is stored as {tensor.dtype}; expected {", ".join(sorted(NUMBERS))}: '
                "fetch an unquantised file",
                code="E_MODEL_QUANTISED",
            )
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + prod(tensor.shape)
    return max(counts, key=lambda dtype: counts[dtype])


def _config(stored: Stored, folder: Path | None, root: Path | None) -> Mapping[str, Any]:
    """config.json of the part's folder, else the JSON text single files carry in their metadata."""
    if folder is not None and (path := folder / "config.json").is_file():
        return read_json(check_inside(path, root) if root else path)
    if (text := stored.metadata.get("config")) is None:
        return {}
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f'{stored.where}: its metadata "config" is not valid JSON: {error}', code="E_MODEL_CONFIG"
        ) from error
    if not isinstance(table, dict):
        raise ModelError(f'{stored.where}: its metadata "config" is not a JSON table', code="E_MODEL_CONFIG")
    return table


def _tokenizer(stored: Stored, claim: Claim, folder: Path | None, root: Path | None) -> Path | bytes | None:
    if claim.part not in TOKENIZER_FOLDERS:
        return None
    if folder is not None:
        # The port keeps tokenizers beside its parts' folders, also where a single such folder was named.
        home = folder.parent if root == folder else root
        places = (folder, folder.parent / TOKENIZER_FOLDERS[claim.part])
        for name in TOKENIZER_FILES:
            for place in places:
                if (path := place / name).is_file():
                    return check_inside(path, home) if home else path
    if claim.tokenizer_key is None:
        return None
    inside = stored.tensors[claim.tokenizer_key]
    if inside.dtype not in ("U8", "I8") or len(inside.shape) != 1 or inside.shape[0] > TOKENIZER_LIMIT:
        raise ModelError(
            f'{stored.where}: "{claim.tokenizer_key}" is {inside.dtype} of shape {list(inside.shape)}; expected the '
            f"bytes of a SentencePiece model, at most {TOKENIZER_LIMIT}",
            code="E_MODEL_SHAPES",
        )
    with stored.reading() as get:
        return get(claim.tokenizer_key).numpy().tobytes()


def expected_shapes(part: Part) -> dict[str, Shape]:
    """The table of all tensors `part` must have, from its own sizes.

    Raises:
        ModelError: sizes cannot be told from its shapes, or its configuration disagrees with them.
    """
    match part.name:
        case "transformer":
            return tables.expected_transformer_shapes(sizes.transformer_config(part))
        case "text_encoder":
            return tables.expected_gemma_shapes(sizes.gemma_config(part))
        case "clip_model":
            return tables.expected_jina_shapes(sizes.jina_config(part))
        case "vae":
            return tables.expected_autoencoder_shapes(sizes.autoencoder_config(part))


def _check_shapes(stored: Stored, claim: Claim, part: Part, recipes: list[Recipe]) -> None:
    table = expected_shapes(part)
    missing = sorted(set(table) - set(part.shapes) - {UNUSED_NORM})
    unknown = [recipe for recipe in recipes if recipe.name not in table]
    extra = sorted(claim.keys[key] for recipe in unknown for key in recipe.keys)
    if missing or extra:
        lacks = f"{len(missing)} tensors are missing: {', '.join(missing[:10])}" if missing else ""
        holds = f"{len(extra)} tensors do not belong to it: {', '.join(extra[:10])}" if extra else ""
        raise ModelError(
            f"{stored.where}: {part.name}: {'; '.join(filter(None, (lacks, holds)))}; "
            f"expected exactly {len(table)} tensors, fetch the file again",
            code="E_MODEL_MISSING_KEYS" if missing else "E_MODEL_EXTRA_KEYS",
        )
    wrong = [name for name, shape in part.shapes.items() if shape != table[name]]
    if wrong:
        named = ", ".join(
            f"{name} {list(part.shapes[name])} (expected {list(table[name])})" for name in wrong[:10]
        )
        raise ModelError(
            f"{stored.where}: {part.name}: shapes disagree with each other in {len(wrong)} tensors: {named}; "
            "fetch the file again",
            code="E_MODEL_SHAPES",
        )
