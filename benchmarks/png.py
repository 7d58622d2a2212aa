"""How fast and how small our PNG files are against Pillow's default.

Run `python benchmarks/png.py` (about half a minute), `--json` for programs. Both writers encode
the same picture in turn in one process; the table gives medians and the ratio of the medians.
The pictures are made here from fixed seeds, so anybody gets the same ones::

    drawing        shapes with outlines, drawn twice as large and reduced: soft edges
    hard-edged     the same without reducing: few colours, long runs
    shaded         the soft one under a colour gradient
    sketch         a plain face with soft edges: very little on the page
    smooth         a blurred colour field without noise
    diffusion      colour field and drawing under mild noise: like an autoencoder's output
    grainy         the same under stronger noise
    photo          noise of all frequencies, falling off as in photographs
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from newbie_core.images import encode_png

SIDE = 1024
REPEATS = 7

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


def measure(image: Image.Image, repeats: int) -> dict[str, float]:
    """Medians in milliseconds, bytes, and ours against Pillow's; checks the pixels too."""
    writers = {"pillow": pillow_png, "ours": encode_png}
    times: dict[str, list[float]] = {name: [] for name in writers}
    files = {name: write(image) for name, write in writers.items()}
    if Image.open(io.BytesIO(files["ours"])).tobytes() != image.tobytes():
        raise SystemExit("the pixels differ")
    for _ in range(repeats):
        for name, write in writers.items():
            start = time.perf_counter()
            write(image)
            times[name].append(1000 * (time.perf_counter() - start))
    pillow, ours = (statistics.median(times[name]) for name in writers)
    return {
        "pillow_ms": pillow,
        "pillow_bytes": len(files["pillow"]),
        "ours_ms": ours,
        "ours_bytes": len(files["ours"]),
        "speed": pillow / ours,
        "size": len(files["ours"]) / len(files["pillow"]),
    }


def machine() -> str:
    """Processor, cores and the versions that decide the result."""
    from importlib.metadata import version

    processor = platform.processor() or platform.machine()
    with Path("/proc/cpuinfo").open() if Path("/proc/cpuinfo").exists() else io.StringIO() as lines:
        processor = next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor
        )
    packages = ", ".join(f"{name} {version(name)}" for name in ("Pillow", "numpy", "isal"))
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def main() -> None:
    """Measure every picture and print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"at least 5; {REPEATS} when not given")
    options = parser.parse_args()
    results = {name: measure(make(), max(5, options.repeats)) for name, make in FIXTURES.items()}
    if options.json:
        print(json.dumps({"machine": machine(), "side": SIDE, "results": results}, indent=2))
        return
    print(f"PNG encode, {SIDE} x {SIDE} RGB, medians of {max(5, options.repeats)}\n{machine()}\n")
    print(f"{'picture':12}{'Pillow ms':>10}{'kB':>8}{'ours ms':>10}{'kB':>8}{'speed':>9}{'size':>7}")
    for name, row in results.items():
        missed = "" if row["speed"] >= TARGET_SPEED else "  slower than the target"
        missed += "" if row["size"] <= TARGET_SIZE else "  larger than the target"
        print(
            f"{name:12}{row['pillow_ms']:10.1f}{row['pillow_bytes'] / 1000:8.0f}{row['ours_ms']:10.1f}"
            f"{row['ours_bytes'] / 1000:8.0f}{row['speed']:8.1f}x{row['size']:7.2f}{missed}"
        )


if __name__ == "__main__":
    main()
