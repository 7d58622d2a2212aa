"""A small random model in any layout the real one comes in: for tests, and to try a line without weights.

The numbers depend on the seed, the size and a tensor's name alone: the same seed is the same model, bit for bit,
in every layout. All that single files leave out of a configuration has the released model's value here, so
that a model read from shapes alone is the same too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from newbie_core.model.config import (
    AutoencoderConfig,
    GemmaConfig,
    JinaConfig,
    PartName,
    Shape,
    TransformerConfig,
)
from newbie_core.model.tiny_tokenizers import tiny_gemma, tiny_jina
from newbie_core.model.weights.part import Layout
from newbie_core.model.weights.renames import to_port
from newbie_core.model.weights.shape_tables import (
    expected_autoencoder_shapes,
    expected_gemma_shapes,
    expected_jina_shapes,
    expected_transformer_shapes,
)
from newbie_core.model.writing import (
    HUB_WEIGHTS,
    PartContent,
    Sizes,
    hub_config,
    hub_state,
    port_config,
    write_all_in_one,
    write_beside_weights,
    write_comfyui,
    write_hub,
    write_hub_part,
    write_json,
    write_safetensors,
    write_sharded,
)

Size = Literal["tiny", "small"]

ALL_IN_ONE_FILE = "newbie-image-all-in-one.safetensors"
CONSOLIDATED_STEM = "consolidated_ema.00-of-01"
SHARDS = 3

GEMMA_ROWS, JINA_ROWS = 672, 400
"""Vocabularies: the tiny tokenizers' 665 and 394 ids, rounded up as published models do."""


