"""An engine that cannot make one of its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL.Image import Image

from newbie_core.engines.sketch import SketchEngine
from newbie_core.errors import PictureError
from newbie_core.plans import Job


class FlakyEngine(SketchEngine):
    """Sketches every picture but those whose id holds "mika"."""

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image | PictureError]:
        for job, picture in zip(jobs, super().pictures(jobs), strict=True):
            yield PictureError(f"{job.id} cannot be made") if "mika" in job.id else picture
