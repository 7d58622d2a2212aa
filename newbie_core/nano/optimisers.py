"""Muon for matrices, AdamW for the rest, and a slow average of the weights.

Muon: momentum whose matrix is made orthogonal by Newton-Schulz steps. Source: Jordan et al., "Muon: an optimizer for
hidden layers in neural networks", 2024. Each step has the best coefficients for what the ones before leave, as in Amsel et
al., "The Polar Express", arXiv 2505.16932.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from newbie_core.nano.precision import multiplies_bf16

_STEPS = (
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)
"""a, b, c of x -> a x + b x³ + c x⁵, step by step: worked out by Remez' exchange for singular values from 0.01 to 1.

Those come out between 0.73 and 1.27, smaller ones smaller. Five steps with Jordan's one polynomial give 0.68 to 1.13 and
take a third to a half longer.
"""

_MARGIN = 1.01
"""Singular values over 1, which rounding makes, would grow without bounds."""


@torch.no_grad()
def orthogonalised(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrix of each of `[N, R, C]`, roughly: singular values come out between 0.7 and 1.3.

    In bf16, as in the source, where it pays. In float32 the steps are taken on the small square x xᵀ, and the matrix is
    multiplied once, in the end: each step is a polynomial of that square times x, and polynomials of it commute.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * _MARGIN + 1e-7)
    if multiplies_bf16(x.device):
        x = x.bfloat16()
        for each in _STEPS:
            x = _polynomial(x @ x.mT, each) @ x
    else:
        square = x @ x.mT
        product = step = _polynomial(square, _STEPS[0])
        for each in _STEPS[1:]:
            square = step @ square @ step
            step = _polynomial(square, each)
            product = step @ product
        x = product @ x
    return (x.mT if tall else x).float()


def _polynomial(square: Tensor, step: tuple[float, float, float]) -> Tensor:
    """What a Newton-Schulz step multiplies x with, from x xᵀ."""
    a, b, c = step
    made = torch.baddbmm(square, square, square, beta=b, alpha=c)
    made.diagonal(dim1=-2, dim2=-1).add_(a)
    return made


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal; for weights of two dimensions or more (others are flattened to two).

    Weights of one shape are made orthogonal together: many small matrices one by one leave cores idle.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(list(params), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is ever used
        """One update."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(parameter.flatten(1).shape, []).append(parameter)
            for (rows, columns), parameters in alike.items():
                directions = orthogonalised(
                    torch.stack([self._leaned(each, group["momentum"]) for each in parameters])
                )
                stretch = max(1.0, rows / columns) ** 0.5
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(direction.view_as(parameter), alpha=-group["lr"] * stretch)

    def _leaned(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient, leaned towards the momentum it adds to: `[R, C]`."""
        assert parameter.grad is not None, "step passes over the others"
        gradient = parameter.grad.float().flatten(1)
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum)


class Optimisers:
    """Muon and AdamW as one, with a common factor on both rates."""

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        *,
        lr_matrix: float,
        lr_other: float,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:
        self._all: list[torch.optim.Optimizer] = []
        if matrices:
            self._all.append(Muon(matrices, lr=lr_matrix))
        if others:
            self._all.append(
                torch.optim.AdamW(others, lr=lr_other, betas=betas, weight_decay=0.0, fused=True)
            )
        self._rates = [[group["lr"] for group in each.param_groups] for each in self._all]
        self._parameters = [*matrices, *others]

    def step(self, factor: float, *, clip: float = 1.0) -> None:
        """One update with both rates times `factor`, gradients clipped to a norm of `clip` and cleared."""
        torch.nn.utils.clip_grad_norm_(self._parameters, clip)
        for each, rates in zip(self._all, self._rates, strict=True):
            for group, rate in zip(each.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            each.step()
            each.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [each.state_dict() for each in self._all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint."""
        for each, state in zip(self._all, states, strict=True):
            each.load_state_dict(state)


def make_optimiser(
    module: nn.Module, *, lr_matrix: float, lr_other: float, others: tuple[str, ...] = ()
) -> Optimisers:
    """Muon for every trainable weight of two or more dimensions, AdamW for the rest.

    Args:
        lr_matrix, lr_other: rates of Muon and AdamW.
        others: AdamW also takes weights whose name holds one of these (embeddings, first and last layers).
    """
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        wide = parameter.dim() >= 2 and not any(part in name for part in others)
        (matrices if wide else rest).append(parameter)
    return Optimisers(matrices, rest, lr_matrix=lr_matrix, lr_other=lr_other)


def never() -> bool:
    """For training that nobody stops."""
    return False


class Average:
    """An exponential moving average of a module's weights, warmed up so that the first steps count less."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.values: dict[str, Tensor] = {}
        self.follow(module)

    def follow(self, module: nn.Module) -> None:
        """Also average weights that are trained from now on; those no longer trained keep their average."""
        for name, tensor in _trained(module):
            self.values.setdefault(name, tensor.detach().clone())

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, tensor in _trained(module):
            self.values[name].lerp_(tensor.detach(), 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Put the average in the place of the module's weights."""
        for name, tensor in module.named_parameters():
            if name in self.values:
                tensor.copy_(self.values[name])

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint's values."""
        self.values = {name: tensor.clone() for name, tensor in values.items()}


def _trained(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, each) for name, each in module.named_parameters() if each.requires_grad)
