"""An engine that dies of some pictures, as a driver's fault ends a process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

from PIL import Image

from newbie_core.errors import PictureError
from newbie_core.plans import Job
from tests.engines.plugin import StripesEngine


class DeadlyEngine(StripesEngine):
    """Stripes; the ids in the file `deadly` of `$STRIPES` kill the process."""

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image.Image | PictureError]:
        for job in jobs:
            if job.id in self._note("deadly"):
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().pictures([job])
