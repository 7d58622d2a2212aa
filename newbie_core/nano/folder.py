"""A folder of pictures with captions, as kohya's scripts take it: a caption beside each picture, of the same name::

    FOLDER/one.png   FOLDER/one.txt           1girl, red_hair, smile
    FOLDER/10_miku/two.jpg   .../two.caption  <character_1><gender>1girl</gender></character_1>

Pictures below a folder called `<repeats>_<name>` count that often. Everything in it is untrusted: what cannot be used
is named and skipped, one picture is in memory at a time, and nothing is followed out of the folder. Hidden files and
folders, and files of other kinds, are passed over.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import unicodedata
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import log
from pathlib import Path

import tokenizers
from lxml import etree
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from newbie_core.errors import Fault, InputError, TrainingError
from newbie_core.model.prompt_fields import is_xml_like
from newbie_core.nano.dataset import BASIS_SCENES, Sample, encode_picture, to_tensor
from newbie_core.nano.latents import LatentBasis, fit_latents
from newbie_core.nano.scenes import SIZES
from newbie_core.nano.tokenizer import BREAK, gemma_json, vocabulary

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CAPTIONS = (".txt", ".caption")
OTHER_PICTURES = (".gif", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".tga")
"""Endings of pictures that are named as not read."""

SMALLEST_SIDE = 64
MOST_PIXELS = 64_000_000
LARGEST_FILE = 256 * 1024**2
"""Bytes of a picture's file."""

LARGEST_CAPTION = 64 * 1024
"""Bytes of a caption's file."""

LONGEST_CAPTION = 200
"""Words of a caption."""

MOST_REPEATS = 1000
ALL_WORDS = 300
"""With at least so many different tags, those seen in one caption only are left out of the vocabulary."""

LONGEST_TAG = 4
"""Words of a tag; what is longer is a sentence, and its words are taken one by one."""

_ORIENTATION = ExifTags.Base.Orientation
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_REPEATS = re.compile(r"(\d+)_.+")
_ELEMENT = re.compile(r"<[^<>]*>")
_NAME_ELEMENT = re.compile(r"<n>[^<]*</n>")
_WILDCARD = re.compile(r"\|\|\||\{[^{}]*\|[^{}]*\}")
_BREAKS = re.compile(r"[\s,]+")
# What Pillow's readers raise for damaged files, besides OSError.
_DAMAGE = (
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)

_log = logging.getLogger(__name__)
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPicture:
    """A picture to learn from.

    Attributes:
        file: where it lies.
        name: the same from the folder on, fit to be printed.
        caption: tags with commas, or one XML prompt.
        repeats: how often it counts.
        width, height: pixels as the file stores them, before its EXIF data turn it.
    """

    file: Path
    name: str
    caption: str
    repeats: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContent:
    """What a folder holds: usable pictures in order of their names, and everything else with the reason."""

    pictures: tuple[UserPicture, ...]
    faults: tuple[Fault, ...]


def read_folder(folder: Path) -> FolderContent:
    """Look at every file. Files that are cut off are found here, other damage where pictures are decoded.

    Raises:
        TrainingError: no such folder, or nothing in it can be used.
    """
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "no such folder"
        raise TrainingError(
            f"{folder}: {found}; name one with pictures and a .txt file beside each", code="E_DATA_FOLDER"
        )
    pictures: list[UserPicture] = []
    faults: list[Fault] = []
    for place in _folders(folder, faults):
        try:
            repeats = _repeats(place, folder)
        except InputError as error:
            faults += error.faults
            continue
        pictures += _pictures(place, folder, repeats, faults)
    if not pictures:
        raise _nothing(folder, faults)
    return FolderContent(pictures=tuple(pictures), faults=tuple(faults))


def _nothing(folder: Path, faults: list[Fault]) -> TrainingError:
    why = f"found no {', '.join(PICTURES)} files; put pictures there, each with a .txt file of the same name"
    if faults:
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        why = f"{len(faults)} skipped: " + " | ".join(str(fault) for fault in faults[:3]) + more
    return TrainingError(f"{folder}: no usable pictures; {why}", code="E_DATA_EMPTY")


def _refusal(name: str, code: str, message: str, fix: str) -> InputError:
    return InputError(faults=(Fault(file=name, code=code, message=message, fix=fix),))


