"""Blocks that visit the device give the same numbers, two of them there at a time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from newbie_core.model.streaming import BlockStream, stream_layers
from newbie_core.model.tiny import tiny_sizes
from newbie_core.model.transformer import NextDiT
from tests.model.conftest import MakeTransformer

CPU = torch.device("cpu")


class Watched(BlockStream):
    """Notes which blocks are brought to the device, and in which order."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks, CPU)
        self.brought: list[int] = []

    def _bring(self, index: int) -> None:
        self.brought.append(index)
        super()._bring(index)


def make_blocks(count: int = 5, dtype: torch.dtype = torch.float32) -> list[nn.Module]:
    torch.manual_seed(0)
    # Of several sizes, none of which is a multiple of what tensors are aligned to.
    return [nn.Linear(5, 3 + index, dtype=dtype) for index in range(count)]


def homes(blocks: Sequence[nn.Module]) -> list[tuple[int, ...]]:
    return [tuple(value.data_ptr() for value in block.parameters()) for block in blocks]


def away(blocks: Sequence[nn.Module], at_home: list[tuple[int, ...]]) -> list[int]:
    """The blocks whose weights are not the ones in main memory."""
    pairs = zip(homes(blocks), at_home, strict=True)
    return [index for index, (here, home) in enumerate(pairs) if here != home]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_a_fetched_block_holds_its_own_weights(dtype: torch.dtype) -> None:
    blocks = make_blocks()
    for block in blocks:
        block.to(dtype)
    expected = [[value.detach().clone() for value in block.parameters()] for block in blocks]
    stream = BlockStream(blocks, CPU)
    for _ in range(2):
        for block, values in zip(blocks, expected, strict=True):
            found = list(stream.fetch(block).parameters())
            assert [value.dtype for value in found] == [dtype, dtype]
            assert all(torch.equal(a.float(), b.float()) for a, b in zip(found, values, strict=True))


def test_one_block_uses_its_copy_and_the_others_stay_in_main_memory() -> None:
    blocks = make_blocks()
    stream, at_home = BlockStream(blocks, CPU), homes(blocks)
    for index in (0, 1, 2, 3, 4, 0, 3, 1, 1):
        stream.fetch(blocks[index])
        assert away(blocks, at_home) == [index]


def test_never_more_than_two_blocks_are_taken_on_the_device() -> None:
    blocks = make_blocks()
    stream = BlockStream(blocks, CPU)
    widest = 256 * 2
    for index in (0, 1, 2, 4, 0, 3, 3, 1, 0, 4):
        stream.fetch(blocks[index])
        assert stream.nbytes == 2 * widest
        assert sum(held is not None for held in stream._held) == 2
        assert index in stream._held


def test_the_next_block_is_on_its_way_while_one_is_used() -> None:
    blocks = make_blocks(4)
    stream = Watched(blocks)
    for block in blocks:
        stream.fetch(block)
    assert stream.brought == [0, 1, 2, 3, 0]
    stream.brought.clear()
    for _ in range(3):
        for block in blocks:
            stream.fetch(block)
    assert stream.brought == [1, 2, 3, 0] * 3


def test_a_pass_that_leaves_blocks_out_is_foreseen_from_the_second_time() -> None:
    blocks = make_blocks(5)
    stream = Watched(blocks)
    for block in blocks:
        stream.fetch(block)
    for block in blocks[2:]:
        stream.fetch(block)
    stream.brought.clear()
    for _ in range(2):
        for block in blocks[2:]:
            stream.fetch(block)
    # Each once a pass, none of the others, and each before it is needed.
    assert stream.brought == [3, 4, 2] * 2


def test_a_lone_block_is_brought_once() -> None:
    blocks = make_blocks(1)
    stream = Watched(blocks)
    for _ in range(3):
        stream.fetch(blocks[0])
    assert stream.brought == [0]


def test_released_everything_is_back_and_may_be_fetched_again() -> None:
    blocks = make_blocks()
    stream, at_home = BlockStream(blocks, CPU), homes(blocks)
    expected = blocks[1].weight.detach().clone()
    stream.fetch(blocks[1])
    stream.release()
    assert stream.nbytes == 0
    assert away(blocks, at_home) == []
    assert torch.equal(stream.fetch(blocks[1]).weight, expected)


def test_blocks_fetched_in_inference_mode_are_fetched_again_outside_it() -> None:
    blocks = make_blocks()
    stream = BlockStream(blocks, CPU)
    with torch.inference_mode():
        stream.fetch(blocks[0])
    for block in blocks:
        stream.fetch(block)


@torch.no_grad()
def test_a_streamed_network_gives_the_same_numbers_as_a_resident_one(
    make_transformer: MakeTransformer,
) -> None:
    resident, streamed = make_transformer(), make_transformer()
    blocks = (*streamed.context_refiner, *streamed.noise_refiner, *streamed.layers)
    streamed.streamed = BlockStream(blocks, CPU).fetch

    def run(model: NextDiT) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        captions = [torch.randn((length, 48), generator=generator) for length in (6, 2)]
        pooled, x = torch.randn((2, 64), generator=generator), torch.randn((1, 16, 8, 6), generator=generator)
        prepared = model.prepare(captions, pooled, grid=(4, 3), times=torch.tensor([[0.1], [0.7]]))
        return [model.velocity(x, prepared, step) for step in range(2)]

    for _ in range(2):
        assert all(torch.equal(a, b) for a, b in zip(run(resident), run(streamed), strict=True))


def test_the_networks_steps_bring_each_of_their_blocks_once(make_transformer: MakeTransformer) -> None:
    model = make_transformer()
    stream = Watched((*model.context_refiner, *model.noise_refiner, *model.layers))
    model.streamed = stream.fetch
    with torch.no_grad():
        prepared = model.prepare(
            [torch.ones(3, 48)], torch.ones(1, 64), grid=(2, 2), times=torch.full((4, 1), 0.5)
        )
        model.velocity(torch.ones(1, 16, 4, 4), prepared, 0)
        stream.brought.clear()
        for step in range(1, 4):
            model.velocity(torch.ones(1, 16, 4, 4), prepared, step)
    # One context refiner, one noise refiner, two layers; captions are refined before the first step.
    assert len(stream._blocks) == 1 + 1 + tiny_sizes().transformer.n_layers
    assert sorted(stream.brought) == sorted([1, 2, 3] * 3)


class Stack(nn.Module):
    """As a transformers model: layers that it calls itself, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norm = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


def test_a_models_own_loop_fetches_its_layers() -> None:
    plain, streamed, x = Stack(), Stack(), torch.ones(1, 4)
    stream = stream_layers(streamed, CPU)
    at_home = homes(streamed.layers)
    for _ in range(2):
        assert torch.equal(streamed(x), plain(x))
        assert away(streamed.layers, at_home) == [2]
    stream.release()
    assert away(streamed.layers, at_home) == []


def test_a_streamed_model_is_gone_with_its_last_user() -> None:
    model = Stack()
    stream = stream_layers(model, CPU)
    layer = weakref.ref(model.layers[0])
    model(torch.ones(1, 4))
    gc.disable()
    try:
        del model, stream
        assert layer() is None
    finally:
        gc.enable()


def test_two_places_are_as_large_as_two_blocks(make_transformer: MakeTransformer) -> None:
    layers = make_transformer().layers
    stream = BlockStream(layers, CPU)
    stream.fetch(layers[0])
    block = sum(value.nbytes for value in layers[0].parameters())
    # Each of a block's 13 tensors is followed by less than 256 bytes of room.
    assert 2 * block <= stream.nbytes < 2 * (block + 13 * 256)
