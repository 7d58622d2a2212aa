"""Training of the transformer and both text encoders by flow matching; stopped at any step, it goes on the same.

x_t = (1 - t)·noise + t·data; the network learns data - noise. Source: Lipman et al., arXiv 2210.02747.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from newbie_core.nano.batches import BATCH, Batch, Writer, pool_batches
from newbie_core.nano.dataset import Sample
from newbie_core.nano.network import Network, compile_blocks
from newbie_core.nano.optimisers import Average, Optimisers, make_optimiser, never
from newbie_core.nano.progress import Pace, read_checkpoint, write_checkpoint
from newbie_core.nano.tokenizer import Vocabulary

ADAM = ("embed", "final_layer", "clip_text_pooled", "time_text")
"""Weights that AdamW takes, by parts of their names; Muon takes the other matrices."""

MIDDLE = -0.3
EARLY, EARLY_END = 0.3, 0.2
"""Times of training: logit-normal about the middle, as in Esser et al., arXiv 2403.03206, and a share of early ones.

What a large area looks like, such as the colour of hair, is decided while there is almost only noise; later it can be
seen in the picture, and the prompt is not needed. Logit-normal times alone are below 0.1 once in thirty times: a whole
training with them, in which eyes weighed six times, learnt the colour of eyes and not that of hair.
"""

WARM_UP = 60
CHECKPOINT = "transformer.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast, in two legs.

    Attributes are learnt one after the other, what weighs most first, and what has not come when the rate falls never
    comes. So the first leg learns everything but the eyes, which are smaller than a cell; the second begins with its
    averaged weights, and errors about the eyes weigh many times more in it.

    Attributes:
        steps: of the first leg.
        eye_steps: of the second leg; none where nobody knows where the eyes are.
        whole: share of the first leg with whole prompts only: what words mean is learnt about twice as fast from
            prompts that leave nothing out.
        flat: share of a leg after which its rate begins to fall.
        lr_matrix, lr_other: rates of Muon and AdamW.
        eye_rate: what the second leg's rates are multiplied with.
        decay: of the weights' average.
    """

    steps: int
    eye_steps: int = 0
    batch: int = BATCH
    whole: float = 0.35
    flat: float = 0.45
    lr_matrix: float = 0.02
    lr_other: float = 2e-3
    eye_rate: float = 0.6
    decay: float = 0.998

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.steps + self.eye_steps

    def factor(self, step: int) -> float:
        """What both rates are multiplied with at a step."""
        second = step >= self.steps
        place, length = (step - self.steps, self.eye_steps) if second else (step, self.steps)
        peak = self.eye_rate if second else 1.0
        if place < WARM_UP:
            return peak * (place + 1) / WARM_UP
        turn = self.flat * length
        return peak if place < turn else peak * max(0.0, (length - place) / (length - turn))


