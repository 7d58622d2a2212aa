"""FLUX's autoencoder: latents to pictures, and pictures to latents for training.

diffusers' AutoencoderKL with FLUX.1-dev's configuration. Latents are scaled: z = (encoding − 0.1159) · 0.3611.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from newbie_core.model.config import AutoencoderConfig
from newbie_core.model.weights.config_from_shapes import autoencoder_config
from newbie_core.model.weights.loading import load_into
from newbie_core.model.weights.part import Part


class Autoencoder:
    """A loaded autoencoder; only the decoder unless asked."""

    def __init__(self, module: AutoencoderKL, config: AutoencoderConfig) -> None:
        self.module = module
        self.config = config

    @classmethod
    def load(
        cls,
        part: Part,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        encoder: bool = False,
        tiling: bool = False,
    ) -> Autoencoder:
        """Read it from `part`.

        Args:
            encoder: also load the encoder, for training.
            tiling: decode in overlapping tiles: less memory for large pictures, slightly other pixels.

        Raises:
            ModelError: its tensors do not fit.
        """
        config = autoencoder_config(part)
        with torch.device("meta"):
            module = build_autoencoder(config)
        if not encoder:
            del module.encoder
        load_into(module, part if encoder else decoder_part(part), device=device, dtype=dtype)
        if tiling:
            module.enable_tiling()
        return cls(module.eval().requires_grad_(False), config)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """`[1, C, H, W]` latents → `[8·H, 8·W, 3]` uint8 on the CPU."""
        z = latents / self.config.scaling_factor + self.config.shift_factor
        # cuDNN may choose among kernels that differ in rounding; the same one is taken every time.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            pixels = self.module.decode(z.to(self.module.device, self.module.dtype), return_dict=False)[0]
        return to_bytes(pixels)[0].cpu()

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """`[B, 3, 8·H, 8·W]` in [−1, 1] → scaled latents `[B, C, H, W]`, the distribution's mean."""
        moments = self.module.encode(pictures.to(self.module.device, self.module.dtype), return_dict=False)[0]
        return (moments.mode() - self.config.shift_factor) * self.config.scaling_factor

    def to(self, device: torch.device | str) -> None:
        """Move its weights."""
        self.module.to(device)


def build_autoencoder(config: AutoencoderConfig) -> AutoencoderKL:
    """The module for these sizes, on torch's current default device."""
    blocks = len(config.block_out_channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_num_groups,
        sample_size=1024,
        scaling_factor=config.scaling_factor,
        shift_factor=config.shift_factor,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def decoder_part(part: Part) -> Part:
    """The same part without its encoder."""
    kept = {name: shape for name, shape in part.shapes.items() if not name.startswith("encoder.")}

    def read() -> Iterator[tuple[str, Tensor]]:
        return ((name, tensor) for name, tensor in part.read() if name in kept)

    return replace(part, shapes=kept, read=read)


def to_bytes(pixels: Tensor) -> Tensor:
    """`[B, 3, H, W]` in [−1, 1] → `[B, H, W, 3]` uint8, rounded on the device so that a quarter as much is copied."""
    scaled = (pixels.float() / 2 + 0.5).clamp(0, 1) * 255
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
