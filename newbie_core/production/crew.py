"""Several processes that make one run's pictures, each with its own engine on its own device.

A process is `python -m newbie_core.engines.worker`. It takes the first free device by its lock file, loads
its engine once, and answers line by line in JSON. A picture that is reported is in the store. When a
process dies, what it had not reported is given to another; a picture that is alone when its process dies
a second time fails, and the others go on. No process outlives this one: each asks the kernel to be
killed with its parent, and ends when its pipe does.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from newbie_core import errors
from newbie_core.errors import EngineError, NewbieError
from newbie_core.generation import Failed, Made, Outcome
from newbie_core.plans import Job
from newbie_core.production.hands import Rendered

WORKER = "newbie_core.engines.worker"
_log = logging.getLogger(__name__)
_LARGEST_UNIT = 16
_UNITS_A_PROCESS = 4
_DEATHS_IN_A_ROW = 3
_END_SECONDS = 20.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What every process of a crew is told first."""

    engine: str
    options: Mapping[str, str | int | bool]
    fingerprint: str
    store: str
    durable: bool
    devices: Sequence[str]
    purpose: str


@dataclass(slots=True, kw_only=True)
class _Unit:
    """Jobs one process makes in a row; `is_golden` makes them anew and remembers nothing."""

    jobs: list[Job]
    is_golden: bool = False
    deaths: int = 0
    reported: set[str] = field(default_factory=set)


class _Died(Exception):
    """A process ended before it answered."""


