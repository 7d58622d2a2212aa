"""What can be said on the command line about the model by itself."""

from __future__ import annotations

import argparse
from pathlib import Path

LAYOUTS = ("hub", "port", "comfyui", "all-in-one", "consolidated", "sharded")
DTYPES = ("float32", "bfloat16", "float16")


def add_model_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`test`, `create`, `model` and `doctor`."""
    test = _command(commands, "test", "make one picture and say how long it took")
    test.add_argument("--output", type=Path, default=Path("success_output.png"), metavar="FILE.png")
    test.add_argument("--prompt", metavar="TEXT", help="XML, tags or prose, or a file that holds it")
    _picture_settings(test)
    create = _command(commands, "create", "paste prompts, get pictures: output_001.png onward", json=False)
    create.add_argument("--output-dir", type=Path, default=Path(), metavar="DIR")
    _picture_settings(create)
    create.set_defaults(json=False)
    _add_model(commands)
    doctor = _command(commands, "doctor", "say what this machine has for the model, and what it lacks")
    _model_settings(doctor)


def _add_model(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    model = commands.add_parser("model", help="look into checkpoints, convert them, write small ones")
    verbs = model.add_subparsers(dest="verb", required=True, metavar="VERB")
    info = _command(verbs, "info", "layout, sizes, digests and predicted memory of a model or adapter")
    info.add_argument("source", metavar="SOURCE", help="a folder, a file or a hub id")
    info.add_argument("--revision", metavar="NAME", help="branch, tag or commit of a hub id")
    info.add_argument("--recheck", action="store_true", help="read every byte again for its digest")
    info.add_argument("--allow-pickle", action="store_true", help="open .bin and .pth files")
    convert = _command(verbs, "convert", "write a checkpoint as safetensors in another layout")
    convert.add_argument("source", metavar="SOURCE", help="a folder or file in any known layout")
    convert.add_argument("out", type=Path, metavar="OUT", help="a new folder, or a new .safetensors file")
    convert.add_argument("--to", choices=("hub", "comfyui", "all-in-one"), default="hub")
    convert.add_argument("--dtype", choices=DTYPES, help="store numbers in another dtype")
    convert.add_argument("--allow-pickle", action="store_true", help="open .bin and .pth files")
    tiny = _command(verbs, "tiny", "write a small random checkpoint, to try the line with")
    tiny.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder")
    tiny.add_argument("--layout", choices=LAYOUTS, default="hub")
    tiny.add_argument("--size", choices=("tiny", "small"), default="tiny", help="5 MB or 112 MB")
    tiny.add_argument("--seed", type=seed_of, default=0, metavar="N")
    tiny.add_argument("--dtype", choices=DTYPES, default="float32")
    tiny.add_argument("--pickled", action="store_true", help="consolidated only: a .pth file")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, *, json: bool = True
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    if json:
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return command


def _picture_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=seed_of, metavar="N", help="from 0 (default: a random one)")
    command.add_argument("--size", type=size_of, metavar="WxH", help="default: the model's own")
    command.add_argument("--steps", type=steps_of, default=28, metavar="N")
    command.add_argument("--guidance", type=guidance_of, default=4.5, metavar="G")
    command.add_argument("--negative", default="", metavar="TEXT", help="what must not be in the picture")
    _model_settings(command)


def _model_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="SOURCE", help="a folder, file or hub id (else $NEWBIE_MODEL)")
    command.add_argument("--revision", metavar="NAME", help="branch, tag or commit of a hub id")
    for part in ("transformer", "text-encoder", "clip-model", "vae"):
        command.add_argument(f"--{part}", metavar="PATH", help="this part from another file or folder")
    command.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="PATH[=STRENGTH[:ALPHA]]",
        help="LoRA or LoKr; may repeat",
    )
    command.add_argument("--plan", metavar="NAME", help="auto, resident, staged or offload")
    command.add_argument("--dtype", metavar="NAME", help="auto, float32, bfloat16 or float16")
    command.add_argument("--device", metavar="NAME", help="cuda, cuda:1, cpu")
    command.add_argument("--attention", metavar="NAME", help="the kernel; `newbie doctor` lists them")
    command.add_argument("--allow-pickle", action="store_true", help="open .bin and .pth files")
    command.add_argument("--allow-cut", action="store_true", help="cut prompts that are too long")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a further option of the engine"
    )


def size_of(text: str) -> tuple[int, int]:
    """`832x1216` as width and height in pixels."""
    width, mark, height = text.lower().replace("×", "x").partition("x")
    if not mark or not width.strip().isdecimal() or not height.strip().isdecimal():
        raise argparse.ArgumentTypeError(f'"{text}" is not a size such as 832x1216')
    return int(width), int(height)


def seed_of(text: str) -> int:
    """A whole number from 0 to 2^63 − 1."""
    if not text.strip().isdecimal() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 0 to 2^63 - 1')
    return int(text)


def steps_of(text: str) -> int:
    """A whole number from 1 to 1000."""
    if not text.strip().isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of steps from 1 to 1000')
    return int(text)


def guidance_of(text: str) -> float:
    """A number from 0 to 100."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f'"{text}" is not a guidance from 0 to 100')
    return number
