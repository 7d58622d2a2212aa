"""What delivered files are called: a pattern with fields of the picture, and no name that could do harm.

::

    {character}/{expression}.png        aria/happy.png
    {set}_{version}_{number:04}.webp    school-cast_r000012_0007.webp

A slash in the pattern makes a folder; a slash in a field is refused, but for `{id}`, whose parts are
folders. The ending follows the file's format, whatever the pattern says.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from newbie_core.errors import DeliveryError, Fault
from newbie_core.spelling import nearest

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "png": (".png",),
    "webp": (".webp",),
    "jpeg": (".jpg", ".jpeg"),
}
"""Format → the endings its files may have; the first is the usual one."""

NUMBERS = frozenset({"seed", "width", "height", "number", "copy"})
"""Fields that take a number of digits: `{number:04}`."""

LONGEST_PART = 200
LONGEST_NAME = 240
"""In UTF-8 bytes; Windows takes 260 characters with the folder before it."""

_FAULTS_SHOWN = 20
_SPEC = re.compile(r"0[1-9]\d?d?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])", re.IGNORECASE)
_FORBIDDEN = frozenset('<>:"\\|?*/')


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Literal text and the field behind it, if any, with its number of digits."""

    text: str
    field: str | None = None
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A pattern, read."""

    text: str
    pieces: tuple[Piece, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields it names."""
        return frozenset(piece.field for piece in self.pieces if piece.field)

    def expand(self, fields: Mapping[str, str]) -> str:
        """The name of a picture with these fields, unchecked.

        Raises:
            KeyError: the picture has no such field.
            ValueError: a field holds a slash, so that its value would choose the folder.
        """
        made = []
        for piece in self.pieces:
            made.append(piece.text)
            if piece.field is not None:
                made.append(_value(piece, fields[piece.field]))
        return "".join(made)


def _value(piece: Piece, value: str) -> str:
    if piece.field != "id" and any(mark in value for mark in "/\\"):
        raise ValueError(f'{{{piece.field}}} is "{value}", with a slash in it')
    return format(int(value), piece.spec.rstrip("d") + "d") if piece.spec else value


def read_pattern(text: str) -> Pattern:
    """The pattern in `text`.

    Raises:
        DeliveryError: unpaired braces, a field that is no plain name, or digits where no number stands.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise _pattern_error(text, str(error), "write fields as {character}; {{ and }} are braces") from None
    pieces = []
    for literal, field, spec, conversion in parts:
        if field is not None and not field.isidentifier():
            raise _pattern_error(
                text, f'"{{{field}}}" is no field', "write a plain name in braces: {character}"
            )
        if conversion or (spec and not (field in NUMBERS and _SPEC.fullmatch(spec))):
            fix = f"digits such as :04 go with {', '.join(sorted(NUMBERS))}"
            raise _pattern_error(text, f'"{{{field}}}" asks for the form "{conversion or spec}"', fix)
        pieces.append(Piece(text=literal, field=field, spec=spec or ""))
    if not any(piece.field for piece in pieces):
        raise _pattern_error(
            text, "names no field, so all pictures would have one name", "try {character}/{expression}.png"
        )
    return Pattern(text=text, pieces=tuple(pieces))


def _pattern_error(text: str, found: str, fix: str) -> DeliveryError:
    return DeliveryError(f'--pattern "{text}": {found}; {fix}', code="E_EXPORT_PATTERN")


def pattern_names(
    pattern: Pattern, pictures: Sequence[Mapping[str, str]], formats: Sequence[str]
) -> list[str]:
    """The names of pictures by their fields and formats.

    Raises:
        DeliveryError: a field that a picture does not have, with the nearest one.
    """
    names = []
    for fields, kind in zip(pictures, formats, strict=True):
        try:
            names.append(with_ending(pattern.expand(fields), kind))
        except KeyError as error:
            wanted = str(error.args[0])
            near = nearest(wanted, fields)
            hint = f'did you mean "{{{near}}}"?' if near else f"it has {', '.join(sorted(fields))}"
            raise _pattern_error(
                pattern.text, f'picture "{fields["id"]}" has no field "{wanted}"', hint
            ) from None
        except ValueError as error:
            fix = "take another field, or rename the row"
            raise _pattern_error(pattern.text, f'picture "{fields["id"]}": {error}', fix) from None
    return names


def with_ending(name: str, kind: str) -> str:
    """`name` with the ending of a format: kept where it fits, changed where it is another picture's, else added."""
    folded = name.lower()
    if folded.endswith(ENDINGS[kind]):
        return name
    for ending in (ending for endings in ENDINGS.values() for ending in endings):
        if folded.endswith(ending):
            return name[: -len(ending)] + ENDINGS[kind][0]
    return name + ENDINGS[kind][0]


def check_names(names: Sequence[str], ids: Sequence[str], *, where: str, taken: Sequence[str] = ()) -> None:
    """Refuse names that some file system refuses or that fall together.

    Args:
        names: relative paths with "/" between their parts, one a file.
        ids: the picture each belongs to.
        where: what is delivered, for the messages.
        taken: names that no picture may have.

    Raises:
        DeliveryError: naming each picture, its name and what is wrong with it.
    """
    faults = [
        Fault(
            file=where,
            code="E_EXPORT_NAME",
            message=f'picture "{picture}" would be called "{name}": {problem}',
            fix="change --pattern or the row's id",
            severity="file",
        )
        for picture, name, problem in _problems(names, ids, taken)
    ]
    if faults:
        more = len(faults) - _FAULTS_SHOWN
        text = "\n".join(str(fault) for fault in faults[:_FAULTS_SHOWN])
        raise DeliveryError(text + (f"\n… and {more} more" if more > 0 else ""), faults=faults)


def _problems(
    names: Sequence[str], ids: Sequence[str], taken: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    owners = {fold(name): "the export itself" for name in taken}
    folders: set[str] = set()
    for name, picture in zip(names, ids, strict=True):
        problem = next(filter(None, map(part_problem, name.split("/"))), None)
        if problem is None and len(name.encode()) > LONGEST_NAME:
            problem = f"it is longer than {LONGEST_NAME} bytes"
        folded = fold(name)
        if problem is None and folded in owners:
            problem = f"{owners[folded]} has that name too, on a disk that ignores case"
        if problem is not None:
            yield picture, name, problem
        owners.setdefault(folded, f'"{picture}"')
        folders.update(_parents(folded))
    for name, picture in zip(names, ids, strict=True):
        if fold(name) in folders:
            yield picture, name, "another picture has it as a folder"


def fold(name: str) -> str:
    """A name as file systems compare it that ignore case and normal form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _parents(name: str) -> Iterable[str]:
    parts = name.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def part_problem(part: str) -> str | None:
    """Why some file system refuses `part` as the name of a file or folder, or None."""
    if not part:
        return "a part of it is empty"
    if part in (".", ".."):
        return f'"{part}" leads to another folder'
    if bad := sorted({char for char in part if char in _FORBIDDEN or _is_invisible(char)}):
        return f"{', '.join(map(repr, bad))} may not stand in a file's name"
    if part != part.strip() or part.endswith("."):
        return "a part of it begins or ends with a blank, or ends with a dot"
    if _RESERVED.fullmatch(part.partition(".")[0].rstrip()):
        return f'"{part.partition(".")[0]}" is a device on Windows'
    if len(part.encode()) > LONGEST_PART:
        return f'"{part[:20]}…" is longer than {LONGEST_PART} bytes'
    return None


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
