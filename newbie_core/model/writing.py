"""Write a model's parts to disk: safetensors, one tensor at a time, in the layouts people exchange.

hub          model_index.json and a folder a part: config.json, weights, tokenizer
comfyui      split_files/…, a file a part, tokenizers inside the weight files
all-in-one   one file
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.config import (
    AutoencoderConfig,
    GemmaConfig,
    JinaConfig,
    PartName,
    TransformerConfig,
)
from newbie_core.model.weights.renames import (
    to_all_in_one,
    to_bfl_vae,
    to_comfyui_gemma,
    to_comfyui_jina,
    to_hub_jina,
    to_multimodal_gemma,
)
from newbie_core.model.weights.stored import DTYPE_NAMES

Sizes = TransformerConfig | GemmaConfig | JinaConfig | AutoencoderConfig

HUB_WEIGHTS: Mapping[PartName, str] = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "clip_model": "model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
COMFYUI_FILES: Mapping[PartName, str] = {
    "transformer": "split_files/diffusion_models/NewBie-Image-Exp0.1-{dtype}.safetensors",
    "text_encoder": "split_files/text_encoders/gemma_3_4b_it_{dtype}.safetensors",
    "clip_model": "split_files/text_encoders/jina_clip_v2_{dtype}.safetensors",
    "vae": "split_files/vae/ae.safetensors",
}
"""Names in Comfy-Org/NewBie-image-Exp0.1_repackaged; `dtype` is "bf16" there."""

DTYPE_LABELS: Mapping[torch.dtype, str] = {
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float32: "fp32",
    torch.float64: "fp64",
}

HUB_MODEL_INDEX: Mapping[str, Any] = {
    "_class_name": "NewbiePipeline",
    "_diffusers_version": "0.30.0",
    "transformer": ["transformer", "NextDiT_3B_GQA_patch2_Adaln_Refiner_WHIT_CLIP"],
    "text_encoder": ["text_encoder", "Gemma3ForConditionalGeneration"],
    "tokenizer": ["text_encoder", "AutoTokenizer"],
    "clip_model": ["clip_model", "JinaCLIPModel"],
    "clip_tokenizer": ["clip_model", "AutoTokenizer"],
    "vae": ["vae", "AutoencoderKL"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartContent:
    """One part as it is to be written.

    Attributes:
        tensors: by canonical name (see `weights.part`); mapped ones are read when their turn comes.
        config: the hub folder's config.json.
        tokenizer: the hub folder's tokenizer files, by name.
        spiece: the SentencePiece model for files that carry one inside.
    """

    name: PartName
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    tokenizer: Mapping[str, bytes] = field(default_factory=dict)
    spiece: bytes | None = None


Contents = Mapping[PartName, PartContent]


def write_safetensors(file: Path, tensors: Mapping[str, Tensor], *, dtype: torch.dtype | None = None) -> None:
    """A new safetensors file; floating tensors are cast to `dtype` where it is given.

    Only one tensor at a time is in memory beyond those that were. Wider numbers come first, so that each is
    aligned, then names in order: equal tensors make equal bytes.

    Raises:
        ModelError: E_MODEL_DTYPE; numbers too large for `dtype`.
    """
    kept = {
        key: dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        for key, tensor in tensors.items()
    }
    order = sorted(tensors, key=lambda key: (-kept[key].itemsize, key))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for key in order:
        start, end = end, end + tensors[key].numel() * kept[key].itemsize
        header[key] = {
            "dtype": DTYPE_NAMES[kept[key]],
            "shape": list(tensors[key].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for key in order:
            cast = _cast(file, key, tensors[key], kept[key])
            stream.write(cast.reshape(-1).view(torch.uint8).numpy().data)
        stream.flush()
        os.fsync(stream.fileno())


def _cast(file: Path, key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.dtype == dtype:
        return tensor
    cast = tensor.to(dtype)
    if not bool(torch.isfinite(cast).all()):
        raise ModelError(
            f"{file.name}: {key} holds numbers that {dtype} cannot; convert to bfloat16 or leave the type as it is",
            code="E_MODEL_DTYPE",
        )
    return cast


def write_sharded(folder: Path, name: str, tensors: Mapping[str, Tensor], *, shards: int) -> None:
    """`name` ("model.safetensors") as `shards` files of about as many tensors each, and their index."""
    stem = name.removesuffix(".safetensors")
    keys = sorted(tensors)
    homes: dict[str, str] = {}
    for number in range(shards):
        file = f"{stem}-{number + 1:05}-of-{shards:05}.safetensors"
        part = keys[number * len(keys) // shards : (number + 1) * len(keys) // shards]
        write_safetensors(folder / file, {key: tensors[key] for key in part})
        homes |= dict.fromkeys(part, file)
    size = sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
    write_json(folder / f"{name}.index.json", {"metadata": {"total_size": size}, "weight_map": homes})


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """A new JSON file, as people read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def write_hub(folder: Path, parts: Contents, *, dtype: torch.dtype | None = None) -> None:
    """The hub's layout: `folder` gets model_index.json and a folder for each of `parts`."""
    for name, part in parts.items():
        write_hub_part(folder / name, part, dtype=dtype)
    write_json(folder / "model_index.json", HUB_MODEL_INDEX)


def write_hub_part(folder: Path, part: PartContent, *, dtype: torch.dtype | None = None) -> None:
    """One part's folder in the hub's layout: config.json, its weights, its tokenizer."""
    write_beside_weights(folder, part)
    write_safetensors(folder / HUB_WEIGHTS[part.name], hub_state(part), dtype=dtype)


def write_beside_weights(folder: Path, part: PartContent) -> None:
    """What a part's folder holds besides weights: config.json and tokenizer files."""
    write_json(folder / "config.json", part.config)
    for name, content in sorted(part.tokenizer.items()):
        (folder / name).write_bytes(content)


