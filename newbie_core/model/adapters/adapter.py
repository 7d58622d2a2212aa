"""An adapter as values: for each module it changes, the factors of the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["lora", "lokr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraFactors:
    """A product of two thin matrices: scale · up @ down.

    Attributes:
        down: float32 (rank, in); PEFT's lora_A, kohya's lora_down.
        up: float32 (out, rank); PEFT's lora_B, kohya's lora_up.
        scale: alpha / rank, or alpha / √rank where the adapter was trained with rsLoRA.
    """

    down: Tensor
    up: Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the change."""
        return self.up.shape[0], self.down.shape[1]

    def delta(self) -> Tensor:
        """The change itself, float32 (out, in)."""
        return (self.up @ self.down) * self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class LokrFactors:
    """A Kronecker product of two matrices, each whole or itself a product: scale · kron(w1, w2).

    Attributes:
        w1: one float32 matrix, or the two whose product it is.
        w2: likewise.
        scale: alpha / rank where one of them is a product; 1 where both are whole, whatever alpha was stored.
    """

    w1: tuple[Tensor, ...]
    w2: tuple[Tensor, ...]
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the change."""
        return (
            self.w1[0].shape[0] * self.w2[0].shape[0],
            self.w1[-1].shape[1] * self.w2[-1].shape[1],
        )

    def delta(self) -> Tensor:
        """The change itself, float32 (out, in)."""
        w1 = self.w1[0] if len(self.w1) == 1 else self.w1[0] @ self.w1[1]
        w2 = self.w2[0] if len(self.w2) == 1 else self.w2[0] @ self.w2[1]
        return torch.kron(w1.contiguous(), w2.contiguous()) * self.scale


Factors = LoraFactors | LokrFactors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adapter:
    """One adapter, read whole.

    Attributes:
        file: the weight file.
        digest: sha256 over all that decides the change: the weight file, its configuration, the alpha given.
        modules: the change of each module, by the module's name as the file spells it.
    """

    file: Path
    digest: str
    kind: Kind
    modules: Mapping[str, Factors]
