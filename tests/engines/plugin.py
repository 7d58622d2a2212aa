"""Engines of one's own for tests, used as `tests.engines.plugin:Class`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from newbie_core.errors import EngineError, PictureError
from newbie_core.plans import Capabilities, EngineIdentity, Job


class StripesEngine:
    """Stripes that depend on the seed; a note in its folder makes it fail, be slow or draw nothing.

    `$STRIPES` is a folder: its file `fail` holds ids that fail, `black` ids that come out black,
    `slow` seconds a picture; each picture made adds its id to `made`.
    """

    def __init__(self, level: int = 1) -> None:
        self._level = level
        self.closed = False

    def identity(self) -> EngineIdentity:
        return EngineIdentity(name="stripes", parts={"algorithm": "1", "level": str(self._level)})

    def capabilities(self) -> Capabilities:
        return Capabilities(
            size_step=8, smallest_side=8, largest_side=256, trained=False, options={"level": 1}
        )

    def environment(self) -> Mapping[str, str]:
        return {"test": "yes"}

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image.Image | PictureError]:
        for job in jobs:
            if seconds := self._note("slow"):
                time.sleep(float(seconds[0]))
            if "*" in self._note("broken"):
                raise EngineError("the stripes ran out")
            if job.id in self._note("fail"):
                yield PictureError(f"no stripes for {job.id}")
            elif job.id in self._note("black"):
                yield Image.new("RGB", (job.width, job.height))
            else:
                self._tell(job.id)
                yield stripes(job)

    def close(self) -> None:
        self.closed = True

    def _note(self, name: str) -> list[str]:
        file = self._folder() / name
        return file.read_text().split() if file.exists() else []

    def _tell(self, picture_id: str) -> None:
        if self._folder().is_dir():
            with (self._folder() / "made").open("a") as file:
                file.write(f"{picture_id}\n")

    def _folder(self) -> Path:
        return Path(os.environ.get("STRIPES", "/nonexistent"))


def stripes(job: Job) -> Image.Image:
    """Horizontal stripes whose colours are made of the seed."""
    image = Image.new("RGB", (job.width, job.height))
    for y in range(job.height):
        colour = (job.seed * 31 + y * 40) % 256, (job.seed >> 8) % 256, y * 3 % 256
        image.paste(colour, (0, y, job.width, y + 1))
    return image
