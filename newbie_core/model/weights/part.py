"""One part of a model on disk: its files, its tensors by their canonical names, its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from newbie_core.model.config import PartName, Shape

if TYPE_CHECKING:
    from torch import Tensor

Layout = Literal["hub", "port", "comfyui", "all-in-one", "consolidated"]
"""How a checkpoint is laid out on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a model, read no further than its headers until `tensors` is asked for.

    Canonical names are: upstream's for the transformer; `embed_tokens.…`, `layers.N.…`, `norm.weight` for Gemma;
    those of transformers' JinaEmbeddingsV3Model for Jina (adapter merged); diffusers' AutoencoderKL for the VAE.

    Attributes:
        files: the weight files, in order; their digests name the part.
        shapes: canonical tensor names and shapes.
        dtype: the dtype most of its numbers are stored in, as safetensors spells it ("BF16").
        config: its config.json, or nothing.
        tokenizer: tokenizer.json, a SentencePiece model file, or the bytes of one found inside a weight file.
        read: yields (canonical name, tensor) on the CPU, in stored dtype, one at a time.
    """

    name: PartName
    layout: Layout
    files: tuple[Path, ...]
    shapes: Mapping[str, Shape]
    dtype: str
    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Path | bytes | None = None
    read: Callable[[], Iterator[tuple[str, Tensor]]]

    @property
    def parameters(self) -> int:
        """Numbers in it."""
        total = 0
        for shape in self.shapes.values():
            size = 1
            for side in shape:
                size *= side
            total += size
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A whole model on disk.

    Attributes:
        source: the folder, file or hub id it was opened from, as given.
        revision: the hub commit, where it came from the hub; else "local".
        shift: the time shift its scheduler configuration names, or none.
        solver: the solver it names, or none.
    """

    source: str
    layout: Layout
    revision: str
    parts: Mapping[PartName, Part]
    shift: float | None = None
    solver: str | None = None
