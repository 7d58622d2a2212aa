"""Our network beside diffusers' Lumina2, the nearest it has: the same weights, the same inputs, the same result.

Lumina2 is this architecture without the pooled text vector, so ours goes without it too: the vector's two small
modules are left out of the comparison, on both sides. Diffusers' side is what its users run, `Lumina2Pipeline`
with its scheduler; it takes embeddings of both prompts padded to one length, here no further than the longer
one (left to itself it pads to 256).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline, Lumina2Transformer2DModel
from torch import Tensor, nn

from newbie_core.model.attention import choose_kernel
from newbie_core.model.conditioning import Conditioning, TokenCount
from newbie_core.model.config import LATENT_REDUCTION, TransformerConfig
from newbie_core.model.sampling import DEFAULT_SHIFT
from newbie_core.model.text_to_image import Recipe, denoise
from newbie_core.model.transformer import NextDiT, Prepared
from newbie_core.model.weights.renames import to_port
from newbie_core.model.writing import port_config

POOLED = ("time_caption_embed.clip_text_pooled_proj.", "time_caption_embed.time_text_embed.")
GUIDANCE = 4.5
PORT_QK_EPS = 1e-5
"""Lumina2's epsilon for queries and keys; ours is set to it here."""


class Unpooled(NextDiT):
    """Ours, deaf to the pooled vector, as Lumina2 is."""

    def prepare(
        self, captions: Sequence[Tensor], pooled: Tensor | None, *, grid: tuple[int, int], times: Tensor
    ) -> Prepared:
        """See NextDiT; `pooled` is ignored."""
        return super().prepare(captions, None, grid=grid, times=times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Sizes of one comparison.

    Attributes:
        latent: sides of the square latents; a picture's are eight times as long.
        texts: tokens of the prompt and of the negative one.
    """

    name: str
    config: TransformerConfig
    latent: int
    texts: tuple[int, int]

    @property
    def image_tokens(self) -> int:
        """Image tokens of one sequence."""
        return (self.latent // self.config.patch_size) ** 2


def case(name: str, *, dim: int, layers: int, heads: int, latent: int, texts: tuple[int, int]) -> Case:
    """A network of NewBie's proportions: a third as many key heads (two at least), equal rotary axes where even."""
    head = dim // heads
    axis = 2 * (head // 6)
    config = TransformerConfig(
        dim=dim,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=max(2, heads // 3),
        axes_dims=(head - 2 * axis, axis, axis),
        cap_feat_dim=dim,
        clip_text_dim=256,
        multiple_of=64,
        qk_eps=PORT_QK_EPS,
    )
    return Case(name=name, config=config, latent=latent, texts=texts)


SMALL = case("small", dim=384, layers=6, heads=6, latent=32, texts=(64, 8))
MEDIUM = case("medium", dim=768, layers=8, heads=12, latent=64, texts=(160, 8))
FULL = Case(
    name="full", config=TransformerConfig(clip_text_dim=1024, qk_eps=PORT_QK_EPS), latent=128, texts=(300, 8)
)
TINY = case("tiny", dim=96, layers=2, heads=4, latent=8, texts=(12, 4))


@torch.no_grad()
def draw(module: nn.Module, *, seed: int = 0) -> None:
    """Random weights in place, on whatever device they are: matrices by their fan-in, norms near one."""
    generator = torch.Generator(next(module.parameters()).device).manual_seed(seed)
    for name, weight in module.named_parameters():
        if weight.dim() > 1:
            weight.normal_(generator=generator).div_(weight[0].numel() ** 0.5)
        elif name.endswith("bias"):
            weight.normal_(generator=generator).mul_(0.05)
        else:
            weight.normal_(generator=generator).mul_(0.1).add_(1)


def our_network(sizes: TransformerConfig, *, device: torch.device | str, dtype: torch.dtype) -> NextDiT:
    """Ours with random weights; without numbers on "meta"."""
    with torch.device("meta"):
        # nn.Module's own `to`: the one of diffusers warns of every change of dtype.
        model: NextDiT = nn.Module.to(Unpooled(**asdict(sizes)), dtype=dtype)
    if str(device) != "meta":
        model.to_empty(device=device)
        draw(model)
        model.kernel = choose_kernel("auto", device=torch.device(device), dtype=dtype)
    model.eval().requires_grad_(False)
    return model


def their_network(model: NextDiT) -> Lumina2Transformer2DModel:
    """Lumina2 with the weights of `model`, most of them the same memory."""
    sizes = model.sizes
    given = port_config(sizes)
    arguments = {name: given[name] for name in given if name not in ("_class_name", "pooled_projection_dim")}
    with torch.device("meta"):
        theirs = Lumina2Transformer2DModel(**arguments)
    # Its rotary tables are no buffers, so they are made again off the meta device.
    theirs.rope_embedder = type(theirs.rope_embedder)(
        theta=10_000, axes_dim=sizes.axes_dims, axes_lens=sizes.axes_lens, patch_size=sizes.patch_size
    )
    port = to_port(model.state_dict(), sizes)
    state = {name: tensor for name, tensor in port.items() if not name.startswith(POOLED)}
    theirs.load_state_dict(state, strict=True, assign=True)
    return theirs.eval().requires_grad_(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Random features and noise of one picture, as either side takes them.

    Attributes:
        sides: caption features of the prompt and of the negative one, `[L, cap_feat_dim]`.
        latents: noise `[1, C, H, W]`, float32.
    """

    sides: tuple[Tensor, Tensor]
    latents: Tensor

    def padded(self, count: int) -> tuple[Tensor, Tensor]:
        """Features `[count, L, cap_feat_dim]` and mask `[count, L]` of the first `count` sides, zeros for padding."""
        longest = max(len(side) for side in self.sides)
        chosen = self.sides[:count]
        features = torch.stack([F.pad(side, (0, 0, 0, longest - len(side))) for side in chosen])
        mask = torch.zeros(count, longest, dtype=torch.int64, device=features.device)
        for row, side in enumerate(chosen):
            mask[row, : len(side)] = 1
        return features, mask

    def conditioning(self, side: int) -> Conditioning:
        """One side as our pipeline hands it over."""
        features = self.sides[side]
        pooled = torch.zeros(1, device=features.device)
        return Conditioning(
            features=features, pooled=pooled, tokens=TokenCount(gemma=len(features), system=0, jina=2)
        )


def inputs(
    sizes: Case,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    seed: int = 1,
    texts: tuple[int, int] | None = None,
) -> Inputs:
    """Inputs drawn on the CPU, so equal on every device; `texts` takes the place of the case's lengths."""
    generator = torch.Generator("cpu").manual_seed(seed)
    width, channels = sizes.config.cap_feat_dim, sizes.config.in_channels
    sides = [torch.randn(length, width, generator=generator) for length in texts or sizes.texts]
    latents = torch.randn(1, channels, sizes.latent, sizes.latent, generator=generator)
    return Inputs(sides=(sides[0].to(device, dtype), sides[1].to(device, dtype)), latents=latents.to(device))


def our_forward(model: NextDiT, given: Inputs, batch: int) -> Tensor:
    """One call, everything prepared in it, at time 0.3: `[batch, C, H, W]`."""
    device, dtype = model.x_embedder.weight.device, model.x_embedder.weight.dtype
    features, mask = given.padded(batch)
    latents = given.latents.to(dtype).expand(batch, -1, -1, -1)
    velocity: Tensor = model(latents, torch.full((batch,), 0.3, device=device), features, mask)
    return velocity


def their_forward(model: Lumina2Transformer2DModel, given: Inputs, batch: int) -> Tensor:
    """The same of diffusers."""
    features, mask = given.padded(batch)
    latents = given.latents.to(features.dtype).expand(batch, -1, -1, -1)
    time = torch.full((batch,), 0.3, device=features.device)
    velocity: Tensor = model(latents, time, features, mask, return_dict=False)[0]
    return velocity


def our_loop(model: NextDiT, given: Inputs, *, steps: int = 28) -> Tensor:
    """Noise to latents with guidance on every step, as our pipeline does it."""
    recipe = Recipe(steps=steps, guidance=GUIDANCE)
    return denoise(model, given.conditioning(0), given.conditioning(1), recipe, given.latents)


def their_pipeline(model: Lumina2Transformer2DModel) -> Lumina2Pipeline:
    """Diffusers' pipeline around the network alone, on NewBie's time grid."""
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=DEFAULT_SHIFT)
    pipeline = Lumina2Pipeline(
        transformer=model, scheduler=scheduler, vae=None, text_encoder=None, tokenizer=None
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def their_loop(pipeline: Lumina2Pipeline, given: Inputs, *, steps: int = 28) -> Tensor:
    """The same of diffusers: two calls a step, one after the other; without its own renormalisation."""
    features, mask = given.padded(2)
    latents: Tensor = pipeline(
        prompt_embeds=features[:1],
        prompt_attention_mask=mask[:1],
        negative_prompt_embeds=features[1:],
        negative_prompt_attention_mask=mask[1:],
        latents=given.latents.to(features.dtype),
        height=given.latents.shape[2] * LATENT_REDUCTION,
        width=given.latents.shape[3] * LATENT_REDUCTION,
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        cfg_normalization=False,
        output_type="latent",
        return_dict=False,
    )[0]
    return latents


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the root mean square of `other`."""
    one, other = one.float(), other.float()
    return float((one - other).abs().max() / other.square().mean().sqrt())
