"""Weight files that are something else than a part of this model, or a form of it that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from newbie_core.errors import ModelError
from newbie_core.model.weights.headers import StoredTensor
from newbie_core.model.weights.stored import Stored

FULL_SIZE_FILES = (
    "a bf16 file: transformer/ of NewBie-AI/NewBie-image-Exp0.1, or the bf16 files of "
    "Comfy-Org/NewBie-image-Exp0.1_repackaged"
)

Z_IMAGE_DIM = 3840
"""Width of Z-Image's transformer; source: ComfyUI's model detection."""

_SCALED = re.compile(
    r".*\.(scale_weight|scale_input|weight_scale|weight_scale_2|input_scale|comfy_quant)|(.*\.)?scaled_fp8",
    re.DOTALL,
)
_NF4 = re.compile(r".*\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\..+|SCB)", re.DOTALL)
# Jina's own adapter is part of the model; its keys hold "parametrizations".
_ADAPTER = re.compile(
    r"(?!.*\.parametrizations\.).*(lora_[AB]\b|lora_down|lora_up|lokr_|hada_w|dora_scale)", re.DOTALL
)
_OPTIMIZER = re.compile(r"(.*\.)?(exp_avg|exp_avg_sq|param_groups|momentum_buffer)(\..*)?", re.DOTALL)

STRANGERS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"model\.diffusion_model\.(input_blocks|middle_block|output_blocks)\..*|input_blocks\..*"),
        "E_MODEL_SD",
        "a Stable Diffusion or SDXL checkpoint",
    ),
    (re.compile(r"(unet\.)?down_blocks\.\d+\.attentions\..*"), "E_MODEL_SD", "a Stable Diffusion U-Net"),
    (re.compile(r"(.*\.)?joint_blocks\.\d+\..*"), "E_MODEL_UNKNOWN", "a Stable Diffusion 3 transformer"),
    (re.compile(r"(.*\.)?double_blocks\.\d+\..*"), "E_MODEL_UNKNOWN", "a FLUX transformer"),
    (re.compile(r"(.*\.)?layers\.\d+\.attention\.to_q\..*"), "E_MODEL_ZIMAGE", "a Z-Image transformer"),
)


def refuse_strangers(stored: Stored) -> None:
    """Refuse what can be told by names and data types alone.

    Raises:
        ModelError: quantised weights, an adapter, an optimizer's state, or another model's checkpoint.
    """
    _refuse_quantised(stored)
    if key := _first(stored.tensors, _ADAPTER.match):
        raise ModelError(
            f'{stored.where}: an adapter (it holds "{key}"), not a model; give it with --adapter, beside a model',
            code="E_MODEL_ADAPTER",
        )
    if key := _first(stored.tensors, _OPTIMIZER.fullmatch):
        raise ModelError(
            f"{stored.where}: an optimizer's or scheduler's state (it holds \"{key}\"), not a model; "
            "expected the weights saved beside it",
            code="E_MODEL_OPTIMIZER",
        )
    for pattern, code, what in STRANGERS:
        if key := _first(stored.tensors, pattern.fullmatch):
            raise ModelError(
                f'{stored.where}: {what} (it holds "{key}"); expected NewBie-image-Exp0.1 or one of its parts',
                code=code,
            )


def _first(tensors: Mapping[str, StoredTensor], test: Callable[[str], object]) -> str | None:
    return next((key for key in tensors if test(key)), None)


def _refuse_quantised(stored: Stored) -> None:
    small = [key for key, tensor in stored.tensors.items() if tensor.dtype.startswith(("F8_", "F4", "F6_"))]
    scaled = _first(stored.tensors, _SCALED.fullmatch)
    if small or scaled or "_quantization_metadata" in stored.metadata:
        if small:
            found = f'{len(small)} tensors are {stored.tensors[small[0]].dtype}, the first "{small[0]}"'
        else:
            found = f'it holds "{scaled or "_quantization_metadata"}"'
        raise ModelError(
            f"{stored.where}: fp8 weights ({found}); their rounding, and scales kept beside them, would change "
            f"every picture. Fetch {FULL_SIZE_FILES}",
            code="E_MODEL_FP8",
        )
    if key := _first(stored.tensors, _NF4.fullmatch):
        raise ModelError(
            f'{stored.where}: weights quantised by bitsandbytes (it holds "{key}"), which are not read here. '
            f"Fetch {FULL_SIZE_FILES}",
            code="E_MODEL_NF4",
        )


def refuse_relatives(where: str, *, dim: int, pooled: bool) -> None:
    """Refuse the other models of this architecture, told by width and by the pooled text projection.

    Raises:
        ModelError: Z-Image, Lumina-Image-2.0 or a relative of theirs.
    """
    if dim == Z_IMAGE_DIM:
        raise ModelError(
            f"{where}: a Z-Image transformer (width {dim}); expected NewBie-image-Exp0.1's",
            code="E_MODEL_ZIMAGE",
        )
    if not pooled:
        raise ModelError(
            f'{where}: Lumina-Image-2.0 or a relative (there is no "clip_text_pooled_proj"); '
            "expected NewBie-image-Exp0.1's transformer",
            code="E_MODEL_LUMINA2",
        )
