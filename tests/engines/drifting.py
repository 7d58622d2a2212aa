"""An engine whose environment and pixels a test can change, as a new driver does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from newbie_core.errors import PictureError
from newbie_core.plans import Job
from tests.engines.plugin import StripesEngine, stripes


class DriftingEngine(StripesEngine):
    """Stripes; the JSON file `$DRIFT` adds to its environment, to every pixel (`off`) and to one spot (`spot`)."""

    def environment(self) -> Mapping[str, str]:
        return {"torch": "2.11.0", **_world()["environment"]}

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image.Image | PictureError]:
        world = _world()
        for job in jobs:
            image = stripes(job).point(lambda level: min(255, level + world["off"] + self._level - 1))
            if world["spot"]:
                image.paste((255, 0, world["spot"]), (8, 8, 20, 20))
            yield image


def _world() -> dict[str, Any]:
    world: dict[str, Any] = json.loads(Path(os.environ["DRIFT"]).read_text())
    return world
