"""A person at a terminal: a command in a pseudo-terminal, typed to and read from."""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests import preloaded

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\r")
_BEGUN = re.compile(r"\x1b(\[[0-9;?]*[ -/]*)?\Z")


class Terminal:
    """`newbie` in a pseudo-terminal; `seen` is everything it wrote, without control sequences."""

    def __init__(
        self, arguments: Sequence[object], *, cwd: Path, copied: bool = False, **variables: str
    ) -> None:
        """Start it.

        Args:
            copied: take a copy of a process that has imported what takes long (see `preloaded`).
            variables: changes to the environment.
        """
        self._master, slave = pty.openpty()
        words = [str(each) for each in arguments]
        changes = {"TERM": "xterm", "COLUMNS": "200", "HOME": str(cwd), **variables}
        self._process: preloaded.Process | subprocess.Popen[bytes]
        if copied:
            streams = (slave, slave, slave)
            self._process = preloaded.start(words, cwd=cwd, streams=streams, variables=changes, session=True)
        else:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "newbie_core.cli", *words],
                cwd=cwd,
                env=os.environ | changes,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=_own_terminal,
            )
        os.close(slave)
        self._bytes = b""
        self._read_to = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def seen(self) -> str:
        # What has not arrived whole is left out, or the places of what was read would move.
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(self._bytes)
        return _ESCAPE.sub("", _BEGUN.sub("", text))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, *, seconds: float = 180) -> str:
        """Read until the pattern stands in what came since the last wait; what matched."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.seen[self._read_to :])) is None:
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not come; seen: {self.seen[self._read_to :]}")
        self._read_to += found.end()
        return found[0]

    def interrupt(self) -> None:
        """Ctrl+C."""
        self.type("\x03")

    def end(self, *, seconds: float = 60) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self._process.wait(timeout=10)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self._bytes += data
        return bool(data)


def _own_terminal() -> None:
    """Make the slave the controlling terminal, so that Ctrl+C reaches the process."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
