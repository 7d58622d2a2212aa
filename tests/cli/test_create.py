"""`newbie create` as a person meets it: through a pseudo-terminal, with mistakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from newbie_core.cli.interactive import next_free, write_new
from newbie_core.cli.prompt_lines import PromptLines, open_elements
from newbie_core.cli.studio import read_prompt
from newbie_core.images import pixel_digest, read_record
from newbie_core.model.tiny import write_tiny
from tests import preloaded
from tests.cli.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
XML = """\
<character_1>
<n>$character_1$</n>
<gender>1girl</gender>
<appearance>silver_hair, short_hair</appearance>
</character_1>

<general_tags>
<count>1girl, solo</count>
</general_tags>
"""
SMALL = ("--size", "64x64", "--steps", "2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def session(model: Path, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(["create", "--model", model, *SMALL], cwd=tmp_path, copied=True) as terminal:
        terminal.wait_for("prompt> ")
        yield terminal


def pixels(path: Path) -> str:
    with Image.open(path) as image:
        return pixel_digest(image.convert("RGB"))


def test_pictures_are_made_from_pasted_xml_and_numbered(session: Terminal, tmp_path: Path) -> None:
    session.type(XML)
    assert "output_001.png" in session.wait_for(r"output_\d+\.png \(64x64, seed \d+, .* peak memory .*\)")
    session.wait_for("prompt> ")
    session.type("silver_hair, smile\n")
    session.wait_for(r"output_002\.png \(")
    session.wait_for("prompt> ")
    session.type("\x04")
    assert session.end() == 0
    record = read_record((tmp_path / "output_001.png").read_bytes())
    assert record is not None
    assert record["prompt"].startswith("<character_1>") and "<general_tags>" in record["prompt"]


def test_bad_xml_is_explained_and_the_session_goes_on(session: Terminal, tmp_path: Path) -> None:
    session.type("<character_1><gender>1girl</character_1>\n")
    assert "line 1" in session.wait_for(r"not made: .*")
    session.wait_for("prompt> ")
    session.type("<character_1><colour>red</colour></character_1>\n")
    assert "colour" in session.wait_for(r"not made: .*")
    session.wait_for("prompt> ")
    session.type("<character_1>\n<gender>1girl\n\n")
    session.wait_for(r"not made: .*")
    session.wait_for("prompt> ")
    session.type("<character_1><gender>1girl</gender>\n")
    session.wait_for("<character_1> is still open")
    session.type("<character_1><gender>1girl</gender></character_1>\n")
    session.wait_for(r"not made: .*")
    assert "line 1" in session.seen
    session.wait_for(r"output_001\.png")


def test_equal_seeds_give_equal_pixels_and_settings_change_them(session: Terminal, tmp_path: Path) -> None:
    settings = (":seed 7", ":seed 7", ":size 96x64", ":steps 3", ":guidance 2", ":negative red_hair")
    for number, setting in enumerate(settings, start=1):
        session.type(f"{setting}\n")
        session.wait_for("prompt> ")
        session.type("silver_hair\n")
        session.wait_for(rf"output_{number:03d}\.png \(")
        session.wait_for("prompt> ")
    found = [pixels(tmp_path / f"output_{number:03d}.png") for number in range(1, 7)]
    assert found[0] == found[1]
    assert len(set(found)) == 5
    with Image.open(tmp_path / "output_003.png") as image:
        assert image.size == (96, 64)
    session.type(":history\n")
    assert session.wait_for(r"output_006\.png  seed 7  silver_hair")


def test_again_takes_the_next_seed(session: Terminal) -> None:
    session.type(":seed 41\n")
    session.wait_for("prompt> ")
    session.type("smile\n")
    session.wait_for(r"seed 41")
    session.wait_for("prompt> ")
    session.type(":again\n")
    session.wait_for(r"output_002\.png \(64x64, seed 42")


MISTAKES = {
    ":size 100x100": "multiple of 16",
    ":size big": "not a size",
    ":seed -1": "not a whole number",
    ":steps 0": "not a number of steps",
    ":guidance much": "not a guidance",
    ":sise 64x64": "no command",
    ":again": "nothing was made yet",
    ":help": "Commands",
    ", ".join(f"hair_{number}" for number in range(400)): "too long",
}


def test_mistakes_are_answered(session: Terminal) -> None:
    for typed, answer in MISTAKES.items():
        session.type(f"{typed}\n")
        session.wait_for(answer)
        session.wait_for("prompt> ")


def test_ctrl_c_stops_the_picture_and_keeps_the_session(session: Terminal, tmp_path: Path) -> None:
    for setting in (":steps 1000", ":size 256x256"):
        session.type(f"{setting}\n")
        session.wait_for("prompt> ")
    session.type("silver_hair\n")
    session.wait_for("steps ")
    session.interrupt()
    session.wait_for("stopped; nothing was written")
    session.wait_for("prompt> ")
    assert not list(tmp_path.glob("*.png"))
    for line in (":steps 1", ":size 64x64"):
        session.type(f"{line}\n")
        session.wait_for("prompt> ")
    session.type("half a line")
    session.wait_for("half a line")
    time.sleep(
        0.3
    )  # readline forgets a signal that comes between its reading a key and its waiting for the next
    session.interrupt()
    session.wait_for("prompt> ")
    session.type("silver_hair\n")
    session.wait_for(r"output_001\.png")
    session.type(":quit\n")
    assert session.end() == 0


def test_numbering_goes_on_after_what_is_there(tmp_path: Path) -> None:
    assert next_free(tmp_path).name == "output_001.png"
    for name in ("output_007.png", "output_12.png", "output_0003.jpg", "output_009.png.part"):
        (tmp_path / name).touch()
    assert next_free(tmp_path).name == "output_008.png"


def test_a_pipe_of_prompts_is_worked_through(model: Path, tmp_path: Path) -> None:
    prompts = XML + "\n" + XML.replace("silver", "red") + "\nsmile\n<character_1><gender>\n"
    command = [
        sys.executable,
        "-m",
        "newbie_core.cli",
        "create",
        "--model",
        str(model),
        *SMALL,
        "--seed",
        "1",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input=prompts, capture_output=True, text=True, timeout=120
    )
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "output_001.png", "output_002.png", "output_003.png",
    ]  # fmt: skip
    assert done.returncode == 1 and "not made" in done.stderr


def piped(model: Path, tmp_path: Path, prompts: bytes, *more: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "prompts").write_bytes(prompts)
    command = ("create", "--model", model, *SMALL, *more)
    with (tmp_path / "prompts").open() as file:
        return preloaded.run(*command, cwd=tmp_path, stdin=file, PYTHONIOENCODING="utf-8:strict")


def test_one_spoilt_prompt_of_a_pipe_spoils_no_other(model: Path, tmp_path: Path) -> None:
    rooted = b"<prompt><character_1><n>a</n></character_1></prompt>\n"
    unclosed, wrong = b"<character_1>\n<gender>1girl\n", b"<character_1>\n\n<hair>x</hair></character_1>\n"
    done = piped(model, tmp_path, b"\xef\xbb\xbf" + rooted + rooted + unclosed + wrong + b"\xff\nsmile\n")
    assert done.stdout.count("output_") == 3, done.stderr
    assert "still open" not in done.stderr
    assert done.stderr.count("not made") == 3
    assert "line 3: <hair>" in done.stderr  # as the lines stand in the file, empty ones counted
    record = read_record((tmp_path / "output_001.png").read_bytes())
    assert record is not None and record["prompt"].startswith("<character_1>\n<n>a</n>")


def test_ctrl_c_ends_a_pipe(model: Path, tmp_path: Path) -> None:
    command = ["create", "--model", str(model), "--size", "256x256", "--steps", "200"]
    prompts, typed = os.pipe()
    shown, out = os.pipe()
    with (tmp_path / "said").open("w+") as err:
        made = preloaded.start(command, cwd=tmp_path, streams=(prompts, out, err.fileno()))
        for end in (prompts, out):
            os.close(end)
        with os.fdopen(typed, "w") as typing, os.fdopen(shown) as lines:
            typing.write("smile\n" * 50)
            typing.flush()
            assert "output_001" in lines.readline()
            made.send_signal(signal.SIGINT)
            code = made.wait(timeout=60)
    assert code == 130 and "Traceback" not in (tmp_path / "said").read_text()
    assert len(list(tmp_path.glob("*.png"))) < 10


def test_a_number_taken_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write_new(tmp_path, b"first").name == "output_001.png"
    seen = iter((tmp_path / "output_001.png", tmp_path / "output_002.png"))
    monkeypatch.setattr("newbie_core.cli.interactive.next_free", lambda _: next(seen))
    assert write_new(tmp_path, b"second").name == "output_002.png"
    assert (tmp_path / "output_001.png").read_bytes() == b"first"


@pytest.mark.parametrize(
    ("more", "said"), [(("--size", "100x100"), "multiple of 16"), (("--output-dir", "prompts"), "no folder")]
)
def test_what_no_prompt_could_mend_is_refused_at_once(
    model: Path, tmp_path: Path, more: tuple[str, str], said: str
) -> None:
    done = piped(model, tmp_path, b"smile\n", *more)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_misspelt_tags_are_told_and_names_are_none() -> None:
    assert '"blue_hair" was probably meant' in read_prompt("blue_hari, smile").notes[0]
    xml = "<character_1><n>blue_hari</n><appearance>blue_hari</appearance></character_1>"
    assert [note.partition(":")[0] for note in read_prompt(xml).notes] == ["appearance"]


def test_a_root_element_may_stand_around_the_blocks(session: Terminal, tmp_path: Path) -> None:
    rooted = f"<prompt>\n{XML}</prompt>".replace("\n\n", "\n")
    for line in rooted.splitlines():
        session.type(f"{line}\n")
        time.sleep(0.05)
    session.wait_for(r"output_001\.png \(")
    record = read_record((tmp_path / "output_001.png").read_bytes())
    assert record is not None and "<general_tags>" in record["prompt"]


def test_a_paste_that_the_terminal_brackets_is_one_prompt(session: Terminal, tmp_path: Path) -> None:
    session.type(f"\x1b[200~{XML}\x1b[201~\n")
    session.wait_for(r"output_001\.png \(")
    record = read_record((tmp_path / "output_001.png").read_bytes())
    assert record is not None and "<general_tags>" in record["prompt"]


def test_open_elements_are_those_without_an_end() -> None:
    assert open_elements("<character_1>\n<n>a</n>") == ["character_1"]
    assert open_elements("<a/><b></b>") == []
    assert open_elements("<a></b>") is None


def test_a_paste_with_an_empty_line_between_its_blocks_is_one_prompt() -> None:
    lines = iter([*XML.splitlines(), "next"])
    left = [len(XML.splitlines())]

    def ask(_prompt: str) -> str:
        left[0] -= 1
        return next(lines)

    entries = PromptLines(ask, more_waits=lambda _: left[0] > 0)
    assert entries.entry("") == XML.strip()
    assert entries.entry("") == "next"
