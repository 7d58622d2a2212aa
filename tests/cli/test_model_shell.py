"""`newbie test`, `model` and `doctor`, through real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from newbie_core.cli.doctor import _room
from newbie_core.images import pixel_digest, read_record
from newbie_core.model.tiny import write_tiny
from tests import preloaded
from tests.cli.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--size", "64x64", "--steps", "2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA as the trainer writes them, for the tiny model's first attention."""
    folder = tmp_path_factory.mktemp("adapter")
    module = "base_model.model.layers.0.attention.out"
    torch.manual_seed(0)
    save_file(
        {f"{module}.lora_A.weight": torch.randn(4, 96), f"{module}.lora_B.weight": torch.randn(96, 4)},
        folder / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["attention.out"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def newbie(*arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `newbie` in a process that has imported what takes long, unless its environment must be another from the start."""
    if not variables:
        return preloaded.run(*arguments, cwd=cwd)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-m", "newbie_core.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200)


def test_one_picture_is_made_with_a_bar_size_time_and_memory(model: Path, tmp_path: Path) -> None:
    with Terminal(["test", "--model", model, *SMALL], cwd=tmp_path, PYTHONPATH=str(ROOT)) as terminal:
        terminal.wait_for("predicted peak")
        said = terminal.wait_for(
            r"Saved to success_output\.png \(64x64, seed \d+, .* s with loading, peak memory .*B\)"
        )
        assert terminal.end() == 0
        assert "2/2" in terminal.seen
    assert "MB" in said
    record = read_record((tmp_path / "success_output.png").read_bytes())
    assert record is not None and "blue_hair" in record["prompt"]


def test_the_same_seed_gives_the_same_pixels_and_an_adapter_others(
    model: Path, adapter: Path, tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.xml"
    prompt.write_text("<character_1><gender>1girl</gender></character_1>")
    digests = []
    for more in (
        (),
        (),
        ("--adapter", f"{adapter}=0.5"),
        ("--adapter", f"{adapter}=0"),
        ("--set", "solver=midpoint"),
    ):
        made = newbie(
            "test", "--json", "--model", model, *SMALL, "--seed", 3, "--prompt", prompt, *more, cwd=tmp_path
        )
        assert made.returncode == 0, made.stderr
        said = json.loads(made.stdout)
        assert said["width"] == 64 and said["plan"] == "resident" and said["peak_bytes"] > 0
        with Image.open(tmp_path / said["file"]) as image:
            digests.append(pixel_digest(image.convert("RGB")))
    assert digests[0] == digests[1] == digests[3]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("test", "--model", "nowhere"), "nowhere"),
        (("test", "--model", "MODEL", "--size", "100x100"), "multiple of 16"),
        (("test", "--model", "MODEL", "--prompt", "<character_1>"), "line 1"),
        (("model", "info", "nowhere"), "nowhere"),
        (("model", "tiny", "MODEL"), "already"),
        (("model", "tiny", "/proc/none"), "cannot be written"),
        (("test", "--model", "MODEL", "--prompt", "missing.xml"), "no such file"),
        (("test", "--model", "MODEL", "--output", "nowhere/x.png"), "no folder nowhere"),
        (("test", "--model", "MODEL", "--output", "x.jpg"), ".png"),
        (("model", "convert", "MODEL", "MODEL"), "exists"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(
    model: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = newbie(*(str(model) if text == "MODEL" else text for text in arguments), cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.png"))


def test_a_long_prompt_is_not_taken_for_a_file(model: Path, tmp_path: Path) -> None:
    done = newbie("test", "--model", model, *SMALL, "--prompt", "silver_hair, " * 30, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_picture_too_large_for_memory_is_told(model: Path, tmp_path: Path) -> None:
    command = f"ulimit -v 1000000; exec {sys.executable} -m newbie_core.cli test --size 1536x1024 --steps 1"
    done = subprocess.run(
        ["bash", "-c", f"{command} --model {model}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 1 and "does not fit into memory" in done.stderr, done.stderr


def test_a_part_may_come_from_elsewhere(model: Path, tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other", seed=5)
    digests = set()
    for more in ((), ("--transformer", other / "transformer")):
        done = newbie("test", "--json", "--model", model, *SMALL, "--seed", 3, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with Image.open(tmp_path / "success_output.png") as image:
            digests.add(pixel_digest(image.convert("RGB")))
    assert len(digests) == 2


def test_a_model_is_described(model: Path, tmp_path: Path) -> None:
    record = json.loads(newbie("model", "info", model, "--json", cwd=tmp_path).stdout)
    assert record["layout"] == "hub"
    assert set(record["parts"]) == {"transformer", "text_encoder", "clip_model", "vae"}
    assert record["sizes"]["transformer"]["dim"] == 96
    assert record["predicted_peak_bytes"]["offload"] > 0
    (file,) = record["parts"]["transformer"]["files"]
    assert len(file["sha256"]) == 64
    told = newbie("model", "info", model, cwd=tmp_path).stdout
    assert "layout    hub" in told and file["sha256"] in told


def test_one_part_and_an_adapter_are_described(model: Path, adapter: Path, tmp_path: Path) -> None:
    for vae in (model / "vae", model / "vae/diffusion_pytorch_model.safetensors"):
        part = newbie("model", "info", vae, cwd=tmp_path)
        assert "vae: " in part.stdout, part.stderr
    for place in (adapter, adapter / "adapter_model.safetensors"):
        told = newbie("model", "info", place, cwd=tmp_path)
        assert "a lora adapter of 1 modules" in told.stdout, told.stderr
        assert "rank 4, scale 2" in told.stdout


def test_an_adapter_given_as_a_model_is_named(model: Path, adapter: Path, tmp_path: Path) -> None:
    done = newbie(
        "test", "--model", model, "--set", f"transformer={adapter}/adapter_model.safetensors", cwd=tmp_path
    )
    assert done.returncode == 2 and "adapter" in done.stderr


def test_pickles_are_converted_only_when_asked(tmp_path: Path) -> None:
    write_tiny(tmp_path / "old", layout="consolidated", pickled=True)
    (pickle,) = (tmp_path / "old").glob("*.pth")
    refused = newbie("model", "convert", pickle, "new", cwd=tmp_path)
    assert refused.returncode == 2 and "--allow-pickle" in refused.stderr
    done = newbie("model", "convert", pickle, "new", "--allow-pickle", "--json", cwd=tmp_path)
    (written,) = (path for path in json.loads(done.stdout)["files"] if path.endswith(".safetensors"))
    before, after = torch.load(pickle, weights_only=True), load_file(tmp_path / written)
    before = before.get("model", before)
    assert all(torch.equal(before[name], after[name]) for name in after)


def test_the_doctor_finds_the_machine_ready(model: Path, tmp_path: Path) -> None:
    done = newbie("doctor", "--model", model, "--json", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert done.returncode == 0 and record["ready"]
    found = {finding["what"]: finding for finding in record["findings"]}
    assert found["torch"]["found"].startswith(torch.__version__)
    assert "hub" in found["model"]["found"]
    assert {"python", "attention", "diffusers", "memory plan", "disk"} <= found.keys()


def test_the_doctor_says_what_is_wrong_and_what_to_do(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    subprocess.run(["cp", "-r", str(model), str(broken)], check=True)
    weights = broken / "vae/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = newbie("doctor", "--model", broken, cwd=tmp_path)
    assert done.returncode == 1
    assert "PROBLEM" in done.stdout and "1000 bytes" in done.stdout.replace(",", "")
    without = newbie("doctor", cwd=tmp_path)
    assert without.returncode == 0 and "nano, the small demonstration model of this package" in without.stdout


def test_the_doctor_reads_no_weights_and_downloads_nothing(tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "model")
    cache = tmp_path / "cache"
    environment = {"NEWBIE_CACHE": str(cache), "HF_HOME": str(tmp_path / "hub")}
    done = newbie("doctor", "--model", model, cwd=tmp_path, **environment)
    assert done.returncode == 0 and not cache.exists()  # where digests of what was read are kept
    absent = newbie("doctor", "--model", "owner/name", cwd=tmp_path, **environment)
    assert absent.returncode == 1 and "newbie test --model owner/name" in absent.stdout


def test_the_doctor_survives_a_broken_torch(model: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    done = newbie("doctor", "--model", model, "--json", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.returncode == 1
    (problem,) = (each for each in json.loads(done.stdout)["findings"] if each["state"] == "problem")
    assert "libcudart.so.12" in problem["found"] and problem["do"]


def test_the_doctor_says_when_main_memory_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newbie_core.cli.doctor._available", lambda: 8_000_000_000)
    monkeypatch.setattr("newbie_core.cli.doctor._installed", lambda: 16_000_000_000)
    states = [[each.state for each in _room(peak * 10**9, torch.device("cpu"))] for peak in (7, 12, 33)]
    assert states == [[], ["note"], ["problem"]]
