"""Weights that live in main memory and visit the device block by block, for cards smaller than the model."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

_ALIGNMENT = 256
"""Bytes; where CUDA's allocator, and so its kernels, expect a tensor to start."""


class BlockStream:
    """Brings one block at a time to the device while the next is already on its way.

    Two blocks fit on the device, each in a place of its own that the next but one takes over: however far ahead of
    the device the program runs, nothing more is taken there. The values, and so the pixels, are those of a
    resident model.
    """

    def __init__(self, blocks: Iterable[nn.Module], device: torch.device) -> None:
        self._blocks = list(blocks)
        self._device = device
        self._number = {id(block): index for index, block in enumerate(self._blocks)}
        self._masters = [_masters(block, pin=device.type == "cuda") for block in self._blocks]
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._current: int | None = None
        self._after: dict[int, int] = {}
        self._held: list[int | None] = [None, None]
        self._places: list[Tensor] = []

    def fetch(self, block: Any) -> Any:
        """The block, with its weights on the device until the next is fetched."""
        index = self._number[id(block)]
        if self._current is not None and self._current != index:
            _assign(self._blocks[self._current], self._masters[self._current])
            self._after[self._current] = index
        if index not in self._held:
            self._bring(index)
        if self._side is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._side)
        _assign(block, dict(self._views(self._held.index(index), index)))
        self._current = index
        # Not every pass asks for every block, so what came next the last time is what comes next.
        following = self._after.get(index, (index + 1) % len(self._blocks))
        if following not in self._held:
            self._bring(following)
        return block

    def release(self) -> None:
        """Give back everything on the device."""
        if self._current is not None:
            _assign(self._blocks[self._current], self._masters[self._current])
        self._current = None
        self._held = [None, None]
        self._places.clear()

    @property
    def nbytes(self) -> int:
        """Bytes taken on the device."""
        return sum(place.nbytes for place in self._places)

    def _bring(self, index: int) -> None:
        """Start copying a block to the place that the current one does not hold."""
        place = 1 if self._held[0] == self._current else 0
        self._held[place] = index
        if not self._places:
            self._allocate()
        if self._side is not None:
            # Whoever stood there has been asked for all it was needed for, but may not have finished.
            self._side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._side) if self._side is not None else nullcontext():
            for name, view in self._views(place, index):
                view.copy_(self._masters[index][name], non_blocking=True)

    def _allocate(self) -> None:
        size = max(sum(_room(tensor) for tensor in masters.values()) for masters in self._masters)
        with torch.inference_mode(False):
            self._places = [torch.empty(size, dtype=torch.uint8, device=self._device) for _ in range(2)]
        if self._side is not None:
            for place in self._places:
                # Given back while a copy is on its way, it is not taken by others before that is done.
                place.record_stream(self._side)

    def _views(self, place: int, index: int) -> Iterator[tuple[str, Tensor]]:
        start = 0
        for name, master in self._masters[index].items():
            flat = self._places[place][start : start + master.nbytes]
            yield name, flat.view(master.dtype).view(master.shape)
            start += _room(master)


def stream_layers(model: nn.Module, device: torch.device) -> BlockStream:
    """Stream `model.layers` of a transformers model, and move the rest of it to `device`.

    Its layers are fetched as they are called, by a hook, for their loop is not ours. The stream lives as long as
    the caller keeps it.
    """
    layers: nn.ModuleList = model.layers  # type: ignore[assignment]
    stream = BlockStream(layers, device)
    # Layers and stream must not hold each other, or both would stay in memory until Python looks for such circles.
    kept = weakref.proxy(stream)
    for layer in layers:
        layer.register_forward_pre_hook(lambda module, _: kept.fetch(module) and None)
    for name, child in model.named_children():
        if name != "layers":
            child.to(device)
    return stream


def _room(tensor: Tensor) -> int:
    """Bytes the tensor takes up to where the next one may start."""
    return -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT


def _masters(block: nn.Module, *, pin: bool) -> dict[str, Tensor]:
    """The block's weights in main memory, pinned for copies that do not wait."""
    kept = {}
    for name, parameter in block.named_parameters():
        tensor = parameter.data.cpu().contiguous()
        kept[name] = tensor.pin_memory() if pin else tensor
    _assign(block, kept)
    return kept


def _assign(block: nn.Module, tensors: dict[str, Tensor]) -> None:
    for name, parameter in block.named_parameters():
        parameter.data = tensors[name]
