"""NextDiT: the 3.5-billion-parameter transformer that turns noise and text into a velocity.

A Lumina-Image-2.0 transformer (Qin et al., arXiv 2503.21758) of 36 layers, whose time embedding is joined by a
pooled text vector. Upstream: NewBieAI-Lab/NewBie-image-Exp0.1, `NextDiT_CLIP`; parameter names are upstream's::

    caption [L, 2560] ── cap_embedder ── context_refiner ×2 ─┐
    latents [C, H, W] ── x_embedder ──── noise_refiner ×2 ───┴─ layers ×36 ── final_layer ── velocity [C, H, W]
    t, pooled text ──── t_embedder, clip_text_pooled_proj, time_text_embed ── modulates all but context_refiner

What does not depend on the latents is computed once a picture by `prepare`: refined captions, rotary tables, and
the modulation of every block at every time. `velocity` does the rest, once a step, without asking the device for
anything. Sequences are packed (see `attention`): a pair of prompts runs as one batch, each at its true length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from torch import Tensor, nn

from newbie_core.model.attention import AttentionKernel, all_equal, default_kernel, spans
from newbie_core.model.config import TransformerConfig
from newbie_core.model.layers import Attention, FeedForward, RMSNorm, TimestepEmbedder, rms_norm, rotary_table

FINAL_NORM_EPS = 1e-6
"""Of the last LayerNorm, which has no weights."""


@dataclass(frozen=True, slots=True)
class BlockModulation:
    """What time and text do to a block at one step: four factors, each `[B, dim]`.

    A block's norm weights are already multiplied in: `attention_in = norm1 · (1 + scale)`,
    `attention_out = norm2 · tanh(gate)`, and the same for the feed-forward.
    """

    attention_in: Tensor
    attention_out: Tensor
    feed_forward_in: Tensor
    feed_forward_out: Tensor


@dataclass(frozen=True, slots=True)
class Prepared:
    """All of a picture that does not depend on its latents.

    Attributes:
        captions: refined caption tokens of each sequence, `[L, dim]`.
        grid: rows and columns of image tokens.
        times: how many times the modulation is for.
        noise_table, joint_table: rotary tables of the image tokens alone and of the whole packed batch.
        noise_modulation, layer_modulation: for each block, `[times, 4, B, dim]`.
        final_scale: `[times, B, dim]`, one plus the last layer's scale.
    """

    captions: tuple[Tensor, ...]
    grid: tuple[int, int]
    times: int
    noise_table: Tensor
    joint_table: Tensor
    noise_modulation: tuple[Tensor, ...]
    layer_modulation: tuple[Tensor, ...]
    final_scale: Tensor

    @property
    def batch(self) -> int:
        """Sequences in the batch."""
        return len(self.captions)

    @property
    def image_tokens(self) -> int:
        """Image tokens of one sequence."""
        return self.grid[0] * self.grid[1]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sequence: caption, then image."""
        return tuple(len(caption) + self.image_tokens for caption in self.captions)

    def first(self) -> Prepared:
        """The first sequence alone, once guidance has ended."""
        return replace(
            self,
            captions=self.captions[:1],
            noise_table=self.noise_table[: self.image_tokens],
            joint_table=self.joint_table[: self.lengths[0]],
            noise_modulation=tuple(factors[:, :, :1] for factors in self.noise_modulation),
            layer_modulation=tuple(factors[:, :, :1] for factors in self.layer_modulation),
            final_scale=self.final_scale[:, :1],
        )


class Block(nn.Module):
    """Attention and feed-forward, each between two norms; `modulated` blocks are steered by time and text."""

    def __init__(self, config: TransformerConfig, *, modulated: bool) -> None:
        super().__init__()
        dim, eps = config.dim, config.norm_eps
        self.attention = Attention(dim, config.n_heads, config.kv_heads, config.qk_eps)
        self.feed_forward = FeedForward(dim, config.hidden_dim)
        self.attention_norm1 = RMSNorm(dim, eps)
        self.attention_norm2 = RMSNorm(dim, eps)
        self.ffn_norm1 = RMSNorm(dim, eps)
        self.ffn_norm2 = RMSNorm(dim, eps)
        if modulated:
            width = config.conditioning_dim
            self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 4 * dim))

    def modulation(self, conditioning: Tensor) -> Tensor:
        """`[K, B, conditioning]` → `[K, 4, B, dim]`: the factors of BlockModulation, norm weights included."""
        scale1, gate1, scale2, gate2 = self.adaLN_modulation(conditioning).chunk(4, dim=-1)
        return torch.stack(
            (
                self.attention_norm1.weight * (1 + scale1),
                self.attention_norm2.weight * gate1.tanh(),
                self.ffn_norm1.weight * (1 + scale2),
                self.ffn_norm2.weight * gate2.tanh(),
            ),
            dim=1,
        )

    def forward(
        self,
        x: Tensor,
        lengths: Sequence[int],
        table: Tensor,
        kernel: AttentionKernel,
        modulation: BlockModulation | None = None,
    ) -> Tensor:
        """`[T, dim]` → `[T, dim]`, T packed tokens of `lengths`."""
        if modulation is None:
            attended = self.attention(self.attention_norm1(x), lengths, table, kernel)
            x = x + self.attention_norm2(attended)
            return x + self.ffn_norm2(self.feed_forward(self.ffn_norm1(x)))
        eps = self.attention_norm1.eps
        normed = _norm_each(x, modulation.attention_in, lengths, eps)
        attended = self.attention(normed, lengths, table, kernel)
        x = _add_normed(x, attended, modulation.attention_out, lengths, eps)
        fed = self.feed_forward(_norm_each(x, modulation.feed_forward_in, lengths, eps))
        return _add_normed(x, fed, modulation.feed_forward_out, lengths, eps)