def write_comfyui(folder: Path, parts: Contents, *, dtype: torch.dtype | None = None) -> None:
    """ComfyUI's layout: `folder` gets split_files with a file for each of `parts`."""
    for name, part in parts.items():
        label = DTYPE_LABELS[dtype or main_dtype(part.tensors)]
        write_safetensors(folder / COMFYUI_FILES[name].format(dtype=label), comfyui_state(part), dtype=dtype)


def write_all_in_one(file: Path, parts: Contents, *, dtype: torch.dtype | None = None) -> None:
    """All four parts in one file, as community files hold them."""
    state = to_all_in_one(
        transformer=parts["transformer"].tensors,
        gemma=parts["text_encoder"].tensors,
        jina=parts["clip_model"].tensors,
        vae=parts["vae"].tensors,
        spiece=(_spiece(parts["text_encoder"]), _spiece(parts["clip_model"])),
    )
    write_safetensors(file, state, dtype=dtype)


def hub_state(part: PartContent) -> Mapping[str, Tensor]:
    """The part's tensors under the hub's names."""
    match part.name:
        case "text_encoder":
            return to_multimodal_gemma(part.tensors)
        case "clip_model":
            return to_hub_jina(part.tensors)
        case _:
            return part.tensors


def comfyui_state(part: PartContent) -> Mapping[str, Tensor]:
    """The part's tensors under the names of ComfyUI's single files, its tokenizer among them.

    Raises:
        ModelError: E_MODEL_TOKENIZER; a text encoder without a SentencePiece model.
    """
    match part.name:
        case "transformer":
            return part.tensors
        case "text_encoder":
            return to_comfyui_gemma(part.tensors, _spiece(part))
        case "clip_model":
            return to_comfyui_jina(part.tensors, _spiece(part))
        case "vae":
            return to_bfl_vae(part.tensors)


def _spiece(part: PartContent) -> bytes:
    if part.spiece is None:
        raise ModelError(
            f"{part.name}: this layout carries the tokenizer inside the weight file, as a SentencePiece model, and "
            f"the source has {', '.join(sorted(part.tokenizer)) or 'no tokenizer'}; convert to the hub's layout, or "
            'put the SentencePiece model beside its weights: "tokenizer.model" for Gemma, "spiece.model" for Jina '
            "(numbered as in ComfyUI's files: <s> 0, <pad> 1)",
            code="E_MODEL_TOKENIZER",
        )
    return part.spiece


def main_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The type most of the numbers have."""
    counts: dict[torch.dtype, int] = {}
    for tensor in tensors.values():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    return max(counts, key=lambda dtype: counts[dtype])


def hub_config(sizes: Sizes) -> dict[str, Any]:
    """The config.json of a part of these sizes, as the hub's folders have it."""
    match sizes:
        case TransformerConfig():
            return _transformer(sizes)
        case GemmaConfig():
            return _gemma(sizes)
        case JinaConfig():
            # Jina CLIP's own configuration tells no more of its text tower.
            return {"model_type": "jina_clip", "text_config": {"embed_dim": sizes.hidden_size}}
        case AutoencoderConfig():
            return _autoencoder(sizes)


def _transformer(sizes: TransformerConfig) -> dict[str, Any]:
    values = asdict(sizes)
    # Not upstream's: cap_feat_dim, ffn_dim and qk_eps are told by shapes or by the code.
    for name in ("cap_feat_dim", "ffn_dim", "qk_eps"):
        del values[name]
    if not sizes.trained_sizes:
        del values["trained_sizes"]
    return {
        "_class_name": "NextDiT_3B_GQA_patch2_Adaln_Refiner_WHIT_CLIP",
        "model_type": "nextdit_clip",
        "clip_img_dim": sizes.clip_text_dim,
        **values,
    }


def _gemma(sizes: GemmaConfig) -> dict[str, Any]:
    text = {
        **asdict(sizes),
        "model_type": "gemma3_text",
        "rms_norm_eps": 1e-6,
        "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": [
            "full_attention" if (layer + 1) % 6 == 0 else "sliding_attention"
            for layer in range(sizes.num_hidden_layers)
        ],
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        },
    }
    return {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": text,
    }


def _autoencoder(sizes: AutoencoderConfig) -> dict[str, Any]:
    stages = len(sizes.block_out_channels)
    return {
        "_class_name": "AutoencoderKL",
        **asdict(sizes),
        "in_channels": 3,
        "out_channels": 3,
        "act_fn": "silu",
        "down_block_types": ["DownEncoderBlock2D"] * stages,
        "up_block_types": ["UpDecoderBlock2D"] * stages,
        "mid_block_add_attention": True,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "force_upcast": True,
        "sample_size": 1024,
    }


def port_config(sizes: TransformerConfig) -> dict[str, Any]:
    """The transformer's config.json in the diffusers port."""
    return {
        "_class_name": "Lumina2Transformer2DModel",
        "patch_size": sizes.patch_size,
        "in_channels": sizes.in_channels,
        "hidden_size": sizes.dim,
        "num_layers": sizes.n_layers,
        "num_refiner_layers": sizes.n_refiner_layers,
        "num_attention_heads": sizes.n_heads,
        "num_kv_heads": sizes.kv_heads,
        "multiple_of": sizes.multiple_of,
        "ffn_dim_multiplier": sizes.ffn_dim_multiplier,
        "norm_eps": sizes.norm_eps,
        "axes_dim_rope": list(sizes.axes_dims),
        "axes_lens": list(sizes.axes_lens),
        "cap_feat_dim": sizes.cap_feat_dim,
        "pooled_projection_dim": sizes.clip_text_dim,
    }
