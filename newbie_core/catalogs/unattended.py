"""What a set's runs do when nobody watches: `[canary]`, `[run]` and `[hook]`.

::

    [canary]
    pictures = 4                                  # golden pictures made again before anything else
    accept = "equal"                              # the drift that needs no decision: equal, alike or changed

    [run]
    workers = 2                                   # processes that make pictures, each with its own engine
    devices = ["0", "1"]                          # the GPUs they share, one each

    [hook]
    url = "https://example.org/newbie"            # or "$VARIABLE"; http and https only
    secret = "NEWBIE_HOOK_SECRET"                 # the environment variable that holds the secret
    command = ["notify-send", "newbie"]           # started without a shell; the summary is on its stdin
    timeout = 10                                  # seconds, for each of the two
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from newbie_core.catalogs.outlets import TomlReader
from newbie_core.spelling import nearest

Drift = Literal["equal", "alike", "changed"]
"""How far golden pictures drifted, the least first: the same pixels, the same to the eye, others."""

MOST_GOLDENS = 8
"""Golden pictures at most: below 1 % of a night of 1,000 pictures."""

MOST_WORKERS = 64
_LONGEST_HOOK = 60
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySettings:
    """Golden pictures made again before a run makes others; `pictures` None leaves the number to the run."""

    pictures: int | None = None
    accept: Drift = "equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSettings:
    """How many processes make pictures, and on which devices; `workers` 0 is one a device, else one."""

    workers: int = 0
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """Whom a run tells when it has ended; `secret` names an environment variable, as `url` may with `$`."""

    url: str = ""
    secret: str = ""
    command: tuple[str, ...] = ()
    timeout: int = 10


def read_canary(reader: TomlReader, table: Mapping[str, Any]) -> CanarySettings:
    """`[canary]`."""
    given = reader.table(table, "canary")
    reader.known(given, ("pictures", "accept"), "canary.")
    pictures = reader.whole(given, "pictures", 0, 0, MOST_GOLDENS, "canary.") if "pictures" in given else None
    accept = reader.text(given, "accept", "equal", "canary.")
    if accept not in get_args(Drift):
        near = nearest(accept, get_args(Drift))
        fix = f'did you mean "{near}"?' if near else f"write one of {', '.join(get_args(Drift))}"
        reader.fault("E_TOML_VALUE", "canary.accept", f'"{accept}" is not known', fix)
        accept = "equal"
    return CanarySettings(pictures=pictures, accept=cast(Drift, accept))


def read_work(reader: TomlReader, table: Mapping[str, Any]) -> WorkSettings:
    """`[run]`."""
    given = reader.table(table, "run")
    reader.known(given, ("workers", "devices"), "run.")
    devices = _texts(reader, given, "devices", "run.", '["0", "1"]')
    for device in devices:
        if not _DEVICE.fullmatch(device):
            fix = 'write its number as `nvidia-smi -L` lists it, "0", or its UUID'
            reader.fault("E_TOML_VALUE", "run.devices", f'"{device}" cannot name a device', fix)
    if len(set(devices)) != len(devices):
        reader.fault("E_TOML_VALUE", "run.devices", "names a device twice", "name each device once")
    workers = reader.whole(given, "workers", 0, 0, MOST_WORKERS, "run.")
    if devices and workers > len(devices):
        fix = "one process a device: name more devices or fewer workers"
        reader.fault("E_TOML_VALUE", "run.workers", f"{workers} workers for {len(devices)} devices", fix)
    return WorkSettings(workers=workers, devices=devices)


def read_hook(reader: TomlReader, table: Mapping[str, Any]) -> HookSettings:
    """`[hook]`."""
    given = reader.table(table, "hook")
    reader.known(given, ("url", "secret", "command", "timeout"), "hook.")
    url = reader.text(given, "url", "", "hook.").strip()
    if problem := url_problem(url) if url and not url.startswith("$") else _variable_problem(url[1:], url):
        reader.fault("E_TOML_VALUE", "hook.url", *problem)
    secret = reader.text(given, "secret", "", "hook.")
    if secret and not _VARIABLE.fullmatch(secret):
        fix = 'name an environment variable: secret = "NEWBIE_HOOK_SECRET"; the secret itself stands in no catalog'
        reader.fault("E_TOML_VALUE", "hook.secret", "is no name of an environment variable", fix)
    return HookSettings(
        url=url,
        secret=secret,
        command=_texts(reader, given, "command", "hook.", '["program", "argument"]'),
        timeout=reader.whole(given, "timeout", 10, 1, _LONGEST_HOOK, "hook."),
    )


def url_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with a hook's URL, and what to do; None when nothing is. The URL itself is not told."""
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_plain = False
    if not is_plain or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        return (
            "is not an http or https URL",
            'write url = "https://…", or "$VARIABLE" to keep it out of the catalog',
        )
    if "@" in parts.netloc:
        return "holds a password", 'name a variable: url = "$NEWBIE_HOOK_URL", and put the URL there'
    return None


def _variable_problem(name: str, url: str) -> tuple[str, str] | None:
    if not url or _VARIABLE.fullmatch(name):
        return None
    return "names no environment variable", 'write url = "$NEWBIE_HOOK_URL"'


def _texts(
    reader: TomlReader, table: Mapping[str, Any], key: str, prefix: str, example: str
) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        fix = f"write {key} = {example}"
        reader.fault("E_TOML_VALUE", prefix + key, f"{value!r} is not a list of texts", fix)
        return ()
    return tuple(value)