def _norm_each(x: Tensor, weights: Tensor, lengths: Sequence[int], eps: float) -> Tensor:
    """RMS norm of each packed sequence with its own weight: `[T, dim]`, `[B, dim]` → `[T, dim]`."""
    if len(lengths) == 1:
        return rms_norm(x, weights[0], eps)
    if torch.is_grad_enabled():
        # Whole tensors, which autograd walks back in a few passes.
        if all_equal(lengths):
            return (rms_norm(x, None, eps).unflatten(0, (len(lengths), -1)) * weights.unsqueeze(1)).flatten(
                0, 1
            )
        counts = torch.tensor(lengths, device=x.device)
        return rms_norm(x, None, eps) * weights.repeat_interleave(counts, dim=0)
    normed = rms_norm(x, None, eps)
    for (begin, end), weight in zip(spans(lengths), weights, strict=True):
        normed[begin:end].mul_(weight)
    return normed


def _add_normed(x: Tensor, y: Tensor, weights: Tensor, lengths: Sequence[int], eps: float) -> Tensor:
    """x + norm(y) · weight, sequence by sequence; without gradients in x's own memory, which nobody else reads."""
    if torch.is_grad_enabled():
        return x + _norm_each(y, weights, lengths, eps)
    normed = rms_norm(y, None, eps)
    for (begin, end), weight in zip(spans(lengths), weights, strict=True):
        x[begin:end].addcmul_(normed[begin:end], weight)
    return x


