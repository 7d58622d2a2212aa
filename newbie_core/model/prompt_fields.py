"""Which fields of a prompt stand behind a place in it; an XML prompt need not be well-formed.

A prompt is one block a character and one of general tags, without a root element::

    <general_tags>
    <quality>high_resolution, detailed</quality>
    </general_tags>
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAME = r"[^\W\d][\w.-]*"
_START = re.compile(rf"\s*<{_NAME}(\s[^<>]*)?/?>")
_TAG = re.compile(rf"<(/?)({_NAME})(?:\s[^<>]*?)?(/?)>")
_WORD = re.compile(r"\S+")

Field = tuple[str, int]
"""A field's path and where it ends, one past its last character."""


def is_xml_like(prompt: str) -> bool:
    """Whether it starts, after white space, with a tag."""
    return _START.match(prompt) is not None


def fields_behind(prompt: str, place: int) -> tuple[str, ...]:
    """What of the prompt reaches beyond character `place`, in order.

    Fields are named by their path, as "general_tags/quality"; text outside all elements, and a prompt that is no
    XML, by its words. A block is named only if none of its fields is.
    """
    found = [name for name, end in _fields(prompt) if end > place]
    inside = {name.rpartition("/")[0] for name in found}
    return tuple(dict.fromkeys(name for name in found if name not in inside))


def _fields(prompt: str) -> Iterator[Field]:
    if not is_xml_like(prompt):
        yield from _words(prompt, 0, len(prompt))
        return
    path: list[str] = []
    position = 0
    for tag in _TAG.finditer(prompt):
        if not path:
            yield from _words(prompt, position, tag.start())
        position = tag.end()
        closes, name, empty = tag.groups()
        if not closes:
            path.append(name)
        if closes or empty:
            if name not in path:
                continue
            # What stands open inside a closing element ends with it.
            while path[-1] != name:
                yield "/".join(path), tag.start()
                path.pop()
            yield "/".join(path), tag.end()
            path.pop()
    if not path:
        yield from _words(prompt, position, len(prompt))
    while path:
        yield "/".join(path), len(prompt)
        path.pop()


def _words(prompt: str, start: int, end: int) -> Iterator[Field]:
    for word in _WORD.finditer(prompt, start, end):
        yield word[0], word.end()
