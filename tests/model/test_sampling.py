"""Grids, guidance and solvers, against formulas, diffusers, and an equation whose solution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from newbie_core.model.sampling import (
    SOLVERS,
    Grid,
    Solver,
    grid,
    guide,
    guided_evaluations,
    integrate,
    noise,
)

SHAPE = (1, 4, 6, 6)


def swirl(x: Tensor, t: float) -> Tensor:
    """A velocity that depends on the place and the time, and is no straight line."""
    return torch.sin(3 * x) + x.flip(-1) * t - math.cos(5 * t)


def run(times: Grid, *, start: Tensor | None = None) -> Tensor:
    begin = noise(0, *SHAPE[1:]) if start is None else start
    return integrate(begin, times, lambda x, i: swirl(x, times.evaluations[i]))


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("steps", [1, 7, 28])
def test_the_grid_is_upstreams_formula(steps: int, shift: float) -> None:
    points = grid("euler", steps, shift=shift).points
    assert len(points) == steps + 1
    assert (points[0], points[-1]) == (0.0, 1.0)
    for i, point in enumerate(points):
        sigma = 1 - i / steps
        shifted = shift * sigma / (1 + (shift - 1) * sigma)
        assert point == pytest.approx(1 - shifted, abs=1e-12)


def test_euler_asks_once_a_step_and_midpoint_twice() -> None:
    euler, midpoint = grid("euler", 17), grid("midpoint", 17)
    assert euler.evaluations == euler.points[:-1]
    assert len(midpoint.evaluations) == 34
    for i in range(17):
        assert midpoint.evaluations[2 * i] == midpoint.points[i]
        middle = (midpoint.points[i] + midpoint.points[i + 1]) / 2
        assert midpoint.evaluations[2 * i + 1] == pytest.approx(middle)


def test_the_dpm_grid_runs_from_just_below_noise_to_the_picture() -> None:
    times = grid("dpm", 20, shift=6.0)
    assert times.steps == len(times.evaluations) == 20
    assert 1 - times.points[0] == pytest.approx(0.99983, abs=1e-5)
    assert times.points[-1] == 1.0
    assert list(times.points) == sorted(times.points)


@pytest.mark.parametrize("solver", SOLVERS)
def test_as_many_calls_are_made_as_foreseen_in_their_order(solver: Solver) -> None:
    times = grid(solver, 5)
    calls: list[int] = []

    def velocity(x: Tensor, index: int) -> Tensor:
        calls.append(index)
        return x

    integrate(noise(0, *SHAPE[1:]), times, velocity)
    assert calls == list(range(len(times.evaluations)))


@pytest.mark.parametrize(
    ("steps", "shift"), [(0, 6.0), (-1, 6.0), (4, 0.0), (4, -1.0), (4, math.nan), (4, math.inf)]
)
def test_a_grid_that_cannot_be_is_refused(steps: int, shift: float) -> None:
    with pytest.raises(ValueError, match=r"steps|shift"):
        grid("euler", steps, shift=shift)


@pytest.mark.parametrize("steps", [4, 28])
def test_euler_equals_the_schedulers_of_diffusers(steps: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=6.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps).tolist())
    x = noise(0, *SHAPE[1:])
    for timestep in scheduler.timesteps:
        # It counts sigma = 1 − t in thousandths, and wants noise − data.
        towards_noise = -swirl(x, 1 - timestep.item() / 1000)
        x = scheduler.step(towards_noise, timestep, x, return_dict=False)[0]
    # Timesteps are float32 of up to 1000: t is rounded by 3e-8, and the steps add that up.
    torch.testing.assert_close(run(grid("euler", steps, shift=6.0)), x, rtol=0, atol=1e-5)


def gaussian_error(solver: Solver, steps: int) -> float:
    """Distance from the exact solution where data is normal around 0.6 with deviation 0.3.

    Of the straight path x_t = (1 − t)·noise + t·data the velocity is then linear in x, and the flow keeps each
    point at its own number of deviations from the mean.
    """
    times = grid(solver, steps, shift=1.0)
    mean, deviation = 0.6, 0.3

    def spread(t: float) -> float:
        return math.sqrt((1 - t) ** 2 + (t * deviation) ** 2)

    def velocity(x: Tensor, index: int) -> Tensor:
        t = times.evaluations[index]
        growth = (t * deviation**2 - (1 - t)) / spread(t) ** 2
        return mean + growth * (x - t * mean)

    start = torch.linspace(-2, 2, 64, dtype=torch.float64).reshape(1, 1, 8, 8)
    first = times.points[0]
    begin = first * mean + spread(first) * start
    return (integrate(begin, times, velocity) - (mean + deviation * start)).abs().max().item()


def test_midpoint_and_dpm_are_closer_to_the_exact_solution_than_euler() -> None:
    euler = gaussian_error("euler", 20)
    assert 1e-3 < euler < 0.1
    assert gaussian_error("midpoint", 20) < euler / 4
    assert gaussian_error("dpm", 20) < euler / 2


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2)])
def test_halving_the_steps_divides_the_error_at_least_as_the_order_says(solver: Solver, order: int) -> None:
    assert gaussian_error(solver, 20) / gaussian_error(solver, 40) > 0.75 * 2**order


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_carries_a_straight_line_to_its_end(solver: Solver) -> None:
    begin, end = noise(0, *SHAPE[1:]).double(), noise(1, *SHAPE[1:]).double()
    times = grid(solver, 6)
    start = begin + times.points[0] * (end - begin)
    # The velocity is cut to float32 on its way, and the steps' lengths sum to one.
    torch.testing.assert_close(integrate(start, times, lambda _x, _i: end - begin), end, rtol=0, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_a_callback_returns_takes_the_latents_place(solver: Solver) -> None:
    times = grid(solver, 4)
    seen: list[int] = []

    def on_step(step: int, latents: Tensor) -> Tensor | None:
        seen.append(step)
        return torch.full_like(latents, 7.0) if step == 3 else None

    found = integrate(noise(0, *SHAPE[1:]), times, lambda x, _i: x, on_step=on_step)
    assert seen == [0, 1, 2, 3]
    assert torch.equal(found, torch.full(SHAPE, 7.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_latents_stay_in_float32_whatever_the_model_runs_in(dtype: torch.dtype) -> None:
    assert integrate(noise(0, *SHAPE[1:]), grid("euler", 3), lambda x, _i: x.to(dtype)).dtype == torch.float32


# Guidance


@pytest.mark.parametrize(
    ("cfg_trunc", "guided"),
    # t_i = (i/28)/(6 − 5·i/28) is below 0.25 for i/28 < 2/3, the first 19 points.
    [(0.25, 19), (math.inf, 28), (0.0, 0), (1.0, 28)],
)
def test_truncation_counts_flow_time_after_the_shift(cfg_trunc: float, guided: int) -> None:
    evaluations = grid("euler", 28, shift=6.0).evaluations
    acts = guided_evaluations(evaluations, guidance=4.5, cfg_trunc=cfg_trunc)
    assert sum(acts) == guided
    assert acts == (True,) * guided + (False,) * (28 - guided)


def test_guidance_ends_at_the_time_itself() -> None:
    assert guided_evaluations([0.1, 0.25, 0.3], guidance=4.5, cfg_trunc=0.25) == (True, False, False)


def test_a_scale_of_one_is_no_guidance() -> None:
    assert guided_evaluations([0.0, 0.5], guidance=1.0, cfg_trunc=math.inf) == (False, False)


def test_guidance_goes_on_from_the_unconditional_through_the_condition() -> None:
    condition, uncondition = torch.full(SHAPE, 3.0), torch.full(SHAPE, 1.0)
    assert torch.equal(guide(condition, uncondition, guidance=4.5), torch.full(SHAPE, 10.0))
    assert torch.equal(guide(condition, uncondition, guidance=0.0), uncondition)


def test_renorm_holds_each_samples_norm_at_the_conditions() -> None:
    condition, uncondition = noise(0, 4, 6, 6).repeat(2, 1, 1, 1), noise(1, 4, 6, 6).repeat(2, 1, 1, 1)
    uncondition[1] = condition[1]
    plain = guide(condition, uncondition, guidance=4.5)
    held = guide(condition, uncondition, guidance=4.5, renorm=1.0)
    assert plain[0].norm() > 2 * condition[0].norm()
    torch.testing.assert_close(held[0].norm(), condition[0].norm())
    torch.testing.assert_close(held[0] * (plain[0].norm() / held[0].norm()), plain[0])
    torch.testing.assert_close(held[1], plain[1])


@pytest.mark.parametrize("renorm", [0.5, 1.0, 3.0, 100.0])
@pytest.mark.parametrize("guidance", [0.0, 0.5, 4.5])
def test_renorm_never_scales_up(guidance: float, renorm: float) -> None:
    condition, uncondition = noise(0, 4, 6, 6), 0.1 * noise(1, 4, 6, 6)
    plain = guide(condition, uncondition, guidance=guidance)
    held = guide(condition, uncondition, guidance=guidance, renorm=renorm)
    assert held.norm() <= plain.norm() * (1 + 1e-6)
    limit = condition.norm() * renorm
    torch.testing.assert_close(held.norm(), torch.minimum(plain.norm(), limit))


# Noise


def test_equal_seeds_give_equal_noise_and_others_do_not() -> None:
    torch.manual_seed(5)
    first = noise(7, 16, 8, 6)
    torch.manual_seed(6)
    assert torch.equal(first, noise(7, 16, 8, 6))
    assert not torch.equal(first, noise(8, 16, 8, 6))
    assert first.dtype == torch.float32
    assert first.shape == (1, 16, 8, 6)


def test_seed_zero_is_an_ordinary_seed() -> None:
    assert torch.equal(noise(0, 4, 4, 4), noise(0, 4, 4, 4))


def test_noise_is_torchs_own_from_a_cpu_generator() -> None:
    expected = torch.randn((16, 8, 6), generator=torch.Generator("cpu").manual_seed(3))
    assert torch.equal(noise(3, 16, 8, 6)[0], expected)


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    noise(3, 16, 8, 6)
    assert torch.equal(before, torch.random.get_rng_state())
