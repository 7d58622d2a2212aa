"""Flow matching: from noise at t = 0 to data at t = 1, in steps.

Time runs forward: 0 is noise, 1 the picture, and the model gives dx/dt = data − noise. In sigmas, as schedulers of
diffusers and ComfyUI count, sigma = 1 − t. The verbs in order::

    times = grid("euler", 28, shift=6.0)               # where the model is asked, known before the first step
    x = noise(seed=7, channels=16, height=8, width=8)
    x = integrate(x, times, lambda x, call: -x)        # the network in the lambda's place: (latents, call) → dx/dt
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

Solver = Literal["euler", "midpoint", "dpm"]
SOLVERS: tuple[Solver, ...] = ("euler", "midpoint", "dpm")

DEFAULT_SHIFT = 6.0
"""Time shift of all released pipelines."""

_DPM_LAST_BETA = 0.001
"""Where upstream's DPM-Solver++ grid starts: sigma is never quite 1, for its logarithm."""

Velocity = Callable[[Tensor, int], Tensor]
"""dx/dt of latents `[1, C, H, W]` at the grid's evaluation of that number."""

OnStep = Callable[[int, Tensor], Tensor | None]
"""Called after step `i` (from 0) with the latents; what it returns takes their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Times of a run.

    Attributes:
        points: times between steps, first to last; `len(points) - 1` steps.
        evaluations: the time of each call of the model, in order.
    """

    solver: Solver
    points: tuple[float, ...]
    evaluations: tuple[float, ...]

    @property
    def steps(self) -> int:
        """Intervals."""
        return len(self.points) - 1


def shift_time(t: float, shift: float) -> float:
    """t / (t + s − s·t): spends more steps near noise for s > 1. Source: Esser et al., arXiv 2403.03206, eq. 23."""
    return t / (t + shift - shift * t)


def grid(solver: Solver, steps: int, *, shift: float = DEFAULT_SHIFT) -> Grid:
    """The times of `steps` intervals and the model calls between them.

    Raises:
        ValueError: steps below 1 or a shift that is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps {steps} must be at least 1")
    if not shift > 0 or not math.isfinite(shift):
        raise ValueError(f"shift {shift} must be above 0")
    if solver == "dpm":
        points = _dpm_points(steps, shift)
        return Grid(solver=solver, points=points, evaluations=points[:-1])
    points = tuple(shift_time(i / steps, shift) for i in range(steps + 1))
    if solver == "euler":
        return Grid(solver=solver, points=points, evaluations=points[:-1])
    halves = [(a + b) / 2 for a, b in pairwise(points)]
    evaluations = tuple(time for pair in zip(points, halves, strict=False) for time in pair)
    return Grid(solver=solver, points=points, evaluations=evaluations)


def _dpm_points(steps: int, shift: float) -> tuple[float, ...]:
    """Upstream's: beta falls from 1 to 0.001; 1 − beta is shifted as a sigma and reversed."""
    points = []
    for i in range(steps + 1):
        beta = 1 + (_DPM_LAST_BETA - 1) * (steps - i) / steps
        sigma = 1 - beta
        points.append(1 - shift * sigma / (1 + (shift - 1) * sigma))
    return tuple(points)


def noise(seed: int, channels: int, height: int, width: int) -> Tensor:
    """Standard normal latents `[1, C, H, W]` in fp32 from a CPU generator: equal for equal seeds everywhere."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn((1, channels, height, width), generator=generator, dtype=torch.float32)


def guided_evaluations(
    evaluations: Sequence[float], *, guidance: float, cfg_trunc: float
) -> tuple[bool, ...]:
    """Whether guidance acts at each model call: while the time is below `cfg_trunc`, and never at a scale of 1."""
    return tuple(guidance != 1.0 and time < cfg_trunc for time in evaluations)


def guide(condition: Tensor, uncondition: Tensor, *, guidance: float, renorm: float = 0.0) -> Tensor:
    """Classifier-free guidance (Ho & Salimans, arXiv 2207.12598): v_u + g·(v_c − v_u), in the inputs' dtype.

    Args:
        condition, uncondition: `[B, C, H, W]`.
        renorm: when above 0, the result's norm over a whole sample is held at `renorm` times the condition's.
    """
    guided = uncondition + guidance * (condition - uncondition)
    if renorm <= 0:
        return guided
    limit = _sample_norm(condition) * renorm
    # Compared on the device, a sample at a time: nothing waits, and a batch is no special case.
    return guided * (limit / _sample_norm(guided)).clamp(max=1.0)


def _sample_norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.float(), dim=(1, 2, 3), keepdim=True)


def integrate(x: Tensor, times: Grid, velocity: Velocity, *, on_step: OnStep | None = None) -> Tensor:
    """Carry latents `[1, C, H, W]` in fp32 along the grid; returns them at its end."""
    step = {"euler": _euler, "midpoint": _midpoint, "dpm": _dpm}[times.solver]
    return step(x, times, velocity, on_step or _go_on)


def _go_on(step: int, latents: Tensor) -> None:
    """Leave the latents as they are."""


def _euler(x: Tensor, times: Grid, velocity: Velocity, on_step: OnStep) -> Tensor:
    for i in range(times.steps):
        x = x + (times.points[i + 1] - times.points[i]) * velocity(x, i).float()
        x = _or(on_step(i, x), x)
    return x


def _midpoint(x: Tensor, times: Grid, velocity: Velocity, on_step: OnStep) -> Tensor:
    for i in range(times.steps):
        length = times.points[i + 1] - times.points[i]
        halfway = x + length / 2 * velocity(x, 2 * i).float()
        x = x + length * velocity(halfway, 2 * i + 1).float()
        x = _or(on_step(i, x), x)
    return x


def _dpm(x: Tensor, times: Grid, velocity: Velocity, on_step: OnStep) -> Tensor:
    """DPM-Solver++ 2M on the data prediction. Source: Lu et al., arXiv 2211.01095, algorithm 2."""
    previous: Tensor | None = None
    last = times.steps - 1
    for i in range(times.steps):
        sigma, next_sigma = 1 - times.points[i], 1 - times.points[i + 1]
        data = x + sigma * velocity(x, i).float()
        corrected = data
        if previous is not None and 0 < i < last:
            ratio = (_log_snr(times.points[i]) - _log_snr(times.points[i - 1])) / (
                _log_snr(times.points[i + 1]) - _log_snr(times.points[i])
            )
            corrected = data + 0.5 * (data - previous) / ratio
        # alpha' · (1 − e^−h) with e^−h = (alpha σ') / (alpha' σ); at the last step σ' is 0 and all of it is data.
        decay = (times.points[i] * next_sigma) / (times.points[i + 1] * sigma)
        x = (next_sigma / sigma) * x + times.points[i + 1] * (1 - decay) * corrected
        previous = data
        x = _or(on_step(i, x), x)
    return x


def _or(changed: Tensor | None, x: Tensor) -> Tensor:
    return x if changed is None else changed


def _log_snr(t: float) -> float:
    """lambda = ln(alpha) − ln(sigma) with alpha = t, sigma = 1 − t."""
    return math.log(t) - math.log1p(-t)