def _printable(text: str) -> str:
    """Text without line breaks, control characters, or bytes that are no UTF-8."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


def _name(file: Path, root: Path) -> str:
    return _printable(file.relative_to(root).as_posix())


def _folders(root: Path, faults: list[Fault]) -> Iterator[Path]:
    """The folder and all below it, in order; links to folders are named, not followed."""

    def unreadable(error: OSError) -> None:
        name = _name(Path(error.filename), root)
        message = f"the folder cannot be read ({error.strerror})"
        faults.extend(_refusal(name, "E_DATA_ACCESS", message, "allow reading it").faults)

    for place, below, _ in os.walk(root, onerror=unreadable, followlinks=False):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for each in below:
            if (file := Path(place, each)).is_symlink():
                message, fix = "a link to a folder, these are not followed", "copy the folder itself"
                faults.extend(_refusal(_name(file, root), "E_DATA_LINK", message, fix).faults)
        yield Path(place)


def _repeats(place: Path, root: Path) -> int:
    """What the nearest folder called `<repeats>_<name>` says."""
    inside = place.relative_to(root).parts
    for depth in range(len(inside), 0, -1):
        if match := _REPEATS.fullmatch(inside[depth - 1]):
            count = int(match[1][:9])
            if not 1 <= count <= MOST_REPEATS:
                message = (
                    f"its name asks for {count} repeats of its pictures, 1 to {MOST_REPEATS} can be done"
                )
                raise _refusal(_name(place, root), "E_DATA_REPEATS", message, "rename the folder")
            return count
    return 1


def _pictures(place: Path, root: Path, repeats: int, faults: list[Fault]) -> Iterator[UserPicture]:
    """The usable pictures of one folder, without those below it."""
    captions, images = _by_stem(place, root, faults)
    for stem, files in sorted(images.items()):
        file, name = files[0], _name(files[0], root)
        try:
            if len(files) > 1:
                message = "several pictures of one name: " + ", ".join(_name(each, root) for each in files)
                raise _refusal(name, "E_DATA_NAMES", message, "rename all but one, with a caption for each")
            caption = _caption(file, captions.get(stem, []), root)
            width, height = _look(file, name)
        except InputError as error:
            faults += error.faults
            continue
        yield UserPicture(file=file, name=name, caption=caption, repeats=repeats, width=width, height=height)


def _by_stem(
    place: Path, root: Path, faults: list[Fault]
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Captions and pictures of one folder, by their names without the ending."""
    captions: dict[str, list[Path]] = {}
    images: dict[str, list[Path]] = {}
    named = set()
    for file in sorted(place.iterdir()):
        ending = file.suffix.lower()
        # Archives from a Mac spell one accent in two ways.
        stem = unicodedata.normalize("NFC", file.stem)
        if file.name.startswith(".") or ending not in (*PICTURES, *CAPTIONS, *OTHER_PICTURES):
            continue
        try:
            _check_place(file, root)
        except InputError as error:
            faults += error.faults
            named.add(stem)
        else:
            (captions if ending in CAPTIONS else images).setdefault(stem, []).append(file)
    for stem in sorted(captions.keys() - images.keys() - named):
        message, fix = "a caption without a picture", f"put {_printable(stem)}.png beside it, or take it away"
        faults += _refusal(_name(captions[stem][0], root), "E_DATA_NO_PICTURE", message, fix).faults
    return captions, images


def _check_place(file: Path, root: Path) -> None:
    """Refuse links out of the folder, and what is not a file of a kind that is read."""
    name = _name(file, root)
    try:
        inside = file.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _refusal(name, "E_DATA_LINK", "a link that leads nowhere", "copy the file itself") from error
    if not inside:
        raise _refusal(name, "E_DATA_LINK", "a link that leaves the folder", "copy the file itself")
    if not file.is_file():
        raise _refusal(name, "E_DATA_KIND", "not an ordinary file", "take it away")
    if file.suffix.lower() in OTHER_PICTURES:
        message = f"{file.suffix.lower()} files are not read, only {', '.join(PICTURES)}"
        raise _refusal(name, "E_DATA_KIND", message, "save it as PNG")


def _caption(picture: Path, files: list[Path], root: Path) -> str:
    """A picture's caption on one line, or its XML as it stands."""
    name, stem = _name(picture, root), _printable(picture.stem)
    if not files:
        fix = f"put a text file {stem}.txt beside it"
        raise _refusal(name, "E_DATA_NO_CAPTION", "has no caption", fix)
    if len(files) > 1:
        message = "has two captions: " + ", ".join(_name(each, root) for each in files)
        raise _refusal(name, "E_DATA_NAMES", message, "keep one")
    text = _caption_text(files[0], name)
    if is_xml_like(text) or text.startswith(("<!", "<?")):
        _check_xml(text, name)
    else:
        text = ", ".join(part for line in text.splitlines() if (part := line.strip(" \t,")))
    if match := _WILDCARD.search(text):
        message = f"its caption has kohya's wildcard {_printable(match[0][:40])}, which is not supported"
        raise _refusal(name, "E_DATA_CAPTION", message, "write out one choice")
    count = sum(bool(word) for word in _BREAKS.split(_ELEMENT.sub(" ", text)))
    if not 1 <= count <= LONGEST_CAPTION:
        message = f"its caption has {count} words" if count else "its caption is empty"
        fix = f"write 1 to {LONGEST_CAPTION} words: tags with commas between them"
        raise _refusal(name, "E_DATA_CAPTION", message, fix)
    return text


