"""A model's parts, loaded when they are needed and kept as the memory plan says.

What their classes are made of, diffusers and transformers, is imported with the first part: to know a model's
identity, sizes and memory takes none of it.
"""

from __future__ import annotations

import gc
import importlib
import logging
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch

from newbie_core.errors import ModelError, PictureError
from newbie_core.model.adapters import AdaptedWeights, Adapter
from newbie_core.model.attention import AttentionKernel, KernelName, choose_kernel
from newbie_core.model.conditioning import CACHE_BYTES, Conditioning, TextConditioner
from newbie_core.model.memory import PLANS, Forecast, MemoryPlan, ModelSizes, choose_plan, forecast
from newbie_core.model.streaming import BlockStream
from newbie_core.model.weights.config_from_shapes import (
    autoencoder_config,
    gemma_config,
    jina_config,
    transformer_config,
)
from newbie_core.model.weights.loading import load_into
from newbie_core.model.weights.part import ModelFiles

if TYPE_CHECKING:
    from newbie_core.model.autoencoder import Autoencoder
    from newbie_core.model.transformer import NextDiT

_log = logging.getLogger(__name__)

Storage = Literal["full", "fp8"]
"""`fp8` keeps the transformer blocks' linear weights in 8 bits and computes in the dtype: half the memory, other pixels."""

_NEVER_FP8 = ("norm", "embedder", "pooled_proj", "time_text_embed", "final_layer", "adaLN_modulation")

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """Where and how a model runs. Everything but `device` and `plan` can change pixels.

    Attributes:
        adapters: with their strengths, in the order they are added.
        text_cache: bytes of conditionings kept for texts that come again.
    """

    device: torch.device
    dtype: torch.dtype
    plan: MemoryPlan
    kernel: AttentionKernel
    storage: Storage = "full"
    tiling: bool = False
    adapters: tuple[tuple[Adapter, float], ...] = ()
    text_cache: int = CACHE_BYTES


def sizes_of(files: ModelFiles) -> ModelSizes:
    """The sizes of a model's parts, from its headers.

    Raises:
        ModelError: shapes that do not belong together.
    """
    return ModelSizes(
        transformer=transformer_config(files.parts["transformer"]),
        text_encoder=gemma_config(files.parts["text_encoder"]),
        clip_model=jina_config(files.parts["clip_model"]),
        vae=autoencoder_config(files.parts["vae"]),
    )


def choose_hosting(
    files: ModelFiles,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    plan: str = "auto",
    attention: KernelName = "auto",
    storage: Storage = "full",
    tiling: bool = False,
    adapters: Sequence[tuple[Adapter, float]] = (),
    text_cache: int = CACHE_BYTES,
    side: int = 1024,
) -> Hosting:
    """Settle what is left open: CUDA where there is one, bf16 there and float32 on a CPU, the plan that fits.

    Args:
        side: pixels of a side of the largest picture planned for, for choosing the plan.

    Raises:
        ModelError: a name that is not known, or a kernel that cannot run here.
    """
    place = torch.device(device) if device else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = _dtype(dtype, place)
    if plan not in ("auto", *PLANS):
        raise ModelError(
            f'there is no memory plan "{plan}"; known: auto, {", ".join(PLANS)}', code="E_MODEL_PLAN"
        )
    if storage not in ("full", "fp8"):
        raise ModelError(f'there is no storage "{storage}"; known: full, fp8', code="E_MODEL_STORAGE")
    hosting = Hosting(
        device=place,
        dtype=kind,
        plan="resident",
        kernel=choose_kernel(attention, device=place, dtype=kind),
        storage=storage,
        tiling=tiling,
        adapters=tuple(adapters),
        text_cache=text_cache,
    )
    if plan == "auto":
        foreseen = {
            each: forecast_for(sizes_of(files), replace(hosting, plan=each), side, side) for each in PLANS
        }
        return replace(hosting, plan=choose_plan(free_memory(place), foreseen))
    return replace(hosting, plan=cast(MemoryPlan, plan))


def _dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise ModelError(
            f'there is no dtype "{dtype}"; known: auto, {", ".join(DTYPES)}', code="E_MODEL_DTYPE"
        )
    return DTYPES[dtype]