class FinalLayer(nn.Module):
    """LayerNorm scaled by time and text, then a linear map to patches."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.dim, config.patch_width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.conditioning_dim, config.dim))

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """`[B, N, dim]` and `[B, dim]` → `[B, N, patch_width]`."""
        normed = F.layer_norm(x, (x.shape[-1],), eps=FINAL_NORM_EPS)
        return self.linear(normed * scale.unsqueeze(1))


class NextDiT(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """The network. Arguments are TransformerConfig's fields; the defaults are the released model's.

    diffusers' `save_pretrained`, `from_pretrained`, device maps and layerwise casting, and PEFT's adapters, work
    as on diffusers' own models.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ("Block",)
    _repeated_blocks = ("Block",)
    _skip_layerwise_casting_patterns = ("x_embedder", "t_embedder", "norm", "cap_embedder.0", "pooled_proj.0")

    @register_to_config
    def __init__(
        self,
        patch_size: int = 2,
        in_channels: int = 16,
        dim: int = 2304,
        n_layers: int = 36,
        n_refiner_layers: int = 2,
        n_heads: int = 24,
        n_kv_heads: int | None = 8,
        multiple_of: int = 256,
        ffn_dim_multiplier: float | None = None,
        ffn_dim: int | None = None,
        norm_eps: float = 1e-5,
        qk_eps: float = 1e-6,
        cap_feat_dim: int = 2560,
        axes_dims: tuple[int, ...] = (32, 32, 32),
        axes_lens: tuple[int, ...] = (1024, 512, 512),
        clip_text_dim: int = 1024,
        trained_sizes: tuple[tuple[int, int], ...] = (),
    ) -> None:
        super().__init__()
        sizes = TransformerConfig.from_mapping(dict(self.config))
        width, dim = sizes.conditioning_dim, sizes.dim
        self.sizes = sizes
        self.kernel: AttentionKernel = default_kernel()
        self.streamed: Callable[[Block], Block] | None = None
        self.gradient_checkpointing = False

        self.x_embedder = nn.Linear(sizes.patch_width, dim)
        self.t_embedder = TimestepEmbedder(width)
        self.cap_embedder = nn.Sequential(RMSNorm(cap_feat_dim, norm_eps), nn.Linear(cap_feat_dim, dim))
        self.clip_text_pooled_proj = nn.Sequential(
            RMSNorm(clip_text_dim, qk_eps), nn.Linear(clip_text_dim, clip_text_dim)
        )
        self.time_text_embed = nn.Sequential(nn.SiLU(), nn.Linear(width + clip_text_dim, width))
        refiners = range(n_refiner_layers)
        self.noise_refiner = nn.ModuleList(Block(sizes, modulated=True) for _ in refiners)
        self.context_refiner = nn.ModuleList(Block(sizes, modulated=False) for _ in refiners)
        self.layers = nn.ModuleList(Block(sizes, modulated=True) for _ in range(n_layers))
        # In every checkpoint, and used by nobody.
        self.norm_final = RMSNorm(dim, norm_eps)
        self.final_layer = FinalLayer(sizes)
        if self.x_embedder.weight.device.type != "meta":
            self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw weights from which training can start.

        Upstream zeroes every modulation and `time_text_embed`: silu(0) = 0 then stops the gradient of the one and
        the zero weight that of the other, so time is never learnt. Here modulations are small, gates a little
        open, and only the output layer starts at zero.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in (*self.noise_refiner, *self.layers):
            modulation: nn.Linear = block.adaLN_modulation[1]
            nn.init.normal_(modulation.weight, std=0.02)
            _, gate1, _, gate2 = modulation.bias.chunk(4)
            gate1.fill_(0.3)
            gate2.fill_(0.3)
        modulation = self.final_layer.adaLN_modulation[1]  # type: ignore[assignment]
        nn.init.normal_(modulation.weight, std=0.02)
        nn.init.zeros_(self.final_layer.linear.weight)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        cap_feats: Tensor,
        cap_mask: Tensor,
        clip_text_pooled: Tensor | None = None,
    ) -> Tensor:
        """The velocity (data − noise), with upstream's arguments.

        Args:
            x: latents `[B, C, H, W]`, both sides multiples of the patch size.
            t: `[B]` in [0, 1]; 0 is noise, 1 the picture.
            cap_feats: `[B, L, cap_feat_dim]`; padded places may hold anything.
            cap_mask: `[B, L]`, 1 for caption tokens, which come first.
            clip_text_pooled: `[B, clip_text_dim]`; without it `time_text_embed` is skipped, which the released
                model was not trained for.

        Returns:
            `[B, C, H, W]`.
        """
        lengths = [int(length) for length in cap_mask.sum(dim=1).tolist()]
        captions = [feats[:length] for feats, length in zip(cap_feats, lengths, strict=True)]
        grid = self.grid_of(x)
        prepared = self.prepare(captions, clip_text_pooled, grid=grid, times=t.float()[None])
        return self.velocity(x, prepared, 0)

    def grid_of(self, x: Tensor) -> tuple[int, int]:
        """Rows and columns of image tokens for latents `[B, C, H, W]`."""
        rows, columns = (side // self.sizes.patch_size for side in x.shape[-2:])
        return rows, columns

    def prepare(
        self,
        captions: Sequence[Tensor],
        pooled: Tensor | None,
        *,
        grid: tuple[int, int],
        times: Tensor,
    ) -> Prepared:
        """Compute once what every step needs.

        Args:
            captions: caption features of each sequence, `[L, cap_feat_dim]`, unpadded.
            pooled: `[B, clip_text_dim]` or none.
            grid: rows and columns of image tokens.
            times: `[K, B]` or `[K, 1]` float32: the times at which `velocity` will be asked.

        Raises:
            ValueError: positions beyond `axes_lens`, which the model never saw.
        """
        lengths = [len(caption) for caption in captions]
        self._check_positions(lengths, grid)
        device, dtype = self.x_embedder.weight.device, self.x_embedder.weight.dtype
        text_table, noise_table, joint_table = (table.to(device) for table in self._tables(lengths, grid))
        embedded = self.cap_embedder(torch.cat([caption.to(device, dtype) for caption in captions]))
        for block in self._resident(self.context_refiner):
            embedded = block(embedded, lengths, text_table, self.kernel)
        conditioning = self._conditioning(times.to(device), pooled, len(captions))
        return Prepared(
            captions=embedded.split(lengths),
            grid=grid,
            times=len(times),
            noise_table=noise_table,
            joint_table=joint_table,
            noise_modulation=tuple(
                block.modulation(conditioning) for block in self._resident(self.noise_refiner)
            ),
            layer_modulation=tuple(block.modulation(conditioning) for block in self._resident(self.layers)),
            final_scale=1 + self.final_layer.adaLN_modulation(conditioning),
        )

    def velocity(self, x: Tensor, prepared: Prepared, step: int) -> Tensor:
        """dx/dt = data − noise at `prepared`'s time number `step`.

        Args:
            x: latents `[B, C, H, W]`, or `[1, C, H, W]` when all sequences share them (guidance).

        Returns:
            `[B, C, H, W]` in the model's dtype.
        """
        batch, tokens = prepared.batch, prepared.image_tokens
        image = self.x_embedder(patchify(x.to(self.x_embedder.weight.dtype), self.sizes.patch_size))
        image = image.expand(batch, -1, -1).flatten(0, 1)
        image_lengths = (tokens,) * batch
        for block, factors in zip(self._resident(self.noise_refiner), prepared.noise_modulation, strict=True):
            steering = BlockModulation(*factors[step])
            image = self._run(block, image, image_lengths, prepared.noise_table, steering)
        packed = torch.cat(
            [part for pair in zip(prepared.captions, image.split(tokens), strict=True) for part in pair]
        )
        for block, factors in zip(self._resident(self.layers), prepared.layer_modulation, strict=True):
            steering = BlockModulation(*factors[step])
            packed = self._run(block, packed, prepared.lengths, prepared.joint_table, steering)
        image = torch.stack([part[-tokens:] for part in packed.split(prepared.lengths)])
        patches = self.final_layer(image, prepared.final_scale[step])
        return unpatchify(patches, prepared.grid, self.sizes.patch_size)

    def _run(
        self, block: Block, x: Tensor, lengths: Sequence[int], table: Tensor, modulation: BlockModulation
    ) -> Tensor:
        arguments = (x, lengths, table, self.kernel, modulation)
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(block, *arguments)
        return block(*arguments)

    def _resident(self, blocks: nn.ModuleList) -> Iterator[Any]:
        """The blocks, each on the device while it is used when layers are streamed."""
        return iter(blocks) if self.streamed is None else map(self.streamed, cast("Iterable[Block]", blocks))

    def _conditioning(self, times: Tensor, pooled: Tensor | None, batch: int) -> Tensor:
        """`[K, B or 1]` times and `[B, clip]` pooled text → `[K, B, conditioning]`."""
        moments = times.expand(-1, batch)
        embedded = self.t_embedder(moments.flatten()).unflatten(0, moments.shape)
        if pooled is None:
            return embedded
        text = self.clip_text_pooled_proj(pooled.to(embedded.device, embedded.dtype))
        joined = torch.cat((embedded, text.expand(len(moments), -1, -1)), dim=-1)
        return self.time_text_embed(joined)

    def _tables(self, lengths: Sequence[int], grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Rotary tables of captions, images, and both packed together."""
        text = [caption_positions(length) for length in lengths]
        image = [image_positions(length, grid) for length in lengths]
        joint = [part for pair in zip(text, image, strict=True) for part in pair]
        axes = self.sizes.axes_dims
        return (
            rotary_table(torch.cat(text), axes),
            rotary_table(torch.cat(image), axes),
            rotary_table(torch.cat(joint), axes),
        )

    def _check_positions(self, lengths: Sequence[int], grid: tuple[int, int]) -> None:
        limits = self.sizes.axes_lens
        found = (max(lengths) + 1, *grid)
        for what, size, limit in zip(("caption tokens + 1", "rows", "columns"), found, limits, strict=True):
            if size > limit:
                raise ValueError(f"{size} {what}: the model was trained on at most {limit}")


def caption_positions(length: int) -> Tensor:
    """`[L, 3]`: the token's index on axis 0."""
    positions = torch.zeros(length, 3, dtype=torch.int64)
    positions[:, 0] = torch.arange(length)
    return positions


def image_positions(caption_length: int, grid: tuple[int, int]) -> Tensor:
    """`[rows·columns, 3]`: the caption's true length, row, column."""
    rows, columns = grid
    positions = torch.empty(rows, columns, 3, dtype=torch.int64)
    positions[..., 0] = caption_length
    positions[..., 1] = torch.arange(rows)[:, None]
    positions[..., 2] = torch.arange(columns)
    return positions.flatten(0, 1)


def patchify(x: Tensor, size: int) -> Tensor:
    """`[B, C, H, W]` → `[B, N, size·size·C]`: patches row by row, inside each (row, column, channel)."""
    cut = x.unflatten(-1, (-1, size)).unflatten(-3, (-1, size))  # [B, C, h, p, w, q]
    return cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatchify(patches: Tensor, grid: tuple[int, int], size: int) -> Tensor:
    """The reverse of `patchify`: `[B, N, size·size·C]` → `[B, C, H, W]`."""
    cut = patches.unflatten(1, grid).unflatten(-1, (size, size, -1))  # [B, h, w, p, q, C]
    return cut.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
