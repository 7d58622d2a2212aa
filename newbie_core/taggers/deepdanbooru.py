"""DeepDanbooru's network in its public file form: convolutions numbered in a row, and the tags inside the file.

Source: AUTOMATIC1111/TorchDeepDanbooru, `model-resnet_custom_v3.pt` (357 tensors, 9176 tags, 512x512 pixels). Sizes
are read off the tensors, so that small files of the same form load alike::

    stem 7x7/2 ── max-pool 3x3/2 ── stages of bottleneck blocks ── head 1x1 ── mean over positions ── sigmoid
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from newbie_core.errors import ModelError, first_line
from newbie_core.taggers.squares import fit_square

SIDE = 512
"""Pixels of the square that the public network takes."""

FILE_LIMIT = 2_000_000_000
_KEY = "n_Conv_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Sizes of the network; the defaults are `resnet_custom_v3`'s.

    Attributes:
        stem: channels of the first convolution.
        widths: channels that each stage gives; inside its blocks are a quarter of them.
        blocks: blocks a stage has; the first of them projects.
        tags: outputs.
    """

    stem: int = 64
    widths: tuple[int, ...] = (256, 512, 1024, 1024, 2048, 4096)
    blocks: tuple[int, ...] = (3, 8, 20, 20, 3, 3)
    tags: int = 9176

    @property
    def last(self) -> int:
        """Number of the head's convolution."""
        return sum(3 * count + 1 for count in self.blocks) + 1

    def projects_last(self, stage: int) -> bool:
        """Whether a stage's projection is numbered behind its block: where it changes no width."""
        return stage > 0 and self.widths[stage] == self.widths[stage - 1]


class DeepDanbooru(nn.Module):
    """Pictures `[B, H, W, 3]` in [0, 1] → probabilities `[B, tags]`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self._add(0, 3, architecture.stem, 7)
        number, before = 1, architecture.stem
        for stage, (width, count) in enumerate(zip(architecture.widths, architecture.blocks, strict=True)):
            middle = width // 4
            branch = ((before, middle, 1), (middle, middle, 3), (middle, width, 1))
            projection = ((before, width, 1),)
            first = branch + projection if architecture.projects_last(stage) else projection + branch
            rest = ((width, middle, 1), (middle, middle, 3), (middle, width, 1)) * (count - 1)
            for sizes in (*first, *rest):
                self._add(number, *sizes)
                number += 1
            before = width
        self._add(number, before, architecture.tags, 1, bias=False)

    def _add(self, number: int, given: int, made: int, kernel: int, *, bias: bool = True) -> None:
        self.add_module(f"{_KEY}{number}", nn.Conv2d(given, made, kernel, bias=bias))

    def convolve(self, number: int, x: Tensor, stride: int = 1) -> Tensor:
        """Convolution `number` with TensorFlow's "SAME" padding."""
        layer: nn.Conv2d = getattr(self, f"{_KEY}{number}")
        padded = same_padding(x, layer.kernel_size[0], stride)
        return F.conv2d(padded, layer.weight, layer.bias, stride)

    def logits(self, pictures: Tensor) -> Tensor:
        """`[B, H, W, 3]` → `[B, tags]`, before the sigmoid."""
        x = self.convolve(0, pictures.permute(0, 3, 1, 2), 2).relu()
        x = F.max_pool2d(same_padding(x, 3, 2, value=float("-inf")), 3, 2)
        number = 1
        for stage, count in enumerate(self.architecture.blocks):
            stride = 1 if stage == 0 else 2
            last = self.architecture.projects_last(stage)
            projection, branch = (number + 3, number) if last else (number, number + 1)
            x = (self._branch(branch, x, stride) + self.convolve(projection, x, stride)).relu()
            number += 4
            for _ in range(count - 1):
                x = (self._branch(number, x, 1) + x).relu()
                number += 3
        return self.convolve(number, x).mean(dim=(2, 3))

    def _branch(self, number: int, x: Tensor, stride: int) -> Tensor:
        x = self.convolve(number, x).relu()
        x = self.convolve(number + 1, x, stride).relu()
        return self.convolve(number + 2, x)

    def forward(self, pictures: Tensor) -> Tensor:
        """`[B, H, W, 3]` in [0, 1] → `[B, tags]`."""
        return self.logits(pictures).sigmoid()


