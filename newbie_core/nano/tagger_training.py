"""Training of a small tagger in DeepDanbooru's form on drawings: attributes, and the parts of a face one by one.

A single "which expression?" would hide wrong brows behind a right mouth, so every part has tags of its own. Batch
norms steady the training and are folded into the convolutions afterwards, as they are in the public file.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor, nn

from newbie_core.nano.judging import (
    HIDDEN_EYES,
    OF_CHARACTERS,
    SIDE,
    components,
    cut_character,
    spans,
    tag_list,
)
from newbie_core.nano.optimisers import Average, make_optimiser, never
from newbie_core.nano.precision import precision
from newbie_core.nano.progress import Pace, read_checkpoint, write_checkpoint
from newbie_core.nano.scenes import FACE_PARTS, Box, Scene, character_boxes, labels
from newbie_core.taggers.deepdanbooru import Architecture, DeepDanbooru
from newbie_core.taggers.squares import fit_square

CHECKPOINT = "tagger.pt"
ARCHITECTURE = Architecture(stem=16, widths=(64, 128, 256, 512), blocks=(2, 3, 4, 2), tags=len(tag_list()))

CROPS, WHOLE = 40, 12
"""Characters and whole pictures in a batch."""

SMALL, SMALL_UNTIL = 128, 0.5
"""Pixels of the square it looks at for the first share of its steps: coarse things come at half the cost."""

WARM_UP = 40


class _Normed(DeepDanbooru):
    """The network with a batch norm behind every convolution but the head."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        convolutions = [getattr(self, f"n_Conv_{number}") for number in range(architecture.last)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(each.out_channels) for each in convolutions)
        for each in convolutions:
            nn.init.kaiming_normal_(each.weight, nonlinearity="relu")

    def convolve(self, number: int, x: Tensor, stride: int = 1) -> Tensor:
        """Convolution `number`, then its norm."""
        made = super().convolve(number, x, stride)
        return self.norms[number](made) if number < self.architecture.last else made

    @torch.no_grad()
    def folded(self) -> DeepDanbooru:
        """The same function without norms."""
        plain = DeepDanbooru(self.architecture)
        for number in range(self.architecture.last + 1):
            one: nn.Conv2d = getattr(self, f"n_Conv_{number}")
            other: nn.Conv2d = getattr(plain, f"n_Conv_{number}")
            if number == self.architecture.last:
                other.weight.copy_(one.weight)
                continue
            norm: nn.BatchNorm2d = self.norms[number]  # type: ignore[assignment]
            assert norm.running_var is not None and norm.running_mean is not None and other.bias is not None
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            bias = torch.zeros_like(norm.bias) if one.bias is None else one.bias
            other.weight.copy_(one.weight * factor[:, None, None, None])
            other.bias.copy_((bias - norm.running_mean) * factor + norm.bias)
        return plain.eval()


Example = tuple[Scene, Image.Image]


