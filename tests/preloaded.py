"""Commands without the wait: processes copied from one that has imported what takes one second, or ten.

`python -m tests.preloaded SET FD` imports a set of modules (`line`: what a run needs; `model`: torch, diffusers and
transformers too) and computes nothing, so it has one thread and may be copied. At each request on the socket FD it forks:
the copy takes over the folder, environment, files and session it is given and then is `python -m newbie_core.cli
ARGUMENTS`, from its first line to the interpreter's end.

What decides how an interpreter starts is not taken over: PYTHONPATH, PYTHONHASHSEED, libraries' own variables. Tests
of those, and one process in each comparison of several, are started the usual way.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
LINE = ("cli.commands", "cli.arguments", "drawing", "engines.sketch", "production", "delivery", "review")
MODULES = {
    "line": LINE,
    "model": (
        *LINE,
        "model.text_to_image",
        "model.output",
        "model.autoencoder",
        "model.text_encoders",
        "model.transformer",
        "model.tiny",
        "model.convert",
        "engines.newbie",
    ),
}
COMMAND = "newbie_core.cli"
_LARGEST_REQUEST = 1 << 20
_PID_BYTES = 4


class Process:
    """A started command, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, status: int, said: tuple[IO[str], IO[str]] | None = None) -> None:
        self._status, self._said = status, said
        self.pid = int.from_bytes(os.read(status, _PID_BYTES), "little")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code once it has ended; negative, the signal that ended it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout=0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("newbie", timeout or 0)
            self.returncode = int(os.read(self._status, 16).decode())
            os.close(self._status)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to its own stdout and stderr, where `opened` gave it those."""
        self.wait(timeout)
        texts = []
        for file in self._said or ():
            with file:
                file.seek(0)
                texts.append(file.read())
        out, err = texts
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def start(
    arguments: list[str],
    *,
    cwd: Path,
    streams: tuple[int, int, int],
    module: str = COMMAND,
    variables: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    session: bool = False,
    modules: str = "model",
    said: tuple[IO[str], IO[str]] | None = None,
) -> Process:
    """Start `newbie ARGUMENTS`.

    Args:
        module: what `python -m` is to run instead.
        streams: descriptors of its stdin, stdout and stderr; they stay open here.
        variables: changes to this process's environment, or to `environment` where it is given.
        modules: the set that it has imported.
        said: what `communicate` reads in the end.
        session: make it the leader of a session of its own; a terminal at its stdin then is its controlling one.
    """
    status, told = os.pipe()
    request = {
        "module": module,
        "arguments": arguments,
        "cwd": str(cwd),
        "environment": {**(os.environ if environment is None else environment), **(variables or {})},
        "session": session,
    }
    try:
        socket.send_fds(_server_of(modules), [json.dumps(request).encode()], [*streams, told])
    finally:
        os.close(told)
    return Process(status, said)


def opened(*arguments: object, cwd: Path, modules: str = "line", **variables: str) -> Process:
    """Start `newbie ARGUMENTS` without input; `communicate` gives what it wrote."""
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115  # communicate closes them
    with Path(os.devnull).open() as nothing:
        streams = (nothing.fileno(), out.fileno(), err.fileno())
        words = [str(each) for each in arguments]
        return start(words, cwd=cwd, streams=streams, variables=variables, modules=modules, said=(out, err))


def run(
    *arguments: object,
    cwd: Path,
    module: str = COMMAND,
    stdin: IO[str] | None = None,
    timeout: float = 200,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run `newbie ARGUMENTS` to its end: its exit code and what it said."""
    words = [str(each) for each in arguments]
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        Path(os.devnull).open() as nothing,
    ):
        streams = ((stdin or nothing).fileno(), out.fileno(), err.fileno())
        process = start(words, cwd=cwd, streams=streams, module=module, variables=variables)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


_one_at_a_time = threading.Lock()


def _server_of(modules: str) -> socket.socket:
    with _one_at_a_time:
        return _server(modules)


@functools.cache
def _server(modules: str) -> socket.socket:
    """The socket of the process that is copied; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded", modules, str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[2]))
    for name in MODULES[sys.argv[1]]:
        importlib.import_module(f"newbie_core.{name}")
    # Watchers are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for request, files in _requests(control):
        if os.fork():
            for file in files:
                os.close(file)
            continue
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if child := os.fork():
            _watch(child, files)
        _become(request, files)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        return


def _requests(control: socket.socket) -> Iterator[tuple[dict, list[int]]]:
    while True:
        message, files, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 4)
        if not message:
            return
        yield json.loads(message), files


def _watch(child: int, files: list[int]) -> None:
    """Tell the command's number and, in the end, its exit code, as only its parent knows it."""
    *streams, told = files
    for file in streams:
        os.close(file)
    os.write(told, child.to_bytes(_PID_BYTES, "little"))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(told, str(code).encode())
    os._exit(0)


def _become(request: dict, files: list[int]) -> None:
    """Take over everything that tells one process from another."""
    *streams, told = files
    os.close(told)
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    if request["session"]:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.path[0] = request["cwd"]
    sys.argv = ["newbie", *request["arguments"]]
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    reading = os.fdopen(0, encoding=encoding or "utf-8", errors=errors or "strict", closefd=False)
    writing = [
        os.fdopen(
            number,
            "w",
            encoding=encoding or "utf-8",
            errors=more or errors or "strict",
            closefd=False,
            buffering=1 if number == 2 or os.isatty(number) else -1,
        )
        for number, more in ((1, ""), (2, "backslashreplace"))
    ]
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = reading, *writing


if __name__ == "__main__":
    _main()
