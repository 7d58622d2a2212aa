"""The small model's sizes, its trainable parts as one module, and their way into an ordinary checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from newbie_core.model.config import AutoencoderConfig, GemmaConfig, JinaConfig, TransformerConfig
from newbie_core.model.text_encoders import build_gemma, build_jina
from newbie_core.model.transformer import BlockModulation, NextDiT
from newbie_core.nano.tokenizer import Vocabulary

TRANSFORMER = TransformerConfig(
    dim=192,
    n_layers=6,
    n_refiner_layers=1,
    n_heads=4,
    n_kv_heads=2,
    ffn_dim=512,
    cap_feat_dim=128,
    axes_dims=(16, 16, 16),
    axes_lens=(256, 40, 40),
    clip_text_dim=64,
)
AUTOENCODER = AutoencoderConfig(
    latent_channels=16,
    block_out_channels=(16, 32, 64, 96),
    layers_per_block=1,
    norm_num_groups=8,
    scaling_factor=1.0,
    shift_factor=0.0,
)


def gemma_sizes(rows: int) -> GemmaConfig:
    """Gemma's sizes, with so many ids; the last of its three layers is never used (see GemmaEncoder)."""
    return GemmaConfig(
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=256,
        vocab_size=rows,
        query_pre_attn_scalar=32,
        sliding_window=1024,
    )


def jina_sizes(rows: int) -> JinaConfig:
    """Jina's sizes, with so many ids."""
    return JinaConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=128, vocab_size=rows
    )


class Network(nn.Module):
    """Transformer and both text encoders, as they are trained: other names of words have no rows yet."""

    def __init__(self, words: Vocabulary, sizes: TransformerConfig = TRANSFORMER) -> None:
        super().__init__()
        self.transformer = NextDiT(
            patch_size=sizes.patch_size,
            in_channels=sizes.in_channels,
            dim=sizes.dim,
            n_layers=sizes.n_layers,
            n_refiner_layers=sizes.n_refiner_layers,
            n_heads=sizes.n_heads,
            n_kv_heads=sizes.n_kv_heads,
            ffn_dim=sizes.ffn_dim,
            cap_feat_dim=sizes.cap_feat_dim,
            axes_dims=sizes.axes_dims,
            axes_lens=sizes.axes_lens,
            clip_text_dim=sizes.clip_text_dim,
        )
        self.gemma, self.gemma_embedding = build_gemma(gemma_sizes(words.own_rows))
        self.jina = build_jina(jina_sizes(words.own_rows))

    def encode(self, gemma_ids: Tensor, jina_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Ids `[B, L]` of equally long texts → features `[B, L, 128]` and pooled vectors `[B, 64]`."""
        vectors = self.gemma_embedding(gemma_ids)
        features = self.gemma(inputs_embeds=vectors, use_cache=False).last_hidden_state
        pooled = self.jina(input_ids=jina_ids).last_hidden_state.mean(dim=1)
        return features, pooled

    def forward(self, x: Tensor, t: Tensor, gemma_ids: Tensor, jina_ids: Tensor) -> Tensor:
        """Velocity `[B, C, H, W]` of latents at times `[B]`, for texts `[B, L]`."""
        features, pooled = self.encode(gemma_ids, jina_ids)
        mask = torch.ones(gemma_ids.shape, dtype=torch.int64, device=x.device)
        velocity: Tensor = self.transformer(x, t, features, mask, pooled)
        return velocity


def compile_blocks(network: Network) -> None:
    """Let torch.compile fuse each block for batches of equally long texts: about 1.5 times as fast on a CPU.

    The batch and the width stay fixed and the length may change, so that few programs are compiled.
    """
    transformer = network.transformer
    on_cpu = transformer.x_embedder.weight.device.type == "cpu"
    kernel = _PlainKernel() if on_cpu else transformer.kernel
    for block in (*transformer.layers, *transformer.noise_refiner, *transformer.context_refiner):
        block.forward = _compiled(block.forward, kernel)


class _PlainKernel:
    """Attention as matrices: for some 200 tokens on a CPU, forth and back, faster than PyTorch's fused kernel."""

    name = "plain"

    def attend(self, query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
        """See AttentionKernel; sequences are equally long."""
        split = (len(lengths), lengths[0])
        times = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(times, dim=1) for part in (key, value))
        q, k, v = (part.unflatten(0, split).transpose(1, 2) for part in (query, key, value))
        weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1)
        return (weights @ v).transpose(1, 2).flatten(0, 1)

    def session(self) -> AbstractContextManager[object]:
        """Nothing to pin."""
        return nullcontext()


def _compiled(forward: Callable[..., Tensor], kernel: Any) -> Callable[..., Tensor]:
    def run(x: Tensor, table: Tensor, *factors: Tensor) -> Tensor:
        batch, length, _ = x.shape
        steering = BlockModulation(*factors) if factors else None
        made = forward(x.flatten(0, 1), (length,) * batch, table, kernel, steering)
        return made.unflatten(0, (batch, length))

    program = torch.compile(run, dynamic=True)

    def call(
        x: Tensor,
        lengths: tuple[int, ...],
        table: Tensor,
        kernel: Any,
        modulation: BlockModulation | None = None,
    ) -> Tensor:
        stacked = x.unflatten(0, (len(lengths), lengths[0]))
        torch._dynamo.mark_static(stacked, 0)
        torch._dynamo.mark_static(stacked, 2)
        factors = () if modulation is None else _factors(modulation)
        made: Tensor = program(stacked, table, *factors)
        return made.flatten(0, 1)

    return call


def _factors(modulation: BlockModulation) -> tuple[Tensor, ...]:
    return (
        modulation.attention_in,
        modulation.attention_out,
        modulation.feed_forward_in,
        modulation.feed_forward_out,
    )
