"""Training of the autoencoder: a decoder for the fixed latents first, then an encoder that gives them.

The middle's attention is kept at nothing (its last weights stay zero), so that a crop decodes as in the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from newbie_core.model.autoencoder import build_autoencoder
from newbie_core.nano.latents import LatentBasis
from newbie_core.nano.network import AUTOENCODER
from newbie_core.nano.optimisers import Average, Optimisers, make_optimiser, never
from newbie_core.nano.precision import precision
from newbie_core.nano.progress import Pace, read_checkpoint, write_checkpoint

CHECKPOINT = "autoencoder.pt"
NOISE = 0.12
"""Latents are disturbed by up to this deviation, for the transformer's small errors."""

CROPS = ((64, 16), (64, 16), (96, 8), (128, 4), (144, 3))
"""Sides of crops in pixels, and how many make a batch."""

WARM_UP = 40
ADAM = ("conv_in", "conv_out")


class AutoencoderTraining:
    """The state of a run, kept in `folder`: `decoder_steps`, then `encoder_steps`."""

    def __init__(
        self,
        folder: Path,
        basis: LatentBasis,
        *,
        seed: int,
        decoder_steps: int,
        encoder_steps: int,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        self.folder, self.seed = folder, seed
        self.device = torch.device(device)
        self.basis = basis
        self.decoder_steps, self.encoder_steps = decoder_steps, encoder_steps
        self.module = build_autoencoder(AUTOENCODER)
        _without_attention(self.module)
        self.module.to(self.device, memory_format=torch.channels_last)
        self.step = 0
        self._loss = 0.0
        self._optimiser: Optimisers | None = None
        self.average = Average(self.module, 0.998)
        if (folder / CHECKPOINT).exists():
            self._resume()

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.decoder_steps + self.encoder_steps

    def run(
        self,
        pictures: Sequence[Tensor],
        report: Callable[[str], None],
        *,
        until: int = 0,
        stop: Callable[[], bool] = never,
    ) -> None:
        """Train on pictures `[3, H, W]` uint8 to the end, to step `until`, or until `stop`; a checkpoint every 200 steps."""
        last = min(until or self.steps, self.steps)
        pace = Pace(self.step, every=50, total=self.steps)
        while self.step < last:
            if self.step == self.decoder_steps:
                self._optimiser = None
            decoding = self.step < self.decoder_steps
            if self._optimiser is None:
                self._optimiser = self._optimiser_for("decoder" if decoding else "encoder")
            loss = self._decoder_step(pictures) if decoding else self._encoder_step(pictures)
            self._loss = loss if self.step in (1, self.decoder_steps + 1) else 0.97 * self._loss + 0.03 * loss
            if speed := pace.words(self.step):
                what = "decoder" if decoding else "encoder"
                report(f"{what}: step {self.step} of {self.steps}, loss {self._loss:.4f}, {speed}")
            if self.step % 200 == 0 or self.step >= last or stop():
                self.save()
                if stop():
                    return

    def finished(self) -> AutoencoderKL:
        """The module with its averaged weights, in float32 on the CPU."""
        module = build_autoencoder(AUTOENCODER)
        module.load_state_dict(self.module.state_dict())
        self.average.copy_to(module)
        return module.eval()

    def _decoder_step(self, pictures: Sequence[Tensor]) -> float:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        target = self._crops(pictures, generator)
        with torch.no_grad():
            latents = self.basis.encode(target)
            deviation = NOISE * torch.rand(len(latents), 1, 1, 1, generator=generator)
            latents = latents + deviation * torch.randn(latents.shape, generator=generator)
        with precision(self.device):
            given = latents.to(self.device, memory_format=torch.channels_last)
            made = self.module.decode(given, return_dict=False)[0]
        loss = picture_loss(made.float(), target.to(self.device))
        self._update("decoder", loss, self.step / self.decoder_steps)
        return loss.item()

    def _encoder_step(self, pictures: Sequence[Tensor]) -> float:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        given = self._crops(pictures, generator)
        wanted = self.basis.encode(given).to(self.device)
        with precision(self.device):
            crops = given.to(self.device, memory_format=torch.channels_last)
            moments = self.module.encode(crops, return_dict=False)[0]
        mean, spread = moments.parameters.float().chunk(2, dim=1)
        # The distribution is narrow: samples hardly differ from the mean.
        loss = F.mse_loss(mean, wanted) + 1e-4 * (spread + 10).square().mean()
        self._update("encoder", loss, (self.step - self.decoder_steps) / self.encoder_steps)
        return loss.item()

    def _update(self, part: str, loss: Tensor, progress: float) -> None:
        assert self._optimiser is not None, "run makes it"
        loss.backward()
        begun = self.step - (0 if part == "decoder" else self.decoder_steps)
        factor = min(1.0, (begun + 1) / WARM_UP) * min(1.0, (1 - progress) / 0.6)
        self._optimiser.step(factor)
        self.step += 1
        self.average.update(self.module, begun + 1)

    def _optimiser_for(self, part: str) -> Optimisers:
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name.startswith(part) and "attentions" not in name)
        self.average.follow(self.module)
        return make_optimiser(self.module, lr_matrix=0.01, lr_other=1.5e-3, others=ADAM)

    def _crops(self, pictures: Sequence[Tensor], generator: torch.Generator) -> Tensor:
        """`[B, 3, S, S]` in [-1, 1]."""
        side, count = CROPS[int(torch.randint(len(CROPS), (1,), generator=generator))]
        cut = []
        for _ in range(count):
            picture = pictures[int(torch.randint(len(pictures), (1,), generator=generator))]
            _, height, width = picture.shape
            top = int(torch.randint(height - side + 1, (1,), generator=generator))
            left = int(torch.randint(width - side + 1, (1,), generator=generator))
            cut.append(picture[:, top : top + side, left : left + side])
        return torch.stack(cut).float() / 127.5 - 1

    def save(self) -> None:
        """Write the checkpoint; the one before stays until the new one is whole."""
        state = {
            "module": self.module.state_dict(),
            "average": self.average.values,
            "optimiser": self._optimiser.state_dict() if self._optimiser else None,
            "step": self.step,
            "loss": self._loss,
        }
        write_checkpoint(self.folder / CHECKPOINT, state)

    def _resume(self) -> None:
        state = read_checkpoint(self.folder / CHECKPOINT, self.device)
        self.module.load_state_dict(state["module"])
        self.step, self._loss = state["step"], state["loss"]
        if 0 < self.step < self.steps and self.step != self.decoder_steps and state["optimiser"]:
            self._optimiser = self._optimiser_for("decoder" if self.step < self.decoder_steps else "encoder")
            self._optimiser.load_state_dict(state["optimiser"])
        self.average.load(state["average"])


def picture_loss(made: Tensor, target: Tensor) -> Tensor:
    """L1, squares, and differences between neighbours, which keep lines clean."""
    error = made - target
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + 0.5 * error.square().mean() + 0.5 * edges


@torch.no_grad()
def _without_attention(module: AutoencoderKL) -> None:
    for name, parameter in module.named_parameters():
        if "attentions" in name and "to_out" in name:
            parameter.zero_()