PORT_MODEL_INDEX: Mapping[str, Any] = {
    "_class_name": "NewbiePipeline",
    "_diffusers_version": "0.36.0.dev0",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "transformer": ["diffusers", "Lumina2Transformer2DModel"],
    "text_encoder": ["transformers", "Gemma3Model"],
    "tokenizer": ["transformers", "GemmaTokenizerFast"],
    "text_encoder_2": ["text_encoder_2", "JinaCLIPModel"],
    "tokenizer_2": ["transformers", "XLMRobertaTokenizerFast"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TinySizes:
    """The four parts' sizes."""

    transformer: TransformerConfig
    text_encoder: GemmaConfig
    clip_model: JinaConfig
    vae: AutoencoderConfig


def tiny_sizes(size: Size = "tiny") -> TinySizes:
    """Sizes of the small models: "tiny" for tests, "small" (four times as wide) for measurements.

    Heads stay 24 wide, so that they split into three equal axes without a configuration. Gemma keeps seven
    layers: the sixth is the first that attends to everything, and the last is never used.
    """
    wide = {"tiny": 1, "small": 4}[size]
    width, pooled, hidden = 96 * wide, 64 * wide, 48 * wide
    return TinySizes(
        transformer=TransformerConfig(
            dim=width,
            n_layers=2 * wide,
            n_refiner_layers=1,
            n_heads=4 * wide,
            n_kv_heads=2 * wide,
            multiple_of=32,
            ffn_dim_multiplier=0.5,
            cap_feat_dim=hidden,
            axes_dims=(8, 8, 8),
            clip_text_dim=pooled,
        ),
        text_encoder=GemmaConfig(
            hidden_size=hidden,
            num_hidden_layers=7,
            num_attention_heads=4 * wide,
            num_key_value_heads=2 * wide,
            head_dim=16,
            intermediate_size=2 * hidden,
            vocab_size=GEMMA_ROWS,
        ),
        clip_model=JinaConfig(
            hidden_size=pooled,
            num_hidden_layers=2,
            num_attention_heads=wide,
            intermediate_size=2 * pooled,
            vocab_size=JINA_ROWS,
        ),
        vae=AutoencoderConfig(block_out_channels=(32 * wide,) * 4, layers_per_block=1),
    )


def write_tiny(
    folder: Path,
    *,
    layout: Layout | Literal["sharded"] = "hub",
    seed: int = 0,
    size: Size = "tiny",
    dtype: torch.dtype = torch.float32,
    pickled: bool = False,
) -> Path:
    """A complete small random model in `folder`; the path to open it by (a file for "all-in-one").

    Args:
        layout: as the real model's; "sharded" is the hub's with its larger parts in several files.
        dtype: numbers are drawn in float32 and rounded to it.
        pickled: for "consolidated", the transformer as a .pth file.
    """
    if pickled and layout != "consolidated":
        raise ValueError(f"only a consolidated checkpoint is pickled, not {layout}")
    parts = tiny_parts(seed=seed, size=size, dtype=dtype)
    match layout:
        case "hub":
            write_hub(folder, parts)
        case "sharded":
            _write_sharded_hub(folder, parts)
        case "port":
            _write_port(folder, parts, tiny_sizes(size).transformer)
        case "comfyui":
            write_comfyui(folder, parts)
        case "all-in-one":
            write_all_in_one(folder / ALL_IN_ONE_FILE, parts)
            return folder / ALL_IN_ONE_FILE
        case "consolidated":
            _write_consolidated(folder, parts, pickled=pickled)
    return folder


def tiny_parts(
    *, seed: int = 0, size: Size = "tiny", dtype: torch.dtype = torch.float32
) -> dict[PartName, PartContent]:
    """The four parts of a small random model, in memory."""
    sizes = tiny_sizes(size)
    gemma_json, gemma_spiece = tiny_gemma()
    jina_json, jina_spiece = tiny_jina()

    def content(name: PartName, part: Sizes, shapes: Mapping[str, Shape], **more: Any) -> PartContent:
        tensors = {
            key: _draw(name, key, shape, seed=seed, size=size).to(dtype) for key, shape in shapes.items()
        }
        return PartContent(name=name, tensors=tensors, config=hub_config(part), **more)

    gemma_files = {"tokenizer.json": gemma_json, "tokenizer.model": gemma_spiece}
    jina_files = {"tokenizer.json": jina_json, "spiece.model": jina_spiece}
    return {
        "transformer": content(
            "transformer", sizes.transformer, expected_transformer_shapes(sizes.transformer)
        ),
        "text_encoder": content(
            "text_encoder",
            sizes.text_encoder,
            expected_gemma_shapes(sizes.text_encoder),
            tokenizer=gemma_files,
            spiece=gemma_spiece,
        ),
        "clip_model": content(
            "clip_model",
            sizes.clip_model,
            expected_jina_shapes(sizes.clip_model),
            tokenizer=jina_files,
            spiece=jina_spiece,
        ),
        "vae": content("vae", sizes.vae, expected_autoencoder_shapes(sizes.vae)),
    }


def _draw(part: PartName, key: str, shape: Shape, *, seed: int, size: Size) -> Tensor:
    """Random numbers that keep a signal's size: matrices by their fan-in, norms near one, small biases."""
    name = hashlib.sha256(f"{size} {seed} {part} {key}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(name[:8], "little") >> 1)
    noise = torch.randn(shape, generator=generator)
    if len(shape) > 1:
        return noise / sqrt(prod(shape[1:]))
    if key.endswith(".bias"):
        return 0.05 * noise
    # Gemma's norms multiply by one plus their weight.
    return 0.1 * noise + (0.0 if part == "text_encoder" else 1.0)


def _write_sharded_hub(folder: Path, parts: Mapping[PartName, PartContent]) -> None:
    small: tuple[PartName, ...] = ("clip_model", "vae")
    write_hub(folder, {name: parts[name] for name in small})
    for name in ("transformer", "text_encoder"):
        write_beside_weights(folder / name, parts[name])
        write_sharded(folder / name, HUB_WEIGHTS[name], hub_state(parts[name]), shards=SHARDS)


def _write_port(folder: Path, parts: Mapping[PartName, PartContent], sizes: TransformerConfig) -> None:
    transformer = parts["transformer"]
    write_json(folder / "transformer" / "config.json", port_config(sizes))
    write_safetensors(
        folder / "transformer" / HUB_WEIGHTS["transformer"], to_port(transformer.tensors, sizes)
    )
    write_hub_part(folder / "vae", parts["vae"])
    encoders: tuple[tuple[PartName, str, str], ...] = (
        ("text_encoder", "text_encoder", "tokenizer"),
        ("clip_model", "text_encoder_2", "tokenizer_2"),
    )
    for name, place, tokenizer in encoders:
        part = parts[name]
        write_json(folder / place / "config.json", part.config)
        write_safetensors(folder / place / HUB_WEIGHTS[name], hub_state(part))
        (folder / tokenizer).mkdir()
        (folder / tokenizer / "tokenizer.json").write_bytes(part.tokenizer["tokenizer.json"])
    write_json(
        folder / "scheduler" / "scheduler_config.json",
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 6.0},
    )
    write_json(folder / "model_index.json", PORT_MODEL_INDEX)


def _write_consolidated(folder: Path, parts: Mapping[PartName, PartContent], *, pickled: bool) -> None:
    for name in ("text_encoder", "clip_model", "vae"):
        write_hub_part(folder / name, parts[name])
    state = dict(parts["transformer"].tensors)
    if pickled:
        torch.save(state, folder / f"{CONSOLIDATED_STEM}.pth")
    else:
        write_safetensors(folder / f"{CONSOLIDATED_STEM}.safetensors", state)
