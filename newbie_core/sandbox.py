"""Run work on untrusted input in a child process with limits on memory, time and files.

A worker is `python -m newbie_core.sandbox module:function`; parent and child exchange
length-prefixed JSON over pipes. The child cannot write files, and dies with its parent::

    with Worker("tests.sandbox_targets:double", SandboxLimits()) as worker:
        assert worker.call(21, seconds=20) == 42
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import orjson

from newbie_core.errors import SandboxError

_LENGTH_BYTES = 8
_ANSWER_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What a child process may use: address space in bytes, CPU seconds over its whole life."""

    memory_bytes: int = 1 << 30
    cpu_seconds: int = 20


class Worker:
    """A limited child process that answers calls of one function, one at a time."""

    def __init__(self, target: str, limits: SandboxLimits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "newbie_core.sandbox",
                target,
                str(limits.memory_bytes),
                str(limits.cpu_seconds),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_child_environment(),
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, payload: Any) -> None:
        """Start a call; `receive` gives its answer.

        Raises:
            SandboxError: the child has died.
        """
        assert self._process.stdin is not None
        try:
            _write_message(self._process.stdin, orjson.dumps(payload))
        except (BrokenPipeError, ValueError):
            raise self._death() from None

    def receive(self, *, seconds: float) -> Any:
        """The answer of the call that was sent first.

        Raises:
            SandboxError: no answer within `seconds`, or the child died of a limit.
        """
        assert self._process.stdout is not None
        data = self._read(seconds)
        answer = orjson.loads(data)
        if "failed" in answer:
            ran_out = answer["failed"] == "MemoryError"
            raise SandboxError(answer["text"], reason="memory" if ran_out else "failed")
        return answer["value"]

    def call(self, payload: Any, *, seconds: float) -> Any:
        """`send`, then `receive`."""
        self.send(payload)
        return self.receive(seconds=seconds)

    def close(self) -> None:
        """End the child, whatever it is doing."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _read(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        head = self._read_exactly(_LENGTH_BYTES, deadline, seconds)
        length = int.from_bytes(head, "big")
        if length > _ANSWER_LIMIT:
            raise SandboxError(f"the answer has {length} bytes", reason="memory")
        return self._read_exactly(length, deadline, seconds)

    def _read_exactly(self, count: int, deadline: float, seconds: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        parts: list[bytes] = []
        while count:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.close()
                raise SandboxError(f"no answer within {seconds:g} s", reason="time")
            part = os.read(descriptor, min(count, 1 << 20))
            if not part:
                raise self._death()
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _death(self) -> SandboxError:
        assert self._process.stderr is not None
        code = self._process.wait()
        said = self._process.stderr.read()[-2000:].decode(errors="replace").strip()
        if code == -signal.SIGXCPU or code == -signal.SIGKILL:
            return SandboxError(f"used more than {self._limits.cpu_seconds} s of CPU time", reason="cpu")
        if "memory allocation" in said or "MemoryError" in said or "bad_alloc" in said:
            megabytes = self._limits.memory_bytes >> 20
            return SandboxError(f"needed more than {megabytes} MiB of memory", reason="memory")
        last = said.splitlines()[-1] if said else f"exit status {code}"
        return SandboxError(f"the process died: {last}", reason="died")


def _child_environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "HOME", "TZ")
    }
    return kept | {"PYTHONPATH": root, "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}


def _write_message(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(data)
    stream.flush()


def _limit_this_process(memory_bytes: int, cpu_seconds: int) -> None:
    import resource

    wanted = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1),
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
    ]
    for limit, soft, hard in wanted:
        # macOS has no working RLIMIT_AS; the clock of the parent still ends a runaway child there.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (soft, hard))


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _serve(function: Callable[[Any], Any], requests: IO[bytes], answers: IO[bytes]) -> None:
    while head := requests.read(_LENGTH_BYTES):
        payload = orjson.loads(requests.read(int.from_bytes(head, "big")))
        try:
            answer = {"value": function(payload)}
        except (Exception, RecursionError) as error:  # noqa: BLE001 - it crosses to the parent, which raises it
            answer = {"failed": type(error).__name__, "text": str(error)[:2000]}
        _write_message(answers, orjson.dumps(answer))


def _main() -> None:
    target, memory_bytes, cpu_seconds = sys.argv[1:]
    _die_with_parent()
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print of a library must not break the protocol
    _limit_this_process(int(memory_bytes), int(cpu_seconds))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve(function, sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
