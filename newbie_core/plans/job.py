"""One picture to make, and the key that names it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import orjson

from newbie_core.digests import digest_value

_KEY_FORM = "newbie-assets job 1"
SEED_LIMIT = 1 << 63
"""Seeds are below this: what torch's generators take as a positive number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineIdentity:
    """Which engine makes the pixels: `parts` name weights, precision and algorithm version, never hardware."""

    name: str
    parts: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """sha256 of the name and the parts; another fingerprint means other pixels are expected."""
        return digest_value({"engine": self.name, **self.parts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can be asked for.

    Attributes:
        size_step: sides are multiples of this; `smallest_side` and `largest_side` too, all in pixels.
        trained: whether its pixels come from a trained model, as IPTC's source type asks.
        options: each option with its default.
        sizes: widths and heights, where it makes only these; empty when the steps above decide.
    """

    size_step: int = 8
    smallest_side: int = 64
    largest_side: int = 4096
    trained: bool = True
    options: Mapping[str, str | int | bool]
    sizes: Sequence[tuple[int, int]] = ()

    def size_problem(self, width: int, height: int) -> str | None:
        """Why this size cannot be made, with the nearest one that can; None when it can."""
        if self.sizes:
            if (width, height) in self.sizes:
                return None
            known = ", ".join(f"{wide}x{high}" for wide, high in self.sizes)
            wide, high = min(self.sizes, key=lambda size: _distance((width, height), size))
            return f"the model makes no {width}x{height}; the nearest is {wide}x{high} (it knows {known})"
        for side, pixels in (("width", width), ("height", height)):
            nearest = min(max(pixels, self.smallest_side), self.largest_side)
            nearest = max(self.smallest_side, nearest - nearest % self.size_step)
            if pixels != nearest:
                wanted = f"a multiple of {self.size_step} from {self.smallest_side} to {self.largest_side}"
                return f"{side} {pixels} is not {wanted}; the nearest is {nearest}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture to generate. Equal keys have equal pixels on one machine."""

    id: str
    key: str
    prompt: str
    negative: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: str


def _distance(size: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """How unlike two sizes are: in their shape first, then in their area."""
    (width, height), (wide, high) = size, other
    if not width or not height:
        return 0.0, 0.0
    return round(abs(log(width / height * high / wide)), 6), abs(log(width * height / (wide * high)))


def job_key(
    *,
    prompt_digest: str,
    negative: str,
    seed: int,
    width: int,
    height: int,
    steps: int,
    guidance: str,
    engine: str,
    template: str,
) -> str:
    """The content key: sha256 over all that decides pixels, and nothing else.

    Args:
        prompt_digest: sha256 of the canonical prompt text.
        engine: the engine's fingerprint.
        template: the template's digest.
    """
    parts = [_KEY_FORM, prompt_digest, negative, seed, width, height, steps, guidance, engine, template]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def derive_seed(set_name: str, picture_id: str, index: int) -> int:
    """The seed of a picture that is given none: from who it is, never from where it stands.

    32 bits, so that it survives a spreadsheet (15 digits) and every engine's seed field.
    """
    text = f"{set_name}\0{picture_id}\0{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