class Crew:
    """The processes of a run; they start with the first picture and stay until `close`."""

    def __init__(self, assignment: Assignment, size: int) -> None:
        self.size = size
        self._assignment = assignment
        self._condition = threading.Condition()
        self._units: deque[_Unit] = deque()
        self._open = 0
        self._outcomes: list[Outcome] = []
        self._rendered: dict[str, Rendered] = {}
        self._problem: BaseException | None = None
        self._deaths_in_a_row = 0
        self._is_closed = False
        self._on_outcome: Callable[[Outcome], None] | None = None
        self._is_stopping = False
        self._usages: dict[int, Mapping[str, int]] = {}
        self._remarks: dict[str, None] = {}
        self._hands: list[_Hand] = []
        self._threads: list[threading.Thread] = []

    def make(
        self,
        jobs: Sequence[Job],
        *,
        stop: threading.Event,
        on_outcome: Callable[[Outcome], None] | None,
    ) -> list[Outcome]:
        """Make every job's picture; the outcomes in the order of `jobs`.

        Raises:
            EngineError: the engine cannot work at all, or its processes die without making anything.
            StoreError: the store cannot be written.
        """
        self._on_outcome = on_outcome
        self._outcomes = []
        size = max(1, min(_LARGEST_UNIT, -(-len(jobs) // (self.size * _UNITS_A_PROCESS))))
        self._carry_out([_Unit(jobs=list(jobs[at : at + size])) for at in range(0, len(jobs), size)], stop)
        places = {job.key: place for place, job in enumerate(jobs)}
        return sorted(self._outcomes, key=lambda outcome: places[outcome.job.key])

    def render(self, jobs: Sequence[Job]) -> list[Rendered]:
        """Make each job's picture anew, all of them in one process."""
        self._carry_out([_Unit(jobs=list(jobs), is_golden=True)], threading.Event())
        nothing = Rendered(problem="the process that made it died")
        return [self._rendered.get(job.key, nothing) for job in jobs]

    def usage(self) -> Mapping[str, int]:
        """What making took: the largest of each peak, the sum of what is counted."""
        total: dict[str, int] = {}
        for usage in self._usages.values():
            for name, value in usage.items():
                known = total.get(name, 0)
                total[name] = max(known, value) if "peak" in name else known + value
        return total

    def remarks(self) -> Sequence[str]:
        """What any of the engines remarks."""
        return list(self._remarks)

    def processes(self) -> list[int]:
        """The ids of the processes that live."""
        return [hand.process.pid for hand in self._hands if hand.process and hand.process.poll() is None]

    def close(self) -> None:
        """Let every process end; those that do not are killed."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        for hand in self._hands:
            hand.end()
        for thread, hand in zip(self._threads, self._hands, strict=True):
            thread.join(_END_SECONDS)
            if not thread.is_alive():
                hand.close()

    def _carry_out(self, units: list[_Unit], stop: threading.Event) -> None:
        with self._condition:
            self._units.extend(units)
            self._open += len(units)
            self._condition.notify_all()
        self._start()
        with self._condition:
            while self._open and self._problem is None:
                self._condition.wait(_LOOK_SECONDS)
                if stop.is_set() and not self._is_stopping:
                    self._is_stopping = True
                    self._open -= len(self._units)
                    self._units.clear()
                    for hand in self._hands:
                        hand.stop()
            if self._problem is not None:
                raise self._problem

    def _start(self) -> None:
        """One thread a process, and it lives as long: the kernel takes a thread's end for its parent's."""
        while len(self._threads) < self.size:
            hand = _Hand(self._assignment)
            # In this thread's context: whoever handles logs by it, as Prefect does, knows whose they are.
            context = copy_context()
            thread = threading.Thread(target=context.run, args=(self._attend, hand), name="crew", daemon=True)
            self._hands.append(hand)
            self._threads.append(thread)
            thread.start()

    def _attend(self, hand: _Hand) -> None:
        try:
            while not self._is_closed and self._problem is None:
                self._work(hand)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._give_up(error)

    def _work(self, hand: _Hand) -> None:
        """Hand out units until there are no more, or the process dies."""
        unit: _Unit | None = None
        try:
            hand.start()
            while (unit := self._take()) is not None:
                for answer in hand.ask(unit):
                    self._usages[hand.pid] = answer.get("usage", {})
                    self._note(unit, answer)
                hand.require_all(unit, unless=self._is_stopping)
                self._finish(unit)
        except _Died as death:
            self._bury(unit, str(death))

    def _take(self) -> _Unit | None:
        with self._condition:
            while not self._units and not self._is_closed and self._problem is None:
                self._condition.wait()
            return None if self._is_closed or self._problem is not None else self._units.popleft()

    def _note(self, unit: _Unit, answer: Mapping[str, Any]) -> None:
        self._remarks.update(dict.fromkeys(answer.get("remarks", ())))
        job = next((job for job in unit.jobs if job.key == answer.get("key")), None)
        if job is None:
            return
        if unit.is_golden:
            self._rendered[job.key] = Rendered(**answer["rendered"])
        elif "made" in answer:
            self._report(unit, Made(job=job, **answer["made"]))
        else:
            self._report(unit, Failed(job=job, reason=answer["failed"]))
        unit.reported.add(job.key)

    def _report(self, unit: _Unit, outcome: Outcome) -> None:
        with self._condition:
            self._deaths_in_a_row = 0
            self._outcomes.append(outcome)
            if self._on_outcome is not None:
                self._on_outcome(outcome)

    def _finish(self, unit: _Unit) -> None:
        with self._condition:
            self._open -= 1
            self._condition.notify_all()

    def _bury(self, unit: _Unit | None, how: str) -> None:
        """Give what a dead process had not reported to another one."""
        if self._is_closed:
            return
        with self._condition:
            self._deaths_in_a_row += 1
            _log.warning("a process that makes pictures died (%s); another takes what it had in hand", how)
        if unit is None:
            if self._deaths_in_a_row >= _DEATHS_IN_A_ROW * self.size:
                self._give_up(
                    EngineError(f"the processes that make pictures die ({how}); their messages say why")
                )
            return
        left = [job for job in unit.jobs if job.key not in unit.reported and not self._is_stopping]
        deaths = unit.deaths + 1
        if deaths > 1 and len(left) == 1 and not unit.is_golden:
            reason = f"the process that made it died twice ({how})"
            self._report(unit, Failed(job=left[0], reason=reason))
            left = []
        parts = [[job] for job in left] if deaths > 1 and not unit.is_golden else [left] if left else []
        if unit.is_golden and deaths > 1:
            parts = []
        with self._condition:
            self._units.extendleft(
                _Unit(jobs=part, is_golden=unit.is_golden, deaths=deaths if len(part) > 1 else min(deaths, 1))
                for part in reversed(parts)
            )
            self._open += len(parts) - 1
            self._condition.notify_all()

    def _give_up(self, error: BaseException) -> None:
        with self._condition:
            self._problem = self._problem or error
            self._condition.notify_all()


class _Hand:
    """One process: started, asked, ended."""

    def __init__(self, assignment: Assignment) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._assignment = assignment
        self._writing = threading.Lock()

    def start(self) -> None:
        """Start the process and wait until its engine is there."""
        if self.process is not None and self.process.poll() is None:
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._tell(asdict(self._assignment))
        for answer in self._answers():
            if "waiting" in answer:
                _log.warning("%s", answer["waiting"])
            elif answer.get("ready"):
                return

    def ask(self, unit: _Unit) -> Iterator[Mapping[str, Any]]:
        """What the process answers on a unit, one answer a picture."""
        jobs = [asdict(job) for job in unit.jobs]
        self._tell({"do": "render" if unit.is_golden else "make", "jobs": jobs})
        for answer in self._answers():
            yield answer
            if answer.get("done"):
                return

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid if self.process else 0

    def require_all(self, unit: _Unit, *, unless: bool) -> None:
        """A process that somebody asked to end leaves jobs undone."""
        if not unless and any(job.key not in unit.reported for job in unit.jobs):
            raise self._death()

    def stop(self) -> None:
        """Let the process end its unit after the picture in hand."""
        self._tell_if_alive({"do": "stop"})

    def end(self) -> None:
        """Let the process end; kill it when it does not."""
        process = self.process
        if process is None:
            return
        self._tell_if_alive({"do": "end"})
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the process and its pipes, once nobody reads them."""
        self.end()
        self._close_pipes()

    def _close_pipes(self) -> None:
        process = self.process
        for stream in (process.stdin, process.stdout) if process else ():
            if stream is not None:
                with suppress(OSError):  # what could not be told to a dead process
                    stream.close()

    def _tell_if_alive(self, message: Mapping[str, Any]) -> None:
        try:
            self._tell(message)
        except _Died:
            return

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self.process is not None and self.process.stdin is not None
        try:
            with self._writing:
                self.process.stdin.write(orjson.dumps(message) + b"\n")
                self.process.stdin.flush()
        except (OSError, ValueError):
            raise self._death() from None

    def _answers(self) -> Iterator[Mapping[str, Any]]:
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                break
            answer: Mapping[str, Any] = orjson.loads(line)
            if "error" in answer:
                raise _error_of(answer["error"])
            yield answer
        raise self._death()

    def _death(self) -> _Died:
        assert self.process is not None
        try:
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._close_pipes()
        return _Died(f"signal {-code}" if code < 0 else f"exit status {code}")


def _error_of(record: Mapping[str, Any]) -> NewbieError:
    """The child's failure as it would have been raised here."""
    kind = getattr(errors, str(record["kind"]), NewbieError)
    error: NewbieError = kind(record["message"])
    error.code = record["code"]
    return error
