"""Weights that live in main memory and visit the device block by block, for cards smaller than the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class BlockStream:
    """Brings one block at a time to the device while the next is already on its way.

    At most two blocks are on the device. The values, and so the pixels, are those of a resident model.
    """

    def __init__(self, blocks: Iterable[nn.Module], device: torch.device) -> None:
        self._blocks = list(blocks)
        self._device = device
        self._place = {id(block): index for index, block in enumerate(self._blocks)}
        self._masters = [_masters(block, pin=device.type == "cuda") for block in self._blocks]
        self._copies: dict[int, dict[str, Tensor]] = {}
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._current: int | None = None

    def fetch(self, block: Any) -> Any:
        """The block, with its weights on the device until the next is fetched."""
        index = self._place[id(block)]
        if self._current is not None and self._current != index:
            self._put_back(self._current)
        copies = self._copies.pop(index, None) or self._copy(index)
        if self._side is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._side)
            for tensor in copies.values():
                tensor.record_stream(current)
        _assign(block, copies)
        self._current = index
        self._start((index + 1) % len(self._blocks))
        return block

    def release(self) -> None:
        """Give back everything on the device."""
        if self._current is not None:
            self._put_back(self._current)
        self._current = None
        self._copies.clear()

    def _start(self, index: int) -> None:
        if self._side is not None and index not in self._copies and index != self._current:
            self._copies[index] = self._copy(index)

    def _copy(self, index: int) -> dict[str, Tensor]:
        masters = self._masters[index]
        if self._side is None:
            return {name: tensor.to(self._device, copy=True) for name, tensor in masters.items()}
        with torch.cuda.stream(self._side):
            return {name: tensor.to(self._device, non_blocking=True) for name, tensor in masters.items()}

    def _put_back(self, index: int) -> None:
        _assign(self._blocks[index], self._masters[index])


def stream_layers(model: nn.Module, device: torch.device) -> BlockStream:
    """Stream `model.layers` of a transformers model, and move the rest of it to `device`.

    Its layers are fetched as they are called, by a hook, for their loop is not ours.
    """
    layers: nn.ModuleList = model.layers  # type: ignore[assignment]
    stream = BlockStream(layers, device)
    for layer in layers:
        layer.register_forward_pre_hook(lambda module, _: stream.fetch(module) and None)
    for name, child in model.named_children():
        if name != "layers":
            child.to(device)
    return stream


def _masters(block: nn.Module, *, pin: bool) -> dict[str, Tensor]:
    """The block's weights in main memory, pinned for copies that do not wait."""
    kept = {}
    for name, parameter in block.named_parameters():
        tensor = parameter.data.cpu()
        kept[name] = tensor.pin_memory() if pin else tensor
    _assign(block, kept)
    return kept


def _assign(block: nn.Module, tensors: dict[str, Tensor]) -> None:
    for name, parameter in block.named_parameters():
        parameter.data = tensors[name]
