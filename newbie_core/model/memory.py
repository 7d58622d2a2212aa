"""How much memory a picture takes, before anything is loaded, and which plan fits.

=========  ===========================================================================================
resident   all parts stay on the device: fastest, no loading between chunks
staged     Gemma, freed, Jina, freed, then transformer and decoder
offload    as staged, and Gemma's layers and the transformer's blocks visit the device one at a time
=========  ===========================================================================================

The three give the same pixels on one machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from newbie_core.model.config import (
    LATENT_REDUCTION,
    AutoencoderConfig,
    GemmaConfig,
    JinaConfig,
    TransformerConfig,
)
from newbie_core.model.weights.shape_tables import (
    expected_autoencoder_shapes,
    expected_gemma_shapes,
    expected_jina_shapes,
    expected_transformer_shapes,
)

MemoryPlan = Literal["resident", "staged", "offload"]
PLANS: tuple[MemoryPlan, ...] = ("resident", "staged", "offload")

CAPTION_TOKENS = 512
"""Longest caption; forecasts assume both prompts of a pair have it."""

WORKSPACE = 200_000_000
"""Bytes for CUDA's own kernels, cuBLAS and allocator slack."""

_STREAMED_BLOCKS = 2
_FLOAT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSizes:
    """The sizes of all four parts; the defaults are the released model's."""

    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    text_encoder: GemmaConfig = field(default_factory=GemmaConfig)
    clip_model: JinaConfig = field(default_factory=JinaConfig)
    vae: AutoencoderConfig = field(default_factory=AutoencoderConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Predicted peak memory on the device, in bytes.

    Attributes:
        stages: the peak of each stage: "text", "denoise", "decode".
    """

    plan: MemoryPlan
    stages: Mapping[str, int]

    @property
    def peak(self) -> int:
        """The largest stage."""
        return max(self.stages.values())


def forecast(
    sizes: ModelSizes,
    plan: MemoryPlan,
    *,
    width: int,
    height: int,
    item: int = 2,
    fp8: bool = False,
    embedding_on_device: bool = False,
    tiling: bool = False,
) -> Forecast:
    """Peak memory of one picture with guidance.

    Args:
        width, height: pixels.
        item: bytes of a number in weights and activations: 2 for bf16, 4 for float32.
        fp8: whether the blocks' linear weights are stored in 8 bits.
        embedding_on_device: whether Gemma's token embedding is there too, rather than in main memory.
        tiling: whether decoding is tiled.
    """
    blocks, block, rest = _transformer_bytes(sizes.transformer, item, fp8=fp8)
    gemma, gemma_layer = _gemma_bytes(sizes.text_encoder, item, embedding=embedding_on_device)
    jina = _jina_parameters(sizes.clip_model) * item
    decoder = _decoder_parameters(sizes.vae) * item
    work = {
        "text": _text_activations(sizes.text_encoder, item),
        "denoise": _transformer_activations(sizes.transformer, width, height, item),
        "decode": _decoder_activations(sizes.vae, width, height, item, tiling=tiling),
    }
    held = {
        "resident": (blocks + rest + gemma + jina + decoder,) * 3,
        "staged": (max(gemma, jina), blocks + rest + decoder, blocks + rest + decoder),
        "offload": (
            max(gemma_layer * _STREAMED_BLOCKS, jina),
            block * _STREAMED_BLOCKS + rest + decoder,
            block * _STREAMED_BLOCKS + rest + decoder,
        ),
    }[plan]
    stages = {stage: kept + work[stage] + WORKSPACE for stage, kept in zip(work, held, strict=True)}
    return Forecast(plan=plan, stages=stages)


def choose_plan(free: int | None, forecasts: Mapping[MemoryPlan, Forecast]) -> MemoryPlan:
    """The fastest plan that fits into `free` bytes; the smallest when none does, resident when nothing is known."""
    if free is None:
        return "resident"
    return next((plan for plan in PLANS if forecasts[plan].peak <= free), PLANS[-1])


def _transformer_bytes(config: TransformerConfig, item: int, *, fp8: bool) -> tuple[int, int, int]:
    """Bytes of all blocks, of a modulated one, and of everything else."""
    blocks = block = rest = 0
    for name, shape in expected_transformer_shapes(config).items():
        inside = name.startswith(("layers.", "noise_refiner.", "context_refiner."))
        stored = 1 if fp8 and inside and len(shape) == 2 and "adaLN" not in name else item
        if inside:
            blocks += prod(shape) * stored
            block += prod(shape) * stored if name.startswith("layers.0.") else 0
        else:
            rest += prod(shape) * stored
    return blocks, block, rest


def _gemma_bytes(config: GemmaConfig, item: int, *, embedding: bool) -> tuple[int, int]:
    """Bytes of what is loaded (not the last layer, not the final norm), and of one layer."""
    last = f"layers.{config.num_hidden_layers - 1}."
    skipped = (last, "norm.") if embedding else (last, "norm.", "embed_tokens.")
    shapes = expected_gemma_shapes(config)
    total = sum(prod(shape) for name, shape in shapes.items() if not name.startswith(skipped))
    layer = sum(prod(shape) for name, shape in shapes.items() if name.startswith(last))
    return total * item, layer * item


def _jina_parameters(config: JinaConfig) -> int:
    return sum(prod(shape) for shape in expected_jina_shapes(config).values())


def _decoder_parameters(config: AutoencoderConfig) -> int:
    shapes = expected_autoencoder_shapes(config)
    return sum(prod(shape) for name, shape in shapes.items() if not name.startswith("encoder."))


def _text_activations(config: GemmaConfig, item: int) -> int:
    """One text of the longest length: the residual stream, the feed-forward's three tensors, queries and keys."""
    widths = 4 * config.hidden_size + 3 * config.intermediate_size + 3 * config.head_dim * 8
    return CAPTION_TOKENS * widths * (item + _FLOAT)


def _transformer_activations(config: TransformerConfig, width: int, height: int, item: int) -> int:
    """The widest moment of a block over a pair of sequences, plus what `prepare` keeps.

    Either the feed-forward, with residual, normed input and both inner tensors, or attention, with the float32
    copies for the rotation.
    """
    step = LATENT_REDUCTION * config.patch_size
    tokens = 2 * (CAPTION_TOKENS + (width // step) * (height // step))
    dim = config.dim
    feed_forward = tokens * (4 * dim + 2 * config.hidden_dim) * item
    rotated = (config.n_heads + config.kv_heads) * config.head_dim
    attention = tokens * (4 * dim * item + rotated * (item + 3 * _FLOAT))
    tables = tokens * config.head_dim * _FLOAT * 2
    steps = 2 * 28
    modulation = (config.n_layers + config.n_refiner_layers) * steps * 4 * dim * item
    return max(feed_forward, attention) + tables + modulation + 2 * CAPTION_TOKENS * dim * item


TILE_SIDE = 512
"""Pixels of a side of diffusers' decoding tiles at FLUX's sample size of 1024, half of it."""


def _decoder_activations(
    config: AutoencoderConfig, width: int, height: int, item: int, *, tiling: bool
) -> int:
    """Three full-size tensors of the second-widest channels: a residual block's input, normed copy and output."""
    if tiling:
        width, height = min(width, TILE_SIDE), min(height, TILE_SIDE)
    channels = config.block_out_channels[min(1, len(config.block_out_channels) - 1)]
    return 3 * channels * width * height * item
