"""Latents: a fixed linear map that keeps the strongest parts of a picture, block by block."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from newbie_core.nano.dataset import scene_of, to_tensor
from newbie_core.nano.latents import CHANNELS, LatentBasis, fit_latents, to_blocks
from newbie_core.nano.scenes import draw_scene


@pytest.fixture(scope="module")
def pictures() -> list[Tensor]:
    return [to_tensor(draw_scene(scene_of(3, number)))[None] for number in range(12)]


@pytest.fixture(scope="module")
def basis(pictures: list[Tensor]) -> LatentBasis:
    return fit_latents(pictures)


def test_components_are_orthonormal(basis: LatentBasis) -> None:
    assert basis.components.shape == (CHANNELS, 192)
    assert torch.allclose(basis.components @ basis.components.T, torch.eye(CHANNELS), atol=1e-5)


def test_latents_of_the_fitted_pictures_are_centred_with_a_variance_of_one(
    basis: LatentBasis, pictures: list[Tensor]
) -> None:
    found = torch.cat([basis.encode(each).flatten(2)[0] for each in pictures], dim=1)  # [16, N]
    assert found.mean(dim=1).abs().max() < 1e-3
    assert found.square().mean() == pytest.approx(1, abs=1e-3)
    # Stronger components stay stronger, though less so.
    spread = found.std(dim=1)
    assert torch.equal(spread, spread.sort(descending=True).values)
    assert spread[0] < 10 * spread[-1]


def test_a_block_of_a_picture_is_encoded_for_itself(basis: LatentBasis, pictures: list[Tensor]) -> None:
    whole = basis.encode(pictures[0])
    crop = basis.encode(pictures[0][:, :, 16:80, 32:104])
    assert torch.allclose(crop, whole[:, :, 2:10, 4:13], atol=1e-5)
    both = torch.cat([pictures[0], pictures[0].flip(1)])
    assert torch.allclose(basis.encode(both)[:1], whole, atol=1e-5)


def test_blocks_are_channel_row_column() -> None:
    pictures = torch.arange(3 * 16 * 24, dtype=torch.float32).reshape(1, 3, 16, 24)
    blocks = to_blocks(pictures)
    assert blocks.shape == (1, 2, 3, 192)
    assert torch.equal(blocks[0, 1, 2].reshape(3, 8, 8), pictures[0, :, 8:, 16:])


def test_latents_come_back_from_their_own_picture(basis: LatentBasis) -> None:
    latents = torch.randn(2, CHANNELS, 5, 3, generator=torch.Generator().manual_seed(1))
    made = basis.decode(latents)
    assert made.shape == (2, 3, 40, 24)
    assert torch.allclose(basis.encode(made), latents, atol=1e-4)


def test_the_fit_is_the_same_each_time_and_the_order_of_pictures_is_no_matter(
    basis: LatentBasis, pictures: list[Tensor]
) -> None:
    again, turned = fit_latents(pictures), fit_latents(pictures[::-1])
    assert torch.equal(again.components, basis.components)
    assert torch.allclose(turned.components, basis.components, atol=1e-3)
    largest = basis.components.gather(1, basis.components.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()


def test_pictures_of_one_colour_are_fitted_too() -> None:
    basis = fit_latents([torch.full((1, 3, 32, 32), 0.5)])
    assert all(each.isfinite().all() for each in (basis.mean, basis.components, basis.scale))
    assert torch.allclose(
        basis.decode(basis.encode(torch.full((1, 3, 16, 16), 0.5))), torch.tensor(0.5), atol=1e-4
    )


def test_no_pictures_are_refused() -> None:
    with pytest.raises(ValueError):
        fit_latents([])


def test_a_basis_comes_back_from_its_file(basis: LatentBasis, tmp_path: Path) -> None:
    basis.save(tmp_path / "basis.safetensors")
    found = LatentBasis.load(tmp_path / "basis.safetensors")
    assert torch.equal(found.mean, basis.mean)
    assert torch.equal(found.components, basis.components)
    assert torch.equal(found.scale, basis.scale)
