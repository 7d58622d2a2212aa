"""What the transformer is made of: norms, rotary positions, attention, feed-forward, time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newbie_core.model.attention import AttentionKernel
from newbie_core.model.config import ROPE_THETA, SINUSOID_WIDTH


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """x / rms(x) · weight over the last dimension, the root mean square taken in fp32.

    Source: Zhang & Sennrich, arXiv 1910.07467. CUDA has one kernel for it; on a CPU the two passes below take
    half the time of F.rms_norm's five.
    """
    if x.device.type != "cpu":
        if weight is None or weight.dim() == 1:
            return F.rms_norm(x, (x.shape[-1],), weight, eps)
        return F.rms_norm(x, (x.shape[-1],), None, eps) * weight
    exact = x.float()
    norm = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
    normed = exact * torch.rsqrt(norm.square() / x.shape[-1] + eps)
    return (normed if weight is None else normed.mul_(weight)).to(x.dtype)


class RMSNorm(nn.Module):
    """RMS norm with a weight (a plain factor, not 1 + weight)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., dim]` → `[..., dim]`."""
        return rms_norm(x, self.weight, self.eps)


def rotary_table(positions: Tensor, axes_dims: Sequence[int]) -> Tensor:
    """Cosines and sines of every token's angles.

    Angles are position · 10000^(-2j/d), in float64 and rounded to float32; axis 0's come first.

    Args:
        positions: `[T, axes]`, integers, on the CPU.
        axes_dims: rotary channels of each axis.

    Returns:
        `[T, 1, head_dim / 2, 2]` float32: cosine, sine; the second dimension spreads over heads.
    """
    angles = []
    for axis, width in enumerate(axes_dims):
        exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
        frequencies = 1.0 / ROPE_THETA**exponents
        angles.append((positions[:, axis, None].double() * frequencies).float())
    turned = torch.cat(angles, dim=-1)
    return torch.stack((turned.cos(), turned.sin()), dim=-1).unsqueeze(1)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn interleaved pairs (2j, 2j+1) of each head by their angles, in fp32.

    Args:
        x: `[T, heads, head_dim]`.
        table: from `rotary_table`.
    """
    pairs = x.float().unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():
        # Inductor fuses real products and cannot lower complex ones.
        a, b = pairs.unbind(-1)
        cos, sin = table.unbind(-1)
        turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
    else:
        # One pass over memory where the four real products take seven.
        turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.view_as_complex(table))
    return turned.flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with normalised, rotated queries and keys; no biases.

    Args:
        kv_heads: key and value heads; each serves `heads / kv_heads` query heads in a row.
    """

    def __init__(self, dim: int, heads: int, kv_heads: int, qk_eps: float) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        self.qkv = nn.Linear(dim, (heads + 2 * kv_heads) * self.head_dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.q_norm = RMSNorm(self.head_dim, qk_eps)
        self.k_norm = RMSNorm(self.head_dim, qk_eps)

    def forward(self, x: Tensor, lengths: Sequence[int], table: Tensor, kernel: AttentionKernel) -> Tensor:
        """`[T, dim]` → `[T, dim]`, each of the packed sequences for itself."""
        heads = self.qkv(x).unflatten(-1, (-1, self.head_dim))  # [T, heads + 2 kv_heads, head_dim]
        rotated = self.heads + self.kv_heads
        weight = torch.cat(
            (
                self.q_norm.weight.expand(self.heads, -1),
                self.k_norm.weight.expand(self.kv_heads, -1),
            )
        )
        query_key = rotate(rms_norm(heads[:, :rotated], weight, self.q_norm.eps), table)
        query, key = query_key.split((self.heads, self.kv_heads), dim=1)
        attended = kernel.attend(query, key, heads[:, rotated:], lengths)
        return self.out(attended.flatten(-2))


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1·x) ⊙ w3·x). Source: Shazeer, arXiv 2002.05202."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[T, dim]` → `[T, dim]`."""
        # In place: these are the widest tensors of all, and one fewer is in memory.
        return self.w2(F.silu(self.w1(x), inplace=True).mul_(self.w3(x)))


class TimestepEmbedder(nn.Module):
    """Flow time in [0, 1] to a vector; time is used as it is, not times 1000."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(SINUSOID_WIDTH, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """`[K]` float32 → `[K, width]`."""
        first: nn.Linear = self.mlp[0]  # type: ignore[assignment]
        return self.mlp(time_sinusoid(t).to(first.weight.dtype))


def time_sinusoid(t: Tensor) -> Tensor:
    """cos(t·f) then sin(t·f) with f = exp(-ln(10000)·i/128), in fp32: `[K]` → `[K, 256]`."""
    half = SINUSOID_WIDTH // 2
    index = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(-math.log(10_000) * index / half)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)
