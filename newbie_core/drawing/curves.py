"""Smooth curves: a few points in, a dense polyline out."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2), x to the right, y down
Spot = tuple[float, float] | tuple[float, float, int]  # a third element of 1 makes the point a corner


@lru_cache(maxsize=16)
def _hermite(steps: int) -> NDArray[np.float64]:
    """Weights (steps, 4) of a start, its tangent, an end, its tangent."""
    t = np.arange(steps) / steps
    t2, t3 = t * t, t * t * t
    return np.stack([2 * t3 - 3 * t2 + 1, t3 - 2 * t2 + t, 3 * t2 - 2 * t3, t3 - t2], axis=1)


def smooth(spots: Sequence[Spot], *, closed: bool = True, steps: int = 7) -> Points:
    """A curve through every spot; spots marked as corners stay sharp. Read-only."""
    return _smooth(tuple(spots), closed, steps)


@lru_cache(maxsize=4096)
def _smooth(spots: tuple[Spot, ...], closed: bool, steps: int) -> Points:
    points = np.array([spot[:2] for spot in spots], dtype=np.float64)
    corner = np.array([len(spot) == 3 and spot[2] == 1 for spot in spots])
    if not closed:
        corner[[0, -1]] = True
    after = np.roll(points, -1, axis=0) - points
    before = np.roll(after, 1, axis=0)
    length = np.hypot(after[:, 0], after[:, 1])[:, None] + 1e-9
    direction = after + before
    direction /= np.hypot(direction[:, 0], direction[:, 1])[:, None] + 1e-9
    leave, arrive = direction * length, direction * np.roll(length, 1, axis=0)
    sharp = corner[:, None]
    next_sharp = np.roll(sharp, -1, axis=0)
    arrive_next = np.roll(arrive, -1, axis=0)
    # A corner's tangent bends towards its neighbour's, so that pieces between corners are arcs.
    leave = np.where(sharp, np.where(next_sharp, after, 1.5 * after - 0.5 * arrive_next), leave)
    arrive_next = np.where(next_sharp, np.where(sharp, after, 1.5 * after - 0.5 * leave), arrive_next)
    parts = np.stack([points, leave, np.roll(points, -1, axis=0), arrive_next], axis=1)
    dense = np.einsum("sk,nkd->nsd", _hermite(steps), parts)
    curve = dense.reshape(-1, 2) if closed else np.concatenate([dense[:-1].reshape(-1, 2), points[-1:]])
    curve.flags.writeable = False
    return curve


def mirrored(half: Sequence[Spot]) -> list[Spot]:
    """A symmetric closed outline from its right half, listed from top to bottom."""
    left: list[Spot] = [(-spot[0], *spot[1:]) for spot in reversed(half) if spot[0] != 0]
    return [*half, *left]


def flip(points: Points, side: float) -> Points:
    """The points on the given side: 1 leaves them, -1 mirrors x."""
    there: Points = points * np.array([side, 1.0])
    return there


def ellipse(x: float, y: float, rx: float, ry: float, *, steps: int = 24) -> Points:
    """A full ellipse around x, y."""
    return arc(x, y, rx, ry, 0, 360, steps=steps)


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, *, steps: int = 16) -> Points:
    """Part of an ellipse; degrees run clockwise on the screen from the right."""
    return _circle(start, stop, steps) * (rx, ry) + (x, y)


@lru_cache(maxsize=256)
def _circle(start: float, stop: float, steps: int) -> Points:
    """Part of the unit circle."""
    angle = np.radians(np.linspace(start, stop, steps + 1))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """A rectangle's four corners."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=np.float64)


def ribbon(line: Points, widths: Sequence[float]) -> Points:
    """A stroke's outline along a line; widths are spread evenly along it."""
    ahead = np.empty_like(line)
    ahead[1:-1] = line[2:] - line[:-2]
    ahead[0], ahead[-1] = line[1] - line[0], line[-1] - line[-2]
    half = _spread(tuple(widths), len(line)) / (np.sqrt(ahead[:, 0] ** 2 + ahead[:, 1] ** 2) + 1e-9)
    outline = np.empty((2 * len(line), 2))
    offset_x, offset_y = -ahead[:, 1] * half, ahead[:, 0] * half
    outline[: len(line), 0], outline[: len(line), 1] = line[:, 0] + offset_x, line[:, 1] + offset_y
    outline[len(line) :, 0] = (line[:, 0] - offset_x)[::-1]
    outline[len(line) :, 1] = (line[:, 1] - offset_y)[::-1]
    return outline


@lru_cache(maxsize=4096)
def _spread(widths: tuple[float, ...], count: int) -> NDArray[np.float64]:
    """Half the widths at each of count points."""
    profile = smooth([(float(index), width) for index, width in enumerate(widths)], closed=False)
    return np.interp(np.linspace(0, len(widths) - 1, count), profile[:, 0], profile[:, 1]) / 2


def star(
    x: float, y: float, radius: float, *, points: int = 5, inner: float = 0.45, turn: float = -90
) -> Points:
    """A star with the given number of points."""
    angle = np.radians(turn + np.arange(points * 2) * 180 / points)
    reach = np.where(np.arange(points * 2) % 2 == 0, radius, radius * inner)
    return np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1)


def heart(x: float, y: float, size: float) -> Points:
    """A heart whose half width is size."""
    spots: list[Spot] = [(0, -0.45, 1), (0.45, -0.88), (0.98, -0.45), (0.62, 0.32), (0, 0.95, 1)]
    outline: Points = smooth(mirrored(spots)) * size + np.array([x, y])
    return outline


def drop(x: float, y: float, size: float) -> Points:
    """A drop of water, its point up; size is its half width."""
    spots: list[Spot] = [(0, -1.7, 1), (0.55, -0.5), (1, 0.3), (0.62, 0.95), (0, 1.15)]
    outline: Points = smooth(mirrored(spots)) * size + np.array([x, y])
    return outline
