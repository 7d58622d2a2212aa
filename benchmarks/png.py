"""How fast and how small our PNG files are against Pillow's default.

`python -m benchmarks.png` (about a minute). Both writers encode the same picture in turn in one
process; the table gives medians of the process's CPU time and the ratio of the medians. The pictures
are made here from fixed seeds, so anybody gets the same ones::

    drawing        shapes with outlines, drawn twice as large and reduced: soft edges
    hard-edged     the same without reducing: few colours, long runs
    shaded         the soft one under a colour gradient
    sketch         a plain face with soft edges: very little on the page
    smooth         a blurred colour field without noise
    diffusion      colour field and drawing under mild noise: like an autoencoder's output
    grainy         the same under stronger noise
    photo          noise of all frequencies, falling off as in photographs
    brand/… etc.   what the sketch engine draws for a picture of that catalog, at 1024 x 1024
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.report import Report, Value, command
from newbie_core.images import encode_png

SIDE = 1024
REPEATS = 7

CATALOGS = Path(__file__).resolve().parent.parent / "catalogs"

TARGET_SPEED = 8.0
TARGET_SIZE = 1.15


def drawing(scale: int = 2) -> Image.Image:
    """Shapes, outlines and a face on a plain ground, drawn `scale` times as large."""
    image = Image.new("RGB", (SIDE * scale, SIDE * scale), (236, 228, 240))
    pen = ImageDraw.Draw(image)
    random = np.random.default_rng(1)
    for _ in range(12):
        x, y, width = (int(v) * scale for v in random.integers(60, 900, 3))
        fill = tuple(int(v) for v in random.integers(120, 250, 3))
        pen.ellipse([x, y, x + width // 3, y + width // 3], fill, (40, 30, 50), 4 * scale)
    pen.polygon(
        [(200 * scale, 900 * scale), (512 * scale, 300 * scale), (824 * scale, 900 * scale)], (90, 120, 200)
    )
    pen.ellipse([v * scale for v in (312, 150, 712, 600)], (255, 226, 205), (60, 40, 50), 5 * scale)
    for x in (430, 594):
        pen.ellipse(
            [(x - 35) * scale, 330 * scale, (x + 35) * scale, 430 * scale], (70, 110, 200), (20, 20, 40), 6
        )
        pen.ellipse([(x - 12) * scale, 345 * scale, (x + 10) * scale, 370 * scale], "white")
    for _ in range(40):
        x, dx, end = (
            int(random.integers(300, 720)),
            int(random.integers(-80, 80)),
            int(random.integers(250, 340)),
        )
        pen.line([x * scale, 140 * scale, (x + dx) * scale, end * scale], (120, 70, 60), 9 * scale)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def shaded() -> Image.Image:
    """The drawing under a gradient."""
    down, across = np.linspace(-30, 30, SIDE)[:, None, None], np.linspace(-20, 20, SIDE)[None, :, None]
    return _picture(np.asarray(drawing(), float) + down + across * [1, 0.5, -0.7])


def sketch() -> Image.Image:
    """A face and two eyes."""
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE), (236, 228, 240))
    pen = ImageDraw.Draw(image)
    pen.ellipse([512, 341, 1536, 1365], (255, 226, 205), (60, 40, 50), 9)
    for x in (819, 1229):
        pen.ellipse([x - 60, 683, x + 60, 853], (70, 110, 200), (20, 20, 40), 9)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def field(cells: int = 8, seed: int = 5) -> Image.Image:
    """Random colours on a coarse grid, blended."""
    colours = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def diffusion(sigma: float) -> Image.Image:
    """Colour fields and the drawing under noise, most of it shared by the channels; `sigma` in levels."""
    random = np.random.default_rng(2)
    parts = 0.75 * np.asarray(field(12), float) + 0.1 * np.asarray(field(128), float)
    parts += 0.15 * np.asarray(drawing(), float)
    parts += random.normal(0, sigma, (SIDE, SIDE, 1)) + random.normal(0, sigma / 2, (SIDE, SIDE, 3))
    return _picture(parts)


def photo() -> Image.Image:
    """Octaves of noise, each 0.62 of the one before."""
    random = np.random.default_rng(3)
    total, cells, strength = np.full((SIDE, SIDE, 3), 128.0), 4, 60.0
    while cells <= SIDE:
        grey, tint = (_octave(random, cells) for _ in range(2))
        total += strength * np.stack([grey, 0.9 * grey + 0.2 * tint, 0.8 * grey - 0.2 * tint], -1)
        cells, strength = 2 * cells, 0.62 * strength
    return _picture(total)


def _octave(random: np.random.Generator, cells: int) -> Any:
    grid = Image.fromarray(random.normal(0, 1, (cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _picture(values: Any) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


FIXTURES: dict[str, Callable[[], Image.Image]] = {
    "drawing": drawing,
    "hard-edged": lambda: drawing(1),
    "shaded": shaded,
    "sketch": sketch,
    "smooth": field,
    "diffusion": lambda: diffusion(0.7),
    "grainy": lambda: diffusion(2.0),
    "photo": photo,
}


def pillow_png(image: Image.Image) -> bytes:
    """What `image.save(path, "PNG")` writes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def sketches() -> Iterator[tuple[str, Image.Image]]:
    """Drawings of the sketch engine: the first picture and one from the middle of each catalog here."""
    from newbie_core.catalogs import open_catalog
    from newbie_core.engines import load_engine
    from newbie_core.plans import Previous, make_plan

    engine = load_engine("sketch")
    for folder in sorted(CATALOGS.iterdir()):
        plan = make_plan(
            open_catalog(folder),
            engine=engine.identity(),
            capabilities=engine.capabilities(),
            previous=Previous(),
        )
        for item in (plan.items[0], plan.items[len(plan.items) // 2]):
            (job,) = plan.jobs([item])
            (picture,) = engine.pictures([replace(job, width=SIDE, height=SIDE)])
            assert isinstance(picture, Image.Image)
            yield f"{folder.name}/{job.id}", picture


def compare(name: str, image: Image.Image) -> dict[str, Value]:
    """Medians in milliseconds, kilobytes, and ours against Pillow's; checks the pixels too."""
    writers = {"Pillow": pillow_png, "ours": encode_png}
    times: dict[str, list[float]] = {name: [] for name in writers}
    files = {name: write(image) for name, write in writers.items()}
    if Image.open(io.BytesIO(files["ours"])).tobytes() != image.tobytes():
        raise SystemExit("the pixels differ")
    for _ in range(REPEATS):
        for writer, write in writers.items():
            start = time.process_time()
            write(image)
            times[writer].append(1000 * (time.process_time() - start))
    pillow, ours = (statistics.median(times[writer]) for writer in writers)
    return {
        "picture": name,
        "Pillow ms": round(pillow, 2),
        "ours ms": round(ours, 2),
        "Pillow kB": len(files["Pillow"]) // 1000,
        "ours kB": len(files["ours"]) // 1000,
        "speed": round(pillow / ours, 2),
        "size": round(len(files["ours"]) / len(files["Pillow"]), 3),
    }


def measure() -> Report:
    """Every picture, against both targets."""
    pictures = [*((name, make()) for name, make in FIXTURES.items()), *sketches()]
    rows = [compare(name, image) for name, image in pictures]
    slow = [str(row["picture"]) for row in rows if float(row["speed"]) < TARGET_SPEED]
    large = [str(row["picture"]) for row in rows if float(row["size"]) > TARGET_SIZE]
    return Report(
        title=f"PNG encode, {SIDE} x {SIDE} RGB, CPU time, medians of {REPEATS}; pixels identical",
        rows=rows,
        verdicts=[
            f"at least {TARGET_SPEED:g}x Pillow's speed: {_met(len(rows), slow)}",
            f"at most {TARGET_SIZE:g} of Pillow's size: {_met(len(rows), large)}",
        ],
    )


def _met(count: int, missed: list[str]) -> str:
    return f"{count - len(missed)} of {count}" + (f"; MISSED by {', '.join(missed)}" if missed else "")


if __name__ == "__main__":
    command(measure, __doc__)
