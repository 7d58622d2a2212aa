"""Lines from a person or a pipe, put together into whole prompts.

XML goes over several lines: it ends when every element is closed and either an empty line or nothing more comes. A
paste with empty lines between its blocks is one prompt, for the rest of it is there already.
"""

from __future__ import annotations

import io
import re
import select
import sys
from collections.abc import Callable, Iterator

from newbie_core.cli.output import say

_ROOTS = ("prompt", "image", "img", "document")
_ROOT = re.compile(rf"\s*<(?:{'|'.join(_ROOTS)})>")
_FIRST = re.compile(r"\s*<character_1\b")
_TAG = re.compile(r"<(/?)([A-Za-z_][\w.-]*)[^<>]*?(/?)>")
_BLOCK = re.compile(r"\s*<(character_\d+|general_tags|scene)\b")
_IDLE = 0.3
"""Seconds without a further line after which closed XML counts as whole."""

Ask = Callable[[str], str]
"""Shows a prompt and gives the next line; EOFError at the end."""


def open_elements(text: str) -> list[str] | None:
    """Elements not yet closed, outermost first; none when a closing tag fits no open one."""
    stack: list[str] = []
    for closing, name, empty in _TAG.findall(text):
        if empty:
            continue
        if not closing:
            stack.append(name)
        elif stack and stack[-1] == name:
            stack.pop()
        else:
            return None
    return stack


class PromptLines:
    """Whole entries, one at a time: a command, a line of tags, or XML."""

    def __init__(self, ask: Ask, *, more_waits: Callable[[float], bool] | None = None) -> None:
        self._ask = ask
        self._more_waits = more_waits or stdin_waits
        self._kept: list[str] = []

    def entry(self, prompt: str) -> str:
        """The next entry; "" for an empty line.

        Raises:
            EOFError: no more lines.
        """
        line = self._next(prompt)
        if not line.lstrip().startswith("<"):
            return line.strip()
        lines = [line]
        while not self._is_whole(lines):
            self._remind(lines)
            try:
                line = self._next("... ")
            except EOFError:
                break
            if line.startswith(":") or _begins_anew(line, lines):
                self._kept.append(line)
                break
            lines.append(line)
        return "\n".join(lines).strip()

    def _remind(self, lines: list[str]) -> None:
        """Say once what is still open, when the person seems to wait."""
        elements = open_elements("\n".join(lines))
        if elements and len(lines) == 1 and not self._more_waits(_IDLE):
            say(f"<{elements[-1]}> is still open; go on, or end with an empty line")

    def _next(self, prompt: str) -> str:
        return self._kept.pop() if self._kept else self._ask(prompt)

    def _is_whole(self, lines: list[str]) -> bool:
        elements = open_elements("\n".join(lines))
        if elements is None:
            # Broken already: the rest of a paste belongs to it, and then it is told what is wrong.
            return not self._more_waits(_IDLE)
        if lines[-1].strip():
            return not elements and not self._more_waits(_IDLE)
        return not self._more_waits(0)


def _begins_anew(line: str, lines: list[str]) -> bool:
    """Whether a block begins inside an open one, which no prompt has: what came before was broken off."""
    if not _BLOCK.match(line):
        return False
    return any(name not in _ROOTS for name in open_elements("\n".join(lines)) or ())


class PipeLines(PromptLines):
    """Entries of a pipe or file, where all lines wait at once: a new first character begins a new prompt."""

    def __init__(self) -> None:
        if isinstance(sys.stdin, io.TextIOWrapper):
            # A byte that is no UTF-8 spoils its own prompt, not those after it.
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        self._source: Iterator[str] = iter(sys.stdin)
        super().__init__(self._read, more_waits=lambda _: False)

    def _read(self, _prompt: str) -> str:
        line = next(self._source, None)
        if line is None:
            raise EOFError
        return line.rstrip("\r\n").removeprefix("\ufeff")

    def _remind(self, lines: list[str]) -> None:
        """Nobody waits at a pipe."""

    def _is_whole(self, lines: list[str]) -> bool:
        following, text = self._peek(), "\n".join(lines)
        if _TAG.search(text) and (
            _ROOT.match(following) or (_FIRST.match(following) and "<character_1" in text)
        ):
            return True  # no prompt holds these a second time, whatever it left open
        if elements := open_elements(text):
            return False
        return not following.lstrip().startswith("<") or (elements == [] and _ROOT.match(text) is not None)

    def _peek(self) -> str:
        """The next line that is not empty; it and those before it stay, so that lines are counted as they are.

        "" at the end.
        """
        empty: list[str] = []
        while True:
            try:
                line = self._next("")
            except EOFError:
                return ""
            if line.strip():
                self._kept += [line, *empty]
                return line
            empty.append(line)


def stdin_waits(seconds: float) -> bool:
    """Whether a further line comes within so many seconds."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready)
