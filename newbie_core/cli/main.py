"""`newbie`: read the command line, do it, end with the right exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from newbie_core.cli.arguments import make_parser
from newbie_core.cli.output import error_record, print_json, say
from newbie_core.errors import NewbieError

STOPPED_BY_TERM = 143
STOPPED_BY_INTERRUPT = 130


class Stopped(BaseException):
    """A signal asked us to stop at once; nothing that was published is touched."""


class StopSignals:
    """SIGTERM and Ctrl+C: at once while planning, after the picture in hand while generating."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.exit_code = STOPPED_BY_TERM
        self.finishing = False

    def ring(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler; a second signal does not wait for the picture in hand."""
        again = self.event.is_set()
        self.exit_code = STOPPED_BY_INTERRUPT if number == signal.SIGINT else STOPPED_BY_TERM
        self.event.set()
        if again or not self.finishing:
            raise Stopped

    @contextmanager
    def after_picture(self) -> Iterator[None]:
        """Within, a signal waits for the picture in hand."""
        self.finishing = True
        try:
            yield
        finally:
            self.finishing = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    given = make_parser().parse_args(arguments)
    stop = StopSignals()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop.ring)
        signal.signal(signal.SIGINT, stop.ring)
    try:
        from newbie_core.cli.commands import COMMANDS

        return COMMANDS[given.command](given, stop)
    except Stopped:
        say("stopped; what was made is kept, and the last version is as it was. Run again to go on")
        return stop.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except NewbieError as error:
        if given.json:
            print_json(error_record(error, catalog=getattr(given, "catalog", None)))
        say(f"newbie {given.command}: {error}")
        return error.exit_code
