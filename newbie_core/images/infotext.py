"""The "parameters" text that Stable Diffusion tools read and write, after AUTOMATIC1111's webui.

::

    1girl, silver hair, reading
    a library at night
    Negative prompt: lowres, bad hands
    Steps: 28, Sampler: euler, CFG scale: 4.5, Seed: 7, Size: 1024x1536, Model: newbie, RNG: CPU

The last line counts as parameters when it holds at least three `Key: value` items. A value with
`,`, `:` or a newline is JSON-quoted. Readers strip each line, and take the rest from a line that
starts "Negative prompt:" as the negative. There is no escape in the grammar, so a prompt that
contains such a marker itself gets a blank before its colon: "Negative prompt :".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

NEGATIVE = "Negative prompt:"

_ITEM = re.compile(r'(\w[\w \-/]{1,99}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""webui's `re_param`, without its leading blanks and with a bound on the key: both only made it quadratic."""

_SIZE = re.compile(r"(\d+)x(\d+)")
_MARKER = re.compile(r"(Negative prompt|^[ \t]*Steps):", re.MULTILINE)
"""webui reads the first only at a line's start, others anywhere; some find the last line by "Steps:"."""

MIN_ITEMS = 3


def infotext(prompt: str, negative: str, parameters: Mapping[str, str]) -> str:
    """The three parts as one text that `parse_infotext` and webui take apart again.

    Args:
        parameters: at least three, with keys of two or more word characters, blanks, "-" or "/";
            those with an empty value are left out.
    """
    items = [f"{key}: {_quoted(value)}" for key, value in parameters.items() if value]
    if len(items) < MIN_ITEMS:
        raise ValueError(f"{len(items)} parameters; readers take fewer than {MIN_ITEMS} for prompt text")
    lines = [_prose(prompt)]
    if negative.strip():
        lines.append(f"{NEGATIVE} {_prose(negative)}")
    lines.append(", ".join(items))
    return "\n".join(lines)


def parse_infotext(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and parameters, by webui's rule; "Size: 64x32" gives "Size-1" and "Size-2".

    Defaults that webui adds for missing keys (RNG: GPU, Clip skip: 1) are not added.
    """
    lines = text.strip().split("\n")
    # A line without a colon has no items; the pattern takes long to say so of a long one.
    items = _ITEM.findall(lines[-1]) if ":" in lines[-1] else []
    if len(items) >= MIN_ITEMS:
        lines.pop()
    else:
        items = []
    prompt: list[str] = []
    negative: list[str] = []
    part = prompt
    for line in map(str.strip, lines):
        if line.startswith(NEGATIVE):
            part, line = negative, line.removeprefix(NEGATIVE).strip()
        part.append(line)
    return _joined(prompt), _joined(negative), _parameters(items)


def _joined(lines: list[str]) -> str:
    """Lines as webui gathers them: empty ones before the first text vanish."""
    return "\n".join(lines).lstrip("\n")


def _parameters(items: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, raw in items:
        value = _unquoted(raw)
        if size := _SIZE.fullmatch(value):
            found[f"{key}-1"], found[f"{key}-2"] = size.groups()
        elif value:
            found[key] = value
    return found


def _prose(text: str) -> str:
    """Prompt text no line of which reads as a marker; NUL, which no PNG text may hold, becomes U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return _MARKER.sub(r"\1 :", text.strip())


def _quoted(value: str) -> str:
    """webui's rule, and also quotes what its reader would change: outer blanks and leading quotes."""
    if any(mark in value for mark in ",:\n\0") or value != value.strip() or value.startswith('"'):
        return json.dumps(value, ensure_ascii=False)
    return value


def _unquoted(value: str) -> str:
    """A JSON string's content; anything else as it is."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            decoded = json.loads(value)
        except ValueError:
            return value
        return decoded if isinstance(decoded, str) else value
    return value
