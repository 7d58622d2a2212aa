"""A disk that is really full: the run says so, publishes nothing torn, and goes on when there is room."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from line import Reference, process, require_converges, require_sound

SUITE_SIZES, CAMPAIGN_SIZES = (160, 400), range(16, 1250, 40)
"""KiB."""


def mount(folder: Path, *options: str) -> None:
    """Mount or remount a small disk in memory."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", folder], check=True, capture_output=True
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on which small disks may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    try:
        mount(folder, "size=64k")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
    subprocess.run(["umount", folder], check=True)
    yield folder
    while subprocess.run(["umount", folder], capture_output=True).returncode == 0:
        pass


def fill_then_enlarge(reference: Reference, disk: Path, kibibytes: int) -> int:
    """A run on a disk of this size, the oracle, a run after enlarging it; the first run's exit code."""
    mount(disk, f"size={kibibytes}k")
    store = disk / "store"
    first = process("run", reference.catalog, "--store", store, "--json")
    assert "Traceback" not in first.err, f"{kibibytes} KiB: {first.err}"
    if first.code:
        assert first.json["error"]["code"] in ("E_STORE_FULL", "E_STORE_ROOM"), first.err
        assert re.search(r"full|free", first.json["error"]["message"])
    require_sound(store, allowed=[None, reference.digest])
    mount(disk, "remount,size=64m")
    require_converges(store, reference.catalog, reference)
    subprocess.run(["umount", disk], check=True)
    return first.code


@pytest.mark.parametrize("kibibytes", SUITE_SIZES)
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    reference: Reference, disk: Path, kibibytes: int
) -> None:
    assert fill_then_enlarge(reference, disk, kibibytes) == 1


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_disk_of_any_size_is_filled_without_harm(reference: Reference, disk: Path) -> None:
    codes = [fill_then_enlarge(reference, disk, size) for size in CAMPAIGN_SIZES]
    print(f"{len(codes)} sizes: {sum(map(bool, codes))} runs met a full disk, all went on after it grew")
    assert codes[0] == 1
    assert codes[-1] == 0
