"""Where weight files lie: the names to try and the folders to look into."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from newbie_core.errors import ModelError
from newbie_core.model.config import PARTS, PartName
from newbie_core.model.weights.paths import check_inside
from newbie_core.model.weights.stored import INDEX_SUFFIX, shard_files

WEIGHT_NAMES: Mapping[PartName, tuple[str, ...]] = {
    "transformer": (
        "diffusion_pytorch_model.safetensors",
        "model.safetensors",
        "newbie_dit.safetensors",
        "diffusion_pytorch_model.bin",
    ),
    "text_encoder": ("model.safetensors", "gemma3-4b-it.safetensors", "pytorch_model.bin"),
    "clip_model": (
        "model.safetensors",
        "jina-clip-v2.safetensors",
        "pytorch_model.bin",
        "open_clip_pytorch_model.bin",
    ),
    "vae": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
}
"""Names tried in a part's folder, first match wins; each safetensors name also as a shard index."""

PART_FOLDERS: Mapping[PartName, tuple[str, ...]] = {
    "transformer": ("transformer",),
    "text_encoder": ("text_encoder",),
    "clip_model": ("clip_model", "text_encoder_2"),
    "vae": ("vae",),
}

OVERRIDE_OPTIONS: Mapping[PartName, str] = {
    "transformer": "--transformer",
    "text_encoder": "--text-encoder",
    "clip_model": "--clip-model",
    "vae": "--vae",
}

COMFYUI_FOLDERS = ("diffusion_models", "unet", "text_encoders", "clip", "vae", "checkpoints")
_COMFYUI_SUFFIXES = (".safetensors", ".sft", ".gguf")
_CONSOLIDATED = re.compile(r"consolidated(_ema)?\.(\d+)-of-(\d+)\.(pth|safetensors)")


def part_weights(folder: Path, name: PartName | None) -> Path | None:
    """The weight file or shard index in a part's folder, or in a model's folder that has one for the part."""
    tried = WEIGHT_NAMES[name] if name else dict.fromkeys(x for part in PARTS for x in WEIGHT_NAMES[part])
    for file in tried:
        for candidate in (folder / file, folder / (file + INDEX_SUFFIX)):
            if candidate.is_file():
                return candidate
    lone = _lone(folder)
    if len(lone) == 1:
        return lone[0]
    if name:
        for inner in (folder / sub for sub in PART_FOLDERS[name]):
            if inner.is_dir() and inner != folder and (weights := part_weights(inner, name)) is not None:
                return weights
    return None


def _lone(folder: Path) -> list[Path]:
    """Weight files of other names: indexes first, and no shard that an index names."""
    indexes = sorted(folder.glob("*.safetensors" + INDEX_SUFFIX))
    shards = {shard for index in indexes for shard in shard_files(index)}
    files = sorted(path for path in folder.iterdir() if path.suffix in _COMFYUI_SUFFIXES and path.is_file())
    return indexes + [path for path in files if path not in shards]


def comfyui_files(folder: Path) -> Iterator[Path]:
    """Every weight file in ComfyUI's folders under `folder`, under its split_files, and in itself.

    Raises:
        ModelError: a folder among them is a link out of `folder`, or a shard index is damaged.
    """
    for base in (folder / "split_files", folder):
        for sub in COMFYUI_FOLDERS:
            if (place := base / sub).is_dir():
                yield from _lone(check_inside(place, folder))
        if base.is_dir():
            yield from _lone(base)


def consolidated_file(folder: Path) -> Path | None:
    """The training checkpoint in `folder`: averaged weights before plain ones, safetensors before pickles.

    Raises:
        ModelError: it is one of several shards.
    """
    matches = [match for path in sorted(folder.iterdir()) if (match := _CONSOLIDATED.fullmatch(path.name))]
    if not matches:
        return None
    best = min(matches, key=lambda match: (match[1] is None, match[4] == "pth", match[2]))
    if int(best[3]) != 1:
        raise ModelError(
            f"{folder / best[0]}: one of {int(best[3])} tensor-parallel shards, which are not joined here; "
            "expected consolidated.00-of-01",
            code="E_MODEL_SHARDS",
        )
    return folder / best[0]
