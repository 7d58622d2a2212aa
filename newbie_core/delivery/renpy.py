"""For Ren'Py: files to lay into a game's `game/` folder.

::

    images/aria happy.png
    newbie_school_cast.rpy           image aria happy = "images/aria happy.png"

The first word is Ren'Py's tag (the character), the others are its attributes, so that `show aria sad`
replaces `aria happy`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from newbie_core.delivery.fields import Described
from newbie_core.delivery.layouts import Commission, File, Layout, Written, check, listing, only_channel
from newbie_core.delivery.names import ENDINGS
from newbie_core.errors import DeliveryError, Fault

KEYWORDS = frozenset(
    "as at behind expression hide if image in onlayer return scene show transform while with zorder".split()
)
"""Words that Ren'Py's parser takes for itself where a name of an image may stand."""

_NO_WORD = re.compile(r"[^0-9a-z\u00a1-\ufffd]+")


def renpy_layout(work: Commission) -> Layout:
    """Images by layered names, and a script that defines them.

    Raises:
        DeliveryError: two pictures have one name in Ren'Py, or a pattern or several channels are given.
    """
    channel = only_channel(work, "renpy")
    images = [image_name(picture) for picture in work.pictures]
    _refuse_doubles(work, images)
    ending = ENDINGS[channel.format if channel else "png"][0]
    names = [f"images/{image}{ending}" for image in images]
    check(work, names, work.pictures)
    files = [
        File(name=name, picture=picture, channel=channel)
        for name, picture in zip(names, work.pictures, strict=True)
    ]

    def pages(written: Sequence[Written]) -> Iterator[tuple[str, bytes]]:
        lines = [f"# {len(files)} images of {work.release.ref.name}; written by newbie export."]
        lines += [f'image {image} = "{name}"' for image, name in zip(images, names, strict=True)]
        yield f"newbie_{word(work.release.content.set)}.rpy", ("\n".join(lines) + "\n").encode()
        yield "release.json", listing(work, written)

    return Layout(files=files, pages=pages)


def image_name(picture: Described) -> str:
    """Tag and attributes of a picture: its character first, then its other rows, then its copy."""
    rows = dict(picture.rows) or {"": picture.entry.id}
    first = rows.pop("characters", None)
    words = [*([first] if first is not None else []), *rows.values()]
    if (copy := picture.fields["copy"]) != "1":
        words.append(f"take{copy}")
    return " ".join(map(word, words))


def word(text: str) -> str:
    """A word that Ren'Py takes as a part of a name: a letter, then letters, digits and underscores."""
    plain = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(char if char.isalnum() and char <= "\ufffd" else "_" for char in plain)
    name = _NO_WORD.sub("_", kept).strip("_")
    if not name or name[0].isdigit():
        name = f"n{name}"
    return f"{name}_" if name in KEYWORDS else name


def _refuse_doubles(work: Commission, images: Sequence[str]) -> None:
    owners: dict[str, str] = {}
    faults = []
    for image, picture in zip(images, work.pictures, strict=True):
        owner = owners.setdefault(image, picture.entry.id)
        if owner != picture.entry.id:
            faults.append(
                Fault(
                    file=f"{work.release.content.set} {work.release.ref.name}",
                    code="E_EXPORT_NAME",
                    message=f'pictures "{owner}" and "{picture.entry.id}" would both be Ren\'Py\'s image "{image}"',
                    fix="rename a row",
                    severity="file",
                )
            )
    if faults:
        raise DeliveryError(faults=faults)
