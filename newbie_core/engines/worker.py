"""One process of a crew: `python -m newbie_core.engines.worker PARENT`, started by `production.crew` only.

The first line it reads says which engine, store and devices; each further line is a request. It answers a
JSON line a picture, once the picture is in the store.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import orjson

from newbie_core.errors import EngineError, NewbieError
from newbie_core.generation import Engine, Made, Outcome, generate, recall_made, remarks_of, usage_of
from newbie_core.plans import Job
from newbie_core.production.hands import render
from newbie_core.store import Store
from newbie_core.store.devices import VISIBLE_VARIABLE, holding_device

_KILL_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def main() -> None:
    """Serve one parent until it says so, or dies."""
    _die_with(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print of a library must not break the protocol
    stop = threading.Event()
    requests: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()

    def end(_number: int, _frame: object) -> None:
        stop.set()
        requests.put({"do": "end"})

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests, stop), daemon=True).start()
    try:
        _serve(requests.get(), requests, _Answers(answers), stop)
    except NewbieError as error:
        kind = type(error).__name__
        _Answers(answers).say({"error": {"kind": kind, "code": error.code, "message": str(error)}})
    # The reading thread sits in a read that nothing ends; an ordinary exit would wait for its lock.
    sys.stderr.flush()
    os._exit(0)


class _Answers:
    """Where answers are written, whole lines from any thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, answer: Mapping[str, Any]) -> None:
        """One answer."""
        with self._lock:
            self._stream.write(orjson.dumps(answer) + b"\n")
            self._stream.flush()


def _die_with(parent: int) -> None:
    """Ask the kernel for a SIGKILL when the parent dies; it may have died already."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _read(stream: IO[bytes], requests: queue.SimpleQueue[Mapping[str, Any]], stop: threading.Event) -> None:
    """Hand requests on; the end of the stream is the parent's death."""
    for line in stream:
        request = orjson.loads(line)
        if request.get("do") in ("stop", "end"):
            stop.set()
        requests.put(request)
    os._exit(1)


def _serve(
    spec: Mapping[str, Any],
    requests: queue.SimpleQueue[Mapping[str, Any]],
    answers: _Answers,
    stop: threading.Event,
) -> None:
    from newbie_core.engines import load_engine

    with ExitStack() as stack:
        if spec["devices"]:
            device = stack.enter_context(
                holding_device(
                    spec["devices"],
                    purpose=spec["purpose"],
                    told=lambda text: answers.say({"waiting": text}),
                )
            )
            if not device.startswith("cpu"):
                os.environ[VISIBLE_VARIABLE] = device  # before torch is imported
        engine = load_engine(spec["engine"], spec["options"])
        stack.callback(engine.close)
        _require_same(engine, spec["fingerprint"])
        store = stack.enter_context(Store.open(Path(spec["store"]), create=False, durable=spec["durable"]))
        answers.say({"ready": True})
        while not stop.is_set() and (request := requests.get())["do"] not in ("end", "stop"):
            jobs = [Job(**record) for record in request["jobs"]]
            if request["do"] == "render":
                for job, made in zip(jobs, render(jobs, engine, store), strict=True):
                    answers.say({"key": job.key, "rendered": asdict(made)})
            else:
                _make(jobs, engine, store, answers, stop)
            answers.say({"done": True, "usage": usage_of(engine), "remarks": remarks_of(engine)})


def _require_same(engine: Engine, fingerprint: str) -> None:
    if engine.identity().fingerprint != fingerprint:
        raise EngineError(
            "the engine of a process is not the one that was planned with: the model's files changed meanwhile, or "
            "the device decides another precision; run again",
            code="E_ENGINE_CHANGED",
        )


def _make(jobs: list[Job], engine: Engine, store: Store, answers: _Answers, stop: threading.Event) -> None:
    """Make what is not there yet: a dead process may have stored pictures it did not report."""
    wanted = []
    for job in jobs:
        known = recall_made(store, job.key)
        if known is None:
            wanted.append(job)
        else:
            record = {name: known[name] for name in ("object", "size", "pixels")}
            answers.say({"key": job.key, "made": {**record, "seconds": float(known["seconds"])}})
    if wanted and not stop.is_set():
        generate(wanted, engine=engine, store=store, stop=stop, on_outcome=lambda made: _tell(answers, made))


def _tell(answers: _Answers, outcome: Outcome) -> None:
    if isinstance(outcome, Made):
        record = {name: getattr(outcome, name) for name in ("object", "size", "pixels", "seconds")}
        answers.say({"key": outcome.job.key, "made": record})
    else:
        answers.say({"key": outcome.job.key, "failed": outcome.reason})


if __name__ == "__main__":
    main()
