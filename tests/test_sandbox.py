"""The sandbox, with the functions of sandbox_targets.py as what it runs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from newbie_core.errors import SandboxError
from newbie_core.sandbox import SandboxLimits, Worker

SMALL = SandboxLimits(memory_bytes=256 << 20, cpu_seconds=5)


def worker(name: str, limits: SandboxLimits = SMALL) -> Worker:
    return Worker(f"tests.sandbox_targets:{name}", limits)


def call(name, payload=None, *, limits=SMALL, seconds=10.0):
    with worker(name, limits) as child:
        return child.call(payload, seconds=seconds)


def refusal(name, payload=None, *, limits=SMALL, seconds=10.0) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        call(name, payload, limits=limits, seconds=seconds)
    return caught.value


def test_a_call_answers_with_the_functions_value():
    with worker("double") as child:
        assert [child.call(n, seconds=10) for n in (1, "ab", [3])] == [2, "abab", [3, 3]]


def test_calls_that_are_sent_ahead_are_answered_in_order():
    with worker("double") as child:
        for number in range(3):
            child.send(number)
        assert [child.receive(seconds=10) for _ in range(3)] == [0, 2, 4]


def test_large_payloads_and_answers_cross_whole():
    text = "é" * 2_000_000
    assert call("double", text) == text * 2


def test_an_error_in_the_child_is_told_and_the_child_lives_on():
    with worker("refuse_odd") as child:
        with pytest.raises(SandboxError, match="1 is odd") as caught:
            child.call(1, seconds=10)
        assert caught.value.reason == "failed"
        assert child.call(2, seconds=10) == 2


def test_a_print_in_the_child_does_not_disturb_the_answers():
    assert call("print_something") == "said"


def test_a_child_that_needs_too_much_memory_is_refused():
    assert refusal("fill_memory").reason == "memory"


def test_a_child_that_computes_too_long_is_ended():
    started = time.monotonic()
    error = refusal("spin", limits=SandboxLimits(memory_bytes=256 << 20, cpu_seconds=1))
    assert error.reason == "cpu"
    assert time.monotonic() - started < 5


def test_a_child_that_only_waits_is_ended_by_the_clock():
    started = time.monotonic()
    error = refusal("sleep", seconds=0.5)
    assert error.reason == "time"
    assert "0.5 s" in str(error)
    assert time.monotonic() - started < 3


def test_a_child_that_dies_is_told_with_its_last_words():
    error = refusal("die")
    assert error.reason == "died"
    assert "farewell" in str(error)


def test_sending_to_a_dead_child_is_a_sandbox_error():
    with worker("die") as child:
        with pytest.raises(SandboxError):
            child.call(None, seconds=10)
        with pytest.raises(SandboxError):
            child.call(None, seconds=10)


def test_the_child_cannot_write_a_file(tmp_path):
    place = tmp_path / "written"
    refusal("write_file", str(place))
    assert not place.exists() or place.read_bytes() == b""


def test_the_child_is_given_no_secrets_from_the_environment(monkeypatch):
    monkeypatch.setenv("NEWBIE_SECRET", "hunter2")
    assert "NEWBIE_SECRET" not in call("environment")


def test_closing_ends_a_busy_child():
    child = worker("sleep")
    child.send(None)
    child.close()
    assert child._process.poll() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_child_dies_with_its_parent():
    script = (
        "from newbie_core.sandbox import *\nimport os\n"
        "child = Worker('newbie_core.sheets.child:read', SandboxLimits())\n"
        "import time; time.sleep(0.5)\n"
        "print(child._process.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
