"""A folder of pictures with captions, as kohya's scripts take it: `name.png` beside `name.txt`.

A subfolder called `<repeats>_<name>` shows its pictures that often. Everything in the folder is untrusted: what cannot
be used is named and skipped, one picture is in memory at a time, and nothing is followed out of the folder.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path

from PIL import Image, ImageOps

from newbie_core.errors import TrainingError
from newbie_core.nano.dataset import BASIS_SCENES, Sample, encode_picture, to_tensor
from newbie_core.nano.latents import LatentBasis, fit_latents
from newbie_core.nano.scenes import SIZES
from newbie_core.nano.words import spelled

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CAPTIONS = (".txt", ".caption")
SMALLEST_SIDE = 64
MOST_PIXELS = 64_000_000
LONGEST_CAPTION = 200
"""Words of a caption."""

MOST_REPEATS = 100
ALL_WORDS = 300
"""With more different tags than this, those seen once are left out of the vocabulary."""

_REPEATS = re.compile(r"(\d{1,4})_.+")
_ELEMENT = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that is not used: what was found, and what to do."""

    file: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.found}; {self.fix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPicture:
    """A picture to learn from."""

    file: Path
    name: str
    caption: str
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContent:
    """What a folder holds: usable pictures in order of their names, and everything else with the reason."""

    pictures: tuple[UserPicture, ...]
    faults: tuple[Skipped, ...]


def read_folder(folder: Path) -> FolderContent:
    """Look at every file; pictures are decoded to the end, one at a time.

    Raises:
        TrainingError: no such folder, or nothing in it can be used.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such folder; name one with pictures and a .txt file beside each")
    pictures: list[UserPicture] = []
    faults: list[Skipped] = []
    for place in _folders(folder):
        captions, images = _by_stem(place, folder, faults)
        for stem, files in sorted(images.items()):
            names = [str(file.relative_to(folder)) for file in files]
            if len(files) > 1:
                for name in names:
                    faults.append(
                        _skip(name, f"shares its caption with {len(files) - 1} other picture", "rename one")
                    )
                continue
            checked = _check(files[0], names[0], captions.get(stem, []))
            if isinstance(checked, Skipped):
                faults.append(checked)
            else:
                repeats = _repeats(place, folder)
                pictures.append(UserPicture(file=files[0], name=names[0], caption=checked, repeats=repeats))
    if not pictures:
        shown = "; ".join(str(fault) for fault in faults[:3])
        why = (
            f"all {len(faults)} were skipped: {shown}" if faults else f"it has no {', '.join(PICTURES)} files"
        )
        raise TrainingError(f"{folder}: no usable pictures; {why}")
    return FolderContent(pictures=tuple(pictures), faults=tuple(faults))


def _folders(folder: Path) -> list[Path]:
    """The folder and all below it, sorted; links to folders are not followed."""
    return sorted(Path(place) for place, _, _ in os.walk(folder, followlinks=False))


def _by_stem(
    place: Path, root: Path, faults: list[Skipped]
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Captions and pictures of one folder, by their names without the ending."""
    captions: dict[str, list[Path]] = {}
    images: dict[str, list[Path]] = {}
    inside = root.resolve()
    for file in sorted(place.iterdir()):
        ending = file.suffix.lower()
        if file.name.startswith(".") or (ending not in PICTURES and ending not in CAPTIONS):
            continue
        name = str(file.relative_to(root))
        if not file.resolve().is_relative_to(inside):
            faults.append(_skip(name, "a link that leaves the folder", "copy the file itself"))
        elif not file.is_file():
            faults.append(_skip(name, "not a file", "take it away"))
        else:
            (images if ending in PICTURES else captions).setdefault(file.stem, []).append(file)
    for stem in sorted(captions.keys() - images.keys()):
        name = str(captions[stem][0].relative_to(root))
        faults.append(_skip(name, "a caption without a picture", f"put {stem}.png beside it"))
    return captions, images


def _repeats(place: Path, root: Path) -> int:
    match = _REPEATS.fullmatch(place.name) if place != root else None
    return min(MOST_REPEATS, max(1, int(match[1]))) if match else 1


def _skip(file: str, found: str, fix: str) -> Skipped:
    return Skipped(file=file, found=found, fix=fix)


def _check(file: Path, name: str, captions: list[Path]) -> str | Skipped:
    """The caption of a picture that can be used."""
    if len(captions) != 1:
        found = "no caption" if not captions else f"{len(captions)} captions"
        return _skip(name, found, f"put one text file {file.stem}.txt beside it")
    try:
        caption = captions[0].read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return _skip(name, f"its caption {captions[0].name} is not UTF-8 text ({error})", "save it as UTF-8")
    caption = ", ".join(line.strip().strip(",") for line in caption.splitlines() if line.strip())
    words = len(caption.split())
    if not caption or words > LONGEST_CAPTION:
        found = "its caption is empty" if not caption else f"its caption has {words} words"
        return _skip(name, found, f"write 1 to {LONGEST_CAPTION} words: tags with commas between them")
    try:
        with open_picture(file) as picture:
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return _skip(name, f"not a picture that can be read ({error})", "save it again as PNG or JPEG")
    if min(width, height) < SMALLEST_SIDE:
        return _skip(name, f"{width}x{height} pixels", f"both sides need at least {SMALLEST_SIDE}")
    return caption


def open_picture(file: Path) -> Image.Image:
    """A picture decoded to its end, turned as its EXIF data say, RGB, what is transparent on white.

    Raises:
        OSError, ValueError: not a picture, cut off, animated, or too large.
    """
    with Image.open(file) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError(f"{opened.width}x{opened.height} is more than {MOST_PIXELS:,} pixels")
        if getattr(opened, "n_frames", 1) > 1:
            raise ValueError("it is animated")
        opened.load()
        turned = ImageOps.exif_transpose(opened)
        if turned.mode.startswith("I;16"):
            # Pillow cuts sixteen bits off at 255 instead of scaling them.
            turned = turned.convert("I").point(lambda value: value / 257).convert("L")
        if "A" in turned.getbands() or "transparency" in turned.info:
            clear = turned.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
        return turned.convert("RGB")


def fit_picture(picture: Image.Image, sizes: tuple[tuple[int, int], ...] = SIZES) -> Image.Image:
    """Scaled to cover the size of the most similar shape, and cut to it around the middle."""
    shape = picture.width / picture.height
    size = min(sizes, key=lambda each: abs(log(each[0] / each[1]) - log(shape)))
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def open_pictures(content: FolderContent, *, limit: int) -> Iterator[Image.Image]:
    """The first pictures of a folder, fitted."""
    for each in content.pictures[:limit]:
        yield fit_picture(open_picture(each.file))


def folder_basis(content: FolderContent) -> LatentBasis:
    """Latents fitted to the folder's own pictures."""
    return fit_latents([to_tensor(each)[None] for each in open_pictures(content, limit=BASIS_SCENES)])


def folder_samples(content: FolderContent, basis: LatentBasis) -> list[Sample]:
    """Every picture as a sample, as often as its folder says."""
    samples: list[Sample] = []
    for each in content.pictures:
        latents = encode_picture(fit_picture(open_picture(each.file)), basis)
        samples += [Sample(caption=each.caption, latents=latents)] * each.repeats
    return samples


def caption_words(content: FolderContent) -> tuple[str, ...]:
    """The tags of all captions, the most frequent first."""
    counted: Counter[str] = Counter()
    for each in content.pictures:
        text = _ELEMENT.sub(",", each.caption)
        counted.update({spelled(tag) for tag in text.split(",") if tag.strip()})
    rare = len(counted) > ALL_WORDS
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(word for word, count in ordered if count > 1 or not rare)
