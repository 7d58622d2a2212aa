"""Training of the transformer and both text encoders by flow matching; stopped at any step, it goes on the same.

x_t = (1 - t)·noise + t·data; the network learns data - noise. Source: Lipman et al., arXiv 2210.02747.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from newbie_core.nano.attributes import AttributeHeads
from newbie_core.nano.batches import BATCH, Batch, Writer, pool_batches
from newbie_core.nano.dataset import Sample
from newbie_core.nano.network import TRANSFORMER, Network, compile_blocks
from newbie_core.nano.optimisers import Average, make_optimiser, never
from newbie_core.nano.precision import precision
from newbie_core.nano.progress import Pace, read_checkpoint, write_checkpoint
from newbie_core.nano.tokenizer import Vocabulary

ADAM = ("embed", "final_layer", "clip_text_pooled", "time_text", "heads")
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
        whole: share of the steps, the first ones, with whole prompts only: what words mean is learnt about twice as fast
            from prompts that leave nothing out.
        flat: share of the steps after which the rates begin to fall, to nothing at the end.
        lr_matrix, lr_other: rates of Muon and AdamW.
        decay: of the weights' average.
        heads: what the error of the attribute heads counts beside that of the velocity; it fades as the rates fall.
    """

    steps: int
    batch: int = BATCH
    whole: float = 0.35
    flat: float = 0.45
    lr_matrix: float = 0.03
    lr_other: float = 2e-3
    decay: float = 0.998
    heads: float = 0.25

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
        self.heads = AttributeHeads(TRANSFORMER.dim).to(self.device)
        layers = self.network.transformer.layers
        layers[len(layers) // 2 - 1].register_forward_hook(self._keep_features)
        self._features: Tensor | None = None
        self.writer = Writer(words)
        self.optimiser = make_optimiser(
            nn.ModuleList([self.network, self.heads]),
            lr_matrix=schedule.lr_matrix,
            lr_other=schedule.lr_other,
            others=ADAM,
        )
        self.average = Average(self.network, schedule.decay)
        self.step = 0
        self._pool, self._place, self._begun = 0, 0, 0
        self._loss, self._read = 0.0, 0.0
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
        total = self.schedule.steps
        last = min(until or total, total)
        pace = Pace(self.step, every=50, total=total)
        while self.step < last:
            for number, batch in enumerate(self._batches(samples)):
                if number < self._place:
                    continue
                self._place = number + 1
                self._train(batch)
                if speed := pace.words(self.step):
                    report(
                        f"step {self.step} of {total}, loss {self._loss:.4f}, "
                        f"prompts read {100 * self._read:.0f} %, {speed}"
                    )
                if self.step % 200 == 0 or self.step >= last or stop():
                    self.save()
                    if stop():
                        return
                if self.step >= last:
                    return
            self._next_pool()

    def _next_pool(self) -> None:
        self._pool, self._place, self._begun = self._pool + 1, 0, self.step

    def _batches(self, samples: Sequence[Sample]) -> Iterator[Batch]:
        return pool_batches(
            samples,
            self.writer,
            seed=self.seed,
            pool=self._pool,
            batch=self.schedule.batch,
            whole=self._begun < self.schedule.whole * self.schedule.steps,
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
        value = loss.item()
        if batch.labels is not None and self._features is not None:
            cells = batch.labels.shape[-1]
            features = self._features.unflatten(0, (len(data), -1))[:, -cells:]
            error, right = self.heads(features, batch.labels.to(self.device), t.to(self.device))
            loss = loss + self.schedule.heads * self.schedule.factor(self.step) * error
            if right is not None:
                self._read = right if self._read == 0 else 0.97 * self._read + 0.03 * right
        self._features = None
        loss.backward()
        self.optimiser.step(self.schedule.factor(self.step))
        self.step += 1
        self.average.update(self.network, self.step)
        self._loss = value if self._loss == 0 else 0.97 * self._loss + 0.03 * value

    def _keep_features(self, module: nn.Module, given: object, made: Tensor) -> None:
        """A hook: what the layer halfway makes of texts and pictures, `[tokens of the batch, width]`."""
        self._features = made if torch.is_grad_enabled() else None

    def save(self) -> None:
        """Write the checkpoint; the one before stays until the new one is whole."""
        write_checkpoint(
            self.folder / CHECKPOINT,
            {
                "network": self.network.state_dict(),
                "heads": self.heads.state_dict(),
                "average": self.average.values,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "pool": self._pool,
                "place": self._place,
                "begun": self._begun,
                "loss": self._loss,
                "read": self._read,
            },
        )

    def _resume(self) -> None:
        state = read_checkpoint(self.folder / CHECKPOINT, self.device)
        self.network.load_state_dict(state["network"])
        self.heads.load_state_dict(state["heads"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self._pool, self._place = state["step"], state["pool"], state["place"]
        self._begun = state["begun"]
        self._loss, self._read = state["loss"], state["read"]


def draw_times(count: int, generator: torch.Generator) -> Tensor:
    """Times `[count]` from 0 (noise) to 1 (data) for one step, in any order.

    One from each of `count` equally likely stretches, so that no step is about one time only. Source: the low-discrepancy
    sampler of Kingma et al., "Variational Diffusion Models", arXiv 2107.00630, appendix I.
    """
    shares = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    early = shares / EARLY * EARLY_END
    middle = torch.sigmoid(torch.special.ndtri((shares - EARLY).clamp(min=0) / (1 - EARLY)) + MIDDLE)
    return torch.where(shares < EARLY, early, middle)


def can_compile() -> bool:
    """Whether torch.compile has what it needs: a C++ compiler for CPUs."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None