class TransformerTraining:
    """The state of a run, kept in `folder`."""

    def __init__(
        self,
        folder: Path,
        words: Vocabulary,
        schedule: Schedule,
        *,
        seed: int,
        device: str = "cpu",
        compiled: bool = True,
    ) -> None:
        torch.manual_seed(seed)
        self.folder, self.schedule, self.seed = folder, schedule, seed
        self.device = torch.device(device)
        self.network = Network(words).to(self.device)
        self.writer = Writer(words)
        self.optimiser = self._new_optimiser()
        self.average = Average(self.network, schedule.decay)
        self.step = 0
        self._pool, self._place, self._begun = 0, 0, 0
        self._loss, self._seconds = 0.0, 0.0
        if (folder / CHECKPOINT).exists():
            self._resume()
        if compiled and can_compile():
            compile_blocks(self.network)

    def run(
        self,
        samples: Sequence[Sample],
        report: Callable[[str], None],
        *,
        until: int = 0,
        stop: Callable[[], bool] = never,
    ) -> None:
        """Train to the schedule's end, to step `until`, or until `stop`; a checkpoint every 200 steps and at the end."""
        total = self.schedule.total
        last = min(until or total, total)
        pace = Pace(self.step, every=50, total=total)
        while self.step < last:
            for number, batch in enumerate(self._batches(samples)):
                if number < self._place:
                    continue
                self._place = number + 1
                self._train(batch)
                if speed := pace.words(self.step):
                    report(f"step {self.step} of {total}, loss {self._loss:.4f}, {speed}")
                turned = self.step == self.schedule.steps < total
                if turned:
                    self._turn()
                if self.step % 200 == 0 or self.step >= last or stop():
                    self.save()
                    if stop():
                        return
                if self.step >= last:
                    return
                if turned:
                    break
            else:
                self._next_pool()

    def _turn(self) -> None:
        """Begin the second leg: averaged weights, a new optimiser, a new pool."""
        self.average.copy_to(self.network)
        self.optimiser = self._new_optimiser()
        self._next_pool()

    def _next_pool(self) -> None:
        self._pool, self._place, self._begun = self._pool + 1, 0, self.step

    def _new_optimiser(self) -> Optimisers:
        return make_optimiser(
            self.network, lr_matrix=self.schedule.lr_matrix, lr_other=self.schedule.lr_other, others=ADAM
        )

    def _batches(self, samples: Sequence[Sample]) -> Iterator[Batch]:
        return pool_batches(
            samples,
            self.writer,
            seed=self.seed,
            pool=self._pool,
            batch=self.schedule.batch,
            whole=self._begun < self.schedule.whole * self.schedule.steps,
            eyes=self._begun >= self.schedule.steps,
        )

    def _train(self, batch: Batch) -> None:
        torch.manual_seed(
            (self.seed + 7) * 1_000_003 + self.step
        )  # for dropout, which a checkpoint does not keep
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        data = batch.latents
        noise = torch.randn(data.shape, generator=generator)
        t = draw_times(len(data), generator)
        mixed = torch.lerp(noise, data, t[:, None, None, None])
        with precision(self.device):
            found = self.network(
                mixed.to(self.device),
                t.to(self.device),
                batch.gemma_ids.to(self.device),
                batch.jina_ids.to(self.device),
            )
        errors = (found.float() - (data - noise).to(self.device)).square()
        weights = batch.importance.to(self.device)
        loss = (errors * weights).mean() / weights.mean()
        loss.backward()
        self.optimiser.step(self.schedule.factor(self.step))
        self.step += 1
        self.average.update(self.network, self.step)
        value = loss.item()
        self._loss = value if self._loss == 0 else 0.97 * self._loss + 0.03 * value

    def save(self) -> None:
        """Write the checkpoint; the one before stays until the new one is whole."""
        write_checkpoint(
            self.folder / CHECKPOINT,
            {
                "network": self.network.state_dict(),
                "average": self.average.values,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "pool": self._pool,
                "place": self._place,
                "begun": self._begun,
                "loss": self._loss,
            },
        )

    def _resume(self) -> None:
        state = read_checkpoint(self.folder / CHECKPOINT, self.device)
        self.network.load_state_dict(state["network"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self._pool, self._place = state["step"], state["pool"], state["place"]
        self._begun = state["begun"]
        self._loss = state["loss"]


def draw_times(count: int, generator: torch.Generator) -> Tensor:
    """Times `[count]` from 0 (noise) to 1 (data) for one step."""
    middle = torch.sigmoid(torch.randn(count, generator=generator) + MIDDLE)
    early = torch.rand(count, generator=generator) * EARLY_END
    return torch.where(torch.rand(count, generator=generator) < EARLY, early, middle)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """bf16 where matrices are multiplied, float32 elsewhere; float32 throughout on CPUs that only imitate bf16."""
    slow = device.type == "cpu" and platform.machine() in ("x86_64", "AMD64") and not _multiplies_bf16()
    return torch.autocast(device.type, torch.bfloat16, enabled=not slow)


def _multiplies_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def can_compile() -> bool:
    """Whether torch.compile has what it needs: a C++ compiler for CPUs."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None
