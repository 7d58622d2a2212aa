"""One picture at a time from the model: what `newbie test` and `newbie create` share."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie_core.cli.options import set_options
from newbie_core.cli.output import say
from newbie_core.digests import digest_bytes
from newbie_core.engines.newbie import NewbieEngine
from newbie_core.errors import InputError, PictureError
from newbie_core.generation import record_of
from newbie_core.images import TRAINED, embed, encode_png, has_picture
from newbie_core.plans import Job
from newbie_core.plans.job import job_key
from newbie_core.prompts.lint import TAG_COLUMNS, lint_tags
from newbie_core.prompts.parsing import parse_prompt

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress


_OPTIONS = (
    "model",
    "revision",
    "transformer",
    "text_encoder",
    "clip_model",
    "vae",
    "plan",
    "dtype",
    "device",
    "attention",
)
"""The engine's options that have an argument of their own."""

Keep = Callable[[bytes], Path]
"""Writes a finished PNG and says where."""


@dataclass(slots=True, kw_only=True)
class PictureSettings:
    """What a picture is made with, besides its prompt."""

    width: int
    height: int
    steps: int
    guidance: float
    negative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """A prompt as it goes to the model, and as one line of tags.

    Attributes:
        notes: words that look like misspelt tags, with what was probably meant.
    """

    text: str
    flat: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture that was made."""

    path: Path
    seed: int
    width: int
    height: int
    seconds: float
    peak: int

    def record(self) -> dict[str, Any]:
        """As programs read it."""
        return {
            "file": str(self.path),
            "seed": self.seed,
            "width": self.width,
            "height": self.height,
            "seconds": round(self.seconds, 3),
            "peak_bytes": self.peak,
        }


def read_prompt(text: str) -> PromptText:
    """XML, checked and in canonical form; or tags or prose, as they are.

    Raises:
        PromptError: XML that is not a prompt, with its line.
    """
    if not text.lstrip().startswith("<"):
        flat = " ".join(text.split())
        return PromptText(text=flat, flat=flat, notes=tuple(_slips("tags", flat)))
    prompt = parse_prompt(text)
    blocks = (*prompt.characters, *(block for block in (prompt.scene, prompt.general) if block is not None))
    notes = [
        note
        for block in blocks
        for field, values in block.fields
        if field in TAG_COLUMNS
        for note in _slips(field, ", ".join(values))
    ]
    return PromptText(text=prompt.to_xml(), flat=prompt.flatten(), notes=tuple(notes))


def _slips(where: str, tags: str) -> list[str]:
    return [
        f'{where}: "{word}" is not a known tag; "{meant}" was probably meant'
        for word, meant in lint_tags(tags)
    ]


def size_for(engine: NewbieEngine, given: tuple[int, int] | None) -> tuple[int, int]:
    """The size asked for, or the model's own: 1024x1024, or the first that a small model was trained on.

    Raises:
        InputError: the model cannot make it; says which sizes there are.
    """
    width, height = given or engine.usual_size()
    check_size(engine, width, height)
    return width, height


def check_size(engine: NewbieEngine, width: int, height: int) -> None:
    """Refuse a size the model cannot make, before anything is loaded.

    Raises:
        InputError: says which sizes there are.
    """
    if problem := engine.capabilities().size_problem(width, height):
        raise InputError(problem, code="E_SIZE")


def open_engine(given: argparse.Namespace) -> NewbieEngine:
    """The engine with the command line's model and settings.

    Raises:
        EngineError: no model, or one that cannot be used.
    """
    named = {name: getattr(given, name) for name in _OPTIONS}
    options: dict[str, str | int | bool] = {name: value for name, value in named.items() if value is not None}
    options |= {"allow_pickle": given.allow_pickle, "allow_cut": given.allow_cut}
    if given.adapter:
        options["adapters"] = ",".join(given.adapter)
    options |= set_options(given.set)
    return NewbieEngine(**options)


class Studio:
    """An engine that makes one picture at a time and writes it with all that is known of it."""

    def __init__(self, engine: NewbieEngine) -> None:
        self.engine = engine
        self._identity = engine.identity()

    def make(
        self, prompt: PromptText, settings: PictureSettings, seed: int, keep: Keep, *, quiet: bool = False
    ) -> Shot:
        """Make one picture and give its file to `keep`.

        Raises:
            PictureError: it cannot be made or written; nothing is written then.
        """
        from newbie_core.model.stages import PeakMemory

        job = self._job(prompt, settings, seed)
        memory = PeakMemory(self.engine.pipeline.hosting.device)
        known = set(self.engine.remarks())
        started = time.perf_counter()
        with _Steps(settings.steps, quiet=quiet) as steps:
            image = self._picture(job, steps)
        seconds = time.perf_counter() - started
        for remark in (each for each in self.engine.remarks() if each not in known):
            say(f"note: {remark}")
        if reason := has_picture(image, width=job.width, height=job.height):
            raise PictureError(f"the model gave no usable picture: {reason}")
        record = record_of(job, prompt.flat, self._identity, TRAINED)
        png = encode_png(image, text=embed(record, profile="private"))
        try:
            path = keep(png)
        except OSError as error:
            raise PictureError(f"the picture cannot be written: {error}", code="E_PICTURE_WRITE") from error
        return Shot(
            path=path, seed=seed, width=job.width, height=job.height, seconds=seconds, peak=memory.read()
        )

    def _picture(self, job: Job, steps: _Steps) -> Image:
        import torch

        try:
            return self.engine.picture(job, on_step=steps.step)
        except (torch.OutOfMemoryError, MemoryError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no more memory"
        except RuntimeError as error:
            # torch's CPU allocator has no error class of its own.
            if "not enough memory" not in str(error) and "can't allocate memory" not in str(error):
                raise
            reason = "no more memory"
        self.engine.close()
        raise PictureError(
            f"{job.width}x{job.height} does not fit into memory ({reason}); take a smaller size, --plan staged or "
            "offload, or --set tiling=true",
            code="E_PICTURE_MEMORY",
        )

    def _job(self, prompt: PromptText, settings: PictureSettings, seed: int) -> Job:
        guidance = f"{settings.guidance:g}"
        key = job_key(
            prompt_digest=digest_bytes(prompt.text.encode("utf-8", "surrogatepass")),
            negative=settings.negative,
            seed=seed,
            width=settings.width,
            height=settings.height,
            steps=settings.steps,
            guidance=guidance,
            engine=self._identity.fingerprint,
            template="",
        )
        return Job(
            id="picture",
            key=key,
            prompt=prompt.text,
            negative=settings.negative,
            seed=seed,
            width=settings.width,
            height=settings.height,
            steps=settings.steps,
            guidance=guidance,
        )


class _Steps:
    """A bar of the steps of one picture, on a terminal; it names the loading before the first."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._bar: Progress | None = None
        self._quiet = quiet or not sys.stderr.isatty()

    def __enter__(self) -> _Steps:
        if not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("loading", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, index: int, latents: Any) -> None:
        """One more step is done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=index + 1, description="steps")
