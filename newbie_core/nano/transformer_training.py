"""Training of the transformer and both text encoders by flow matching; stopped at any step, it goes on the same.

x_t = (1 - t)·noise + t·data; the network learns data - noise. Source: Lipman et al., arXiv 2210.02747.
"""

from __future__ import annotations

import os
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
from newbie_core.nano.optimisers import Average, make_optimiser, never
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
    """How long and how fast.

    Attributes:
        steps: in all.
        flat: share of the steps after which the rate begins to fall.
        lr_matrix, lr_other: rates of Muon and AdamW.
        decay: of the weights' average.
    """

    steps: int
    batch: int = BATCH
    flat: float = 0.45
    lr_matrix: float = 0.02
    lr_other: float = 2e-3
    decay: float = 0.998

    def factor(self, step: int) -> float:
        """What both rates are multiplied with at a step."""
        if step < WARM_UP:
            return (step + 1) / WARM_UP
        turn = self.flat * self.steps
        return 1.0 if step < turn else max(0.0, (self.steps - step) / (self.steps - turn))


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
        self.optimiser = make_optimiser(
            self.network, lr_matrix=schedule.lr_matrix, lr_other=schedule.lr_other, others=ADAM
        )
        self.average = Average(self.network, schedule.decay)
        self.step = 0
        self._pool, self._place = 0, 0
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
        last = min(until or self.schedule.steps, self.schedule.steps)
        pace = Pace(self.step, every=50, total=self.schedule.steps)
        while self.step < last:
            for number, batch in enumerate(self._batches(samples)):
                if number < self._place:
                    continue
                self._place = number + 1
                self._train(batch)
                if speed := pace.words(self.step):
                    report(f"step {self.step} of {self.schedule.steps}, loss {self._loss:.4f}, {speed}")
                if self.step % 200 == 0 or self.step >= last or stop():
                    self.save()
                    if stop():
                        return
                if self.step >= last:
                    return
            self._pool, self._place = self._pool + 1, 0

    def _batches(self, samples: Sequence[Sample]) -> Iterator[Batch]:
        return pool_batches(samples, self.writer, seed=self.seed, pool=self._pool, batch=self.schedule.batch)

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
                "loss": self._loss,
            },
        )

    def _resume(self) -> None:
        state = read_checkpoint(self.folder / CHECKPOINT, self.device)
        self.network.load_state_dict(state["network"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self._pool, self._place = state["step"], state["pool"], state["place"]
        self._loss = state["loss"]


def draw_times(count: int, generator: torch.Generator) -> Tensor:
    """Times `[count]` from 0 (noise) to 1 (data) for one step."""
    middle = torch.sigmoid(torch.randn(count, generator=generator) + MIDDLE)
    early = torch.rand(count, generator=generator) * EARLY_END
    return torch.where(torch.rand(count, generator=generator) < EARLY, early, middle)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """bf16 where matrices are multiplied, float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16)


def can_compile() -> bool:
    """Whether torch.compile has what it needs: a C++ compiler for CPUs."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None
