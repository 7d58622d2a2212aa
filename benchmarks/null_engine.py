"""An engine that costs nothing, so that what is measured is the line around it.

Every picture is one cached 64x64 drawing with four pixels told by the job's seed, so that no two
files are alike and none is constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from newbie_core.errors import PictureError
from newbie_core.plans import Capabilities, EngineIdentity, Job

NULL_ENGINE = "benchmarks.null_engine:NullEngine"
USUAL_ENGINE = "benchmarks.null_engine:UsualEngine"
SIDE = 64


class NullEngine:
    """Copies one picture and writes the seed into it."""

    side = SIDE

    def __init__(self) -> None:
        ramp = Image.linear_gradient("L").resize((self.side, self.side))
        self._base = Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180)))

    def identity(self) -> EngineIdentity:
        """Nothing but a name."""
        return EngineIdentity(name="null", parts={"algorithm": "1"})

    def capabilities(self) -> Capabilities:
        """One size."""
        return Capabilities(
            size_step=8, smallest_side=self.side, largest_side=self.side, trained=False, options={}
        )

    def environment(self) -> Mapping[str, str]:
        """Nothing that could matter."""
        return {"machine": "none"}

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image.Image | PictureError]:
        """The cached picture with the job's seed in its corner, 16 bits of it a pixel."""
        for job in jobs:
            picture = self._base.copy()
            for x in range(4):
                part = job.seed >> (16 * x) & 0xFFFF
                picture.putpixel((x, 0), (part >> 8, part & 0xFF, 0))
            yield picture

    def close(self) -> None:
        """Nothing is held."""


class UsualEngine(NullEngine):
    """The same in the size that catalogs usually ask for."""

    side = 192
