"""Latents by principal components: a fixed linear map from 8x8 blocks of pixels to 16 numbers each.

A jointly trained autoencoder takes long and stays blurred at this size. Fixed latents let the transformer's training
start at once, beside the decoder's, and the encoder is taught to give them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

BLOCK = 8
CHANNELS = 16
WHITENING = 0.6
"""Components are divided by std^0.6: strong ones stay stronger, weak ones are not drowned in noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentBasis:
    """The map: block (channel, row, column; 192 numbers) to latents.

    Attributes:
        mean: `[192]`.
        components: `[16, 192]`, orthonormal rows.
        scale: `[16]`, what each component is multiplied with; latents have a variance of one over all.
    """

    mean: Tensor
    components: Tensor
    scale: Tensor

    def encode(self, pictures: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1] → `[B, 16, H/8, W/8]`."""
        blocks = to_blocks(pictures)
        latents = (blocks - self.mean) @ self.components.T * self.scale
        return latents.permute(0, 3, 1, 2).contiguous()

    def decode(self, latents: Tensor) -> Tensor:
        """The linear way back: `[B, 16, h, w]` → `[B, 3, 8h, 8w]`."""
        blocks = latents.permute(0, 2, 3, 1) / self.scale @ self.components + self.mean
        batch, rows, columns, _ = blocks.shape
        cut = blocks.reshape(batch, rows, columns, 3, BLOCK, BLOCK)
        return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, 3, rows * BLOCK, columns * BLOCK)

    def save(self, file: Path) -> None:
        """As a safetensors file."""
        tensors = {"mean": self.mean, "components": self.components, "scale": self.scale}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)

    @classmethod
    def load(cls, file: Path) -> LatentBasis:
        """From `save`'s file."""
        return cls(**load_file(file))


def to_blocks(pictures: Tensor) -> Tensor:
    """`[B, 3, H, W]` → `[B, H/8, W/8, 192]`."""
    batch, channels, height, width = pictures.shape
    cut = pictures.reshape(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3)


def fit_latents(pictures: list[Tensor]) -> LatentBasis:
    """The basis of pictures `[B, 3, H, W]` in [-1, 1], of any sizes.

    Raises:
        ValueError: no pictures.
    """
    blocks = torch.cat([to_blocks(part).flatten(0, 2).double() for part in pictures])
    mean = blocks.mean(dim=0)
    values, vectors = torch.linalg.eigh((blocks - mean).T @ (blocks - mean) / len(blocks))
    strongest = values.flip(0)[:CHANNELS].clamp(min=1e-8)
    components = vectors.flip(1).T[:CHANNELS]
    # A vector's sign is the solver's whim; the largest entry is made positive.
    signs = components.gather(1, components.abs().argmax(dim=1, keepdim=True)).sign()
    deviation = strongest.sqrt()
    shrunk = deviation ** (1 - WHITENING)
    scale = deviation**-WHITENING / shrunk.square().mean().sqrt()
    return LatentBasis(mean=mean.float(), components=(components * signs).float(), scale=scale.float())
