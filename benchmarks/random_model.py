"""A model of any size that is in no file: its parts hand out random weights drawn where they are wanted.

It goes through the same loading, memory plans and pipeline as a checkpoint. A tensor's numbers depend on its name
alone, so that every plan has the same model. Vocabularies are the small tokenizers' own; both tables of token
vectors are therefore small.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from newbie_core.model.config import PartName, Shape
from newbie_core.model.memory import ModelSizes
from newbie_core.model.tiny import GEMMA_ROWS, JINA_ROWS
from newbie_core.model.tiny_tokenizers import tiny_gemma, tiny_jina
from newbie_core.model.weights.part import ModelFiles, Part
from newbie_core.model.weights.shape_tables import (
    expected_autoencoder_shapes,
    expected_gemma_shapes,
    expected_jina_shapes,
    expected_transformer_shapes,
)
from newbie_core.model.writing import hub_config

NOWHERE = Path("random")


def with_small_vocabularies(sizes: ModelSizes) -> ModelSizes:
    """The same sizes with the small tokenizers' tables."""
    return replace(
        sizes,
        text_encoder=replace(sizes.text_encoder, vocab_size=GEMMA_ROWS),
        clip_model=replace(sizes.clip_model, vocab_size=JINA_ROWS),
    )


def random_model(sizes: ModelSizes, *, device: torch.device, dtype: torch.dtype) -> ModelFiles:
    """A whole model of these sizes, whose vocabularies must be small; weights are drawn on `device`."""
    described: dict[PartName, tuple[Any, Mapping[str, Shape], bytes | None]] = {
        "transformer": (sizes.transformer, expected_transformer_shapes(sizes.transformer), None),
        "text_encoder": (sizes.text_encoder, expected_gemma_shapes(sizes.text_encoder), tiny_gemma()[0]),
        "clip_model": (sizes.clip_model, expected_jina_shapes(sizes.clip_model), tiny_jina()[0]),
        "vae": (sizes.vae, expected_autoencoder_shapes(sizes.vae), None),
    }
    parts = {
        name: Part(
            name=name,
            layout="hub",
            files=(NOWHERE / name,),
            shapes=shapes,
            dtype="BF16" if dtype == torch.bfloat16 else "F32",
            config=hub_config(config),
            tokenizer=tokenizer,
            read=partial(_read, name, shapes, device=device, dtype=dtype),
        )
        for name, (config, shapes, tokenizer) in described.items()
    }
    return ModelFiles(source=str(NOWHERE), layout="hub", revision="local", parts=parts)


def _read(
    part: PartName, shapes: Mapping[str, Shape], *, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, Tensor]]:
    generator = torch.Generator(device)
    # Gemma's norms multiply by one plus their weight.
    norm = 0.0 if part == "text_encoder" else 1.0
    for name, shape in shapes.items():
        generator.manual_seed(zlib.crc32(f"{part} {name}".encode()))
        drawn = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        if len(shape) > 1:
            yield name, drawn.div_(drawn[0].numel() ** 0.5)
        elif name.endswith("bias"):
            yield name, drawn.mul_(0.05)
        else:
            yield name, drawn.mul_(0.1).add_(norm)
