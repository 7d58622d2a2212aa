"""What an adapter's configuration says about its scale, from adapter_config.json or a file's metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newbie_core.errors import ModelError

CONFIG_LIMIT = 1 << 20
"""Bytes an adapter_config.json may have; real ones have about one thousand."""

_IRRELEVANT = frozenset(
    "peft_type task_type auto_mapping peft_version base_model_name_or_path revision inference_mode "
    "target_modules exclude_modules lora_dropout layers_to_transform layers_pattern megatron_core "
    "qalora_group_size loftq_config eva_config ensure_weight_tying runtime_config".split()
)
"""Settings of PEFT's LoraConfig that decide what was trained and how, not what the factors mean."""

_READ = frozenset({"r", "lora_alpha", "use_rslora"})

_HARMLESS_STARTS = frozenset({"gaussian", "eva", "orthogonal", "default"})
"""Initialisations that leave the base weights alone; PiSSA, OLoRA, CorDA and LoftQ change them."""

DIFFUSERS_METADATA = "lora_adapter_metadata"
"""The metadata key under which diffusers keeps LoraConfig as JSON; source: diffusers loaders/lora_base.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Scale of every module, where its own tensors do not say otherwise.

    Attributes:
        where: the file or metadata key that says it, for messages.
        alpha: none where nothing names it.
        alpha_is_given: a person named it, so a module that stores another one is an error.
        rank: the rank every module must have, or none.
    """

    where: str
    alpha: float | None = None
    alpha_is_given: bool = False
    rank: int | None = None
    rslora: bool = False


def read_config(file: Path) -> tuple[Settings, bytes]:
    """Settings of an adapter_config.json, and its bytes.

    Raises:
        ModelError: E_MODEL_ADAPTER_CONFIG; not JSON, of another method, or with settings that change the
            meaning of the factors (DoRA, rank_pattern, bias, …).
    """
    if file.stat().st_size > CONFIG_LIMIT:
        raise _unusable(f"{file} has more than {CONFIG_LIMIT} bytes; a configuration has about one thousand")
    data = file.read_bytes()
    values = _parse(data, str(file))
    method = values.get("peft_type")
    if method == "LYCORIS":
        if values.get("lycoris_type", "lokr") != "lokr":
            raise _unusable(f'{file}: lycoris_type is "{values["lycoris_type"]}"; only "lokr" is supported')
        return Settings(where=str(file), alpha=_number(values, "lora_alpha", str(file))), data
    if method != "LORA":
        raise _unusable(f'{file}: peft_type is {method!r}; expected "LORA", or "LYCORIS" with "lokr"')
    return _lora_settings(values, str(file)), data


def read_metadata(metadata: Mapping[str, str], file: Path) -> Settings | None:
    """Settings in a weight file's metadata: diffusers' JSON, or `lora_alpha` and `lora_rank`; none if neither."""
    if DIFFUSERS_METADATA in metadata:
        where = f"{file}, metadata {DIFFUSERS_METADATA}"
        values = _parse(metadata[DIFFUSERS_METADATA].encode(), where)
        prefix = "transformer."
        if any(name.startswith(prefix) for name in values):
            values = {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
        return _lora_settings(values, where)
    if "lora_alpha" in metadata:
        where = f"{file}, metadata lora_alpha"
        # LyCORIS writes the rank asked for, which is not the rank of every module: only alpha is taken.
        return Settings(where=where, alpha=_number(metadata, "lora_alpha", where))
    return None


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unusable(f"{where} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise _unusable(f"{where} holds {type(values).__name__}; expected an object of settings")
    return values


def _lora_settings(values: Mapping[str, Any], where: str) -> Settings:
    refused = sorted(
        f"{name} = {value!r}"[:80]
        for name, value in values.items()
        if name not in _IRRELEVANT | _READ and not _is_default(name, value)
    )
    if refused:
        raise _unusable(
            f"{where} has settings that change what the factors mean, and they are not supported: "
            f"{', '.join(refused)}; merge the adapter with the program that trained it, or train plain LoRA"
        )
    rank = _number(values, "r", where)
    if rank is not None and (rank < 1 or rank != int(rank)):
        raise _unusable(f"{where}: r is {rank}; expected a whole number above 0")
    return Settings(
        where=where,
        alpha=_number(values, "lora_alpha", where),
        rank=None if rank is None else int(rank),
        rslora=bool(values.get("use_rslora")),
    )


def _is_default(name: str, value: Any) -> bool:
    if name == "bias":
        return value in (None, "none")
    if name == "init_lora_weights":
        return value is None or isinstance(value, bool) or value in _HARMLESS_STARTS
    return not value


def _number(values: Mapping[str, Any], name: str, where: str) -> float | None:
    value = values.get(name)
    if value is None or value == "None":
        return None
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _unusable(f"{where}: {name} is {value!r}; expected a finite number")
    return number


def _unusable(message: str) -> ModelError:
    return ModelError(message, code="E_MODEL_ADAPTER_CONFIG")
