"""Checkpoints and the pace that trainings report."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from newbie_core.errors import TrainingError
from newbie_core.nano.progress import Pace, read_checkpoint, write_checkpoint

CPU = torch.device("cpu")


def write(file: Path, state: object = None) -> Path:
    write_checkpoint(file, {"step": 3, "weights": torch.arange(2000.0)} if state is None else state)  # type: ignore[arg-type]
    return file


def test_a_checkpoint_comes_back_and_leaves_no_other_file(tmp_path: Path) -> None:
    state = read_checkpoint(write(tmp_path / "deep" / "part.pt"), CPU)
    assert state["step"] == 3
    assert torch.equal(state["weights"], torch.arange(2000.0))
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["part.pt"]


@pytest.mark.parametrize("length", [0, 10, 500, 4000])
def test_a_cut_checkpoint_is_named_with_what_to_do(tmp_path: Path, length: int) -> None:
    file = write(tmp_path / "part.pt")
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(TrainingError, match=r"part\.pt: is no whole checkpoint.*delete it"):
        read_checkpoint(file, CPU)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> object:
            return Path.write_text, (tmp_path / "harm", "done")

    torch.save({"step": 1, "harm": Harmful()}, tmp_path / "part.pt")
    with pytest.raises(TrainingError, match="is no whole checkpoint"):
        read_checkpoint(tmp_path / "part.pt", CPU)
    assert not (tmp_path / "harm").exists()


def test_another_programs_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint of this training"):
        read_checkpoint(write(tmp_path / "part.pt", {"model": torch.zeros(2)}), CPU)


def test_the_pace_counts_from_the_step_a_training_goes_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("newbie_core.nano.progress.time.monotonic", lambda: now)
    pace = Pace(40, every=50, total=350)
    now += 5
    assert pace.words(45) is None
    assert pace.words(50) == "0.50 s a step, 2 min left"
    now += 100
    assert pace.words(100) == "2.00 s a step, 8 min left"