class TaggerTraining:
    """The state of a run, kept in `folder`."""

    def __init__(self, folder: Path, *, seed: int, steps: int, device: str = "cpu") -> None:
        torch.manual_seed(seed)
        self.folder, self.seed, self.steps = folder, seed, steps
        self.device = torch.device(device)
        sizes = ARCHITECTURE
        self.module = _Normed(sizes).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = make_optimiser(
            self.module, lr_matrix=0.03, lr_other=2e-3, others=("n_Conv_0.", f"n_Conv_{sizes.last}.")
        )
        self.average = Average(self.module, 0.99)
        self.step, self._loss = 0, 0.0
        if (folder / CHECKPOINT).exists():
            self._resume()

    def run(
        self,
        examples: Sequence[Example],
        report: Callable[[str], None],
        *,
        until: int = 0,
        stop: Callable[[], bool] = never,
    ) -> None:
        """Train to the end, to step `until`, or until `stop`; a checkpoint every 100 steps."""
        last = min(until or self.steps, self.steps)
        pace = Pace(self.step, every=25, total=self.steps)
        self.module.train()
        while self.step < last:
            self._train(examples)
            if speed := pace.words(self.step):
                report(f"tagger: step {self.step} of {self.steps}, loss {self._loss:.4f}, {speed}")
            if self.step % 100 == 0 or self.step >= last or stop():
                self.save()
                if stop():
                    return

    def finished(self) -> DeepDanbooru:
        """The network with averaged weights, norms folded."""
        made = _Normed(self.module.architecture)
        made.load_state_dict(self.module.state_dict())
        self.average.copy_to(made)
        return made.eval().folded()

    def _train(self, examples: Sequence[Example]) -> None:
        rng = random.Random(f"{self.seed}:tagger:{self.step}")
        side = SMALL if self.step < SMALL_UNTIL * self.steps else SIDE
        pictures, wanted, known = [], [], []
        for index in range(CROPS + WHOLE):
            scene, picture = rng.choice(examples)
            made = (
                character_example(scene, picture, rng, side=side)
                if index < CROPS
                else whole_example(scene, picture, rng, side=side)
            )
            pictures.append(made[0])
            wanted.append(made[1])
            known.append(made[2])
        batch = torch.from_numpy(np.stack(pictures)).float().div_(255)
        target, mask = torch.stack(wanted), torch.stack(known)
        with precision(self.device):
            logits = self.module.logits(batch.to(self.device)).float().cpu()
        loss = F.binary_cross_entropy_with_logits(logits, target, mask, reduction="sum") / mask.sum()
        loss = 4 * loss + _choice_loss(logits[:CROPS], target[:CROPS], mask[:CROPS])
        loss.backward()
        turn = 0.4 * self.steps
        falling = 1.0 if self.step < turn else (self.steps - self.step) / (self.steps - turn)
        self.optimiser.step(min(1.0, (self.step + 1) / WARM_UP) * falling)
        self.step += 1
        self.average.update(self.module, self.step)
        value = loss.item()
        self._loss = value if self.step == 1 else 0.97 * self._loss + 0.03 * value

    def save(self) -> None:
        """Write the checkpoint; the one before stays until the new one is whole."""
        state = {
            "module": self.module.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "loss": self._loss,
        }
        write_checkpoint(self.folder / CHECKPOINT, state)

    def _resume(self) -> None:
        state = read_checkpoint(self.folder / CHECKPOINT, self.device)
        self.module.load_state_dict(state["module"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self._loss = state["step"], state["loss"]


def _choice_loss(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Cross entropy within each component of characters: the mean over components."""
    losses = []
    for name in OF_CHARACTERS:
        span = spans()[name]
        each = F.cross_entropy(logits[:, span], target[:, span].argmax(dim=1), reduction="none")
        shown = mask[:, span.start]
        losses.append((each * shown).sum() / shown.sum().clamp(min=1))
    return torch.stack(losses).mean()


def character_example(
    scene: Scene,
    picture: Image.Image,
    rng: random.Random,
    *,
    index: int | None = None,
    spoil: bool = True,
    side: int = SIDE,
) -> tuple[np.ndarray, Tensor, Tensor]:
    """One character cut out: pixels `[S, S, 3]`, wanted outputs, and which of them are known."""
    count = len(scene.characters)
    index = rng.randrange(count) if index is None else index
    box = character_boxes(scene)[index]
    crop = cut_character(picture, _moved(box, rng) if spoil else box)
    values = {**labels(scene)[index], "background": scene.background}
    wanted, known = _blank()
    for name, value in values.items():
        if name == "eye_colour" and labels(scene)[index]["eyes"] in HIDDEN_EYES:
            continue
        _set(wanted, known, name, [value])
    return (_spoiled(crop, rng, side) if spoil else fit_square(crop, side)), wanted, known


def whole_example(
    scene: Scene, picture: Image.Image, rng: random.Random, *, spoil: bool = True, side: int = SIDE
) -> tuple[np.ndarray, Tensor, Tensor]:
    """A whole picture with the tags of everybody in it."""
    wanted, known = _blank()
    for name in OF_CHARACTERS:
        if name not in FACE_PARTS and name != "eye_colour":
            _set(wanted, known, name, [each.get(name, "") for each in labels(scene)])
    _set(wanted, known, "background", [scene.background])
    _set(wanted, known, "count", [str(len(scene.characters))])
    return (_spoiled(picture, rng, side) if spoil else fit_square(picture, side)), wanted, known


def _moved(box: Box, rng: random.Random) -> Box:
    """The box, moved and scaled a little: generated characters stand a few pixels beside their place."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    dx, dy = rng.uniform(-0.05, 0.05) * wide, rng.uniform(-0.04, 0.04) * high
    grow = rng.uniform(-0.08, 0.08) / 2
    return (
        left + dx - grow * wide,
        top + dy - grow * high,
        right + dx + grow * wide,
        bottom + dy + grow * high,
    )


def _spoiled(picture: Image.Image, rng: random.Random, side: int) -> np.ndarray:
    """As a generated picture may look: a little blurred, noisy, off in colour."""
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.0)))
    pixels = fit_square(picture, side).astype(np.float32)
    noise = np.random.default_rng(rng.getrandbits(32))
    if rng.random() < 0.6:
        coarse = noise.standard_normal((side // 4, side // 4, 3), np.float32) * rng.uniform(1, 9)
        pixels += coarse.repeat(4, axis=0).repeat(4, axis=1)
        pixels += noise.standard_normal(pixels.shape, np.float32) * rng.uniform(1, 7)
    pixels = pixels * rng.uniform(0.95, 1.05) + np.array([rng.uniform(-6, 6) for _ in range(3)], np.float32)
    return pixels.clip(0, 255).astype(np.uint8)


def _blank() -> tuple[Tensor, Tensor]:
    size = len(tag_list())
    return torch.zeros(size), torch.zeros(size)


_COMPONENTS, _SPANS = components(), spans()


def _set(wanted: Tensor, known: Tensor, name: str, values: Sequence[str]) -> None:
    """Note what a component shows; nothing is known of it where a value has no tag."""
    if any(value not in _COMPONENTS[name] for value in values):
        return
    known[_SPANS[name]] = 1
    order = list(_COMPONENTS[name])
    for value in values:
        wanted[_SPANS[name].start + order.index(value)] = 1
