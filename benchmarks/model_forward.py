"""The network against diffusers' Lumina2 with the same weights: one forward, and a whole picture's loop.

`python -m benchmarks.model_forward` (about a quarter of an hour; one thread). Both sides run in turn in one process,
first the one and then the other by turns, after their outputs were compared. A forward starts from features and
latents and so includes everything that we otherwise do once a picture. The loop is 28 steps with guidance on
every one: `denoise` of ours, `Lumina2Pipeline` of diffusers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.lumina import (
    MEDIUM,
    SMALL,
    Case,
    Inputs,
    apart,
    inputs,
    our_forward,
    our_loop,
    our_network,
    their_forward,
    their_loop,
    their_network,
    their_pipeline,
)
from benchmarks.report import Report, Value, command, verdict

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
STEPS = 28
SLOW_STEPS = 7
"""Of the medium size in float32, whose 28 steps would take a quarter of an hour."""

MANY, SOME, FEW = 15, 5, 3
SHORT_S, LONG_S = 2.0, 20.0
"""Pairs of a call that takes less than the first, less than the second, or more, in seconds."""

TARGET_FORWARD, TARGET_LOOP = 1.15, 1.3
CLOSE = 1e-3
"""Largest difference allowed in float32, relative to the output's root mean square."""

Call = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Seconds of the calls of one side, pair by pair."""

    cpu: list[float]
    wall: list[float]


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, so that the thread's CPU time is all there is and other people's load does not count."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_turn(theirs: Call, ours: Call, pairs: int) -> tuple[Timed, Timed]:
    """Both calls `pairs` times, each leading every other time."""
    found = (Timed(cpu=[], wall=[]), Timed(cpu=[], wall=[]))
    sides = list(zip((theirs, ours), found, strict=True))
    for pair in range(pairs):
        for call, timed in sides if pair % 2 else reversed(sides):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            timed.cpu.append(time.process_time() - cpu)
            timed.wall.append(time.perf_counter() - wall)
    return found


def compared(
    sizes: Case, dtype: str, what: str, theirs: Call, ours: Call, *, pairs: int | None = None
) -> dict[str, Value]:
    """One row: the medians, and the ratio of the pairs with its quartiles."""
    start = time.process_time()
    expected = theirs()
    took = time.process_time() - start
    difference = apart(ours(), expected)
    if dtype == "float32" and difference > CLOSE:
        raise SystemExit(f"{sizes.name}, {what}: the outputs are {difference:.1e} apart")
    few = FEW if took > LONG_S else SOME if took > SHORT_S else MANY
    their_time, our_time = in_turn(theirs, ours, pairs or few)
    ratios = [a / b for a, b in zip(their_time.cpu, our_time.cpu, strict=True)]
    lower, middle, upper = quartiles(ratios)
    walls = [a / b for a, b in zip(their_time.wall, our_time.wall, strict=True)]
    return {
        "size": sizes.name,
        "dtype": dtype,
        "what": what,
        "pairs": len(ratios),
        "diffusers CPU ms": round(1000 * statistics.median(their_time.cpu), 2),
        "ours CPU ms": round(1000 * statistics.median(our_time.cpu), 2),
        "speed": round(middle, 3),
        "quartiles": f"{lower:.2f}-{upper:.2f}",
        "wall": round(statistics.median(walls), 3),
        "apart": f"{difference:.0e}",
    }


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of a single value, that value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, middle, upper


def rows(
    sizes: Case, dtype: str, *, device: str = "cpu", steps: int = STEPS, pairs: int | None = None
) -> Iterator[dict[str, Value]]:
    """All comparisons of one size and dtype."""
    model = our_network(sizes.config, device=device, dtype=DTYPES[dtype])
    lumina = their_network(model)
    pipeline = their_pipeline(lumina)
    given = inputs(sizes, device=device, dtype=DTYPES[dtype])
    length = sizes.texts[0]
    alike = inputs(sizes, device=device, dtype=DTYPES[dtype], texts=(length, length))
    batches: list[tuple[str, Inputs, int]] = [
        ("forward, batch 1", given, 1),
        ("forward, batch 2, equal captions", alike, 2),
        ("forward, batch 2, prompt and negative", given, 2),
    ]
    calls: list[tuple[str, Call, Call]] = [
        (what, partial(their_forward, lumina, data, batch), partial(our_forward, model, data, batch))
        for what, data, batch in batches
    ]
    their_whole = partial(their_loop, pipeline, given, steps=steps)
    our_whole = partial(our_loop, model, given, steps=steps)
    calls.append((f"loop of {steps} steps, guided", their_whole, our_whole))
    with torch.no_grad(), one_thread():
        for what, theirs, ours in calls:
            yield compared(sizes, dtype, what, theirs, ours, pairs=pairs)


def verdicts(found: list[dict[str, Value]]) -> list[str]:
    """Every row against its target."""
    told = []
    for row in found:
        loop = str(row["what"]).startswith("loop")
        name = f"{row['size']}, {row['dtype']}, {row['what']}"
        target = TARGET_LOOP if loop else TARGET_FORWARD
        told.append(verdict(name, float(row["speed"]), target, "x", at_least=True))
    return told


def measure() -> Report:
    """Both sizes in both dtypes."""
    slow = (MEDIUM.name, "float32")
    found = [
        row
        for sizes in (SMALL, MEDIUM)
        for dtype in DTYPES
        for row in rows(sizes, dtype, steps=SLOW_STEPS if (sizes.name, dtype) == slow else STEPS)
    ]
    return Report(
        title="The network against diffusers' Lumina2, same weights: CPU time on one thread, medians of pairs",
        rows=found,
        verdicts=verdicts(found),
    )


if __name__ == "__main__":
    command(measure, __doc__)
