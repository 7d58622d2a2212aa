"""Sizes of the network's four parts, as upstream names them; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

PartName = Literal["transformer", "text_encoder", "clip_model", "vae"]
"""The four parts of a model, named as the hub repository's folders."""

PARTS: tuple[PartName, ...] = ("transformer", "text_encoder", "clip_model", "vae")

CONDITIONING_LIMIT = 1024
"""Width of the conditioning vector: min(dim, 1024)."""

SINUSOID_WIDTH = 256
ROPE_THETA = 10_000.0

LATENT_REDUCTION = 8
"""Pixels a latent cell is wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """Constructor arguments of NextDiT; the defaults are the released model's.

    Attributes:
        n_kv_heads: key and value heads; none means as many as `n_heads`.
        multiple_of: the feed-forward's width is rounded up to this.
        ffn_dim_multiplier: scales the feed-forward's width before rounding.
        ffn_dim: the feed-forward's width itself, where shapes tell it; wins over the two above.
        cap_feat_dim: width of Gemma's hidden states.
        axes_dims: rotary channels of a head for text index, row and column.
        axes_lens: positions seen in training on each axis; others are refused.
        clip_text_dim: width of Jina's pooled vector.
        qk_eps: epsilon of the norms on queries, keys and the pooled vector (1e-5 in the diffusers port).
        trained_sizes: widths and heights in pixels of the only pictures the model can make; empty for a model
            that takes any. Not upstream's: a small model says so in its config.json.
    """

    patch_size: int = 2
    in_channels: int = 16
    dim: int = 2304
    n_layers: int = 36
    n_refiner_layers: int = 2
    n_heads: int = 24
    n_kv_heads: int | None = 8
    multiple_of: int = 256
    ffn_dim_multiplier: float | None = None
    ffn_dim: int | None = None
    norm_eps: float = 1e-5
    qk_eps: float = 1e-6
    cap_feat_dim: int = 2560
    axes_dims: tuple[int, ...] = (32, 32, 32)
    axes_lens: tuple[int, ...] = (1024, 512, 512)
    clip_text_dim: int = 1024
    trained_sizes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.dim % self.n_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of n_heads {self.n_heads}")
        if sum(self.axes_dims) != self.head_dim:
            raise ValueError(f"axes_dims {self.axes_dims} do not sum to the head's width {self.head_dim}")
        if any(width % 2 for width in self.axes_dims):
            raise ValueError(f"axes_dims {self.axes_dims} must be even: rotation acts on pairs")
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.kv_heads}")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Key and value heads."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def conditioning_dim(self) -> int:
        """Width of the time and pooled-text vector."""
        return min(self.dim, CONDITIONING_LIMIT)

    @property
    def hidden_dim(self) -> int:
        """Width of the feed-forward: 4·dim, times the multiplier, rounded up to `multiple_of`."""
        if self.ffn_dim is not None:
            return self.ffn_dim
        width = 4 * self.dim
        if self.ffn_dim_multiplier is not None:
            width = int(self.ffn_dim_multiplier * width)
        return self.multiple_of * -(-width // self.multiple_of)

    @property
    def patch_width(self) -> int:
        """Numbers in one image token."""
        return self.patch_size**2 * self.in_channels

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TransformerConfig:
        """From upstream's config.json or a golden file's metadata; names it does not use are left out."""
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        for name in ("axes_dims", "axes_lens"):
            if name in known:
                known[name] = tuple(known[name])
        known["trained_sizes"] = tuple((width, height) for width, height in known.get("trained_sizes", ()))
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderConfig:
    """diffusers' AutoencoderKL as FLUX.1-dev configures it; source: its published vae/config.json."""

    latent_channels: int = 16
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    norm_num_groups: int = 32
    scaling_factor: float = 0.3611
    shift_factor: float = 0.1159


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmaConfig:
    """Gemma 3's text model as the 4B-it checkpoint sets it; source: google/gemma-3-4b-it config.json."""

    hidden_size: int = 2560
    num_hidden_layers: int = 34
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 256
    intermediate_size: int = 10240
    vocab_size: int = 262208
    query_pre_attn_scalar: int = 256
    sliding_window: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JinaConfig:
    """Jina CLIP v2's text tower (jina-embeddings-v3); heads are 64 wide."""

    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    vocab_size: int = 250002


JINA_HEAD_DIM = 64

Shape = tuple[int, ...]
Shapes = Mapping[str, Sequence[int]]
"""Tensor names and their shapes."""
