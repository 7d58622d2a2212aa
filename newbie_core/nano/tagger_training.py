"""Training of the small tagger on drawings: one character cut out, or a whole picture, each with all its tags.

While it learns, each convolution but the last is followed by a batch norm; `folded` merges them into the
convolutions, which gives a network of DeepDanbooru's form.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from newbie_core.nano.dataset import scene_from
from newbie_core.nano.scenes import Character, Scene, draw_scene, random_scene

SHARD = 250
"""Scenes in a file of drawings."""

MIXED = 0.35
"""Share of faces mixed of several expressions: the parts of a face must be seen each by itself."""

HELD_OUT_SHARE = 0.2
"""Share of scenes with a pair of attributes that the picture model never sees: the tagger must not doubt them."""

TOUCHES = {
    "brows": ("v-shaped_eyebrows", "furrowed_brow", "raised_eyebrows", "raised_eyebrow"),
    "eyes": (
        "half-closed_eyes", "one_eye_closed", "wide-eyed", "heart-shaped_pupils", "^_^", "@_@", "tareme",
    ),
    "mouth": ("smirk", "frown", "open_mouth", "wavy_mouth", "clenched_teeth", ":o"),
    "blush": ("blush", "light_blush"),
    "tears": ("streaming_tears",),
    "mark": ("sweatdrop", "anger_vein", "heart", "?", "zzz", "gloom_(expression)"),
}  # fmt: skip
"""Tags that change one part of a face to what another expression has there."""


def drawn_scene(seed: int, split: str, index: int) -> Scene:
    """The scene of that number; another `split`, other scenes."""
    rng = random.Random(f"{seed}:tagger:{split}:{index}")
    count = rng.choices((1, 2, 3), (35, 45, 20))[0]
    scene = random_scene(rng, count=count, held_out=rng.random() < HELD_OUT_SHARE)
    characters = (mixed(each, rng) if rng.random() < MIXED else each for each in scene.characters)
    return replace(scene, characters=tuple(characters))


def mixed(character: Character, rng: random.Random) -> Character:
    """The same character with one to three parts of its face changed."""
    parts = rng.sample(tuple(TOUCHES), rng.randint(1, 3))
    touches = tuple(rng.choice(TOUCHES[part]) for part in parts)
    return replace(character, unseen=(*character.unseen, *touches))


def draw_scenes(folder: Path, *, seed: int, split: str, scenes: int, report: Callable[[str], None]) -> None:
    """Draw what is missing of so many scenes; stopped at any time, it goes on with the next file."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, scenes, SHARD):
        file = _shard(folder, split, start)
        if file.exists():
            continue
        made = [drawn_scene(seed, split, index) for index in range(start, start + SHARD)]
        pictures = {
            str(index): torch.from_numpy(np.array(draw_scene(scene))) for index, scene in enumerate(made)
        }
        partial = file.with_name(f"{file.name}.{os.getpid()}.part")
        save_file(pictures, partial, {"scenes": json.dumps([asdict(scene) for scene in made])})
        partial.replace(file)
        report(f"{split}: {start + SHARD} of {scenes} scenes drawn")


def _shard(folder: Path, split: str, start: int) -> Path:
    return folder / f"{split}-{start:06}.safetensors"


class Drawings:
    """Drawn scenes with their pictures, read from disk when asked for."""

    def __init__(self, folder: Path, *, split: str, scenes: int) -> None:
        self.scenes: list[Scene] = []
        self._files = []
        for start in range(0, scenes, SHARD):
            file = safe_open(_shard(folder, split, start), "pt").__enter__()
            self._files.append(file)
            self.scenes += [scene_from(each) for each in json.loads(file.metadata()["scenes"])]

    def picture(self, index: int) -> Image.Image:
        """The picture of that scene, RGB."""
        pixels = self._files[index // SHARD].get_tensor(str(index % SHARD))
        return Image.fromarray(pixels.numpy())
