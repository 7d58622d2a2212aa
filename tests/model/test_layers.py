"""Each layer against its formula, written out plainly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from newbie_core.model.attention import default_kernel
from newbie_core.model.layers import (
    Attention,
    FeedForward,
    RMSNorm,
    TimestepEmbedder,
    rms_norm,
    rotary_table,
    rotate,
    time_sinusoid,
)

ORDER = {"rtol": 0, "atol": 2e-6}
"""Sums of a few dozen float32 numbers near one, in another order."""


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("eps", [1e-6, 1e-5, 0.1])
def test_the_norm_divides_by_the_root_mean_square_and_multiplies_by_the_weight(eps: float) -> None:
    x, weight = numbers(5, 12), numbers(12, seed=1)
    expected = x / torch.sqrt((x**2).mean(dim=-1, keepdim=True) + eps) * weight
    torch.testing.assert_close(rms_norm(x, weight, eps), expected, **ORDER)
    torch.testing.assert_close(rms_norm(x, None, eps) * weight, expected, **ORDER)


def test_the_norm_takes_a_weight_for_each_head() -> None:
    x, weight = numbers(5, 3, 12), numbers(3, 12, seed=1)
    found = rms_norm(x, weight, 1e-6)
    for head in range(3):
        torch.testing.assert_close(found[:, head], rms_norm(x[:, head], weight[head], 1e-6), **ORDER)


def test_the_norm_of_half_precision_is_taken_in_float32() -> None:
    x = torch.full((1, 8), 60_000.0, dtype=torch.float16)
    assert torch.equal(rms_norm(x, torch.ones(8, dtype=torch.float16), 1e-6), torch.ones_like(x))


def test_a_new_norm_keeps_the_direction_and_its_weight_is_a_plain_factor() -> None:
    norm, x = RMSNorm(6, 1e-6), numbers(2, 6)
    before = norm(x)
    torch.nn.init.constant_(norm.weight, 2.0)
    torch.testing.assert_close(norm(x), 2 * before)


def test_norms_of_tokens_are_all_alike_for_zeros() -> None:
    assert torch.equal(RMSNorm(4, 1e-6)(torch.zeros(1, 4)), torch.zeros(1, 4))


# Rotary positions


def test_angles_are_position_times_frequency_axis_after_axis() -> None:
    table = rotary_table(torch.tensor([[3, 5, 7]]), (4, 6, 2))
    angles = [3 * 10_000 ** (-j / 2) for j in range(2)]
    angles += [5 * 10_000 ** (-j / 3) for j in range(3)]
    angles += [7.0]
    assert table.shape == (1, 1, 6, 2)
    assert table.dtype == torch.float32
    expected = torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles])
    torch.testing.assert_close(table[0, 0], expected, rtol=0, atol=1e-6)


def test_angles_far_out_are_as_exact_as_near() -> None:
    table = rotary_table(torch.tensor([[1023, 0, 0]]), (32, 32, 32))
    exact = [math.cos(1023 * 10_000 ** (-j / 16)) for j in range(16)]
    # One rounding of an angle of up to 1023 to float32 moves it by 3e-5.
    torch.testing.assert_close(table[0, 0, :16, 0], torch.tensor(exact), rtol=0, atol=3.1e-5)


def test_neighbouring_numbers_turn_as_a_pair() -> None:
    table = rotary_table(torch.tensor([[1, 0]]), (2, 2))
    found = rotate(torch.tensor([[[1.0, 0.0, 1.0, 0.0]]]), table)
    expected = torch.tensor([[[math.cos(1), math.sin(1), 1.0, 0.0]]])
    torch.testing.assert_close(found, expected, **ORDER)


def test_position_zero_turns_nothing() -> None:
    x = numbers(3, 2, 8)
    assert torch.equal(rotate(x, rotary_table(torch.zeros(3, 2, dtype=torch.int64), (4, 4))), x)


def test_products_of_turned_queries_and_keys_depend_on_the_distance_alone() -> None:
    query, key = numbers(1, 1, 8), numbers(1, 1, 8, seed=1)

    def product(first: int, second: int) -> Tensor:
        at = [rotary_table(torch.tensor([[place, 2 * place]]), (4, 4)) for place in (first, second)]
        return (rotate(query, at[0]) * rotate(key, at[1])).sum()

    torch.testing.assert_close(product(2, 5), product(12, 15), rtol=0, atol=1e-5)
    assert abs(product(2, 5) - product(2, 6)) > 1e-3


def test_half_precision_is_turned_in_float32_and_cast_back() -> None:
    x, table = numbers(4, 2, 8).bfloat16(), rotary_table(torch.arange(8).reshape(4, 2), (4, 4))
    assert torch.equal(rotate(x, table), rotate(x.float(), table).bfloat16())


def test_the_form_for_compilers_turns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, table = numbers(4, 2, 8), rotary_table(torch.arange(8).reshape(4, 2), (4, 4))
    expected = rotate(x, table)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(rotate(x, table), expected, **ORDER)


# Attention, feed-forward, time


def test_attention_follows_its_formula() -> None:
    torch.manual_seed(0)
    layer, x, lengths = Attention(24, 4, 2, 1e-6), numbers(7, 24), (4, 3)
    table = rotary_table(torch.arange(21).reshape(7, 3), (2, 2, 2))
    torch.nn.init.uniform_(layer.q_norm.weight, 0.5, 1.5)
    torch.nn.init.uniform_(layer.k_norm.weight, 0.5, 1.5)

    rows = layer.qkv.weight
    query, key, value = (x @ part.T for part in (rows[:24], rows[24:36], rows[36:]))
    query = rotate(layer.q_norm(query.unflatten(-1, (4, 6))), table)
    key = rotate(layer.k_norm(key.unflatten(-1, (2, 6))), table)
    value = value.unflatten(-1, (2, 6))
    heads = torch.zeros(7, 4, 6)
    for first, last in ((0, 4), (4, 7)):
        for head in range(4):
            scores = query[first:last, head] @ key[first:last, head // 2].T / math.sqrt(6)
            heads[first:last, head] = scores.softmax(dim=-1) @ value[first:last, head // 2]
    expected = heads.flatten(1) @ layer.out.weight.T
    torch.testing.assert_close(layer(x, lengths, table, default_kernel()), expected, **ORDER)


def test_attention_and_feed_forward_have_no_biases() -> None:
    names = {
        name
        for layer in (Attention(24, 4, 2, 1e-6), FeedForward(8, 16))
        for name, _ in layer.named_parameters()
    }
    assert names == {
        "qkv.weight",
        "out.weight",
        "q_norm.weight",
        "k_norm.weight",
        "w1.weight",
        "w2.weight",
        "w3.weight",
    }


def test_the_feed_forward_gates_w3_by_the_silu_of_w1() -> None:
    layer, x = FeedForward(6, 10), numbers(3, 6)
    w1, w2, w3 = (each.weight for each in (layer.w1, layer.w2, layer.w3))
    first = x @ w1.T
    expected = (first * torch.sigmoid(first) * (x @ w3.T)) @ w2.T
    torch.testing.assert_close(layer(x), expected, **ORDER)


def test_time_is_cosines_then_sines_of_time_as_it_is() -> None:
    found = time_sinusoid(torch.tensor([0.0, 0.37]))
    frequencies = [math.exp(-math.log(10_000) * i / 128) for i in range(128)]
    cosines = [math.cos(0.37 * frequency) for frequency in frequencies]
    sines = [math.sin(0.37 * frequency) for frequency in frequencies]
    torch.testing.assert_close(found[1], torch.tensor(cosines + sines), rtol=0, atol=1e-6)
    assert torch.equal(found[0], torch.cat((torch.ones(128), torch.zeros(128))))


def test_time_is_embedded_in_the_weights_dtype_from_a_float32_sinusoid() -> None:
    embedder = TimestepEmbedder(16).bfloat16()
    near = embedder(torch.tensor([0.500, 0.501]))
    assert near.dtype == torch.bfloat16
    # In bf16 the two times are the same number.
    assert not torch.equal(near[0], near[1])
