"""The settings of an image set: `catalog.toml`.

::

    name = "school-cast"                          # the set's name; the folder's name when left out
    pictures = ["characters", "expressions"]      # tables to cross; ["outfits", "backgrounds"] in a list of
                                                  # its own are zipped, row by row
    template = "character.xml.j2"
    columns = ["mood"]                            # further columns the template may use

    [picture]
    size = "512x768"
    steps = 28
    guidance = 4.5
    negative = "lowres, bad_hands"

    [engine]
    name = "newbie"

    [defaults]                                    # a value for every row that leaves the cell empty
    style = "anime_style"

Every key is listed in `docs/catalog.md`; unknown ones are refused.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from newbie_core.catalogs.outlets import Channel, read_channels, read_labels, read_rights
from newbie_core.catalogs.unattended import (
    CanarySettings,
    HookSettings,
    WorkSettings,
    read_canary,
    read_hook,
    read_work,
)
from newbie_core.digests import decimal_text
from newbie_core.errors import CatalogError, Fault
from newbie_core.rights import Statement
from newbie_core.spelling import nearest

SETTINGS_FILE = "catalog.toml"
ENGINE_VARIABLE = "NEWBIE_ENGINE"
"""Environment variable: the engine where a catalog names none."""

_SIZE = re.compile(r"(\d{1,5})\s*[x×X*]\s*(\d{1,5})")
_TABLE_LINE = re.compile(r"\s*\[\s*([\w.\"-]+)\s*\]\s*(?:#.*)?$")
OptionValue = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """What decides pixels beside the prompt; a row's own columns come before these."""

    width: int = 192
    height: int = 192
    steps: int = 28
    guidance: str = "4.5"
    negative: str = ""


