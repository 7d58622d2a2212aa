"""The pipeline: a prompt and a seed in, a picture out::

    from newbie_core.model import NewBieImagePipeline

    pipe = NewBieImagePipeline.from_pretrained("models/")
    prompt = "<character_1><gender>1girl</gender></character_1>"
    picture = pipe(prompt=prompt, height=256, width=256, num_inference_steps=4, seed=7).images[0]
    picture.save("success_output.png")

XML, tags and prose are all taken. One picture is one pair of prompts at one size: what else is made before, beside
or after it changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import torch
from huggingface_hub.utils.tqdm import tqdm
from torch import Tensor

from newbie_core.errors import ModelError, PictureError
from newbie_core.model.adapters import Adapter, read_adapter
from newbie_core.model.attention import KernelName, choose_kernel
from newbie_core.model.conditioning import CACHE_BYTES, Conditioning
from newbie_core.model.config import LATENT_REDUCTION, PARTS
from newbie_core.model.memory import Forecast
from newbie_core.model.sampling import (
    DEFAULT_SHIFT,
    SOLVERS,
    OnStep,
    Solver,
    grid,
    guide,
    guided_evaluations,
    integrate,
    noise,
)
from newbie_core.model.stages import Hosting, Stages, Storage, choose_hosting, forecast_for
from newbie_core.model.weights.layouts import open_model
from newbie_core.model.weights.part import ModelFiles

if TYPE_CHECKING:
    from PIL.Image import Image

    from newbie_core.model.output import Pictures
    from newbie_core.model.transformer import NextDiT

AdapterChoice = Adapter | str | Path
StepEnd = Callable[[Any, int, float, dict[str, Any]], dict[str, Any] | None]
"""diffusers' callback: (pipeline, step from 0, time reached, {"latents": …}); may return replaced latents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one picture is sampled.

    Attributes:
        width, height: pixels, multiples of 16.
        steps: intervals of the solver.
        guidance: classifier-free guidance scale; 1 switches it off.
        shift: time shift.
        cfg_trunc: guidance acts while flow time is below this.
        renorm: when above 0, holds the guided velocity's norm at this multiple of the condition's.
    """

    width: int = 1024
    height: int = 1024
    steps: int = 28
    guidance: float = 4.5
    solver: Solver = "euler"
    shift: float = DEFAULT_SHIFT
    cfg_trunc: float = float("inf")
    renorm: float = 0.0


@torch.inference_mode()
def denoise(
    transformer: NextDiT,
    positive: Conditioning,
    negative: Conditioning,
    recipe: Recipe,
    latents: Tensor,
    *,
    on_step: OnStep | None = None,
) -> Tensor:
    """Carry noise `[1, C, H, W]` to latents of a picture.

    The pair of prompts is one batch, each at its true length; what steps share is computed before the first, and
    no step waits for the device.
    """
    times = grid(recipe.solver, recipe.steps, shift=recipe.shift)
    guided = guided_evaluations(times.evaluations, guidance=recipe.guidance, cfg_trunc=recipe.cfg_trunc)
    sides = (positive, negative) if any(guided) else (positive,)
    device = transformer.x_embedder.weight.device
    with transformer.kernel.session():
        prepared = transformer.prepare(
            [side.features for side in sides],
            torch.stack([side.pooled for side in sides]),
            grid=transformer.grid_of(latents),
            times=torch.tensor(times.evaluations, dtype=torch.float32)[:, None],
        )
        alone = prepared.first()

        def velocity(x: Tensor, index: int) -> Tensor:
            if not guided[index]:
                return transformer.velocity(x, alone, index).float()
            condition, uncondition = transformer.velocity(x, prepared, index).float().split(1)
            return guide(condition, uncondition, guidance=recipe.guidance, renorm=recipe.renorm)

        return integrate(latents.to(device, torch.float32), times, velocity, on_step=on_step)


class NewBieImagePipeline:
    """NewBie-image-Exp0.1 ready to make pictures; parts are loaded when first needed."""

    def __init__(self, files: ModelFiles, hosting: Hosting) -> None:
        self.files = files
        self.hosting = hosting
        self.stages = Stages(files, hosting)
        self._show_progress = sys.stderr.isatty()

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        torch_dtype: torch.dtype | None = None,
        plan: str = "auto",
        attention: KernelName = "auto",
        storage: Storage = "full",
        vae_tiling: bool = False,
        adapters: Sequence[AdapterChoice | tuple[AdapterChoice, float]] = (),
        allow_pickle: bool = False,
        text_cache: int = CACHE_BYTES,
        transformer: str | Path | None = None,
        text_encoder: str | Path | None = None,
        clip_model: str | Path | None = None,
        vae: str | Path | None = None,
        progress: bool = True,
    ) -> Self:
        """A pipeline over the model at `source`; headers are read and checked now, weights when first needed.

        Args:
            source: a folder or file in any of the known layouts, or a hub id to download.
            revision: the hub's branch, tag or commit.
            dtype: "auto" (bf16 on CUDA, float32 on a CPU), "bfloat16", "float16", "float32", or torch's own.
            torch_dtype: diffusers' name for the same.
            plan: "auto", "resident", "staged" or "offload"; see `memory`.
            attention: which kernel; see `attention`.
            storage: "fp8" halves the transformer's memory and changes pixels.
            vae_tiling: decode in tiles; changes pixels slightly.
            adapters: LoRA or LoKr files or folders, each alone (strength 1) or with its strength.
            allow_pickle: whether .bin and .pth files may be opened, by torch's restricted reader.
            text_cache: bytes of encoded texts kept for prompts that come again.
            transformer, text_encoder, clip_model, vae: take this part from another file or folder.

        Raises:
            ModelError: names the file and what is wrong with it.
        """
        given = zip(PARTS, (transformer, text_encoder, clip_model, vae), strict=True)
        overrides = {name: path for name, path in given if path is not None}
        files = open_model(
            source, revision=revision, allow_pickle=allow_pickle, overrides=overrides, progress=progress
        )
        hosting = choose_hosting(
            files,
            device=device,
            dtype=torch_dtype or dtype,
            plan=plan,
            attention=attention,
            storage=storage,
            tiling=vae_tiling,
            adapters=[_with_strength(each) for each in adapters],
            text_cache=text_cache,
        )
        return cls(files, hosting)

    def __call__(
        self,
        prompt: str | Sequence[str],
        negative_prompt: str | Sequence[str] = "",
        *,
        height: int = 1024,
        width: int = 1024,
        num_inference_steps: int = 28,
        guidance_scale: float = 4.5,
        num_images_per_prompt: int = 1,
        seed: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        solver: Solver | None = None,
        shift: float | None = None,
        cfg_trunc: float = float("inf"),
        renorm: float = 0.0,
        system_prompt: str | None = None,
        allow_cut: bool = False,
        callback_on_step_end: StepEnd | None = None,
        output_type: Literal["pil", "latent"] = "pil",
        return_dict: bool = True,
    ) -> Pictures | tuple[list[Any]]:
        """Make pictures, one after another; `.images` holds them, or their latents `[1, C, H, W]`.

        Args:
            seed: of the first picture, below 2^63; the next ones take the next seeds. Without seed and
                generator one is drawn.
            generator: torch's, one for all pictures or one each; wins over `seed`.
            solver: none takes the one that the checkpoint names.
            system_prompt: put before the prompts for Gemma; none chooses the trained one for XML or for text.
            allow_cut: cut prompts that are too long instead of refusing them.
            cfg_trunc: guidance acts while flow time (0 noise, 1 picture) is below this.

        Raises:
            PictureError: a prompt too long, a size or setting that cannot be, or a picture that is no picture.
        """
        if output_type not in ("pil", "latent"):
            raise PictureError(f'there is no output type "{output_type}"; known: pil, latent')
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        negatives = _as_many(negative_prompt, len(prompts))
        recipe = Recipe(
            width=width,
            height=height,
            steps=num_inference_steps,
            guidance=guidance_scale,
            solver=self.default_solver if solver is None else solver,
            shift=self.default_shift if shift is None else shift,
            cfg_trunc=cfg_trunc,
            renorm=renorm,
        )
        self.check(recipe)
        encoded = self.stages.encode([*prompts, *negatives], system=system_prompt, allow_cut=allow_cut)
        texts = [pair for pair in zip(prompts, negatives, strict=True) for _ in range(num_images_per_prompt)]
        pairs = [(_usable(encoded[positive]), _usable(encoded[negative])) for positive, negative in texts]
        starts = self._starts(len(pairs), recipe, seed, generator)
        images: list[Any] = []
        for (positive, negative), start in zip(pairs, starts, strict=True):
            latents = self._denoise(positive, negative, recipe, start, callback_on_step_end)
            # A copy made out here is an ordinary tensor, which anyone may train on.
            images.append(latents.clone() if output_type == "latent" else self.decode(latents))
        if not return_dict:
            return (images,)
        from newbie_core.model.output import Pictures

        return Pictures(images=images)

    @property
    def default_shift(self) -> float:
        """The time shift the checkpoint's scheduler names, else the released model's."""
        return self.files.shift or DEFAULT_SHIFT

    @property
    def default_solver(self) -> Solver:
        """The solver whose scheduler the checkpoint names, else Euler's, the released model's."""
        return cast("Solver", self.files.solver or "euler")

    def check(self, recipe: Recipe) -> None:
        """Refuse what cannot be made.

        Raises:
            PictureError: names the setting, what was given and what can be.
        """
        sizes = self.stages.sizes.transformer
        step = LATENT_REDUCTION * sizes.patch_size
        for side, pixels, limit in (
            ("height", recipe.height, sizes.axes_lens[1]),
            ("width", recipe.width, sizes.axes_lens[2]),
        ):
            if pixels % step or not step <= pixels <= limit * step:
                raise PictureError(
                    f"{side} {pixels} is not a multiple of {step} from {step} to {limit * step}",
                    code="E_PICTURE_SIZE",
                )
        if sizes.trained_sizes and (recipe.width, recipe.height) not in sizes.trained_sizes:
            known = ", ".join(f"{width}x{height}" for width, height in sizes.trained_sizes)
            raise PictureError(
                f"this model makes no pictures of {recipe.width}x{recipe.height}; it makes {known}",
                code="E_PICTURE_SIZE",
            )
        if recipe.solver not in SOLVERS:
            raise PictureError(f'there is no solver "{recipe.solver}"; known: {", ".join(SOLVERS)}')
        if not 1 <= recipe.steps <= 1000:
            raise PictureError(f"{recipe.steps} steps: from 1 to 1000 can be taken")
        if not 0 < recipe.shift < float("inf"):
            raise PictureError(f"shift {recipe.shift} must be a number above 0")

    def forecast(self, width: int = 1024, height: int = 1024) -> Forecast:
        """Predicted peak memory of a picture of this size."""
        return forecast_for(self.stages.sizes, self.hosting, width, height)

    def denoise(
        self,
        positive: Conditioning,
        negative: Conditioning,
        recipe: Recipe,
        seed: int,
        *,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Latents `[1, C, H, W]` of one picture from its own seed."""
        start = noise(seed, self.stages.sizes.transformer.in_channels, *_latent_sides(recipe))
        return denoise(self.stages.transformer, positive, negative, recipe, start, on_step=on_step)

    def decode(self, latents: Tensor) -> Image:
        """The picture of latents `[1, C, H, W]`.

        Raises:
            PictureError: the latents hold values that are no numbers.
        """
        from PIL import Image

        if not bool(torch.isfinite(latents).all()):
            raise PictureError(
                f"the network gave values that are no numbers (in {self.hosting.dtype}); "
                "lower the guidance, or use bfloat16 or float32",
                code="E_PICTURE_NOT_FINITE",
            )
        return Image.fromarray(self.stages.autoencoder.decode(latents).numpy())

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Self:
        """Run on another device, or in another dtype, from now on; parts load there when needed.

        The memory plan stays, and so does the attention kernel where it can run there.
        """
        self.stages.close()
        place, kind = torch.device(device), dtype or self.hosting.dtype
        try:
            kernel = choose_kernel(self.hosting.kernel.name, device=place, dtype=kind)
        except ModelError:
            kernel = choose_kernel("auto", device=place, dtype=kind)
        self.hosting = replace(self.hosting, device=place, dtype=kind, kernel=kernel)
        self.stages = Stages(self.files, self.hosting)
        return self

    def close(self) -> None:
        """Give back memory; parts load again when needed."""
        self.stages.close()

    def set_progress_bar_config(self, *, disable: bool) -> None:
        """Whether steps are shown on a terminal."""
        self._show_progress = not disable

    def _denoise(
        self,
        positive: Conditioning,
        negative: Conditioning,
        recipe: Recipe,
        start: Tensor,
        callback: StepEnd | None,
    ) -> Tensor:
        times = grid(recipe.solver, recipe.steps, shift=recipe.shift).points
        bar = tqdm(total=recipe.steps, leave=False) if self._show_progress else nullcontext()
        with bar as shown:

            def on_step(step: int, latents: Tensor) -> Tensor | None:
                if shown is not None:
                    shown.update()
                if callback is None:
                    return None
                changed = callback(self, step, times[step + 1], {"latents": latents}) or {}
                return changed.get("latents")

            return denoise(self.stages.transformer, positive, negative, recipe, start, on_step=on_step)

    def _starts(
        self,
        count: int,
        recipe: Recipe,
        seed: int | None,
        generator: torch.Generator | Sequence[torch.Generator] | None,
    ) -> list[Tensor]:
        """Noise of each picture, fp32 on the CPU."""
        channels, sides = self.stages.sizes.transformer.in_channels, _latent_sides(recipe)
        if generator is None:
            first = torch.seed() % 2**63 if seed is None else seed
            if not 0 <= first <= 2**63 - count:
                raise PictureError(f"seed {first} is not a whole number from 0 to 2^63 - 1")
            return [noise(first + index, channels, *sides) for index in range(count)]
        generators = [generator] * count if isinstance(generator, torch.Generator) else list(generator)
        if len(generators) != count:
            raise PictureError(f"{len(generators)} generators were given for {count} pictures")
        shape = (1, channels, *sides)
        return [torch.randn(shape, generator=each, device=each.device).float() for each in generators]


def _latent_sides(recipe: Recipe) -> tuple[int, int]:
    return recipe.height // LATENT_REDUCTION, recipe.width // LATENT_REDUCTION


def _as_many(texts: str | Sequence[str], count: int) -> list[str]:
    given = [texts] * count if isinstance(texts, str) else list(texts)
    if len(given) != count:
        raise PictureError(f"{len(given)} negative prompts were given for {count} prompts")
    return given


def _usable(found: Conditioning | PictureError) -> Conditioning:
    if isinstance(found, PictureError):
        raise found
    return found


def _with_strength(choice: AdapterChoice | tuple[AdapterChoice, float]) -> tuple[Adapter, float]:
    adapter, strength = choice if isinstance(choice, tuple) else (choice, 1.0)
    if not isinstance(strength, int | float):
        raise ModelError(f"{adapter}: strength {strength!r} is not a number", code="E_MODEL_ADAPTER")
    return (adapter if isinstance(adapter, Adapter) else read_adapter(adapter)), float(strength)