def _caption_text(file: Path, name: str) -> str:
    shown = _printable(file.name)
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST_CAPTION + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        message = f"its caption {shown} cannot be read ({error.strerror})"
        raise _refusal(name, "E_DATA_ACCESS", message, "allow reading it") from error
    except UnicodeDecodeError as error:
        if len(data) <= LARGEST_CAPTION:
            message = f"its caption {shown} is not UTF-8 text (byte {error.start + 1})"
            raise _refusal(name, "E_DATA_CAPTION", message, "save it as UTF-8") from error
        text = ""
    if len(data) > LARGEST_CAPTION:
        message = f"its caption {shown} has over {LARGEST_CAPTION} bytes"
        fix = f"write 1 to {LONGEST_CAPTION} words: tags with commas between them"
        raise _refusal(name, "E_DATA_CAPTION", message, fix)
    if any(unicodedata.category(sign) == "Cc" and sign not in "\t\r\n" for sign in text):
        message = f"its caption {shown} holds control characters, text was expected"
        raise _refusal(name, "E_DATA_CAPTION", message, "write it anew as plain text")
    return text.strip()


def _check_xml(text: str, name: str) -> None:
    """Refuse a caption that begins like XML and is none; entities and DTDs are never looked at."""
    if "<!" in text or "<?" in text:
        message = "its XML caption has a declaration or a comment (<! or <?), only elements are read"
        raise _refusal(name, "E_DATA_CAPTION", message, "take it out")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        etree.fromstring(f"<prompt>{text}</prompt>", parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        why = error.msg if isinstance(error, etree.XMLSyntaxError) else str(error)
        message = f"its XML caption is not well-formed ({_printable(why)})"
        fix = "close every element, write &amp; &lt; &gt; for & < >"
        raise _refusal(name, "E_DATA_CAPTION", message, fix) from error


def _look(file: Path, name: str) -> tuple[int, int]:
    """Width and height of a picture whose file is whole; cheaper than decoding it."""
    with _opened(file, name) as picture:
        size = picture.size
        if picture.format == "PNG":
            picture.verify()
        else:
            # A JPEG is read to its end all the same, but unpacked to an eighth of its size.
            picture.draft("L", (1, 1))
            picture.load()
    if min(size) < SMALLEST_SIDE:
        message = f"{size[0]}x{size[1]} pixels, both sides need at least {SMALLEST_SIDE}"
        raise _refusal(name, "E_DATA_SIZE", message, "take a larger picture")
    return size


@contextmanager
def _opened(file: Path, name: str) -> Iterator[Image.Image]:
    """A picture whose header is read; what goes wrong with it inside the block becomes an InputError."""
    fix = "save it again as PNG or JPEG, or take it away"
    try:
        # Pillow warns of large pictures and odd metadata; both are dealt with here.
        with warnings.catch_warnings(action="ignore"), file.open("rb") as data:
            size = os.fstat(data.fileno()).st_size
            if size > LARGEST_FILE:
                message = f"{size:,} bytes, at most {LARGEST_FILE:,} are read"
                raise _refusal(name, "E_DATA_LARGE", message, "save it smaller")
            # Only these: Pillow hands some other formats to programs outside.
            with Image.open(data, formats=_FORMATS) as picture:
                _check_header(picture, name)
                yield picture
    except UnidentifiedImageError as error:
        found = "not a PNG, JPEG, WebP or BMP picture, whatever its name says"
        raise _refusal(name, "E_DATA_PICTURE", found if size else "an empty file", fix) from error
    except Image.DecompressionBombError as error:
        message = f"far more than {MOST_PIXELS:,} pixels"
        raise _refusal(name, "E_DATA_LARGE", message, "save it smaller") from error
    except (OSError, *_DAMAGE) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        message = f"damaged or cut off ({_printable(why)[:200]})"
        raise _refusal(name, "E_DATA_PICTURE", message, fix) from error


def _check_header(picture: Image.Image, name: str) -> None:
    if picture.width * picture.height > MOST_PIXELS:
        message = f"{picture.width}x{picture.height} is more than {MOST_PIXELS:,} pixels"
        raise _refusal(name, "E_DATA_LARGE", message, "save it smaller")
    # Some cameras put a small second picture behind a JPEG (MPO): that is no animation.
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
        raise _refusal(name, "E_DATA_ANIMATED", "an animation, one picture was expected", "save one frame")


def open_picture(file: Path, name: str = "") -> Image.Image:
    """A picture decoded to its end, turned as its EXIF data say, RGB, what is transparent on white.

    Args:
        name: what errors call it, rather than its path.

    Raises:
        InputError: not a picture, damaged, animated, or too large; holds one fault.
    """
    with _opened(file, name or _printable(str(file))) as picture:
        picture.load()
        return _plain(picture)


def _plain(picture: Image.Image) -> Image.Image:
    """Turned upright, RGB, on white."""
    turned = picture
    # EXIF data nobody can read turn nothing.
    with suppress(OSError, *_DAMAGE):
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I"):
        # Pillow cuts sixteen bits off at 255 instead of scaling them.
        turned = turned.convert("I").point(lambda value: value / 257).convert("L")
        turned.info.pop("transparency", None)
    if not turned.has_transparency_data:
        return turned if turned.mode == "RGB" else turned.convert("RGB")
    clear = turned if turned.mode == "RGBA" else turned.convert("RGBA")
    white = Image.new("RGB", clear.size, "white")
    white.paste(clear, mask=clear)
    return white


def fit_picture(picture: Image.Image, sizes: tuple[tuple[int, int], ...] = SIZES) -> Image.Image:
    """Upright, RGB, on white; scaled to cover the size of the most similar shape and cut to it around the middle."""
    plain = _plain(picture)
    shape = log(plain.width / plain.height)
    size = min(sizes, key=lambda each: abs(log(each[0] / each[1]) - shape))
    return ImageOps.fit(plain, size, Image.Resampling.LANCZOS)


def open_pictures(content: FolderContent, *, limit: int) -> Iterator[Image.Image]:
    """Pictures of a folder, fitted: all, or `limit` spread evenly; those that cannot be decoded are left out."""
    count = min(limit, len(content.pictures))
    for number in range(count):
        each = content.pictures[number * len(content.pictures) // count]
        try:
            yield fit_picture(open_picture(each.file, each.name))
        except InputError:
            continue


def folder_basis(content: FolderContent) -> LatentBasis:
    """Latents fitted to the folder's own pictures.

    Raises:
        TrainingError: none of them can be decoded.
    """
    pictures = [to_tensor(each)[None] for each in open_pictures(content, limit=BASIS_SCENES)]
    if not pictures:
        raise _undecoded(content)
    return fit_latents(pictures)


def _undecoded(content: FolderContent) -> TrainingError:
    first, count = content.pictures[0], len(content.pictures)
    return TrainingError(
        f"{first.file}: damaged, as are all {count} pictures tried; save them again as PNG",
        code="E_DATA_EMPTY",
    )


def folder_samples(content: FolderContent, basis: LatentBasis, report: Report = _log.warning) -> list[Sample]:
    """Every picture as a sample, as often as its folder says.

    Args:
        report: told of every picture that cannot be decoded and is left out.

    Raises:
        TrainingError: none can be decoded.
    """
    samples: list[Sample] = []
    for each in content.pictures:
        try:
            latents = encode_picture(fit_picture(open_picture(each.file, each.name)), basis)
        except InputError as error:
            report(f"skipped: {error}")
            continue
        samples += [Sample(caption=each.caption, latents=latents)] * each.repeats
    if not samples:
        raise _undecoded(content)
    return samples


def caption_words(content: FolderContent) -> tuple[str, ...]:
    """The tags of all captions as the tokenizer sees them, the most frequent first."""
    normalizer = tokenizers.Tokenizer.from_buffer(gemma_json(vocabulary())).normalizer
    assert normalizer is not None
    counted: Counter[str] = Counter()
    for each in content.pictures:
        text = (
            _ELEMENT.sub(",", _NAME_ELEMENT.sub(",", each.caption))
            if is_xml_like(each.caption)
            else each.caption
        )
        found: set[str] = set()
        for tag in text.split(","):
            phrase = normalizer.normalize_str(tag).strip(f" {BREAK}")
            words = [word for word in phrase.split() if word != BREAK]
            found.update([phrase] if len(words) <= LONGEST_TAG else words)
        counted.update(word for word in found if word and not _ELEMENT.search(word))
    rare = len(counted) >= ALL_WORDS
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(word for word, count in ordered if count > 1 or not rare)