def default_engine() -> str:
    """The engine of a catalog that names none: $NEWBIE_ENGINE, else the network."""
    return os.environ.get(ENGINE_VARIABLE) or "newbie"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which engine makes the pictures, with its own options."""

    name: str = field(default_factory=default_engine)
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much of a file is read: rows and columns of one sheet."""

    rows: int = 200_000
    columns: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSettings:
    """What a release waits for."""

    require_approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One image set's settings. Equal files give equal settings."""

    name: str
    title: str = ""
    workbook: str | None = None
    pictures: tuple[tuple[str, ...], ...] = ()
    lookup: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    encoding: str | None = None
    merged: Literal["error", "fill"] = "error"
    shrink_limit: int = 50
    picture: PictureSettings = field(default_factory=PictureSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    defaults: Mapping[str, str] = field(default_factory=dict)
    limits: LimitSettings = field(default_factory=LimitSettings)
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    sillytavern: Mapping[str, str] = field(default_factory=dict)
    rights: tuple[Statement, ...] = ()
    canary: CanarySettings = field(default_factory=CanarySettings)
    run: WorkSettings = field(default_factory=WorkSettings)
    hook: HookSettings = field(default_factory=HookSettings)

    def flat(self) -> dict[str, str]:
        """What may decide pixels, as `picture.steps` → "28": kept with a release to explain the next change."""
        picture = self.picture
        return {
            "picture.size": f"{picture.width}x{picture.height}",
            "picture.steps": str(picture.steps),
            "picture.guidance": picture.guidance,
            "picture.negative": picture.negative,
            **{f"defaults.{name}": value for name, value in sorted(self.defaults.items())},
            **{f"engine.options.{name}": str(value) for name, value in sorted(self.engine.options.items())},
        }


def parse_size(text: str) -> tuple[int, int] | None:
    """Width and height of a text such as "512x768", in pixels; None when it is none."""
    match = _SIZE.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def load_settings(file: Path, *, name: str) -> Settings:
    """The settings in `file`; all defaults when there is no such file.

    Args:
        name: the set's name when the file gives none.

    Raises:
        CatalogError: not TOML, unknown keys, values of the wrong kind; all of them at once.
    """
    if not file.is_file():
        return Settings(name=name)
    try:
        text = file.read_text(encoding="utf-8-sig")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault(file=file.name, code="E_TOML", message=f"not a TOML file: {error}", severity="file")
        raise CatalogError(faults=[fault]) from None
    reader = _Reader(file.name, text)
    settings = _read_settings(reader, table, name)
    if reader.faults:
        raise CatalogError(faults=reader.faults)
    return settings


class _Reader:
    """Takes values out of a TOML table, gathering what is wrong with it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self._lines = text.splitlines()

    def fault(self, code: str, key: str, message: str, fix: str = "") -> None:
        line = self._line(key)
        where = f"line {line}: " if line else ""
        self.faults.append(
            Fault(
                file=self.file,
                code=code,
                message=f"{where}{key}: {message}",
                fix=fix,
                header=None,
                severity="file",
            )
        )

    def _line(self, key: str) -> int | None:
        """The line of `key`, such as "engine.name": in its table, dotted, or in an inline table."""
        table = ""
        for number, line in enumerate(self._lines, 1):
            if header := _TABLE_LINE.match(line):
                table = header[1].replace('"', "")
                if table == key:
                    return number
            name = line.partition("=")[0].strip().replace('"', "")
            full = f"{table}.{name}" if table else name
            if "=" in line and name and (full == key or key.startswith(f"{full}.")):
                return number
        return None

    def known(self, table: Mapping[str, Any], names: tuple[str, ...], prefix: str = "") -> None:
        for key in table:
            if key not in names:
                near = nearest(key, names)
                fix = f'did you mean "{near}"?' if near else f"known: {', '.join(names)}"
                self.fault("E_TOML_KEY", prefix + key, "is not a known setting", fix)

    def table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, Mapping):
            self.fault(
                "E_TOML_VALUE", key, f"{value!r} is not a table", f"write [{key}] and its keys below it"
            )
            return {}
        return value

    def text(self, table: Mapping[str, Any], key: str, default: str, prefix: str = "") -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            self.fault("E_TOML_VALUE", prefix + key, f"{value!r} is not a text", 'write it in quotes: "…"')
            return default
        return value

    def whole(
        self, table: Mapping[str, Any], key: str, default: int, low: int, high: int, prefix: str = ""
    ) -> int:
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fault("E_TOML_VALUE", prefix + key, f"{value!r} is not a whole number from {low} to {high}")
            return default
        return value

    def truth(self, table: Mapping[str, Any], key: str, default: bool, prefix: str = "") -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self.fault(
                "E_TOML_VALUE", prefix + key, f"{value!r} is not true or false", "write it without quotes"
            )
            return default
        return value

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fault(
                "E_TOML_VALUE", key, f"{value!r} is not a list of texts", f'write {key} = ["one", "two"]'
            )
            return ()
        return tuple(value)


_TOP_KEYS = (
    "name", "title", "workbook", "pictures", "lookup", "template", "columns", "exclude", "encoding", "merged",
    "shrink_limit", "picture", "engine", "defaults", "limits", "release",
    "channels", "sillytavern", "rights", "canary", "run", "hook",
)  # fmt: skip


def _read_settings(reader: _Reader, table: Mapping[str, Any], name: str) -> Settings:
    reader.known(table, _TOP_KEYS)
    merged = reader.text(table, "merged", "error")
    if merged not in ("error", "fill"):
        reader.fault("E_TOML_VALUE", "merged", f'"{merged}" is not known', 'write "error" or "fill"')
    limits = reader.table(table, "limits")
    reader.known(limits, ("rows", "columns"), "limits.")
    set_name = reader.text(table, "name", name)
    if (
        not set_name.strip()
        or set_name != set_name.strip()
        or any(ord(c) < 32 or c in "/\\" for c in set_name)
    ):
        reader.fault(
            "E_TOML_VALUE", "name", f"{set_name!r} cannot name a set", "use letters, digits, - and _"
        )
    return Settings(
        name=set_name,
        title=reader.text(table, "title", ""),
        workbook=reader.text(table, "workbook", "") or None,
        pictures=_read_pictures(reader, table),
        lookup=_read_texts(reader, table, "lookup"),
        template=reader.text(table, "template", "") or None,
        columns=reader.texts(table, "columns"),
        exclude=reader.texts(table, "exclude"),
        encoding=reader.text(table, "encoding", "") or None,
        merged="fill" if merged == "fill" else "error",
        shrink_limit=reader.whole(table, "shrink_limit", 50, 1, 100),
        picture=_read_picture(reader, reader.table(table, "picture")),
        engine=_read_engine(reader, reader.table(table, "engine")),
        defaults=_read_texts(reader, table, "defaults"),
        limits=LimitSettings(
            rows=reader.whole(limits, "rows", LimitSettings().rows, 1, 1_048_576, "limits."),
            columns=reader.whole(limits, "columns", LimitSettings().columns, 1, 16_384, "limits."),
        ),
        release=_read_release(reader, reader.table(table, "release")),
        channels=read_channels(reader, table),
        sillytavern=read_labels(reader, table),
        rights=read_rights(reader, table),
        canary=read_canary(reader, table),
        run=read_work(reader, table),
        hook=read_hook(reader, table),
    )


def _read_release(reader: _Reader, table: Mapping[str, Any]) -> ReleaseSettings:
    reader.known(table, ("require_approval",), "release.")
    return ReleaseSettings(require_approval=reader.truth(table, "require_approval", False, "release."))


def _read_pictures(reader: _Reader, table: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    value = table.get("pictures", [])
    groups = (
        [[item] if isinstance(item, str) else item for item in value] if isinstance(value, list) else [None]
    )
    if not all(isinstance(g, list) and g and all(isinstance(name, str) for name in g) for g in groups):
        fix = 'write pictures = ["characters", "expressions"]; tables in a list of their own are zipped'
        reader.fault("E_TOML_VALUE", "pictures", f"{value!r} is not a list of table names", fix)
        return ()
    names = [name for group in groups if group for name in group]
    if len(set(names)) != len(names):
        reader.fault("E_TOML_VALUE", "pictures", "names a table twice", "name each table once")
    return tuple(tuple(group) for group in groups if group)


def _read_texts(reader: _Reader, table: Mapping[str, Any], key: str) -> dict[str, str]:
    found = {}
    for name, value in reader.table(table, key).items():
        if isinstance(value, (bool, dict, list)):
            reader.fault(
                "E_TOML_VALUE", f"{key}.{name}", f"{value!r} is not a text", 'write it in quotes: "…"'
            )
        else:
            found[name] = decimal_text(value) if isinstance(value, float) else str(value)
    return found


_PICTURE_KEYS = ("size", "width", "height", "steps", "guidance", "negative")


def _read_picture(reader: _Reader, table: Mapping[str, Any]) -> PictureSettings:
    reader.known(table, _PICTURE_KEYS, "picture.")
    standard = PictureSettings()
    width, height = standard.width, standard.height
    if "size" in table:
        size = parse_size(reader.text(table, "size", "", "picture."))
        if size is None:
            reader.fault(
                "E_TOML_VALUE", "picture.size", f"{table['size']!r} is not a size", 'write size = "512x768"'
            )
        else:
            width, height = size
    guidance = table.get("guidance", 4.5)
    if isinstance(guidance, bool) or not isinstance(guidance, (int, float)) or not 0 <= guidance <= 100:
        reader.fault("E_TOML_VALUE", "picture.guidance", f"{guidance!r} is not a number from 0 to 100")
        guidance = 4.5
    return PictureSettings(
        width=reader.whole(table, "width", width, 8, 16_384, "picture."),
        height=reader.whole(table, "height", height, 8, 16_384, "picture."),
        steps=reader.whole(table, "steps", standard.steps, 1, 1000, "picture."),
        guidance=decimal_text(guidance),
        negative=reader.text(table, "negative", "", "picture."),
    )


def _read_engine(reader: _Reader, table: Mapping[str, Any]) -> EngineSettings:
    reader.known(table, ("name", "options"), "engine.")
    options = reader.table(table, "options")
    for name, value in options.items():
        if not isinstance(value, (str, int, bool)):
            reader.fault(
                "E_TOML_VALUE",
                f"engine.options.{name}",
                f"{value!r} is not a text, whole number or true/false",
            )
    kept = {name: value for name, value in options.items() if isinstance(value, (str, int, bool))}
    return EngineSettings(name=reader.text(table, "name", default_engine(), "engine."), options=kept)
