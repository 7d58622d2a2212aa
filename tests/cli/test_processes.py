"""`newbie` as a process of its own: streams, exit codes, signals, what it imports."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from newbie_core.cli import main
from tests.catalogs.building import SMALL, make_catalog

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = """
run retry preview template plan check show releases diff rollback verify gc export test create model doctor
""".split()


@pytest.fixture
def poisoned(tmp_path):
    """A folder whose modules note that they were imported and refuse to be."""

    def make(*names: str) -> Path:
        folder = tmp_path / "poison"
        folder.mkdir()
        for name in names:
            note = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})"
            (folder / f"{name}.py").write_text(f"{note}\nraise ImportError({name!r})\n")
        return folder

    return make


def newbie(
    *words: str | Path, cwd: Path, path: Path | None = None, **environment: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "newbie_core.cli", *map(str, words)],
        cwd=cwd,
        env=environment_with(path, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def environment_with(path: Path | None = None, **more: str) -> dict[str, str]:
    folders = [str(folder) for folder in (path, ROOT) if folder]
    return os.environ | {"PYTHONPATH": os.pathsep.join(folders), "NEWBIE_FSYNC": "0"} | more


@pytest.fixture
def cast(tmp_path):
    return make_catalog(tmp_path / "cast")


# What is imported


def test_help_imports_neither_torch_nor_pillow(tmp_path, poisoned):
    path = poisoned("torch", "PIL", "prefect", "numpy", "openpyxl", "pandas", "lxml", "jinja2")
    done = newbie("--help", cwd=tmp_path, path=path)
    assert done.returncode == 0, done.stderr
    assert "exit codes: 0 done" in done.stdout
    assert not (tmp_path / "imported").exists()


def test_plan_and_verify_do_not_import_torch(tmp_path, cast, poisoned):
    path = poisoned("torch", "prefect")
    assert main(["run", str(cast), "--store", str(tmp_path / "store")]) == 0
    for words in (["plan", "cast"], ["verify"]):
        done = newbie(*words, cwd=tmp_path, path=path)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()


def test_the_poison_works(tmp_path, poisoned):
    done = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env=environment_with(poisoned("torch")),
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert (tmp_path / "imported").read_text() == "torch"


# Streams and exit codes


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: newbie {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["run"],
        ["run", "cast", "--limit", "-1"],
        ["run", "cast", "--wait", "nan"],
        ["rollback", "cast"],
    ],
)
def test_wrong_usage_ends_with_two(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: newbie" in said.err


def test_a_process_prints_one_json_object_on_stdout_and_the_rest_on_stderr(tmp_path):
    make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,bad\nb,B,9\n")
    done = newbie("run", "cast", "--json", cwd=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["generated"] == 1
    done = newbie("run", "cast", cwd=tmp_path)
    assert "rejected: " in done.stderr
    assert "rejected: " not in done.stdout


def test_a_reader_that_goes_away_does_no_harm(tmp_path, cast):
    process = subprocess.Popen(
        [sys.executable, "-m", "newbie_core.cli", "plan", "cast", "--json"],
        cwd=tmp_path,
        env=environment_with(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


def test_a_name_that_is_no_unicode_is_told_not_thrown(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "newbie_core.cli", "plan", b"\xff.csv", "--json"],
        cwd=tmp_path,
        env=environment_with(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "E_CATALOG_MISSING"


def test_a_folder_whose_name_is_no_unicode_is_told_not_thrown(tmp_path):
    folder = os.fsdecode(b"cast\xff")
    make_catalog(tmp_path / folder)
    for words in (["plan"], ["run", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "newbie_core.cli", *words, folder],
            cwd=tmp_path,
            env=environment_with(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
        assert b"the name is not Unicode; rename the file or folder" in done.stderr


def test_results_are_utf8_whatever_the_locale(tmp_path):
    make_catalog(tmp_path / "角色", characters="id,name\n林,林\n")
    done = newbie("run", "角色", "--json", cwd=tmp_path, LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["catalog"] == "角色"


# Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_waits_for_the_picture_in_hand_and_keeps_what_was_made(tmp_path, number, code):
    notes = tmp_path / "stripes"
    notes.mkdir()
    (notes / "slow").write_text("0.1")
    make_catalog(tmp_path / "cast", toml='[engine]\nname = "tests.engines.plugin:StripesEngine"\n' + SMALL)
    process = subprocess.Popen(
        [sys.executable, "-m", "newbie_core.cli", "run", "cast"],
        cwd=tmp_path,
        env=environment_with(STRIPES=str(notes)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not (notes / "made").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == b""
    assert b"stopped; what was made is kept" in err
    made = len((notes / "made").read_text().split())
    assert 1 <= made < 4
    (notes / "slow").unlink()
    report = json.loads(newbie("run", "cast", "--json", cwd=tmp_path, STRIPES=str(notes)).stdout)
    assert report["generated"] == 4 - made
