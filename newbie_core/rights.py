"""What a picture's makers allow: the licences of engine, weights and adapters, and what people state of them.

One record a part, as a release keeps it::

    {"part": "transformer", "name": "diffusion.safetensors", "digest": "ab12…", "licence": "NewBie-NC-1.0",
     "commercial": "no", "source": "https://…", "stated": "package"}

`stated` says who says so: the engine ("package"), a person ("catalog.toml"), or nobody ("").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Literal, cast, get_args

Commercial = Literal["yes", "no", "unknown"]
COMMERCIAL: tuple[str, ...] = get_args(Commercial)
ENGINE_PART = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The licence of one part of what made a picture.

    Attributes:
        part: "engine", a part of the model such as "transformer", or "adapter".
        name: the engine's name or the file's, never a path.
        digest: sha256 of the file; empty for an engine.
        licence: an SPDX id or a name of its own; empty when nobody knows.
        source: where the terms stand.
    """

    part: str
    name: str
    digest: str = ""
    licence: str = ""
    commercial: Commercial = "unknown"
    source: str = ""
    stated: str = ""

    def record(self) -> dict[str, str]:
        """The licence as a release keeps it."""
        return asdict(self)


def read_licence(record: Mapping[str, object]) -> Licence:
    """The licence `record` tells; what it leaves out or spells wrong counts as not known."""
    text = {item.name: str(record.get(item.name) or "") for item in fields(Licence)}
    commercial = text.pop("commercial")
    known = cast(Commercial, commercial if commercial in COMMERCIAL else "unknown")
    return Licence(**text, commercial=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a person states of some weights.

    Attributes:
        about: a sha256, or a glob on "part/name" such as "transformer/*" or "adapter/miko.safetensors".
    """

    about: str
    licence: str
    commercial: Commercial
    source: str = ""

    def covers(self, licence: Licence) -> bool:
        """Whether it speaks of this part; of an engine only when it says "engine/"."""
        if self.about == licence.digest:
            return True
        if licence.part == ENGINE_PART and not self.about.startswith(f"{ENGINE_PART}/"):
            return False
        return fnmatchcase(f"{licence.part}/{licence.name}", self.about)


def stated(licences: Iterable[Licence], statements: Sequence[Statement]) -> list[Licence]:
    """The licences with what people state of them; the last statement that covers one counts, digests before globs."""
    return [_stated(licence, statements) for licence in licences]


def _stated(licence: Licence, statements: Sequence[Statement]) -> Licence:
    covering = [statement for statement in statements if statement.covers(licence)]
    if not covering:
        return licence
    last = max(enumerate(covering), key=lambda item: (item[1].about == licence.digest, item[0]))[1]
    return replace(
        licence,
        licence=last.licence,
        commercial=last.commercial,
        source=last.source,
        stated="catalog.toml",
    )
