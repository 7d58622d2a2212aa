"""`newbie test`: one picture, to see that everything works."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.cli.output import print_json, result, say, spoken_bytes, spoken_seconds
from newbie_core.cli.studio import PictureSettings, Studio, open_engine, read_prompt, size_for
from newbie_core.engines.newbie import spoken_model
from newbie_core.errors import InputError, PromptError

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

PROMPT = """\
<character_1>
<n>$character_1$</n>
<gender>1girl</gender>
<appearance>blue_hair, long_twintails, teal_eyes</appearance>
<clothing>school_uniform, red_ribbon</clothing>
<expression>smile</expression>
<action>standing, looking_at_viewer</action>
<position>center</position>
</character_1>
<general_tags>
<count>1girl, solo</count>
<style>anime_style</style>
<background>cherry_blossoms, outdoors</background>
<quality>high_resolution, detailed</quality>
</general_tags>
"""

_LONGEST_FILE = 1_000_000


def test(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Make the picture, write it, and say size, time and memory."""
    _check_output(given.output)
    prompt = read_prompt(_text(given.prompt))
    engine = open_engine(given)
    pipeline = engine.pipeline
    width, height = size_for(engine, given.size)
    foreseen = pipeline.forecast(width, height).peak
    hosting = pipeline.hosting
    made_with = {
        "model": pipeline.files.source,
        "layout": pipeline.files.layout,
        "device": str(hosting.device),
        "dtype": str(hosting.dtype).removeprefix("torch."),
        "kernel": hosting.kernel.name,
        "plan": hosting.plan,
        "predicted_peak_bytes": foreseen,
    }
    if not given.json:
        say(
            f"{spoken_model(pipeline.files.source)} ({made_with['layout']}) on {made_with['device']}: {made_with['dtype']}, "
            f"{made_with['kernel']}, {made_with['plan']}; predicted peak {spoken_bytes(foreseen)}"
        )
    for note in prompt.notes:
        say(f"note: {note}")
    settings = PictureSettings(
        width=width, height=height, steps=given.steps, guidance=given.guidance, negative=given.negative
    )
    seed = secrets.randbits(32) if given.seed is None else given.seed
    shot = Studio(engine).make(
        prompt, settings, seed, lambda png: _write(given.output, png), quiet=given.json
    )
    if given.json:
        print_json({**shot.record(), **made_with})
    else:
        where = "peak memory" if hosting.device.type == "cuda" else "peak memory of the process"
        result(
            f"Saved to {shot.path} ({shot.width}x{shot.height}, seed {shot.seed}, {spoken_seconds(shot.seconds)} "
            f"with loading, {where} {spoken_bytes(shot.peak)})"
        )
    engine.close()
    return 0


def _text(given: str | None) -> str:
    """The prompt itself, or what the file of that name holds."""
    if given is None:
        return PROMPT
    if "\n" in given or "<" in given or not _is_file(given):
        return given
    if Path(given).stat().st_size > _LONGEST_FILE:
        raise PromptError(f"{given}: more than {_LONGEST_FILE} bytes is no prompt")
    try:
        return Path(given).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptError(f"{given}: not a UTF-8 text (byte {error.start + 1}); save it as UTF-8") from None
    except OSError as error:
        raise PromptError(f"{given}: cannot be read: {error.strerror}") from None


def _is_file(given: str) -> bool:
    try:
        if Path(given).is_file():
            return True
    except OSError:  # longer than a file's name may be
        return False
    if Path(given).suffix.lower() in (".xml", ".txt"):
        raise PromptError(f"{given}: there is no such file")
    return False


def _check_output(path: Path) -> None:
    """Refuse before minutes of work what could not be written after them."""
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: a PNG is written; name a file that ends in .png", code="E_OUTPUT")
    if path.is_dir() or not path.parent.is_dir():
        reason = "a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise InputError(f"{path}: {reason}; name another with --output", code="E_OUTPUT")


def _write(path: Path, png: bytes) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(png)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
