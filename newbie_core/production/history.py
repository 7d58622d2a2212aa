"""How long pictures took before, from the attestations of a set's last releases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from newbie_core.errors import DamageError, MissingError, ReleaseError
from newbie_core.generation import Made
from newbie_core.plans import Item
from newbie_core.releases import Shelf
from newbie_core.releases.manifest import decode_manifest

_RELEASES_READ = 5


def timing_name(engine: str, width: int, height: int, steps: int) -> str:
    """What makes pictures take equally long: engine, size, steps."""
    return f"{engine} {width}x{height} {steps}"


def measure(made: Iterable[Made], engine: str) -> dict[str, dict[str, str]]:
    """Seconds a picture, by `timing_name`: how many were made, and their mean."""
    seconds: dict[str, list[float]] = {}
    for picture in made:
        job = picture.job
        seconds.setdefault(timing_name(engine, job.width, job.height, job.steps), []).append(picture.seconds)
    return {
        name: {"pictures": str(len(times)), "mean_seconds": f"{sum(times) / len(times):.4f}"}
        for name, times in sorted(seconds.items())
    }


class History:
    """Measured seconds a picture, newest first."""

    def __init__(self, shelf: Shelf | None) -> None:
        self._known: dict[str, float] = {}
        if shelf is not None:
            for name in reversed(shelf.names()[-_RELEASES_READ:]):
                for timing, record in _timings(shelf, name).items():
                    self._known.setdefault(timing, float(record["mean_seconds"]))

    def seconds(self, item: Item, engine: str) -> float | None:
        """How long this picture should take; None when nothing like it was measured."""
        picture = item.picture
        return self._known.get(timing_name(engine, picture.width, picture.height, picture.steps))


def _timings(shelf: Shelf, name: str) -> Mapping[str, Any]:
    try:
        manifest = decode_manifest(shelf.store.get(shelf.ref(name).manifest))
        attestation: Mapping[str, Any] = orjson.loads(shelf.store.get(manifest.attestation))
    except (DamageError, MissingError, ReleaseError):
        return {}
    timings: Mapping[str, Any] = attestation.get("timings", {})
    return timings
