"""Each call to the system that touches the store fails once, or is the last: nothing is harmed.

`strace` injects the fault into the run's process and its threads. Which calls there are is told by an
undisturbed run; the campaign steps through those that name the store, evenly spaced.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from line import (
    Ended,
    Reference,
    copy_store,
    end,
    make_catalog,
    process,
    require_converges,
    require_sound,
    start,
    two_at_a_time,
)

CALLS = {
    "write": "write,pwrite64",
    "fsync": "fsync,fdatasync",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat,rmdir",
    "mkdir": "mkdir,mkdirat",
    "openat": "openat",
}
ERRORS = ("ENOSPC", "EIO", "EACCES", "EMFILE")
POINTS = 6
"""Places in the run at which each kind of call fails with each error."""
SECONDS = 60
"""No fault may keep a run longer: there are no retry storms."""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def trace(log: Path, *options: str) -> list[str]:
    """The command line that runs what follows under strace, its children outside."""
    return ["strace", "-f", "-qq", "-y", "-o", str(log), *options]


def places(calls: str, begin: Path, catalog: Path, folder: Path) -> list[int]:
    """At which numbers, within its thread, an undisturbed run's calls name the store."""
    store = folder / "counted"
    prepare(begin, store)
    log = folder / "log"
    ended = process("run", catalog, "--store", store, "--json", prefix=trace(log, "-e", f"trace={calls}"))
    assert ended.code == 0, ended.err
    counts: dict[tuple[str, str], int] = {}
    found = set()
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+)\s+(\w+)\(", line)
        if match:
            counts[match.groups()] = counts.get(match.groups(), 0) + 1
            if str(store) in line:
                found.add(counts[match.groups()])
    return sorted(found)


def prepare(begin: Path | None, store: Path) -> None:
    """The store a faulty run begins with: a copy, or none."""
    shutil.rmtree(store, ignore_errors=True)
    if begin is not None:
        copy_store(begin, store)


def spaced(numbers: list[int], points: int) -> list[int]:
    """So many of the numbers, evenly spaced, first and last among them."""
    if len(numbers) <= points:
        return numbers
    return sorted({numbers[round(at * (len(numbers) - 1) / (points - 1))] for at in range(points)})


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store whose release of a smaller catalog must stay as it is, and its digest."""
    folder = tmp_path_factory.mktemp("earlier")
    store = folder / "store"
    small = make_catalog(folder / "catalog", characters=2)
    ended = process("run", small, "--store", store, "--json")
    assert ended.code == 0, ended.err
    return store, ended.json["digest"]


def run_with(fault: str, reference: Reference, store: Path, log: Path) -> Ended:
    """A run with one injected fault."""
    names = fault.partition(":")[0]
    prefix = trace(log, "-e", f"trace={names}", "-e", f"inject={fault}")
    return end(start("run", reference.catalog, "--store", store, "--json", prefix=prefix), timeout=SECONDS)


def require_harmless(
    fault: str, reference: Reference, earlier: tuple[Path, str] | None, folder: Path
) -> tuple[str, int]:
    """One fault, the oracle, a clean run: converges. The fault, and how the run with it ended."""
    name = re.sub(r"\W", "-", fault) + ("" if earlier else "-new")
    store, log = folder / name, folder / f"{name}.log"
    prepare(earlier[0] if earlier else None, store)
    ended = run_with(fault, reference, store, log)
    log.unlink(missing_ok=True)
    before = [None, reference.digest] if earlier is None else [earlier[1], reference.digest]
    try:
        require_sound(store, allowed=before)
        if ended.code == 0:
            assert ended.json["digest"] == reference.digest, "says 0 and is something else"
            require_sound(store, allowed=[reference.digest])
        elif ended.code == 1 and "Traceback" in ended.err:
            assert str(store) not in ended.err.splitlines()[-1], "an OSError of the store came through raw"
        require_converges(store, reference.catalog, reference)
    except AssertionError as error:
        raise AssertionError(
            f"{fault} ({'new store' if earlier is None else 'second release'}): {error}"
            f"\nthe faulty run ended with {ended.code}: {ended.err[-1500:]}"
        ) from error
    shutil.rmtree(store)
    return fault, ended.code


def campaign(
    cases: list[tuple[str, bool]], reference: Reference, earlier: tuple[Path, str], folder: Path
) -> list[tuple[str, int]]:
    """All cases on both cores; every failure is told at the end, not only the first."""
    problems = []

    def attempt(case: tuple[str, bool]) -> tuple[str, int]:
        fault, is_new = case
        try:
            return require_harmless(fault, reference, None if is_new else earlier, folder)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
            return fault, -1

    results = two_at_a_time(attempt, cases)
    codes = [code for _, code in results]
    print(f"{len(cases)} faults: {codes.count(0)} runs ended well, {len(codes) - codes.count(0)} refused")
    assert not problems, f"{len(problems)} of {len(cases)}:\n\n" + "\n\n".join(problems)
    return results


@needs_strace
@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_once_harms_nothing(
    call: str, reference: Reference, earlier: tuple[Path, str], tmp_path: Path
) -> None:
    is_new = call == "mkdir"
    begin = None if is_new else earlier[0]
    numbers = places(CALLS[call], begin, reference.catalog, tmp_path)
    cases = [
        (f"{CALLS[call]}:error={error}:when={number}", is_new)
        for error in ERRORS
        for number in spaced(numbers, POINTS)
    ]
    campaign(cases, reference, earlier, tmp_path)


@needs_strace
@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_any_call_harms_nothing(
    call: str, reference: Reference, earlier: tuple[Path, str], tmp_path: Path
) -> None:
    cases = []
    for is_new, points in ((False, 8), (True, 4)):
        begin = None if is_new else earlier[0]
        numbers = spaced(places(CALLS[call], begin, reference.catalog, tmp_path), points)
        cases += [(f"{CALLS[call]}:signal=KILL:when={number}", is_new) for number in numbers]
    campaign(cases, reference, earlier, tmp_path)


@needs_strace
@pytest.mark.parametrize(
    "fault",
    [
        "fsync,fdatasync:error=EIO:when=3",
        "rename,renameat,renameat2:signal=KILL:when=2",
    ],
)
def test_one_failing_call_harms_nothing(
    fault: str, reference: Reference, earlier: tuple[Path, str], tmp_path: Path
) -> None:
    require_harmless(fault, reference, earlier, tmp_path)
