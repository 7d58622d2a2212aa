"""Latents to pictures: the scale, the shift, the rounding, and how little is loaded for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.autoencoder import Autoencoder, build_autoencoder, decoder_part, to_bytes
from newbie_core.model.config import AutoencoderConfig
from newbie_core.model.weights.part import ModelFiles, Part
from tests.model.conftest import TinyCheckpoint


@pytest.fixture
def part(tiny_files: ModelFiles) -> Part:
    return tiny_files.parts["vae"]


@pytest.fixture
def reference(tiny_checkpoint: TinyCheckpoint) -> AutoencoderKL:
    """diffusers' own loading of the same folder."""
    return AutoencoderKL.from_pretrained(tiny_checkpoint() / "vae").eval()


def latents(height: int = 8, width: int = 6) -> Tensor:
    return torch.randn((1, 16, height, width), generator=torch.Generator().manual_seed(0))


def test_the_default_sizes_are_flux_ones() -> None:
    with torch.device("meta"):
        module = build_autoencoder(AutoencoderConfig())
    assert len(module.state_dict()) == 244
    assert sum(value.numel() for value in module.parameters()) == 83_819_683
    assert sum(value.numel() for value in module.encoder.parameters()) == 34_274_208
    assert sum(value.numel() for value in module.decoder.parameters()) == 49_545_475
    assert (module.config.scaling_factor, module.config.shift_factor) == (0.3611, 0.1159)


@torch.no_grad()
def test_decoding_undoes_scale_and_shift_and_rounds_to_bytes(part: Part, reference: AutoencoderKL) -> None:
    picture = Autoencoder.load(part).decode(latents())
    pixels = reference.decode(latents() / 0.3611 + 0.1159).sample[0]
    expected = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    assert (picture.shape, picture.dtype) == ((64, 48, 3), torch.uint8)
    assert torch.equal(picture, expected)
    assert picture.float().std() > 5


@torch.no_grad()
def test_encoding_gives_the_mean_shifted_and_scaled(part: Part, reference: AutoencoderKL) -> None:
    pictures = torch.rand((2, 3, 64, 48), generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = Autoencoder.load(part, encoder=True).encode(pictures)
    expected = (reference.encode(pictures).latent_dist.mode() - 0.1159) * 0.3611
    assert found.shape == (2, 16, 8, 6)
    torch.testing.assert_close(found, expected)


def test_only_the_decoder_is_kept_unless_asked(part: Part) -> None:
    alone = decoder_part(part)
    assert {name for name, _ in alone.read()} == set(alone.shapes)
    assert {name.partition(".")[0] for name in alone.shapes} == {"decoder"}
    loaded = Autoencoder.load(part).module
    assert set(loaded.state_dict()) == set(alone.shapes)
    assert not any(value.is_meta for value in loaded.parameters())
    assert set(Autoencoder.load(part, encoder=True).module.state_dict()) == set(part.shapes)


def test_a_decoder_that_lacks_a_tensor_is_refused(part: Part) -> None:
    shapes = {name: shape for name, shape in part.shapes.items() if name != "decoder.conv_out.weight"}
    with pytest.raises(ModelError, match=r"decoder\.conv_out\.weight"):
        Autoencoder.load(replace(part, shapes=shapes))


def test_its_weights_are_frozen_and_in_the_dtype_asked_for(part: Part) -> None:
    loaded = Autoencoder.load(part, dtype=torch.bfloat16)
    assert {value.dtype for value in loaded.module.parameters()} == {torch.bfloat16}
    assert not any(value.requires_grad for value in loaded.module.parameters())
    whole = Autoencoder.load(part).decode(latents()).int()
    # Eight bits of a number and a few dozen layers: some steps of 255.
    assert (loaded.decode(latents()).int() - whole).abs().max() < 30


def test_tiles_change_pixels_at_most_a_little(part: Part) -> None:
    whole, tiled = Autoencoder.load(part), Autoencoder.load(part, tiling=True)
    tiled.module.tile_latent_min_size, tiled.module.tile_sample_min_size = 8, 64
    large = latents(16, 12)
    plain, found = whole.decode(large).float(), tiled.decode(large).float()
    assert found.shape == (128, 96, 3)
    assert not torch.equal(found, plain)
    # Random weights normalise each tile by itself, which moves much more than trained ones do.
    assert (found - plain).abs().mean() < 0.5 * plain.std()


def test_bytes_are_rounded_and_bounded() -> None:
    values = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, 1 / 255, 0.99 / 255]).reshape(1, 1, 1, -1)
    found = to_bytes(values.expand(1, 3, 1, -1))
    assert found.shape == (1, 1, 7, 3)
    assert found[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 128, 128]