def same_padding(x: Tensor, kernel: int, stride: int, *, value: float = 0.0) -> Tensor:
    """TensorFlow's "SAME": the odd pixel goes to the right and below."""
    height, width = (max((ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
    if not height and not width:
        return x
    around = (width // 2, width - width // 2, height // 2, height - height // 2)
    return F.pad(x, around, value=value)


class Tagger:
    """A loaded network with its tags.

    Attributes:
        tags: in the order of its outputs.
        side: pixels of the square it looks at.
    """

    def __init__(self, module: DeepDanbooru, tags: Sequence[str], *, side: int = SIDE) -> None:
        self.module = module.eval().requires_grad_(False)
        self.tags = tuple(tags)
        self.side = side

    @torch.inference_mode()
    def probabilities(self, pictures: Sequence[Image.Image]) -> Tensor:
        """`[pictures, tags]` in float32 on the CPU."""
        device = next(self.module.parameters()).device
        batch = torch.from_numpy(np.stack([fit_square(picture, self.side) for picture in pictures]))
        found: Tensor = self.module(batch.to(device, torch.float32).div_(255)).float().cpu()
        return found

    def tag(self, picture: Image.Image, *, threshold: float = 0.5) -> dict[str, float]:
        """Tags at least as probable as `threshold`, the most probable first."""
        found = zip(self.tags, self.probabilities([picture])[0].tolist(), strict=True)
        kept = [(tag, value) for tag, value in found if value >= threshold]
        return dict(sorted(kept, key=lambda pair: -pair[1]))


def load_tagger(file: Path, *, side: int = SIDE, device: torch.device | str = "cpu") -> Tagger:
    """The tagger in a `.pt` file of the public form; nothing in the file is run.

    Args:
        side: pixels of the square it was trained on.

    Raises:
        ModelError: not such a file, or one that does not fit together.
    """
    state = _read(file)
    tags = state.pop("tags", None)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _wrong(file, 'it has no list "tags"', "take the file published with the network")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    architecture = read_architecture(tensors, file)
    if architecture.tags != len(tags):
        raise _wrong(file, f"it has {len(tags)} tags and {architecture.tags} outputs", "fetch it again")
    with torch.device("meta"):
        module = DeepDanbooru(architecture)
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            what = f'tensor "{name}" is {found.get(name, "missing")}, expected {wanted.get(name, "none")}'
            raise _wrong(file, what, "fetch it again")
    module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return Tagger(module.to(device), tags, side=side)


def save_tagger(
    file: Path, module: DeepDanbooru, tags: Sequence[str], *, dtype: torch.dtype | None = None
) -> None:
    """Write the public form; numbers as `dtype` where it is given. Equal weights and tags give equal bytes."""
    state: dict[str, Any] = {}
    for name, tensor in module.state_dict().items():
        state[name] = tensor.detach().cpu().to(dtype or tensor.dtype).contiguous()
    buffer = io.BytesIO()  # torch.save would put a file's own name into it
    torch.save({**state, "tags": list(tags)}, buffer)
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    partial.write_bytes(buffer.getvalue())
    partial.replace(file)


def read_architecture(tensors: Mapping[str, Tensor], file: Path) -> Architecture:
    """Sizes of the network that these tensors belong to.

    Raises:
        ModelError: they are no network of this form.
    """
    shapes: list[tuple[int, ...]] = []
    while (name := f"{_KEY}{len(shapes)}.weight") in tensors:
        shape = tuple(tensors[name].shape)
        if len(shape) != 4:
            raise _wrong(file, f'tensor "{name}" is {shape}', "expected a convolution's four sizes")
        shapes.append(shape)
    if len(shapes) < 6 or shapes[0][1:] != (3, 7, 7):
        raise _wrong(
            file, f'no convolutions "{_KEY}0.weight" and on', "take a DeepDanbooru file in PyTorch's form"
        )
    widths: list[int] = []
    blocks: list[int] = []
    number, before, last = 1, shapes[0][0], len(shapes) - 1
    while number < last:
        follows = shapes[number + 1] if number + 1 < last else (0, 0, 0, 0)
        plain = follows[2] == 3  # 1x1 then 3x3: a block without a projection before it
        if plain and number + 3 < last and shapes[number + 3][:2] == (shapes[number + 2][0], before):
            opens = not widths or shapes[number + 3][0] != shapes[number][0]
        else:
            opens = not plain
        if opens:
            widths.append(shapes[number][0] if not plain else shapes[number + 3][0])
            blocks.append(1)
            number += 4
        elif widths:
            blocks[-1] += 1
            number += 3
        else:
            raise _wrong(file, "its first block has no projection", "take a DeepDanbooru file")
        before = widths[-1]
    return Architecture(stem=shapes[0][0], widths=tuple(widths), blocks=tuple(blocks), tags=shapes[last][0])


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > FILE_LIMIT:
            raise _wrong(file, f"larger than {FILE_LIMIT:,} bytes", "take a DeepDanbooru file")
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(
            f"{file}: cannot be read: {error.strerror or error}; expected DeepDanbooru's .pt file",
            code="E_TAGGER_READ",
        ) from error
    except pickle.UnpicklingError as error:
        raise _wrong(
            file,
            "it is no PyTorch file, or holds more than tensors and names; it was read no further, since a pickle "
            "may run any program",
            "take the file published with the network",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        why = first_line(error)
        raise _wrong(file, f"no plain PyTorch file: {why}", "fetch it again, from its publisher") from error
    if not isinstance(state, dict):
        raise _wrong(file, f"it holds a {type(state).__name__}", "expected tensors by name")
    return dict(state)


def _wrong(file: Path, what: str, fix: str) -> ModelError:
    return ModelError(f"{file}: {what}; {fix}", code="E_TAGGER_FILE")