def forecast_for(sizes: ModelSizes, hosting: Hosting, width: int, height: int) -> Forecast:
    """Predicted peak memory of one picture."""
    return forecast(
        sizes,
        hosting.plan,
        width=width,
        height=height,
        item=hosting.dtype.itemsize,
        fp8=hosting.storage == "fp8",
        embedding_on_device=hosting.device.type == "cpu",
        tiling=hosting.tiling,
    )


def free_memory(device: torch.device) -> int | None:
    """Free bytes on a CUDA device; none elsewhere, where the system pages."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


class Stages:
    """The parts of one model: texts are encoded, latents denoised and decoded, each part there when it is asked for."""

    def __init__(self, files: ModelFiles, hosting: Hosting) -> None:
        self.files = files
        self.hosting = hosting
        self.sizes = sizes_of(files)
        self._transformer: NextDiT | None = None
        self._autoencoder: Autoencoder | None = None
        self.texts = TextConditioner.from_parts(
            files.parts["text_encoder"],
            files.parts["clip_model"],
            device=hosting.device,
            dtype=hosting.dtype,
            embedding_device="cpu",
            streamed=hosting.plan == "offload",
            cache_bytes=hosting.text_cache,
        )

    def encode(
        self, texts: Sequence[str], *, system: str | None = None, allow_cut: bool = False
    ) -> dict[str, Conditioning | PictureError]:
        """Each distinct text's conditioning, or why it has none; every text is encoded alone.

        Except when resident, the transformer makes room first and the encoders afterwards.
        """
        resident = self.hosting.plan == "resident"
        new = self.texts.unknown(texts, system=system)
        if new and not resident:
            self._free_denoiser()
        encoded = self.texts.encode_all(texts, system=system, allow_cut=allow_cut, one_by_one=not resident)
        if new and not resident:
            self.texts.release()
            gc.collect()
        return encoded

    @property
    def transformer(self) -> NextDiT:
        """The network, with adapters applied; loaded when first asked for."""
        if self._transformer is None:
            self._transformer = self._load_transformer()
        return self._transformer

    @property
    def autoencoder(self) -> Autoencoder:
        """The decoder; loaded when first asked for."""
        if self._autoencoder is None:
            from newbie_core.model.autoencoder import Autoencoder

            hosting = self.hosting
            self._autoencoder = Autoencoder.load(
                self.files.parts["vae"], device=hosting.device, dtype=hosting.dtype, tiling=hosting.tiling
            )
        return self._autoencoder

    def close(self) -> None:
        """Give back all parts; they load again when asked for."""
        self._free_denoiser()
        self.texts.release()
        gc.collect()

    def _free_denoiser(self) -> None:
        self._transformer = self._autoencoder = None
        gc.collect()
        if self.hosting.device.type == "cuda":
            torch.cuda.empty_cache()

    def _load_transformer(self) -> NextDiT:
        from newbie_core.model.transformer import NextDiT

        hosting = self.hosting
        with torch.device("meta"):
            model = NextDiT(**asdict(self.sizes.transformer))
        offload = hosting.plan == "offload"
        home = torch.device("cpu") if offload else hosting.device
        load_into(model, self.files.parts["transformer"], device=home, dtype=hosting.dtype)
        model.eval().requires_grad_(False)
        if hosting.adapters:
            AdaptedWeights(model).apply(hosting.adapters)
        if hosting.storage == "fp8":
            from diffusers.hooks import apply_layerwise_casting

            apply_layerwise_casting(
                model,
                storage_dtype=torch.float8_e4m3fn,
                compute_dtype=hosting.dtype,
                skip_modules_pattern=_NEVER_FP8,
            )
        model.kernel = hosting.kernel
        if offload:
            blocks = (*model.context_refiner, *model.noise_refiner, *model.layers)
            for name, child in model.named_children():
                if name not in ("context_refiner", "noise_refiner", "layers"):
                    child.to(hosting.device)
            model.streamed = BlockStream(blocks, hosting.device).fetch
        return model


def import_parts() -> None:
    """Import now what loading a part would; for where people may interrupt a picture, but should no import."""
    for name in ("text_encoders", "transformer", "autoencoder"):
        importlib.import_module(f"newbie_core.model.{name}")


class PeakMemory:
    """The most memory used while it was watching: of the GPU, or of the process on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> int:
        """Bytes. On a CPU the process's highest resident size since its program started."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _process_peak()


def _process_peak() -> int:
    """Bytes. Linux tells it of the program alone: `getrusage` there begins with the size of the process that started it."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
