"""The decoder's last lesson: latents as the transformer makes them, beside the pictures that they should be.

A decoder that has only seen true latents shows the transformer's small errors as they are: most of all borders between
its cells. So drawn scenes are noised a little and made clean again by the transformer, with guidance as in use, and
the decoder learns to paint the drawing from what comes out.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from newbie_core.nano.autoencoder_training import ADAM, WARM_UP, picture_loss
from newbie_core.nano.batches import Writer
from newbie_core.nano.captions import Wording, prompt_for, training_prompt
from newbie_core.nano.dataset import encode_picture
from newbie_core.nano.judging import CELL
from newbie_core.nano.latents import BLOCK, LatentBasis
from newbie_core.nano.network import Network
from newbie_core.nano.optimisers import Average, Optimisers, make_optimiser, never
from newbie_core.nano.progress import Pace, read_checkpoint, write_checkpoint
from newbie_core.nano.scenes import Scene, draw_scene, importance, random_scene

CHECKPOINT = "polish.pt"
STEPS = 16
FROM = (9, 11, 12, 13, 14, 15)
"""Steps of so many from which the transformer goes on; earlier, it would paint another picture."""

VARIANTS = 3
"""Of a scene, from as many steps."""

GUIDANCE = 3.0
WHOLE = 0.6
"""Share of prompts that leave nothing out."""

SHARD = 32
"""Scenes in a file."""

GROUP = 8
CROPS = ((64, 12), (96, 6), (128, 3))
"""Sides of crops in pixels, and how many make a batch; in turn."""

BORDERS = 0.3
"""What differences across borders of cells count besides."""

LARGEST_WEIGHT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """A drawing `[3, H, W]` uint8, latents of it as the transformer made them `[16, H/8, W/8]` float16, and what an error
    counts in each block `[H/8, W/8]` float16."""

    picture: Tensor
    latents: Tensor
    weights: Tensor


def make_lessons(
    folder: Path,
    network: Network,
    writer: Writer,
    basis: LatentBasis,
    *,
    seed: int,
    scenes: int,
    report: Callable[[str], None],
    stop: Callable[[], bool] = never,
) -> bool:
    """Make what is missing of the lessons of so many scenes; whether all are there.

    Stopped, it goes on with the next file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.eval()
    wanted = [start for start in range(0, scenes, SHARD) if not _file(folder, start).exists()]
    began = time.monotonic()
    for done, start in enumerate(wanted, start=1):
        if stop():
            return False
        tensors: dict[str, Tensor] = {}
        numbers = range(start, min(start + SHARD, scenes))
        for lesson in _lessons(network, writer, basis, seed, numbers):
            key = len(tensors) // 3
            tensors |= {f"{key}.{name}": getattr(lesson, name) for name in ("picture", "latents", "weights")}
        partial = _file(folder, start).with_suffix(f".{os.getpid()}.part")
        save_file(tensors, partial)
        partial.replace(_file(folder, start))
        left = (time.monotonic() - began) / done * (len(wanted) - done) / 60
        report(f"lessons: {numbers.stop} of {scenes} scenes, {left:.0f} min left")
    return True


def load_lessons(folder: Path) -> list[Lesson]:
    """All that `make_lessons` wrote."""
    found = []
    for file in sorted(folder.glob("lessons-*.safetensors")):
        tensors = load_file(file)
        found += [
            Lesson(**{name: tensors[f"{key}.{name}"] for name in ("picture", "latents", "weights")})
            for key in range(len(tensors) // 3)
        ]
    return found


def _file(folder: Path, start: int) -> Path:
    return folder / f"lessons-{start // SHARD:04}.safetensors"


@torch.no_grad()
def _lessons(
    network: Network, writer: Writer, basis: LatentBasis, seed: int, numbers: range
) -> Iterator[Lesson]:
    sizes: dict[tuple[int, int], list[tuple[Scene, str]]] = {}
    for number in numbers:
        rng = random.Random(f"{seed}:polish:{number}")
        scene = random_scene(rng)
        whole = rng.random() < WHOLE
        prompt = prompt_for(scene, Wording(), rng) if whole else training_prompt(scene, rng)
        sizes.setdefault((scene.height, scene.width), []).append((scene, prompt))
    rng = random.Random(f"{seed}:polish:{numbers.start}:times")
    for members in sizes.values():
        for start in range(0, len(members), GROUP):
            part = members[start : start + GROUP]
            drawn = [draw_scene(scene) for scene, _ in part]
            true = torch.stack([encode_picture(picture, basis).float() for picture in drawn])
            asked, nothing = _ids([prompt for _, prompt in part], writer, rng), _ids([""] * len(part), writer)
            for first in rng.sample(FROM, VARIANTS):
                noise = torch.randn(
                    true.shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32))
                )
                made = _finish(network, torch.lerp(noise, true, first / STEPS), first, asked, nothing)
                for (scene, _), picture, latents in zip(part, drawn, made, strict=True):
                    yield Lesson(
                        picture=torch.from_numpy(np.array(picture.convert("RGB")))
                        .permute(2, 0, 1)
                        .contiguous(),
                        latents=latents.half(),
                        weights=torch.from_numpy(importance(scene, BLOCK)).half(),
                    )


def _finish(
    network: Network,
    latents: Tensor,
    first: int,
    asked: tuple[Tensor, Tensor],
    nothing: tuple[Tensor, Tensor],
) -> Tensor:
    """Latents `[B, 16, h, w]` of step `first` at the last one, by Euler's method with guidance."""
    device = next(network.parameters()).device
    latents = latents.to(device)
    (gemma, jina), (no_gemma, no_jina) = ([each.to(device) for each in ids] for ids in (asked, nothing))
    for step in range(first, STEPS):
        t = torch.full((len(latents),), step / STEPS, device=device)
        told = network(latents, t, gemma, jina).float()
        untold = network(latents, t, no_gemma, no_jina).float()
        latents = latents + (untold + GUIDANCE * (told - untold)) / STEPS
    return latents.cpu()


