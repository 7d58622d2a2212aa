"""Attention within packed sequences equals its formula, whichever way and with whichever kernel it is computed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model import attention
from newbie_core.model.attention import (
    KERNELS,
    KernelName,
    SdpaKernel,
    choose_kernel,
    default_kernel,
    spans,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ON_CPU = ("auto", "sdpa", "sdpa-flash", "sdpa-math")
ORDER = {"rtol": 0, "atol": 2e-6}
"""Sums of a few dozen float32 numbers near one, in another order."""


def packed(
    lengths: Sequence[int], *, heads: int = 6, kv_heads: int = 2, width: int = 8
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(sum(lengths))
    shapes = ((heads, width), (kv_heads, width), (kv_heads, width))
    query, key, value = (torch.randn((sum(lengths), *shape), generator=generator) for shape in shapes)
    return query, key, value


def by_formula(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """softmax(q·kᵀ/√d)·v, head by head in float64."""
    group = query.shape[1] // key.shape[1]
    outputs = torch.zeros_like(query, dtype=torch.float64)
    for first, last in spans(lengths):
        for head in range(query.shape[1]):
            q, k, v = (
                part[first:last].double()
                for part in (query[:, head], key[:, head // group], value[:, head // group])
            )
            outputs[first:last, head] = (q @ k.T / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v
    return outputs.float()


@pytest.mark.parametrize("lengths", [(5,), (4, 4), (7, 3), (3, 9, 3)])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
@pytest.mark.parametrize("name", ON_CPU)
def test_each_sequence_attends_to_itself_by_the_formula(
    name: str, kv_heads: int, lengths: tuple[int, ...]
) -> None:
    parts = packed(lengths, kv_heads=kv_heads)
    kernel = choose_kernel(name, device=CPU, dtype=torch.float32)
    with kernel.session():
        found = kernel.attend(*parts, lengths)
    torch.testing.assert_close(found, by_formula(*parts, lengths), **ORDER)


def test_sequences_of_equal_length_in_one_call_equal_one_call_each() -> None:
    parts = packed((6, 6, 6))
    kernel = default_kernel()
    together = kernel.attend(*parts, (6, 6, 6))
    alone = [kernel.attend(*(part[first:last] for part in parts), (6,)) for first, last in spans((6, 6, 6))]
    torch.testing.assert_close(together, torch.cat(alone), **ORDER)


def test_neighbours_of_other_lengths_change_nothing() -> None:
    parts = packed((6, 4, 9))
    kernel = default_kernel()
    together = kernel.attend(*parts, (6, 4, 9))
    for first, last in spans((6, 4, 9)):
        alone = kernel.attend(*(part[first:last] for part in parts), (last - first,))
        torch.testing.assert_close(together[first:last], alone, **ORDER)


@pytest.mark.parametrize("lengths", [(5, 5), (5, 8)])
def test_grouped_heads_equal_key_heads_repeated_for_their_queries(lengths: tuple[int, ...]) -> None:
    query, key, value = packed(lengths, heads=6, kv_heads=2)
    kernel = default_kernel()
    repeated = (part.repeat_interleave(3, dim=1) for part in (key, value))
    torch.testing.assert_close(
        kernel.attend(query, key, value, lengths), kernel.attend(query, *repeated, lengths), **ORDER
    )


@pytest.mark.parametrize("lengths", [(5, 5), (5, 8)])
def test_the_memory_efficient_kernel_is_never_given_grouped_heads(
    monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...]
) -> None:
    """It refuses them on CUDA; what it is given instead is the same."""
    given: list[tuple[int, int, bool]] = []
    compute = F.scaled_dot_product_attention

    def record(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool = False) -> Tensor:
        given.append((query.shape[1], key.shape[1], enable_gqa))
        return compute(query, key, value, enable_gqa=enable_gqa)

    monkeypatch.setattr(F, "scaled_dot_product_attention", record)
    parts = packed(lengths, heads=6, kv_heads=2)
    found = choose_kernel("sdpa-efficient", device=CUDA, dtype=torch.float32).attend(*parts, lengths)
    assert set(given) == {(6, 6, False)}
    torch.testing.assert_close(found, by_formula(*parts, lengths), **ORDER)


def test_a_sequence_of_one_token_returns_its_value() -> None:
    query, key, value = packed((1,), heads=2, kv_heads=2)
    torch.testing.assert_close(default_kernel().attend(query, key, value, (1,)), value, **ORDER)


def test_spans_stand_one_behind_the_other() -> None:
    assert spans((3, 1, 4)) == [(0, 3), (3, 4), (4, 8)]


# Choice


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_kernel_either_runs_on_a_cpu_or_says_why_not(name: KernelName, dtype: torch.dtype) -> None:
    if name not in ON_CPU:
        with pytest.raises(ModelError, match=f"{name} .*CUDA device") as refused:
            choose_kernel(name, device=CPU, dtype=dtype)
        assert refused.value.code == "E_MODEL_KERNEL"
        return
    kernel = choose_kernel(name, device=CPU, dtype=dtype)
    parts = [part.to(dtype) for part in packed((4, 4, 4))]
    with kernel.session():
        assert kernel.attend(*parts, (4, 4, 4)).dtype == dtype


@pytest.mark.parametrize(
    ("name", "dtype", "chosen"),
    [
        ("auto", torch.bfloat16, "sdpa-flash"),
        ("auto", torch.float16, "sdpa-flash"),
        ("auto", torch.float32, "sdpa-efficient"),
        ("sdpa", torch.bfloat16, "sdpa-flash"),
        ("sdpa", torch.float32, "sdpa-efficient"),
        ("sdpa-flash", torch.bfloat16, "sdpa-flash"),
        ("sdpa-cudnn", torch.bfloat16, "sdpa-cudnn"),
        ("sdpa-efficient", torch.float32, "sdpa-efficient"),
        ("sdpa-math", torch.float32, "sdpa-math"),
    ],
)
def test_the_chosen_kernel_bears_the_name_of_what_runs(
    monkeypatch: pytest.MonkeyPatch, name: KernelName, dtype: torch.dtype, chosen: str
) -> None:
    install_flash_attn(monkeypatch, there=False)
    assert choose_kernel(name, device=CUDA, dtype=dtype).name == chosen


def test_flash_on_cuda_refuses_float32() -> None:
    with pytest.raises(ModelError, match=r"sdpa-flash on CUDA takes fp16 or bf16, not torch\.float32"):
        choose_kernel("sdpa-flash", device=CUDA, dtype=torch.float32)


def test_an_unknown_kernel_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match='no attention kernel "xformers"; known: auto, sdpa, ') as refused:
        choose_kernel("xformers", device=CPU, dtype=torch.float32)
    assert refused.value.code == "E_MODEL_KERNEL"


def install_flash_attn(
    monkeypatch: pytest.MonkeyPatch,
    *,
    there: bool = True,
    cuda: bool = True,
    capability: tuple[int, int] = (9, 0),
) -> None:
    """As if the package were installed, or not, on a machine with a CUDA device, or without."""
    find_spec = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> object:
        if name != "flash_attn":
            return find_spec(name, package)
        return object() if there else None

    monkeypatch.delenv(attention.FLASH_SWITCH, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)


def test_flash_attn_is_taken_where_it_is_installed_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    install_flash_attn(monkeypatch)
    assert choose_kernel("auto", device=CUDA, dtype=torch.bfloat16).name == "flash-attn"
    assert choose_kernel("flash-attn", device=CUDA, dtype=torch.float16).name == "flash-attn"
    assert choose_kernel("sdpa", device=CUDA, dtype=torch.bfloat16).name == "sdpa-flash"
    assert choose_kernel("auto", device=CUDA, dtype=torch.float32).name == "sdpa-efficient"
    assert choose_kernel("auto", device=CPU, dtype=torch.bfloat16).name == "sdpa-flash"


def test_an_old_gpu_gets_the_kernel_that_runs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install_flash_attn(monkeypatch, capability=(7, 5))
    assert choose_kernel("auto", device=CUDA, dtype=torch.float16).name == "sdpa-efficient"
    with pytest.raises(ModelError, match=r"compute capability 8\.0"):
        choose_kernel("flash-attn", device=CUDA, dtype=torch.float16)


@pytest.mark.parametrize("value", ["0", "false", "No", " off "])
def test_the_environment_switches_flash_attn_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    install_flash_attn(monkeypatch)
    monkeypatch.setenv("USE_FLASH_ATTENTION", value)
    assert choose_kernel("auto", device=CUDA, dtype=torch.bfloat16).name == "sdpa-flash"
    with pytest.raises(ModelError, match=r"USE_FLASH_ATTENTION=.*switches it off"):
        choose_kernel("flash-attn", device=CUDA, dtype=torch.bfloat16)


def test_the_environment_leaves_flash_attn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    install_flash_attn(monkeypatch)
    monkeypatch.setenv("USE_FLASH_ATTENTION", "1")
    assert choose_kernel("auto", device=CUDA, dtype=torch.bfloat16).name == "flash-attn"


@pytest.mark.parametrize(("there", "cuda"), [(False, True), (True, False)])
def test_flash_attn_needs_its_package_and_a_cuda_device(
    monkeypatch: pytest.MonkeyPatch, there: bool, cuda: bool
) -> None:
    install_flash_attn(monkeypatch, there=there, cuda=cuda)
    device = CUDA if cuda else CPU
    assert choose_kernel("auto", device=device, dtype=torch.bfloat16).name == "sdpa-flash"


@pytest.mark.parametrize(
    ("device", "dtype", "there", "reason"),
    [
        (CPU, torch.bfloat16, True, "it needs a CUDA device, not cpu"),
        (CUDA, torch.float32, True, r"it takes fp16 or bf16, not torch\.float32"),
        (CUDA, torch.bfloat16, False, "it is not installed"),
    ],
)
def test_flash_attn_asked_for_by_name_says_why_it_cannot_run(
    monkeypatch: pytest.MonkeyPatch, device: torch.device, dtype: torch.dtype, there: bool, reason: str
) -> None:
    install_flash_attn(monkeypatch, there=there)
    with pytest.raises(ModelError, match=f"flash-attn cannot be used: {reason}") as refused:
        choose_kernel("flash-attn", device=device, dtype=dtype)
    assert refused.value.code == "E_MODEL_KERNEL"


class FlashAttnPackage:
    """What flash-attn's variable-length function is given, computed by the formula."""

    def __init__(self) -> None:
        self.starts: list[Tensor] = []

    def flash_attn_varlen_func(
        self, q: Tensor, k: Tensor, v: Tensor, starts: Tensor, key_starts: Tensor, *longest: int, causal: bool
    ) -> Tensor:
        assert not causal
        assert starts is key_starts
        self.starts.append(starts)
        lengths = starts.diff().tolist()
        assert longest == (max(lengths), max(lengths))
        return by_formula(q, k, v, lengths)


def test_flash_attn_is_given_where_sequences_begin_once_made(monkeypatch: pytest.MonkeyPatch) -> None:
    package = FlashAttnPackage()
    monkeypatch.setitem(__import__("sys").modules, "flash_attn", package)
    kernel, parts = attention.FlashAttnKernel(), packed((6, 4, 9))
    with kernel.session():
        found = [kernel.attend(*parts, (6, 4, 9)) for _ in range(2)]
    torch.testing.assert_close(found[0], default_kernel().attend(*parts, (6, 4, 9)), **ORDER)
    assert package.starts[0].tolist() == [0, 6, 10, 19]
    assert package.starts[0].dtype == torch.int32
    assert package.starts[0] is package.starts[1]


def test_the_session_pins_the_kernel_that_is_named() -> None:
    kernel = choose_kernel("sdpa-math", device=CPU, dtype=torch.float32)
    assert isinstance(kernel, SdpaKernel)
    with kernel.session():
        assert not torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cuda.math_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
