"""Add adapters to weights: W + strength₁ · delta₁ + strength₂ · delta₂ + …, in float32, in the order given.

Floating sums depend on their order, so the same adapters in another order give the same picture but for
rounding: the order belongs to the identity of an engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from newbie_core.errors import ModelError
from newbie_core.model.adapters.adapter import Adapter
from newbie_core.model.adapters.modules import Change, match_modules

_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def deltas(
    adapter: Adapter, shapes: Mapping[str, Sequence[int]], *, strength: float
) -> Iterator[tuple[str, Tensor]]:
    """What the adapter adds: weight keys, in the order of `shapes`, and float32 tensors of their shapes.

    Nothing at strength 0, so that adding it leaves every bit alone.

    Args:
        shapes: the transformer's keys, as upstream names them, and their shapes.

    Raises:
        ModelError: E_MODEL_ADAPTER_MISMATCH, before anything is yielded; all modules that do not fit at once.
    """
    _check_strength(adapter, strength)
    changes = match_modules(adapter, shapes)
    if not strength:
        return iter(())
    return ((key, strength * _delta(parts, shapes[key])) for key, parts in changes.items())


class AdaptedWeights:
    """A module whose weights adapters are added to, and the originals of those that changed, on the CPU.

    The module stays the caller's: nothing else may write its weights while adapters are applied.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._originals: dict[str, Tensor] = {}

    def apply(self, adapters: Sequence[tuple[Adapter, float]]) -> None:
        """Base weights plus these adapters at these strengths, in place of whatever was applied before.

        Sums run in float32 on the CPU and are rounded once, to the weight's own dtype. Weights no adapter
        touches, or only ones of strength 0, hold their original bits.

        Raises:
            ModelError: E_MODEL_ADAPTER_MISMATCH, with the module as it was before the call; or
                E_MODEL_ADAPTER where a sum is not finite, with the module back at its base.
        """
        weights = dict(self._module.named_parameters())
        shapes = {key: tuple(weight.shape) for key, weight in weights.items()}
        for adapter, strength in adapters:
            _check_strength(adapter, strength)
        matched = [(match_modules(adapter, shapes), strength) for adapter, strength in adapters]
        parts = [(changes, strength) for changes, strength in matched if strength]
        touched = [key for key in shapes if any(key in changes for changes, _ in parts)]
        for key in touched:
            _check_dtype(key, weights[key])
        self.restore()
        finished = False
        try:
            for key in touched:
                self._originals[key] = weights[key].detach().to("cpu", copy=True)
                _write(weights[key], _sum(key, self._originals[key], parts))
            finished = True
        finally:
            if not finished:
                self.restore()

    def restore(self) -> None:
        """The original bits, in every weight."""
        weights = dict(self._module.named_parameters())
        for key, original in self._originals.items():
            _write(weights[key], original)
        self._originals.clear()

    @property
    def touched(self) -> tuple[str, ...]:
        """Keys of the weights that differ from the base."""
        return tuple(self._originals)


def _sum(key: str, original: Tensor, parts: Sequence[tuple[Mapping[str, list[Change]], float]]) -> Tensor:
    total = original.to(torch.float32)
    for changes, strength in parts:
        if key in changes:
            total = total + strength * _delta(changes[key], original.shape)
    result = total.to(original.dtype)
    if not bool(torch.isfinite(result).all()):
        raise ModelError(
            f"{key} with the adapters added does not fit {original.dtype}; lower the strengths",
            code="E_MODEL_ADAPTER",
        )
    return result


def _delta(changes: Sequence[Change], shape: Sequence[int]) -> Tensor:
    first = changes[0]
    if len(changes) == 1 and first.target.rows == shape[0]:
        return first.factors.delta()
    total = torch.zeros(tuple(shape), dtype=torch.float32)
    for change in changes:
        rows = slice(change.target.first_row, change.target.first_row + change.target.rows)
        total[rows] += change.factors.delta()
    return total


def _write(weight: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        weight.copy_(value)


def _check_dtype(key: str, weight: Tensor) -> None:
    if weight.dtype not in _DTYPES or weight.is_meta:
        stored = "not loaded" if weight.is_meta else str(weight.dtype)
        raise ModelError(
            f"adapters cannot be added to {key}, which is {stored}; load the model as bfloat16, float16 or float32",
            code="E_MODEL_ADAPTER",
        )


def _check_strength(adapter: Adapter, strength: float) -> None:
    if not math.isfinite(strength):
        raise ModelError(
            f"strength {strength} of {adapter.file} is not a finite number", code="E_MODEL_ADAPTER"
        )
