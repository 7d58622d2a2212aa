"""`newbie create`: paste prompts, get pictures.

A person works here for an hour: nothing they type ends the session, no picture is overwritten, and Ctrl+C stops the
picture in hand and no more.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.cli.model_arguments import guidance_of, seed_of, size_of, steps_of
from newbie_core.cli.output import result, say, spoken_bytes, spoken_seconds
from newbie_core.cli.prompt_lines import PipeLines, PromptLines
from newbie_core.cli.studio import (
    PictureSettings,
    PromptText,
    Studio,
    check_size,
    open_engine,
    read_prompt,
    size_for,
)
from newbie_core.errors import InputError, NewbieError

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

_PROMPT = "prompt> "
_HELP = """\
Paste XML (an empty line ends it), or type tags or a sentence. Commands:
  :seed N | random   the seed of the next pictures      :again      the last prompt, next seed
  :size WxH          such as 832x1216                   :history    the pictures made so far
  :steps N           from 1 to 1000                     :settings   what is set now
  :guidance G        such as 4.5                        :help       this text
  :negative TEXT     what must not be in the picture    :quit       or Ctrl+D
Ctrl+C stops the picture in hand."""
_HISTORY_LINES = 1000


@dataclass(frozen=True, slots=True)
class _Made:
    path: Path
    seed: int
    prompt: PromptText


def create(given: argparse.Namespace, _stop: StopSignals) -> int:
    """The session, to its end; 1 if a picture failed and nobody sat at the terminal."""
    try:
        given.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{given.output_dir}: no folder for pictures: {error.strerror}; name another with --output-dir",
            code="E_OUTPUT",
        ) from None
    engine = open_engine(given)
    width, height = size_for(engine, given.size)
    settings = PictureSettings(
        width=width, height=height, steps=given.steps, guidance=given.guidance, negative=given.negative
    )
    session = Session(Studio(engine), settings, given.seed, given.output_dir)
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        hosting = engine.pipeline.hosting
        say(f"{engine.pipeline.files.source} on {hosting.device}, {hosting.plan}. :help lists the commands")
    try:
        if at_terminal:
            from newbie_core.model.stages import import_parts

            import_parts()
            with _interrupts(), _line_editing():
                session.talk(PromptLines(input))
        else:
            session.talk(PipeLines())
    finally:
        engine.close()
    return 1 if session.failures and not at_terminal else 0


class Session:
    """What is set, what was made, and what the next entry does."""

    def __init__(self, studio: Studio, settings: PictureSettings, seed: int | None, folder: Path) -> None:
        self.failures = 0
        self._studio = studio
        self._settings = settings
        self._seed = seed
        self._folder = folder
        self._made: list[_Made] = []
        self._commands: Mapping[str, Callable[[str], None]] = {
            "seed": self._set_seed,
            "size": self._set_size,
            "steps": self._set_steps,
            "guidance": self._set_guidance,
            "negative": self._set_negative,
            "again": self._again,
            "history": self._history,
            "settings": self._show_settings,
            "help": lambda _: say(_HELP),
        }

    def talk(self, lines: PromptLines) -> None:
        """Take entries until there are no more."""
        while True:
            try:
                entry = lines.entry(_PROMPT)
                if entry in (":quit", ":q", ":exit", "quit", "exit"):
                    return
                self._take(entry)
            except EOFError:
                return
            except KeyboardInterrupt:
                say("")

    def _take(self, entry: str) -> None:
        if not entry:
            return
        try:
            if entry.startswith(":"):
                self._command(entry)
            else:
                self._make(read_prompt(entry), self._next_seed())
        except NewbieError as error:
            self.failures += 1
            say(f"not made: {error}" if not entry.startswith(":") else str(error))

    def _command(self, entry: str) -> None:
        name, _, rest = entry[1:].partition(" ")
        command = self._commands.get(name)
        if command is None:
            raise InputError(f'there is no command ":{name}"; :help lists them')
        try:
            command(rest.strip())
        except argparse.ArgumentTypeError as error:
            raise InputError(str(error)) from None

    def _make(self, prompt: PromptText, seed: int) -> None:
        for note in prompt.notes:
            say(f"note: {note}")
        try:
            shot = self._studio.make(prompt, self._settings, seed, lambda png: write_new(self._folder, png))
        except KeyboardInterrupt:
            say("\nstopped; nothing was written")
            return
        self._made.append(_Made(shot.path, seed, prompt))
        result(
            f"{shot.path} ({shot.width}x{shot.height}, seed {seed}, {spoken_seconds(shot.seconds)}, "
            f"peak memory {spoken_bytes(shot.peak)})"
        )
        sys.stdout.flush()

    def _next_seed(self) -> int:
        return secrets.randbits(32) if self._seed is None else self._seed

    def _again(self, _rest: str) -> None:
        if not self._made:
            raise InputError("nothing was made yet")
        last = self._made[-1]
        self._make(last.prompt, (last.seed + 1) % (1 << 63))

    def _set_seed(self, text: str) -> None:
        self._seed = None if text == "random" else seed_of(text)
        say("seed random" if self._seed is None else f"seed {self._seed}")

    def _set_size(self, text: str) -> None:
        width, height = size_of(text)
        check_size(self._studio.engine, width, height)
        self._settings.width, self._settings.height = width, height
        say(f"size {width}x{height}")

    def _set_steps(self, text: str) -> None:
        self._settings.steps = steps_of(text)
        say(f"steps {self._settings.steps}")

    def _set_guidance(self, text: str) -> None:
        self._settings.guidance = guidance_of(text)
        say(f"guidance {self._settings.guidance:g}")

    def _set_negative(self, text: str) -> None:
        self._settings.negative = text
        say(f"negative {text or '(none)'}")

    def _history(self, _rest: str) -> None:
        for made in self._made:
            result(f"{made.path}  seed {made.seed}  {made.prompt.flat[:70]}")
        if not self._made:
            say("nothing was made yet")

    def _show_settings(self, _rest: str) -> None:
        now = self._settings
        seed = "random" if self._seed is None else str(self._seed)
        say(
            f"size {now.width}x{now.height}, steps {now.steps}, guidance {now.guidance:g}, seed {seed}, "
            f"negative {now.negative or '(none)'}"
        )


def next_free(folder: Path) -> Path:
    """`output_001.png` onward: one more than the highest number there is."""
    numbers = [
        int(found[1])
        for path in folder.iterdir()
        if (found := re.fullmatch(r"output_(\d{3,9})\.png", path.name)) is not None
    ]
    return folder / f"output_{max(numbers, default=0) + 1:03d}.png"


def write_new(folder: Path, png: bytes) -> Path:
    """The picture under the next free number, also where two sessions share a folder."""
    while True:
        path = next_free(folder)
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(png)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Ctrl+C as Python raises it: in the line being typed or the picture being made."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _line_editing() -> Iterator[None]:
    """Editing and lines of earlier sessions, where readline is there."""
    try:
        import readline
    except ImportError:
        yield
        return
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    file = state / "newbie-assets" / "create_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(_HISTORY_LINES)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(file)
