"""Which weight an adapter's module name means: dotted or underscored, upstream's or the port's, split or fused.

Every name a module can have is made from the model's own keys and looked up whole: underscores stand for dots
and for themselves, so a name cannot be taken apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from newbie_core.errors import ModelError
from newbie_core.model.adapters.adapter import Adapter, Factors
from newbie_core.model.weights.renames import port_name

_DOTTED_PREFIXES = (
    "unet.base_model.model.",
    "base_model.model.",
    "diffusion_model.",
    "transformer.",
    "model.",
)
_UNDERSCORED_PREFIXES = ("lora_unet_", "lora_transformer_", "lycoris_")
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The rows of a weight that a module name stands for."""

    key: str
    first_row: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Factors and the rows they change."""

    target: Target
    factors: Factors


def match_modules(adapter: Adapter, shapes: Mapping[str, Sequence[int]]) -> dict[str, list[Change]]:
    """What the adapter changes of each weight, in the order of `shapes`.

    Raises:
        ModelError: E_MODEL_ADAPTER_MISMATCH; one text for all module names that are not in the model, named
            twice, or of another shape.
    """
    names = _module_names(shapes)
    faults: list[str] = []
    taken: dict[Target, str] = {}
    changes: dict[str, list[Change]] = {}
    for spelled, factors in adapter.modules.items():
        target = names.get(_bare(spelled))
        if target is None:
            faults.append(f"{spelled}: no such module{_nearest(spelled, names)}")
        elif factors.shape != (target.rows, target.columns):
            faults.append(
                f"{spelled}: changes {factors.shape}, the weight is {(target.rows, target.columns)}"
            )
        elif target in taken:
            faults.append(f"{spelled}: the same module as {taken[target]}")
        else:
            taken[target] = spelled
            changes.setdefault(target.key, []).append(Change(target=target, factors=factors))
    if faults:
        raise ModelError(_fault_text(adapter, faults), code="E_MODEL_ADAPTER_MISMATCH")
    return {key: changes[key] for key in shapes if key in changes}


def _fault_text(adapter: Adapter, faults: list[str]) -> str:
    shown = "\n".join(f"  {fault}" for fault in faults[:_SHOWN])
    more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return (
        f"{adapter.file} does not fit this model in {len(faults)} of its {len(adapter.modules)} modules:\n"
        f"{shown}{more}\ngive an adapter trained for this model"
    )


def _nearest(spelled: str, names: Mapping[str, Target]) -> str:
    near = difflib.get_close_matches(_bare(spelled), names, n=1, cutoff=0.8)
    return f"; the nearest is {near[0]}" if near else ""


def _bare(spelled: str) -> str:
    for prefix in _UNDERSCORED_PREFIXES:
        if spelled.startswith(prefix):
            return spelled.removeprefix(prefix)
    stripped = True
    while stripped:
        stripped = False
        for prefix in _DOTTED_PREFIXES:
            if spelled.startswith(prefix):
                spelled, stripped = spelled.removeprefix(prefix), True
    return spelled


def _module_names(shapes: Mapping[str, Sequence[int]]) -> dict[str, Target]:
    """Every name of every matrix of the model; a name two matrices could have is left out."""
    names: dict[str, Target] = {}
    unclear: set[str] = set()
    for dotted, target in _dotted_names(shapes):
        for name in {dotted, dotted.replace(".", "_")}:
            if names.setdefault(name, target) != target:
                unclear.add(name)
    return {name: target for name, target in names.items() if name not in unclear}


def _dotted_names(shapes: Mapping[str, Sequence[int]]) -> Iterable[tuple[str, Target]]:
    for key, shape in shapes.items():
        if not key.endswith(".weight") or len(shape) != 2:
            continue
        module = key.removesuffix(".weight")
        whole = Target(key=key, first_row=0, rows=shape[0], columns=shape[1])
        yield module, whole
        port = port_name(key).removesuffix(".weight")
        yield port, whole
        # ComfyUI's names for this family keep upstream's "attention" and take the port's leaves.
        yield port.replace(".attn.", ".attention."), whole
        if module.endswith(".attention.qkv"):
            yield from _split_names(module.removesuffix(".attention.qkv"), whole, shapes)


def _split_names(
    block: str, qkv: Target, shapes: Mapping[str, Sequence[int]]
) -> Iterable[tuple[str, Target]]:
    """The names of queries, keys and values; as many query rows as the output projection has columns."""
    out = shapes.get(f"{block}.attention.out.weight")
    if out is None:
        return
    queries = out[1]
    keys = (qkv.rows - queries) // 2
    for letter, first_row, rows in (("q", 0, queries), ("k", queries, keys), ("v", queries + keys, keys)):
        target = Target(key=qkv.key, first_row=first_row, rows=rows, columns=qkv.columns)
        for attention in ("attention", "attn"):
            yield f"{block}.{attention}.to_{letter}", target
