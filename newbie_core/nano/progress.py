"""Checkpoints and signals of trainings that may be stopped at any time, and how fast they go."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from newbie_core.errors import TrainingError, first_line


def write_checkpoint(file: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before stays until the new one is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.part")
    torch.save(dict(state), partial)
    partial.replace(file)


def read_checkpoint(file: Path, device: torch.device) -> dict[str, Any]:
    """What `write_checkpoint` wrote.

    Raises:
        TrainingError: it cannot be read, as after the disk has failed.
    """
    try:
        state = torch.load(file, map_location=device, weights_only=True)
    except OSError as error:
        raise TrainingError(f"{file}: {error.strerror or error}") from error
    except Exception as error:  # torch.load raises what its unpickler and its archive reader raise
        raise TrainingError(
            f"{file}: is no whole checkpoint: {first_line(error)}; delete it, and the same command starts this part again"
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise TrainingError(
            f"{file}: is no checkpoint of this training; delete it, and the same command starts this part again"
        )
    return state


def left_to_the_parent() -> None:
    """Let a child pass over the signals that a terminal and systemd send to all processes: its parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class Pace:
    """Says now and then how fast a training of `total` steps goes, from the step it goes on from."""

    def __init__(self, step: int, *, every: int, total: int) -> None:
        self._every, self._total = every, total
        self._step, self._time = step, time.monotonic()

    def words(self, step: int) -> str | None:
        """At every so manieth step, seconds a step since the last words and minutes left; None at others."""
        if step % self._every:
            return None
        now = time.monotonic()
        pace = (now - self._time) / max(1, step - self._step)
        self._step, self._time = step, now
        return f"{pace:.2f} s a step, {(self._total - step) * pace / 60:.0f} min left"
