"""The sketch engine: draws what the prompt asks for, in milliseconds, on any CPU.

For previews before GPU hours are spent, for tests of everything around an engine, and as the source
of training pictures for the small embedded model.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from newbie_core.engines.licences import engine_licence
from newbie_core.errors import NewbieError, PictureError
from newbie_core.plans import Capabilities, EngineIdentity, Job
from newbie_core.prompts.document import Block, Prompt, position_point
from newbie_core.prompts.parsing import parse_prompt

if TYPE_CHECKING:
    from PIL.Image import Image

    from newbie_core.drawing import Figure
    from newbie_core.rights import Licence

_WORD_POINTS = {
    "left": (0.28, None),
    "right": (0.72, None),
    "center": (0.5, None),
    "centre": (0.5, None),
    "middle": (0.5, None),
    "far_left": (0.18, None),
    "far_right": (0.82, None),
    "top": (None, 0.45),
    "bottom": (None, 0.75),
}


class SketchEngine:
    """Draws with Pillow. Equal jobs give equal pixels on every machine with the same Pillow."""

    def __init__(self, **options: str | int | bool) -> None:
        from newbie_core.engines import check_options

        check_options("sketch", options, self.capabilities().options)

    def identity(self) -> EngineIdentity:
        """The drawing algorithm's version decides the pixels."""
        from newbie_core.drawing import DRAWING_VERSION

        return EngineIdentity(name="sketch", parts={"algorithm": str(DRAWING_VERSION)})

    def capabilities(self) -> Capabilities:
        """Any size from 64 to 2048, in steps of 8 as the model's latents are."""
        return Capabilities(size_step=8, smallest_side=64, largest_side=2048, trained=False, options={})

    def environment(self) -> Mapping[str, str]:
        """Python, Pillow and processor kind."""
        import PIL

        return {
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "machine": platform.machine(),
            "system": platform.system(),
        }

    def licences(self) -> Sequence[Licence]:
        """Its own; it has no weights."""
        return [engine_licence("sketch")]

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image | PictureError]:
        """One drawing a job, in order."""
        for job in jobs:
            try:
                yield _draw(job)
            except (NewbieError, ArithmeticError, ValueError, OSError, MemoryError) as error:
                yield PictureError(f"sketch could not draw {job.id}: {error}")

    def close(self) -> None:
        """Nothing is held."""


def _draw(job: Job) -> Image:
    from newbie_core.drawing import Setting, draw

    prompt = parse_prompt(job.prompt)
    figures = [_figure(block) for block in prompt.characters]
    setting = Setting(tags=tuple(_setting_tags(prompt)))
    return draw(figures, setting, width=job.width, height=job.height, seed=job.seed)


def _figure(block: Block) -> Figure:
    from newbie_core.drawing import Figure

    x, y = _point(block.get("position"))
    return Figure(tags=tuple(block.tags()), x=x, y=y)


def _point(position: tuple[str, ...]) -> tuple[float | None, float | None]:
    if not position:
        return None, None
    point = position_point(position[0])
    if point is not None:
        return point
    word = position[0].strip().lower().replace(" ", "_")
    return _WORD_POINTS.get(word, (None, None))


def _setting_tags(prompt: Prompt) -> Iterator[str]:
    for block in (prompt.scene, prompt.general):
        if block is not None:
            for field, values in block.fields:
                if field != "count":
                    yield from values
