"""Tiny models with random weights, and folders of them in every layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from newbie_core.model.config import AutoencoderConfig, GemmaConfig, JinaConfig, PartName, TransformerConfig
from newbie_core.model.weights import renames
from newbie_core.model.weights import shape_tables as tables
from newbie_core.model.weights.part import Part

State = dict[str, Tensor]

TRANSFORMER = TransformerConfig(
    dim=48,
    n_layers=2,
    n_refiner_layers=1,
    n_heads=4,
    n_kv_heads=2,
    ffn_dim=64,
    cap_feat_dim=32,
    clip_text_dim=64,
    axes_dims=(4, 4, 4),
    in_channels=4,
)
GEMMA = GemmaConfig(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    intermediate_size=48,
    vocab_size=40,
)
JINA = JinaConfig(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=96, vocab_size=30
)
VAE = AutoencoderConfig(latent_channels=4, block_out_channels=(32, 64, 64), layers_per_block=1)

SPIECE = b"\x0a\x0e sentences in pieces"


def random_state(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> State:
    """bf16 numbers for every name, negative zeros among them."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()}
    for tensor in state.values():
        tensor.flatten()[0] = -0.0
    return state


def tiny_states() -> dict[PartName, State]:
    return {
        "transformer": random_state(tables.expected_transformer_shapes(TRANSFORMER), 1),
        "text_encoder": random_state(tables.expected_gemma_shapes(GEMMA), 2),
        "clip_model": random_state(tables.expected_jina_shapes(JINA), 3),
        "vae": random_state(tables.expected_autoencoder_shapes(VAE), 4),
    }


def write(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, path, metadata)
    return path


def write_json(path: Path, table: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table))
    return path


def write_shards(folder: Path, state: Mapping[str, Tensor], *, stem: str = "model", count: int = 3) -> Path:
    names = list(state)
    weight_map = {}
    for number in range(count):
        file = f"{stem}-{number + 1:05}-of-{count:05}.safetensors"
        write(folder / file, {name: state[name] for name in names[number::count]})
        weight_map |= dict.fromkeys(names[number::count], file)
    return write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def write_hub(folder: Path, states: Mapping[PartName, State]) -> Path:
    """As NewBie-AI/NewBie-image-Exp0.1: sharded multimodal Gemma, Jina with its adapter apart."""
    write(folder / "transformer" / "diffusion_pytorch_model.safetensors", states["transformer"])
    write_json(
        folder / "transformer" / "config.json", {"dim": 48, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2}
    )
    gemma = renames.to_multimodal_gemma(states["text_encoder"])
    gemma["vision_tower.vision_model.head.weight"] = torch.zeros(2, 2)
    gemma["multi_modal_projector.mm_soft_emb_norm.weight"] = torch.zeros(2)
    gemma["language_model.lm_head.weight"] = torch.zeros(2, 2)
    write_shards(folder / "text_encoder", gemma)
    write_json(folder / "text_encoder" / "config.json", {"text_config": {"hidden_size": 32}})
    write_json(folder / "text_encoder" / "tokenizer.json", {})
    jina = renames.to_hub_jina(states["clip_model"])
    jina["vision_model.blocks.0.norm1.weight"] = torch.zeros(2)
    jina["logit_scale"] = torch.zeros(())
    write(folder / "clip_model" / "model.safetensors", jina)
    write_json(folder / "clip_model" / "config.json", {"text_config": {"embed_dim": 64}})
    write_json(folder / "clip_model" / "tokenizer.json", {})
    write(folder / "vae" / "diffusion_pytorch_model.safetensors", states["vae"])
    write_json(folder / "vae" / "config.json", {"latent_channels": 4, "shift_factor": 0.25})
    return folder


def write_port(folder: Path, states: Mapping[PartName, State]) -> Path:
    """As Disty0/NewBie-image-Exp0.1-Diffusers."""
    transformer = renames.to_port(states["transformer"], TRANSFORMER)
    write_shards(folder / "transformer", transformer, stem="diffusion_pytorch_model", count=2)
    config = {"hidden_size": 48, "num_layers": 2, "axes_dim_rope": [4, 4, 4], "pooled_projection_dim": 64}
    write_json(folder / "transformer" / "config.json", config)
    gemma = renames.to_prefixed(states["text_encoder"], "language_model.")
    write(folder / "text_encoder" / "model.safetensors", gemma)
    write_json(folder / "tokenizer" / "tokenizer.json", {})
    write(folder / "text_encoder_2" / "model.safetensors", renames.to_hub_jina(states["clip_model"]))
    write_json(folder / "tokenizer_2" / "tokenizer.json", {})
    write(folder / "vae" / "diffusion_pytorch_model.safetensors", states["vae"])
    write_json(folder / "scheduler" / "scheduler_config.json", {"shift": 6.0})
    return folder


def write_comfyui(folder: Path, states: Mapping[PartName, State]) -> Path:
    """As Comfy-Org's repackaged files, under names that say nothing."""
    files = folder / "split_files"
    write(files / "diffusion_models" / "a.safetensors", renames.to_prefixed(states["transformer"]))
    gemma = renames.to_comfyui_gemma(states["text_encoder"], SPIECE)
    gemma["vision_model.head.weight"] = torch.zeros(2)
    write(files / "text_encoders" / "b.safetensors", gemma)
    write(
        files / "text_encoders" / "c.safetensors", renames.to_comfyui_jina(states["clip_model"], SPIECE[:9])
    )
    write(files / "vae" / "d.safetensors", renames.to_bfl_vae(states["vae"]))
    return folder


def write_all_in_one(path: Path, states: Mapping[PartName, State]) -> Path:
    whole = renames.to_all_in_one(
        transformer=states["transformer"],
        gemma=states["text_encoder"],
        jina=states["clip_model"],
        vae=states["vae"],
        spiece=(SPIECE, SPIECE[:9]),
    )
    return write(path, whole)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal shapes, types and bits: unlike torch.equal, -0.0 is not 0.0."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))


def assert_reads_back(part: Part, state: Mapping[str, Tensor], *, without: tuple[str, ...] = ()) -> None:
    read = dict(part.read())
    assert set(read) == set(state) - set(without)
    assert {name: tuple(tensor.shape) for name, tensor in read.items()} == dict(part.shapes)
    different = [name for name, tensor in read.items() if not same_bits(tensor, state[name])]
    assert not different
