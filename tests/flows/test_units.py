"""The units of systemd name folders of any name as systemd reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.units import is_of_system, unit_text
from newbie_core.errors import NewbieError

FOLDERS = ("plain", "two words", '50%h off $HOME ${X} "q" \\t 角色')


def unit(root: Path, name: str = "worker", user: str | None = None) -> str:
    command = [sys.executable, "-m", "prefect", str(root), "$HOME"]
    return unit_text(
        name, command, root=root, home=root / ".prefect", environment={"NEWBIE_ROOT": str(root)}, user=user
    )


@pytest.mark.parametrize("name", FOLDERS)
def test_systemd_reads_the_folders_as_they_are(tmp_path, name):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there")
    root = tmp_path / name
    root.mkdir()
    files = []
    for service in ("server", "worker"):
        files.append(tmp_path / f"newbie-{service}.service")
        files[-1].write_text(unit(root, service))
    run = subprocess.run(
        ["systemd-analyze", "verify", *map(str, files)],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "debug"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "Failed to initialize manager" in run.stderr:
        pytest.skip("systemd-analyze cannot work here")
    assert run.returncode == 0, run.stderr
    read = [line.strip() for line in run.stdout.splitlines()]
    assert f"WorkingDirectory: {root}" in read
    assert f"Environment: NEWBIE_ROOT={root}" in read
    assert f"EnvironmentFile: -{root}/.prefect/environment" in read
    assert "After: newbie-server.service (origin-file)" in read


def test_a_unit_of_the_machine_names_who_runs_it_and_ones_own_does_not():
    assert is_of_system(Path("/etc/systemd/system"))
    assert not is_of_system(Path("/home/mia/.config/systemd/user"))
    assert "User=mia\n" in unit(Path("/art"), user="mia")
    assert "WantedBy=multi-user.target" in unit(Path("/art"), user="mia")
    assert "User=" not in unit(Path("/art"))


def test_a_folder_whose_name_would_add_lines_to_a_unit_is_refused():
    with pytest.raises(NewbieError, match="rename it"):
        unit(Path("/art\nExecStartPre=/bin/true"))
