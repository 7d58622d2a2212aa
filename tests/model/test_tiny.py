"""The tiny model is one model, whole and lively, in every layout the real one comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from newbie_core.model.config import PARTS, PartName
from newbie_core.model.tiny import tiny_parts, tiny_sizes, write_tiny
from newbie_core.model.tokenizers import gemma_tokenizer, jina_tokenizer
from newbie_core.model.weights import config_from_shapes
from newbie_core.model.weights.layouts import open_model
from newbie_core.model.weights.part import ModelFiles
from newbie_core.model.weights.renames import UNUSED_NORM

LAYOUTS = ("hub", "sharded", "port", "comfyui", "all-in-one", "consolidated")


def read_back(model: ModelFiles) -> dict[PartName, dict[str, Tensor]]:
    return {name: dict(part.read()) for name, part in model.parts.items()}


def assert_same_tensors(found: dict[PartName, dict[str, Tensor]], *, seed: int = 0, **options: Any) -> None:
    """Bit for bit; the unused norm may be missing, as the port drops it."""
    for name, part in tiny_parts(seed=seed, **options).items():
        assert set(part.tensors) - set(found[name]) <= {UNUSED_NORM}
        assert set(found[name]) <= set(part.tensors)
        for key, value in found[name].items():
            assert value.dtype == part.tensors[key].dtype
            assert torch.equal(value, part.tensors[key]), f"{name} {key}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_back_as_the_same_model(tmp_path: Path, layout: Any, dtype: torch.dtype) -> None:
    path = write_tiny(tmp_path / "model", layout=layout, seed=3, dtype=dtype)
    model = open_model(path)
    assert model.layout == ("hub" if layout == "sharded" else layout)
    assert_same_tensors(read_back(model), seed=3, dtype=dtype)


def test_a_pickled_checkpoint_reads_back_as_the_same_model(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, layout="consolidated", pickled=True)
    assert_same_tensors(read_back(open_model(path, allow_pickle=True)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_tells_the_same_sizes(tmp_path: Path, layout: Any) -> None:
    parts = open_model(write_tiny(tmp_path / "model", layout=layout)).parts
    sizes = tiny_sizes()
    transformer = config_from_shapes.transformer_config(parts["transformer"])
    for name in (
        "dim",
        "n_layers",
        "n_refiner_layers",
        "n_heads",
        "n_kv_heads",
        "hidden_dim",
        "axes_dims",
        "axes_lens",
    ):
        assert getattr(transformer, name) == getattr(sizes.transformer, name)
    assert config_from_shapes.gemma_config(parts["text_encoder"]) == sizes.text_encoder
    assert config_from_shapes.jina_config(parts["clip_model"]) == sizes.clip_model
    assert config_from_shapes.autoencoder_config(parts["vae"]) == sizes.vae


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_brings_tokenizers_that_give_the_same_ids(tmp_path: Path, layout: Any) -> None:
    parts = open_model(write_tiny(tmp_path / "model", layout=layout)).parts
    text = "<n>$character_1$</n> silver_hair, smile"
    files = tiny_parts()
    for name, load in (("text_encoder", gemma_tokenizer), ("clip_model", jina_tokenizer)):
        source = parts[name].tokenizer  # type: ignore[index]
        assert source is not None
        rows = {"text_encoder": 672, "clip_model": 400}[name]
        expected = load(files[name].tokenizer["tokenizer.json"], rows=rows)  # type: ignore[index]
        assert load(source, rows=rows).encode(text).ids == expected.encode(text).ids


def test_the_seed_decides_every_number() -> None:
    first, again, other = tiny_parts(seed=1), tiny_parts(seed=1), tiny_parts(seed=2)
    for name in PARTS:
        for key, value in first[name].tensors.items():
            assert torch.equal(value, again[name].tensors[key])
            assert not torch.equal(value, other[name].tensors[key])


def test_no_tensor_is_constant() -> None:
    for part in tiny_parts().values():
        for key, value in part.tensors.items():
            assert value.std() > 1e-3, key


def test_the_library_classes_take_the_tensors_as_they_are(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL
    from transformers import Gemma3TextConfig, Gemma3TextModel, JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

    parts = tiny_parts()
    vae = AutoencoderKL.from_config(  # type: ignore[no-untyped-call]
        dict(parts["vae"].config)
    )
    vae.load_state_dict(dict(parts["vae"].tensors), strict=True)
    text = {
        key: value
        for key, value in parts["text_encoder"].config["text_config"].items()
        if key != "model_type"
    }
    gemma = Gemma3TextModel(Gemma3TextConfig(**text))
    gemma.load_state_dict(dict(parts["text_encoder"].tensors), strict=True)
    sizes = tiny_sizes().clip_model
    config = JinaEmbeddingsV3Config(
        hidden_size=sizes.hidden_size,
        num_hidden_layers=sizes.num_hidden_layers,
        num_attention_heads=sizes.num_attention_heads,
        intermediate_size=sizes.intermediate_size,
        vocab_size=sizes.vocab_size,
    )
    jina = JinaEmbeddingsV3Model(config, add_pooling_layer=False)
    jina.load_state_dict(dict(parts["clip_model"].tensors), strict=True)


def test_latents_decode_to_a_picture_that_is_neither_flat_nor_saturated() -> None:
    from diffusers import AutoencoderKL

    part = tiny_parts()["vae"]
    vae = AutoencoderKL.from_config(  # type: ignore[no-untyped-call]
        dict(part.config)
    )
    vae.load_state_dict(dict(part.tensors))
    latents = torch.randn((1, 16, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        picture = (vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    assert picture.std() > 0.05
    assert ((picture > 0) & (picture < 1)).float().mean() > 0.5


def test_the_whole_model_is_a_few_megabytes(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) < 8_000_000


def test_the_real_file_names_are_used(tmp_path: Path) -> None:
    sharded = write_tiny(tmp_path / "s", layout="sharded")
    assert (sharded / "transformer" / "diffusion_pytorch_model-00002-of-00003.safetensors").is_file()
    assert (sharded / "text_encoder" / "model.safetensors.index.json").is_file()
    comfyui = write_tiny(tmp_path / "c", layout="comfyui", dtype=torch.bfloat16)
    assert {str(path.relative_to(comfyui)) for path in comfyui.rglob("*.safetensors")} == {
        "split_files/diffusion_models/NewBie-Image-Exp0.1-bf16.safetensors",
        "split_files/text_encoders/gemma_3_4b_it_bf16.safetensors",
        "split_files/text_encoders/jina_clip_v2_bf16.safetensors",
        "split_files/vae/ae.safetensors",
    }


def test_only_a_consolidated_checkpoint_is_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only a consolidated"):
        write_tiny(tmp_path, layout="hub", pickled=True)
