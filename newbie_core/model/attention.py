"""Attention over packed sequences, and the kernels that compute it.

Sequences of a batch stand one after another in a single dimension, each at its true length: nothing is padded, so
no mask is needed and no work is spent on padding. Queries, keys and values are `[T, heads, head_dim]`, where
`T = sum(lengths)`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from newbie_core.errors import ModelError

KernelName = Literal["auto", "sdpa", "sdpa-flash", "sdpa-cudnn", "sdpa-efficient", "sdpa-math", "flash-attn"]
KERNELS: tuple[KernelName, ...] = (
    "auto",
    "sdpa",
    "sdpa-flash",
    "sdpa-cudnn",
    "sdpa-efficient",
    "sdpa-math",
    "flash-attn",
)

FLASH_SWITCH = "USE_FLASH_ATTENTION"
"""Environment variable: 0 means the flash-attn package is never used, whatever is installed."""

_SDPA_BACKENDS = {
    "sdpa-flash": SDPBackend.FLASH_ATTENTION,
    "sdpa-cudnn": SDPBackend.CUDNN_ATTENTION,
    "sdpa-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa-math": SDPBackend.MATH,
}
_HALF = (torch.float16, torch.bfloat16)
_REMEMBERED = 256
_OFF = ("0", "false", "no", "off")


class AttentionKernel(Protocol):
    """A way to compute attention; `name` is part of an engine's identity."""

    name: str

    def attend(self, query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
        """softmax(q·kᵀ/√d)·v within each sequence.

        Args:
            query: `[T, heads, d]`.
            key, value: `[T, kv_heads, d]`; query head `i` uses key head `i // (heads // kv_heads)`.
            lengths: tokens of each sequence; they sum to T.

        Returns:
            `[T, heads, d]`.
        """

    def session(self) -> AbstractContextManager[object]:
        """A context in which `attend` is called; pins the kernel that is named."""


class SdpaKernel:
    """PyTorch's scaled_dot_product_attention, one call a sequence, or one in all when lengths are equal."""

    def __init__(self, name: str, backend: SDPBackend | None) -> None:
        self.name = name
        self._backend = backend

    def session(self) -> AbstractContextManager[object]:
        """Pins the SDPA back end, so that the kernel recorded is the kernel that ran."""
        return nullcontext() if self._backend is None else sdpa_kernel(self._backend)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
        """See AttentionKernel."""
        if query.shape[1] != key.shape[1] and not self._takes_groups(query):
            times = query.shape[1] // key.shape[1]
            key, value = (part.repeat_interleave(times, dim=1) for part in (key, value))
        if all_equal(lengths):
            split = (len(lengths), lengths[0])
            parts = (part.unflatten(0, split).transpose(1, 2) for part in (query, key, value))
            return _attend(*parts).transpose(1, 2).flatten(0, 1)
        outputs = []
        for q, k, v in zip(query.split(lengths), key.split(lengths), value.split(lengths), strict=True):
            heads_first = (part.transpose(0, 1).unsqueeze(0) for part in (q, k, v))
            outputs.append(_attend(*heads_first).squeeze(0).transpose(0, 1))
        return torch.cat(outputs)

    def _takes_groups(self, query: Tensor) -> bool:
        """Whether fewer key heads than query heads are taken as they are.

        CUDA's memory-efficient kernel, the only fused one for float32, refuses them; source: PyTorch's
        documentation of enable_gqa.
        """
        if self._backend is SDPBackend.EFFICIENT_ATTENTION:
            return False
        return query.device.type != "cuda" or query.dtype in _HALF


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`[B, heads, S, d]` and twice `[B, kv_heads, S, d]` → `[B, heads, S, d]`."""
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(query, key, value, enable_gqa=grouped)


class FlashAttnKernel:
    """flash-attn's variable-length kernel: all sequences in one launch (Dao, arXiv 2307.08691)."""

    def __init__(self) -> None:
        self.name = "flash-attn"
        self._starts: dict[tuple[tuple[int, ...], torch.device], Tensor] = {}

    def session(self) -> AbstractContextManager[object]:
        """Nothing to pin."""
        return nullcontext()

    def attend(self, query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
        """See AttentionKernel; CUDA, fp16 or bf16 only."""
        from flash_attn import flash_attn_varlen_func

        starts = self._starts_of(tuple(lengths), query.device)
        longest = max(lengths)
        attended: Tensor = flash_attn_varlen_func(
            query, key, value, starts, starts, longest, longest, causal=False
        )
        return attended

    def _starts_of(self, lengths: tuple[int, ...], device: torch.device) -> Tensor:
        """Where sequences begin and the last ends: made once, so that no step waits for a copy to the GPU."""
        known = self._starts.get((lengths, device))
        if known is None:
            if len(self._starts) > _REMEMBERED:
                self._starts.clear()
            ends = [end for _, end in spans(lengths)]
            known = self._starts[lengths, device] = torch.tensor([0, *ends], dtype=torch.int32, device=device)
        return known


def choose_kernel(name: str, *, device: torch.device, dtype: torch.dtype) -> AttentionKernel:
    """The kernel called `name` for this device and dtype.

    `auto` takes flash-attn where it is installed and fits, else SDPA's flash kernel; on a CPU that is PyTorch's own.

    Raises:
        ModelError: the name is unknown, or the kernel cannot run here.
    """
    if name not in KERNELS:
        raise ModelError(
            f'there is no attention kernel "{name}"; known: {", ".join(KERNELS)}', code="E_MODEL_KERNEL"
        )
    if name in ("auto", "flash-attn"):
        problem = _flash_attn_problem(device, dtype)
        if problem is None:
            return FlashAttnKernel()
        if name == "flash-attn":
            raise ModelError(f"flash-attn cannot be used: {problem}", code="E_MODEL_KERNEL")
    if name in ("auto", "sdpa"):
        usable = device.type == "cpu" or (dtype in _HALF and _is_ampere(device))
        name = "sdpa-flash" if usable else "sdpa-efficient"
    if device.type == "cpu" and name not in ("sdpa-flash", "sdpa-math"):
        raise ModelError(f"{name} needs a CUDA device; take sdpa-flash or sdpa-math", code="E_MODEL_KERNEL")
    if device.type == "cuda" and name == "sdpa-flash" and dtype not in _HALF:
        raise ModelError(f"sdpa-flash on CUDA takes fp16 or bf16, not {dtype}", code="E_MODEL_KERNEL")
    return SdpaKernel(name, _SDPA_BACKENDS[name])


def _is_ampere(device: torch.device) -> bool:
    """Whether a GPU is new enough for PyTorch's flash kernel; taken to be where there is none to ask."""
    return not torch.cuda.is_available() or torch.cuda.get_device_capability(device) >= (8, 0)


def _flash_attn_problem(device: torch.device, dtype: torch.dtype) -> str | None:
    if os.environ.get(FLASH_SWITCH, "1").strip().lower() in _OFF:
        return f"{FLASH_SWITCH}={os.environ[FLASH_SWITCH]} switches it off"
    if device.type != "cuda":
        return f"it needs a CUDA device, not {device}"
    if dtype not in _HALF:
        return f"it takes fp16 or bf16, not {dtype}"
    if not _is_ampere(device):
        return "it needs a GPU of compute capability 8.0 or newer"
    if importlib.util.find_spec("flash_attn") is None:
        return 'it is not installed; `pip install "newbie-assets[flash]"` builds it'
    return None


def default_kernel() -> AttentionKernel:
    """SDPA with PyTorch's own choice of back end: for training and for modules used on their own."""
    return SdpaKernel("sdpa", None)


def spans(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Begin and end of each sequence in the packed dimension."""
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    return list(pairwise(ends))


def all_equal(lengths: Sequence[int]) -> bool:
    """Whether all sequences have one length; compilers see through it where they do not through a set."""
    return all(length == lengths[0] for length in lengths)
