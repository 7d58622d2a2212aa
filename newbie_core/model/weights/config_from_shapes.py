"""The sizes of each part, read off its tensors' shapes and held against its config.json where there is one.

Shapes tell nearly everything and cannot be wrong about themselves; what they leave open (how a head is split
among axes, norms' epsilons, the autoencoder's scale) comes from the configuration, or is the released model's.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from newbie_core.errors import ModelError
from newbie_core.model.config import (
    JINA_HEAD_DIM,
    AutoencoderConfig,
    GemmaConfig,
    JinaConfig,
    Shape,
    TransformerConfig,
)
from newbie_core.model.weights.part import Part

_log = logging.getLogger(__name__)

_PORT_FIELDS: Mapping[str, str] = {
    "hidden_size": "dim",
    "num_layers": "n_layers",
    "num_refiner_layers": "n_refiner_layers",
    "num_attention_heads": "n_heads",
    "num_kv_heads": "n_kv_heads",
    "axes_dim_rope": "axes_dims",
    "pooled_projection_dim": "clip_text_dim",
}
"""The port's names of upstream's constructor arguments; the others are the same."""


def transformer_config(part: Part) -> TransformerConfig:
    """The transformer's sizes.

    Raises:
        ModelError: a tensor that tells a size is missing or misshapen, or the configuration disagrees.
    """
    given = {_PORT_FIELDS.get(name, name): value for name, value in part.config.items() if value is not None}
    dim, patch_width = _shape(part, "x_embedder.weight", 2)
    head = _usual(part, ".attention.q_norm.weight", 1)[0]
    rows = _usual(part, ".attention.qkv.weight", 2)[0]
    if (
        not head
        or dim % head
        or (rows // head - dim // head) % 2
        or rows // head <= dim // head
        or rows % head
    ):
        raise _misshapen(part, f"attention.qkv has {rows} rows, which are no heads of {head} for width {dim}")
    patch = _whole(part, given, "patch_size", TransformerConfig().patch_size)
    if not patch or patch_width % patch**2:
        raise _misshapen(part, f"x_embedder takes {patch_width} numbers, no patch of {patch}×{patch}")
    sizes: dict[str, Any] = {
        "patch_size": patch,
        "in_channels": patch_width // patch**2,
        "dim": dim,
        "n_layers": _depth(part, "layers"),
        "n_refiner_layers": _depth(part, "noise_refiner"),
        "n_heads": dim // head,
        "n_kv_heads": (rows // head - dim // head) // 2,
        "cap_feat_dim": _shape(part, "cap_embedder.0.weight", 1)[0],
        "clip_text_dim": _shape(part, "clip_text_pooled_proj.0.weight", 1)[0],
    }
    _agree(part, sizes, given)
    axes_dims, axes_lens = _axes(part, given, head)
    hidden = _usual(part, ".feed_forward.w1.weight", 2)[0]
    try:
        # qk_eps stays 1e-6 for every layout, also the port, whose class says 1e-5: the same weights must give the
        # same pictures wherever they were stored.
        return TransformerConfig(
            **sizes,
            ffn_dim=hidden,
            norm_eps=_number(part, given, "norm_eps", TransformerConfig().norm_eps),
            axes_dims=axes_dims,
            axes_lens=axes_lens,
            trained_sizes=_picture_sizes(part, given),
        )
    except ValueError as error:
        raise ModelError(f"{_place(part)}: impossible sizes: {error}", code="E_MODEL_CONFIG") from error


def _axes(part: Part, given: Mapping[str, Any], head: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    lens = _numbers(part, given, "axes_lens") or TransformerConfig().axes_lens
    dims = _numbers(part, given, "axes_dims")
    if dims is None:
        dims = _even_thirds(part, head)
    if sum(dims) != head or len(dims) != len(lens) or any(width <= 0 or width % 2 for width in dims):
        raise ModelError(
            f'{_place(part)}: its configuration\'s "axes_dims" {list(dims)} (with "axes_lens" {list(lens)}) do not '
            f"split a head of {head}; expected even widths that sum to it, one length each",
            code="E_MODEL_CONFIG",
        )
    return dims, lens


def _picture_sizes(part: Part, given: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """The sizes a model is limited to, as pairs of pixels."""
    value = given.get("trained_sizes", ())
    if not isinstance(value, list | tuple) or not all(
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(type(side) is int and side > 0 for side in size)
        for size in value
    ):
        raise _wrong(part, "trained_sizes", value, "a list of widths and heights in pixels, as [[256, 256]]")
    return tuple((width, height) for width, height in value)


def _even_thirds(part: Part, head: int) -> tuple[int, ...]:
    """Three even widths as equal as they can be, the wider ones last: 96 is 32, 32, 32 and 16 is 4, 6, 6."""
    if head % 2 or head < 6:
        raise ModelError(
            f"{_place(part)}: a head of {head} does not split into three even axes, and no configuration says "
            'how; put a config.json with "axes_dims" beside it',
            code="E_MODEL_CONFIG",
        )
    least, wider = head // 6 * 2, head % 6 // 2
    dims = (least,) * (3 - wider) + (least + 2,) * wider
    if wider:
        _log.warning(
            '%s: nothing says how a head of %d splits into axes; taken as %s. A config.json with "axes_dims" '
            "beside it would say",
            _place(part),
            head,
            list(dims),
        )
    return dims


def gemma_config(part: Part) -> GemmaConfig:
    """Gemma's sizes; where no configuration gives the window and the query scale, the 4B model's.

    Raises:
        ModelError: a tensor that tells a size is missing or misshapen, or the configuration disagrees.
    """
    nested = part.config.get("text_config", part.config)
    given = nested if isinstance(nested, Mapping) else {}
    vocabulary, width = _shape(part, "embed_tokens.weight", 2)
    head = _usual(part, ".self_attn.q_norm.weight", 1)[0]
    queries = _usual(part, ".self_attn.q_proj.weight", 2)[0]
    pairs = _usual(part, ".self_attn.k_proj.weight", 2)[0]
    if not head or queries % head or pairs % head or not pairs or (queries // head) % (pairs // head):
        raise _misshapen(part, f"{queries} query and {pairs} key rows are no heads of {head}")
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": _depth(part, "layers"),
        "num_attention_heads": queries // head,
        "num_key_value_heads": pairs // head,
        "head_dim": head,
        "intermediate_size": _usual(part, ".mlp.gate_proj.weight", 2)[0],
        "vocab_size": vocabulary,
    }
    _agree(part, sizes, given)
    defaults = GemmaConfig()
    scale = _whole(part, given, "query_pre_attn_scalar", defaults.query_pre_attn_scalar)
    window = _whole(part, given, "sliding_window", defaults.sliding_window)
    return GemmaConfig(**sizes, query_pre_attn_scalar=scale, sliding_window=window)


def jina_config(part: Part) -> JinaConfig:
    """The Jina tower's sizes; its heads are 64 wide where no configuration counts them.

    Raises:
        ModelError: a tensor that tells a size is missing or misshapen, or the configuration disagrees.
    """
    vocabulary, width = _shape(part, "embeddings.word_embeddings.weight", 2)
    text = part.config.get("text_config", part.config)
    heads = _whole(
        part, text if isinstance(text, Mapping) else {}, "num_attention_heads", width // JINA_HEAD_DIM
    )
    if not width or not heads or width % heads:
        raise _misshapen(
            part,
            f"width {width} is not a multiple of its heads' {JINA_HEAD_DIM}, and no configuration counts them",
        )
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": _depth(part, "layers"),
        "num_attention_heads": heads,
        "intermediate_size": _usual(part, ".mlp.fc1.weight", 2)[0],
        "vocab_size": vocabulary,
    }
    if isinstance(part.config.get("text_config"), Mapping):
        # Jina CLIP's own configuration names only the width of its text tower.
        _agree(part, {"embed_dim": width}, part.config["text_config"])
    else:
        _agree(part, sizes, part.config)
    return JinaConfig(**sizes)


def autoencoder_config(part: Part) -> AutoencoderConfig:
    """The autoencoder's sizes; scale and shift are FLUX.1's where no configuration gives them.

    Raises:
        ModelError: a tensor that tells a size is missing or misshapen, or the configuration disagrees.
    """
    depth = _depth(part, "encoder.down_blocks")
    widths = tuple(
        _shape(part, f"encoder.down_blocks.{index}.resnets.0.conv1.weight", 4)[0] for index in range(depth)
    )
    sizes: dict[str, Any] = {
        "latent_channels": _shape(part, "decoder.conv_in.weight", 4)[1],
        "block_out_channels": widths,
        "layers_per_block": _depth(part, "encoder.down_blocks.0.resnets"),
    }
    given = part.config
    channels = _numbers(part, given, "block_out_channels")
    _agree(part, sizes, {**given, "block_out_channels": channels})
    defaults = AutoencoderConfig()
    groups = _whole(part, given, "norm_num_groups", defaults.norm_num_groups)
    if not groups or any(not width or width % groups for width in widths):
        raise ModelError(
            f'{_place(part)}: widths {list(widths)} do not split into "norm_num_groups" {groups}; '
            "put the config.json that belongs to it beside it",
            code="E_MODEL_CONFIG",
        )
    return AutoencoderConfig(
        **sizes,
        norm_num_groups=groups,
        scaling_factor=_number(part, given, "scaling_factor", defaults.scaling_factor),
        shift_factor=_number(part, given, "shift_factor", defaults.shift_factor),
    )


def _place(part: Part) -> str:
    files = part.files
    return str(files[0] if len(files) == 1 else files[0].parent)


def _misshapen(part: Part, what: str) -> ModelError:
    return ModelError(
        f"{_place(part)}: {part.name}: shapes disagree: {what}; fetch the file again", code="E_MODEL_SHAPES"
    )


def _usual(part: Part, suffix: str, axes: int) -> Shape:
    """The shape most tensors of a kind have, so that an odd one is told by the table, by its own name."""
    named = sorted(name for name in part.shapes if name.endswith(suffix)) or ["layers.0" + suffix]
    counts = Counter(_shape(part, name, axes) for name in named)
    return counts.most_common(1)[0][0]


def _shape(part: Part, name: str, axes: int) -> Shape:
    shape = part.shapes.get(name)
    if shape is None:
        raise ModelError(
            f'{_place(part)}: {part.name}: 1 tensor or more is missing, among them "{name}"; fetch the file again',
            code="E_MODEL_MISSING_KEYS",
        )
    if len(shape) != axes:
        raise _misshapen(part, f'"{name}" has shape {list(shape)}, expected {axes} axes')
    return shape


def _depth(part: Part, stack: str) -> int:
    """How many numbered entries `stack` has; they must count from 0 without gaps."""
    pattern = re.compile(re.escape(stack) + r"\.(\d{1,6})\.")
    found = {int(match[1]) for name in part.shapes if (match := pattern.match(name))}
    for index in range(len(found) or 1):
        if index not in found:
            raise ModelError(
                f"{_place(part)}: {part.name}: all tensors of {stack}.{index} are missing "
                f"({len(found)} others are there); fetch the file again",
                code="E_MODEL_MISSING_KEYS",
            )
    return len(found)


def _agree(part: Part, sizes: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for name, size in sizes.items():
        if given.get(name) is not None and given[name] != size:
            raise ModelError(
                f'{_place(part)}: {part.name}: its configuration says "{name}" is {given[name]!r}, '
                f"its tensors say {size!r}; they do not belong together",
                code="E_MODEL_CONFIG",
            )


def _wrong(part: Part, name: str, value: object, expected: str) -> ModelError:
    return ModelError(
        f'{_place(part)}: {part.name}: its configuration\'s "{name}" is {value!r}; expected {expected}',
        code="E_MODEL_CONFIG",
    )


def _number(part: Part, given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        raise _wrong(part, name, value, "a number")
    return float(value)


def _whole(part: Part, given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1_000_000:
        raise _wrong(part, name, value, "a whole number above 0")
    return value


def _numbers(part: Part, given: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(type(item) is int and item > 0 for item in value):
        raise _wrong(part, name, value, "a list of whole numbers")
    return tuple(value)
