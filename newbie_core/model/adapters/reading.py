"""Read an adapter from a trainer's folder or a lone file, whichever program wrote it.

Tensor names are `<prefix><module>.<part>`; the parts met in the wild, and what becomes of them:

    lora_A.weight lora_B.weight             PEFT; alpha in adapter_config.json
    lora_down.weight lora_up.weight alpha   kohya's form
    lokr_w1 | lokr_w1_a lokr_w1_b, lokr_w2 | lokr_w2_a lokr_w2_b, alpha     LyCORIS LoKr
    dora_scale lokr_t2 hada_w1_a w_norm …   refused by name
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.adapters.adapter import Adapter, Factors, Kind, LokrFactors, LoraFactors
from newbie_core.model.adapters.settings import Settings, read_config, read_metadata
from newbie_core.model.weights.headers import file_kind, read_header

CONFIG_NAME = "adapter_config.json"
WEIGHT_NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
"""Weight files a folder may hold: PEFT's and the trainer's, diffusers'."""

PICKLES = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pth"})

_DOWN, _UP, _ALPHA = "down", "up", "alpha"
_PARTS = {
    "lora_A.weight": _DOWN,
    "lora_A.default.weight": _DOWN,
    "lora_down.weight": _DOWN,
    "lora_B.weight": _UP,
    "lora_B.default.weight": _UP,
    "lora_up.weight": _UP,
    "alpha": _ALPHA,
    **{name: name for w in ("lokr_w1", "lokr_w2") for name in (w, f"{w}_a", f"{w}_b")},
}
_REFUSED_PARTS = {
    ".dora_scale": "DoRA",
    ".lora_magnitude_vector": "DoRA",
    ".lokr_t": "LoKr with a Tucker core",
    ".lora_mid": "LoRA with a Tucker core",
    ".hada_": "LoHa",
    ".w_norm": "a difference to a norm",
    ".b_norm": "a difference to a norm's bias",
    ".diff": "a whole difference",
    ".lora_B.bias": "a LoRA bias",
    ".lora_embedding_": "LoRA of an embedding",
    ".oft_": "OFT",
    ".scalar": "LyCORIS' trained scalar",
}
_DTYPES = frozenset({"F32", "F16", "BF16", "F64"})
_ALPHA_DTYPES = _DTYPES | {"I64", "I32", "I16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A weight file's contents: parts of each module, float32, by the module's name as spelled there."""

    metadata: Mapping[str, str]
    modules: Mapping[str, Mapping[str, Tensor]]


def read_adapter(path: str | Path, *, alpha: float | None = None) -> Adapter:
    """The adapter in a folder (`adapter_model.safetensors` + `adapter_config.json`) or a .safetensors file.

    Args:
        alpha: the scale's numerator, for a lone file that does not hold it; scale is alpha / rank.

    Raises:
        ModelError: E_MODEL_ADAPTER (missing, damaged, of another method, no scale, shapes that do not
            fit together), E_MODEL_ADAPTER_CONFIG (its configuration), E_MODEL_PICKLE (not safetensors), or
            what `read_header` refuses.
    """
    file = _weight_file(Path(path))
    _refuse_pickle(file)
    if alpha is not None and not math.isfinite(alpha):
        raise _unusable(f"alpha {alpha} for {file} is not a finite number")
    stored = _load(file)
    identity = [f"weights {_file_digest(file)}"]
    config = file.parent / CONFIG_NAME
    if file.name == WEIGHT_NAMES[0] and config.is_file():
        settings, config_bytes = read_config(config)
        identity.append(f"config {hashlib.sha256(config_bytes).hexdigest()}")
    else:
        settings = read_metadata(stored.metadata, file) or Settings(where=str(file))
    if alpha is not None:
        identity.append(f"alpha {alpha!r}")
        settings = _with_alpha(settings, alpha)
    kind = _kind(stored.modules, file)
    return Adapter(
        file=file,
        digest=hashlib.sha256("\n".join(identity).encode()).hexdigest(),
        kind=kind,
        modules=_modules(stored.modules, kind, settings, file),
    )


def _weight_file(path: Path) -> Path:
    if path.is_dir():
        for name in WEIGHT_NAMES:
            if (path / name).is_file():
                return path / name
        pickled = sorted(item.name for item in path.iterdir() if item.suffix in PICKLES)
        if pickled:
            _refuse_pickle(path / pickled[0])
        raise _unusable(
            f"folder {path} holds no {' and no '.join(WEIGHT_NAMES)}; give the adapter's own folder"
        )
    if not path.is_file():
        raise _unusable(f"{path} does not exist; give an adapter's folder or its .safetensors file")
    return path


def _refuse_pickle(file: Path) -> None:
    if file.suffix not in PICKLES and file_kind(file) == "safetensors":
        return
    if file.stem.startswith("checkpoint_"):
        reason = "is the trainer's resume file; give the folder with adapter_model.safetensors beside it"
    else:
        reason = "is a pickle, which can run code when read; save the adapter as .safetensors"
    raise ModelError(f"{file} {reason}", code="E_MODEL_PICKLE")


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _with_alpha(settings: Settings, alpha: float) -> Settings:
    if settings.alpha is not None and settings.alpha != alpha:
        raise _unusable(
            f"{settings.where} says alpha {settings.alpha:g}, but {alpha:g} was given; leave yours out"
        )
    return replace(settings, alpha=alpha, alpha_is_given=True)


def _load(file: Path) -> _Stored:
    header = read_header(file)
    found = {key: names for key in sorted(header.tensors) if (names := _split(key))}
    unknown = sorted(header.tensors.keys() - found.keys())
    if unknown:
        raise _unusable(f"{file} {_unknown_parts(unknown)}")
    modules: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(file, framework="pt") as stored:
            for key, (module, part) in found.items():
                _check_dtype(file, key, part, header.tensors[key].dtype)
                if part in modules.setdefault(module, {}):
                    raise _unusable(f"{file}: {key} is given twice, under two names of the same part")
                # A copy: tensors of safe_open live in the mapped file, which may be replaced under us.
                modules[module][part] = stored.get_tensor(key).to(torch.float32, copy=True)
    except (SafetensorError, OSError) as error:
        raise _unusable(f"{file} cannot be read as safetensors: {error}; fetch it again") from error
    if not modules:
        raise _unusable(f"{file} holds no tensors")
    return _Stored(metadata=header.metadata, modules=modules)


def _split(key: str) -> tuple[str, str] | None:
    for suffix, part in _PARTS.items():
        if key.endswith(f".{suffix}"):
            return key.removesuffix(f".{suffix}"), part
    return None


def _unknown_parts(keys: list[str]) -> str:
    named = sorted({meaning for mark, meaning in _REFUSED_PARTS.items() if any(mark in key for key in keys)})
    what = f" ({', '.join(named)})" if named else ""
    shown = ", ".join(keys[:10]) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
    advice = (
        "merge it with the program that trained it" if named else "is this an adapter, and not a checkpoint?"
    )
    return f"has {len(keys)} tensors that are not plain LoRA or LoKr{what}: {shown}; {advice}"


def _check_dtype(file: Path, key: str, part: str, dtype: str) -> None:
    allowed = _ALPHA_DTYPES if part == _ALPHA else _DTYPES
    if dtype not in allowed:
        raise _unusable(
            f"{file}: {key} is stored as {dtype}; 8-bit and quantised adapters have lost what the sum needs. "
            "Get the adapter in bf16, fp16 or fp32"
        )


def _kind(modules: Mapping[str, Mapping[str, Tensor]], file: Path) -> Kind:
    lokr = {name for name, parts in modules.items() if any(part.startswith("lokr_") for part in parts)}
    if not lokr:
        return "lora"
    rest = sorted(set(modules) - lokr)
    if rest:
        raise _unusable(
            f"{file} mixes LoKr ({min(lokr)}) with something else ({rest[0]}); give one kind a file"
        )
    return "lokr"


def _modules(
    stored: Mapping[str, Mapping[str, Tensor]], kind: Kind, settings: Settings, file: Path
) -> dict[str, Factors]:
    make = _lora if kind == "lora" else _lokr
    modules: dict[str, Factors] = {}
    unscaled: list[str] = []
    for name, parts in stored.items():
        where = f"{file}: {name}"
        for part, tensor in parts.items():
            if not bool(torch.isfinite(tensor).all()):
                raise _unusable(f"{where}: {part} holds numbers that are not finite; the file is damaged")
            if part != _ALPHA and tensor.ndim != 2:
                raise _unusable(f"{where}: {part} has shape {tuple(tensor.shape)}; expected a matrix")
        factors = make(parts, settings, where)
        if factors is None:
            unscaled.append(name)
        else:
            modules[name] = factors
    if unscaled:
        raise _unusable(
            f"{file} does not say its alpha (for {len(unscaled)} modules, the first {unscaled[0]}), so its scale "
            f"is unknown; keep {CONFIG_NAME} beside adapter_model.safetensors and give the folder, or give alpha "
            "(on the command line PATH=STRENGTH:ALPHA)"
        )
    return modules


def _lora(parts: Mapping[str, Tensor], settings: Settings, where: str) -> LoraFactors | None:
    if not {_DOWN, _UP} <= parts.keys() <= {_DOWN, _UP, _ALPHA}:
        raise _unusable(f"{where} has the parts {sorted(parts)}; expected down, up and perhaps alpha")
    down, up = parts[_DOWN], parts[_UP]
    rank = down.shape[0]
    if rank < 1 or up.shape[1] != rank:
        raise _unusable(f"{where}: down {tuple(down.shape)} and up {tuple(up.shape)} have no common rank")
    if settings.rank is not None and rank != settings.rank:
        raise _unusable(f"{where} has rank {rank}, but {settings.where} says r = {settings.rank}")
    alpha = _alpha(parts, settings, where)
    if alpha is None:
        return None
    return LoraFactors(down=down, up=up, scale=alpha / (math.sqrt(rank) if settings.rslora else rank))


def _lokr(parts: Mapping[str, Tensor], settings: Settings, where: str) -> LokrFactors | None:
    w1, w2 = _lokr_factor(parts, "lokr_w1", where), _lokr_factor(parts, "lokr_w2", where)
    ranks = {pair[1].shape[0] for pair in (w1, w2) if len(pair) == 2}
    if not ranks:
        # LyCORIS stores an alpha beside whole factors that its own forward does not use.
        return LokrFactors(w1=w1, w2=w2, scale=1.0)
    if len(ranks) > 1:
        raise _unusable(f"{where}: w1 and w2 are products of different ranks {sorted(ranks)}")
    alpha = _alpha(parts, settings, where)
    return None if alpha is None else LokrFactors(w1=w1, w2=w2, scale=alpha / ranks.pop())


def _lokr_factor(parts: Mapping[str, Tensor], name: str, where: str) -> tuple[Tensor, ...]:
    whole, pair = parts.get(name), (parts.get(f"{name}_a"), parts.get(f"{name}_b"))
    a, b = pair
    if whole is not None and a is None and b is None:
        return (whole,)
    if whole is None and a is not None and b is not None:
        if a.shape[1] != b.shape[0] or not b.shape[0]:
            raise _unusable(
                f"{where}: {name}_a {tuple(a.shape)} and {name}_b {tuple(b.shape)} cannot be multiplied"
            )
        return (a, b)
    raise _unusable(f"{where} has the parts {sorted(parts)}; expected {name}, or {name}_a and {name}_b")


def _alpha(parts: Mapping[str, Tensor], settings: Settings, where: str) -> float | None:
    """Alpha of one module: its own tensor's, else the settings'."""
    stored = parts.get(_ALPHA)
    if stored is None:
        return settings.alpha
    if stored.numel() != 1:
        raise _unusable(f"{where}: alpha has shape {tuple(stored.shape)}; expected one number")
    own = float(stored)
    # A trainer's configuration may differ from the tensor, which LyCORIS stores with rsLoRA worked in.
    if settings.alpha_is_given and own != settings.alpha:
        raise _unusable(f"{where} stores alpha {own:g}, but {settings.alpha:g} was given; leave yours out")
    return own


def _unusable(message: str) -> ModelError:
    return ModelError(message, code="E_MODEL_ADAPTER")
