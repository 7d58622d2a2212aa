"""Who makes a run's pictures: this process, or several (`crew`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from newbie_core.errors import PictureError
from newbie_core.generation import Engine, Outcome, generate, remarks_of, usage_of
from newbie_core.images import encode_png, has_picture, pixel_digest
from newbie_core.plans import Job
from newbie_core.store import Store
from newbie_core.store.devices import device_of, holding_device

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A picture made outside the plan's order: its object and its pixels, or why there is none."""

    object: str = ""
    size: int = 0
    pixels: str = ""
    problem: str = ""


class Hands(Protocol):
    """What a run asks of those who make its pictures."""

    def make(
        self,
        jobs: Sequence[Job],
        *,
        stop: threading.Event,
        on_outcome: Callable[[Outcome], None] | None,
    ) -> list[Outcome]:
        """Make every job's picture and put it into the store, as `generate` does."""

    def render(self, jobs: Sequence[Job]) -> list[Rendered]:
        """Make each job's picture anew and store its file, whatever is there already."""

    def usage(self) -> Mapping[str, int]:
        """What making took, by name."""

    def remarks(self) -> Sequence[str]:
        """What people should know of the pictures."""

    def close(self) -> None:
        """Give back processes and devices."""


def render(jobs: Sequence[Job], engine: Engine, store: Store) -> list[Rendered]:
    """Make each job's picture on `engine` and put its file into the store; nothing is remembered of it."""
    made = []
    for job, picture in zip(jobs, engine.pictures(jobs), strict=True):
        if isinstance(picture, PictureError):
            made.append(Rendered(problem=str(picture)))
        elif reason := has_picture(picture, width=job.width, height=job.height):
            made.append(Rendered(problem=reason))
        else:
            data = encode_png(picture)
            digest = store.put_many([data])[0]
            made.append(Rendered(object=digest, size=len(data), pixels=pixel_digest(picture)))
    return made


class Alone:
    """One engine in this process; holds its GPU from the first picture to the end."""

    def __init__(self, engine: Engine, store: Store, *, purpose: str) -> None:
        self._engine = engine
        self._store = store
        self._purpose = purpose
        self._held = ExitStack()
        self._is_held = False

    def make(
        self,
        jobs: Sequence[Job],
        *,
        stop: threading.Event,
        on_outcome: Callable[[Outcome], None] | None,
    ) -> list[Outcome]:
        """Make every job's picture."""
        self.hold()
        return generate(jobs, engine=self._engine, store=self._store, stop=stop, on_outcome=on_outcome)

    def render(self, jobs: Sequence[Job]) -> list[Rendered]:
        """Make each job's picture anew."""
        self.hold()
        return render(jobs, self._engine, self._store)

    def usage(self) -> Mapping[str, int]:
        """What the engine measured of itself."""
        return usage_of(self._engine)

    def remarks(self) -> Sequence[str]:
        """What the engine remarks."""
        return remarks_of(self._engine)

    def hold(self) -> None:
        """Hold the engine's GPU; waits while another run works on it, and says so."""
        if self._is_held:
            return
        device = device_of(self._engine.environment())
        if device is not None:
            self._held.enter_context(holding_device([device], purpose=self._purpose, told=_log.warning))
        self._is_held = True

    def close(self) -> None:
        """Give the GPU back."""
        self._held.close()