def _ids(prompts: Sequence[str], writer: Writer, rng: random.Random | None = None) -> tuple[Tensor, Tensor]:
    """Gemma's and Jina's ids of prompts, made equally long by words that change nothing."""
    rows = [writer.rows(prompt) for prompt in prompts]
    gemma = [[2, *writer.system(prompt), *own] for prompt, own in zip(prompts, rows, strict=True)]
    jina = [[0, *own] for own in rows]
    for texts in (gemma, jina):
        longest = max(map(len, texts))
        for text in texts:
            text += [rng.choice(writer.neutral) for _ in range(longest - len(text))] if rng else []
    return torch.tensor(gemma), torch.tensor([[*text, 2] for text in jina])


class Polishing:
    """The state of the decoder's last lesson, kept in `folder`."""

    def __init__(
        self, folder: Path, module: AutoencoderKL, *, seed: int, steps: int, device: str = "cpu"
    ) -> None:
        """Go on from `module`'s weights, or from the checkpoint in `folder`."""
        self.folder, self.seed, self.steps, self.step = folder, seed, steps, 0
        self.device = torch.device(device)
        self.module = module.to(self.device, memory_format=torch.channels_last)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name.startswith("decoder") and "attentions" not in name)
        self.average = Average(module, 0.998)
        self._optimiser: Optimisers = make_optimiser(module, lr_matrix=0.004, lr_other=6e-4, others=ADAM)
        self._loss = 0.0
        if (folder / CHECKPOINT).exists():
            state = read_checkpoint(folder / CHECKPOINT, self.device)
            self.module.load_state_dict(state["module"])
            self.average.load(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step, self._loss = state["step"], state["loss"]

    def run(
        self,
        lessons: Sequence[Lesson],
        report: Callable[[str], None],
        *,
        until: int = 0,
        stop: Callable[[], bool] = never,
    ) -> None:
        """Train to the end, to step `until`, or until `stop`; a checkpoint every 200 steps."""
        last = min(until or self.steps, self.steps)
        pace = Pace(self.step, every=50, total=self.steps)
        while self.step < last:
            loss = self._train(lessons)
            self._loss = loss if self.step == 1 else 0.97 * self._loss + 0.03 * loss
            if speed := pace.words(self.step):
                report(f"polish: step {self.step} of {self.steps}, loss {self._loss:.4f}, {speed}")
            if self.step % 200 == 0 or self.step >= last or stop():
                self.save()
                if stop():
                    return

    def finished(self) -> AutoencoderKL:
        """The module with its averaged weights."""
        self.average.copy_to(self.module)
        return self.module.eval()

    def _train(self, lessons: Sequence[Lesson]) -> float:
        latents, target, weights = self._crops(lessons, random.Random(f"{self.seed}:polish:step:{self.step}"))
        given = latents.to(self.device, memory_format=torch.channels_last)
        made = self.module.decode(given, return_dict=False)[0]
        loss = polish_loss(made, target.to(self.device), weights.to(self.device))
        loss.backward()
        progress = self.step / self.steps
        self._optimiser.step(min(1.0, (self.step + 1) / WARM_UP) * min(1.0, (1 - progress) / 0.6))
        self.step += 1
        self.average.update(self.module, self.step)
        return loss.item()

    def _crops(self, lessons: Sequence[Lesson], rng: random.Random) -> tuple[Tensor, Tensor, Tensor]:
        """Latents `[B, 16, s, s]`, pixels `[B, 3, 8s, 8s]` in [-1, 1], weights `[B, 1, 8s, 8s]`; cut at borders of cells."""
        side, count = CROPS[self.step % len(CROPS)]
        blocks, even = side // BLOCK, CELL // BLOCK
        latents, pixels, weights = [], [], []
        for _ in range(count):
            lesson = rng.choice(lessons)
            rows, columns = lesson.latents.shape[1:]
            top, left = (rng.randrange(0, size - blocks + 1, even) for size in (rows, columns))
            place = (slice(top, top + blocks), slice(left, left + blocks))
            latents.append(lesson.latents[:, *place].float())
            weights.append(lesson.weights[place].float().clamp(max=LARGEST_WEIGHT))
            below, right = (slice(each.start * BLOCK, each.stop * BLOCK) for each in place)
            pixels.append(lesson.picture[:, below, right].float() / 127.5 - 1)
        weight = torch.stack(weights)[:, None]
        return (
            torch.stack(latents),
            torch.stack(pixels),
            weight.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3),
        )

    def save(self) -> None:
        """Write the checkpoint; the one before stays until the new one is whole."""
        state = {
            "module": self.module.state_dict(),
            "average": self.average.values,
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
            "loss": self._loss,
        }
        write_checkpoint(self.folder / CHECKPOINT, state)


def polish_loss(made: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """`picture_loss`, errors weighted `[B, 1, H, W]` besides, and differences across the borders of cells once more."""
    error = made - target
    weighted = (error.abs() * weights).mean() / weights.mean()
    borders = sum(_borders(error, dim) for dim in (-2, -1))
    return picture_loss(made, target) + 0.5 * weighted + BORDERS * borders


def _borders(error: Tensor, dim: int) -> Tensor:
    steps = error.diff(dim=dim).abs()
    at = torch.arange(CELL - 1, steps.shape[dim], CELL, device=error.device)
    return steps.index_select(dim, at).mean()
