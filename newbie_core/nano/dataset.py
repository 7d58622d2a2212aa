"""Drawn scenes as latents on disk: made once, in shards, in an order that the seed alone decides."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from newbie_core.nano.latents import LatentBasis, fit_latents
from newbie_core.nano.optimisers import never
from newbie_core.nano.progress import left_to_the_parent
from newbie_core.nano.scenes import Character, Scene, draw_scene, training_scene

SHARD = 500
"""Scenes in a file."""

BASIS_SCENES = 400
"""Scenes that the latents' basis is fitted to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One picture to learn from.

    Attributes:
        caption: what it shows; a prompt is made of it anew each time it is used.
        latents: `[16, H/8, W/8]` float16.
    """

    caption: Scene | str
    latents: Tensor


def scene_of(seed: int, index: int) -> Scene:
    """The training scene of that number."""
    return training_scene(random.Random(f"{seed}:train:{index}"))


def to_tensor(picture: Image) -> Tensor:
    """RGB pixels as `[3, H, W]` in [-1, 1]."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    return pixels.permute(2, 0, 1).float() / 127.5 - 1


def drawn_basis(file: Path, *, seed: int, scenes: int) -> LatentBasis:
    """The basis of the first of so many drawn scenes, `BASIS_SCENES` at most; kept in `file`."""
    if not file.exists():
        numbers = range(min(scenes, BASIS_SCENES))
        pictures = [to_tensor(draw_scene(scene_of(seed, i)))[None] for i in numbers]
        partial = file.with_suffix(".part")
        fit_latents(pictures).save(partial)
        partial.replace(file)
    return LatentBasis.load(file)


def encode_picture(picture: Image, basis: LatentBasis) -> Tensor:
    """Latents `[16, H/8, W/8]` of a picture, float16; sides must be multiples of 16."""
    return basis.encode(to_tensor(picture)[None])[0].half()


def draw_shards(
    folder: Path,
    basis_file: Path,
    *,
    seed: int,
    scenes: int,
    workers: int,
    report: Callable[[str], None],
    stop: Callable[[], bool] = never,
) -> bool:
    """Draw what is missing of `scenes` training scenes; whether all are there. Stopped, it goes on with the next shard."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [k for k in range(-(-scenes // SHARD)) if not shard_file(folder, k).exists()]
    if not wanted:
        return True
    started = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        shards = [numbers_in(shard, scenes) for shard in wanted]
        made = pool.map(
            _draw_shard, *zip(*[(folder, basis_file, seed, each) for each in shards], strict=True)
        )
        drawn, total = 0, sum(map(len, shards))
        for numbers, _ in zip(shards, made, strict=True):
            drawn += len(numbers)
            rate = drawn / (time.monotonic() - started)
            report(f"drawn {drawn:,} of {total:,} scenes, {rate:.0f} a second")
            if drawn < total and stop():
                pool.shutdown(wait=True, cancel_futures=True)
                return False
    return True


def _one_thread() -> None:
    torch.set_num_threads(1)
    left_to_the_parent()


def numbers_in(shard: int, scenes: int) -> range:
    """The numbers of the scenes in a shard, of so many scenes in all."""
    return range(shard * SHARD, min((shard + 1) * SHARD, scenes))


def shard_file(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"scenes-{number:04}.safetensors"


def _draw_shard(folder: Path, basis_file: Path, seed: int, numbers: range) -> None:
    basis = LatentBasis.load(basis_file)
    tensors, scenes = {}, []
    for index in numbers:
        scene = scene_of(seed, index)
        tensors[f"{index}"] = encode_picture(draw_scene(scene), basis)
        scenes.append(asdict(scene))
    file = shard_file(folder, numbers.start // SHARD)
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    save_file(tensors, partial, {"scenes": json.dumps(scenes)})
    partial.replace(file)


def load_shard(folder: Path, number: int) -> Iterator[Sample]:
    """A shard's samples, in order."""
    with safe_open(shard_file(folder, number), "pt") as file:
        scenes = json.loads(file.metadata()["scenes"])
        for index, values in enumerate(scenes, start=number * SHARD):
            scene = scene_from(values)
            yield Sample(caption=scene, latents=file.get_tensor(f"{index}"))


def scene_from(values: dict[str, object]) -> Scene:
    """A scene from its fields, as JSON keeps them."""
    characters = []
    for each in values["characters"]:  # type: ignore[attr-defined]  # written by _draw_shard
        characters.append(Character(**{**each, "unseen": tuple(each["unseen"])}))
    return Scene(**{**values, "characters": tuple(characters)})  # type: ignore[arg-type]
