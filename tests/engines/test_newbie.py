"""The newbie engine through the line: real runs with a small checkpoint on a CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from newbie_core.engines import load_engine
from newbie_core.engines.newbie import NANO_FOLDER, OPTIONS, NewbieEngine, parse_adapters
from newbie_core.errors import EngineChoiceError, ModelError, PictureError
from newbie_core.images import pixel_digest
from newbie_core.model.tiny import write_tiny
from newbie_core.plans import Job
from tests import preloaded

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "<character_1>\n<gender>1girl</gender>\n<appearance>{}</appearance>\n</character_1>\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def engine(model: Path) -> Iterator[NewbieEngine]:
    engine = NewbieEngine(model=str(model))
    yield engine
    engine.close()


def make_job(number: int = 1, *, hair: str = "silver_hair", **change: Any) -> Job:
    values: dict[str, Any] = {
        "id": f"aria/{number}",
        "key": f"{number:064x}",
        "prompt": PROMPT.format(hair),
        "negative": "low_quality",
        "seed": number,
        "width": 128,
        "height": 96,
        "steps": 3,
        "guidance": "4.5",
    }
    return Job(**{**values, **change})


def digests(engine: NewbieEngine, jobs: Sequence[Job]) -> list[str]:
    found = []
    for picture in engine.pictures(jobs):
        assert isinstance(picture, Image.Image), picture
        found.append(pixel_digest(picture))
    return found


def newbie(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `newbie` in a process that has imported what takes long."""
    return preloaded.run(*arguments, cwd=ROOT, NEWBIE_FSYNC="0")


def test_neighbours_and_order_change_no_pixel(engine: NewbieEngine) -> None:
    jobs = [make_job(1), make_job(2, hair="red_hair"), make_job(3, width=96), make_job(4, negative="")]
    together = digests(engine, jobs)
    assert len(set(together)) == 4
    assert digests(engine, jobs[::-1]) == together[::-1]
    assert [digests(engine, [job])[0] for job in jobs] == together


def test_a_stopped_chunk_goes_on_with_the_same_pixels(engine: NewbieEngine) -> None:
    jobs = [make_job(number) for number in range(4)]
    whole = digests(engine, jobs)
    started = engine.pictures(jobs)
    next(started), next(started)
    del started
    assert digests(engine, jobs[2:]) == whole[2:]


@pytest.mark.parametrize("plan", ["resident", "staged", "offload"])
def test_every_memory_plan_gives_the_same_pixels_and_identity(
    engine: NewbieEngine, model: Path, plan: str
) -> None:
    jobs = [make_job(1), make_job(2, hair="red_hair")]
    other = NewbieEngine(model=str(model), plan=plan)
    assert other.identity() == engine.identity()
    assert digests(other, jobs) == digests(engine, jobs)
    assert digests(other, jobs[1:]) == digests(engine, jobs[1:])
    assert other.environment()["plan"] == plan


def test_each_text_of_a_chunk_is_encoded_once(engine: NewbieEngine) -> None:
    digests(engine, [make_job(number) for number in range(3)])
    assert engine._pipeline.stages.texts.encodings_run == 2
    digests(engine, [make_job(9, hair="red_hair")])
    assert engine._pipeline.stages.texts.encodings_run == 3


@pytest.mark.parametrize(
    "change",
    [
        {"solver": "midpoint"},
        {"shift": "3"},
        {"cfg_trunc": "0.2"},
        {"renorm": "0.4"},
        {"dtype": "bfloat16"},
        {"storage": "fp8"},
    ],
)
def test_options_that_change_pixels_change_the_fingerprint(
    engine: NewbieEngine, model: Path, change: dict[str, Any]
) -> None:
    other = NewbieEngine(model=str(model), **change)
    assert other.identity().fingerprint != engine.identity().fingerprint
    assert digests(other, [make_job()]) != digests(engine, [make_job()])


def test_where_the_model_lies_changes_nothing(engine: NewbieEngine, model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "another name"
    subprocess.run(["cp", "-r", str(model), str(moved)], check=True)
    assert NewbieEngine(model=str(moved)).identity() == engine.identity()


def test_other_weights_are_another_fingerprint(engine: NewbieEngine, tmp_path: Path) -> None:
    other = NewbieEngine(model=str(write_tiny(tmp_path / "other", seed=1)))
    assert other.identity().fingerprint != engine.identity().fingerprint


def test_the_identity_names_every_file_kernel_dtype_and_sizes(engine: NewbieEngine, model: Path) -> None:
    parts = engine.identity().parts
    for folder in ("transformer", "text_encoder", "clip_model", "vae"):
        (name,) = (part for part in parts if part.startswith(f"{folder}/") and part.endswith(".safetensors"))
        assert parts[name] == _sha256(model / name)
    assert parts["text_encoder/tokenizer.json"] == _sha256(model / "text_encoder/tokenizer.json")
    assert parts["kernel"] == "sdpa-flash" and parts["dtype"] == "float32"


def test_a_prompt_that_is_too_long_fails_alone(engine: NewbieEngine) -> None:
    long = make_job(2, hair=", ".join(f"very_long_hair_{number}" for number in range(200)))
    first, second, third = engine.pictures([make_job(1), long, make_job(3)])
    assert isinstance(first, Image.Image) and isinstance(third, Image.Image)
    assert isinstance(second, PictureError)
    assert "character_1/appearance" in str(second) and "512" in str(second)


def test_a_prompt_that_is_too_long_is_cut_where_that_is_allowed(model: Path) -> None:
    engine = NewbieEngine(model=str(model), allow_cut=True)
    assert digests(engine, [make_job(hair=", ".join(f"hair_{number}" for number in range(300)))])


def test_a_cut_prompt_is_recorded_with_what_it_lost(model: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "cast.csv"
    long = " ".join(f"very_long_hair_{number}" for number in range(150))
    sheet.write_text(f"id,gender,appearance,quality,size,steps\naria,1girl,{long},detailed,64x64,2\n")
    common = (sheet, "--engine", "newbie", "--model", model, "--store", tmp_path / "store", "--json")
    refused = json.loads(newbie("run", *common).stdout)
    assert "general_tags/quality" in refused["failed"][0]["reason"]
    allowed = newbie("run", *common, "--set", "allow_cut=true")
    assert allowed.returncode == 0, allowed.stderr
    (note,) = (note for note in json.loads(allowed.stdout)["notes"] if "was cut" in note)
    assert note.startswith("aria: ") and "general_tags/quality" in note
    shown = json.loads(newbie("show", sheet, "--store", tmp_path / "store", "--json").stdout)
    assert shown["attestation"]["remarks"] == [note]


def test_without_a_model_the_small_one_of_the_package_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEWBIE_MODEL", raising=False)
    engine = load_engine("newbie")
    assert isinstance(engine, NewbieEngine)
    assert engine.pipeline.files.source == str(NANO_FOLDER)
    assert engine.identity().parts["sampler"] == "dpm"  # what its scheduler file names
    assert engine.usual_size() == (192, 192)
    engine.close()


def test_the_model_may_come_from_the_environment(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWBIE_MODEL", str(model))
    assert load_engine("newbie").identity().parts["dtype"] == "float32"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"solvr": "euler"}, "solver"),
        ({"solver": "heun"}, "heun"),
        ({"shift": "-1"}, "shift"),
        ({"dtype": "int4"}, "int4"),
        ({"plan": "magic"}, "magic"),
        ({"attention": "flash-attn"}, "flash-attn"),
        ({"adapters": "a.safetensors=strong"}, "strong"),
        ({"vae": "/nowhere.safetensors"}, "nowhere"),
    ],
)
def test_a_wrong_option_is_named(model: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises((EngineChoiceError, ModelError), match=named):
        load_engine("newbie", {"model": str(model), **options})


def test_adapters_are_written_with_their_strengths() -> None:
    assert parse_adapters("a.safetensors=0.8, folder,b=1:16") == [
        ("a.safetensors", 0.8, None),
        ("folder", 1.0, None),
        ("b", 1.0, 16.0),
    ]
    assert parse_adapters(str(OPTIONS["adapters"])) == []


@pytest.mark.parametrize("catalog", ["expressions", "storyboard", "brand"])
def test_every_example_catalog_runs(model: Path, tmp_path: Path, catalog: str) -> None:
    store = ("--store", tmp_path / "store")
    run = newbie("run", f"catalogs/{catalog}", "--engine", "newbie", "--model", model, "--limit", 1, *store)
    assert run.returncode == 0, run.stderr
    shown = json.loads(newbie("show", f"catalogs/{catalog}", "--json", *store).stdout)
    assert shown["pictures"] == 1
    assert shown["engine"]["engine"] == "newbie"
    assert shown["engine"]["vae/diffusion_pytorch_model.safetensors"]
    assert "memory   peak" in run.stdout and "predicted" in run.stdout
    assert int(shown["attestation"]["usage"]["peak_bytes"]) > 0
    environment = shown["attestation"]["environment"]
    assert environment["revision"] == "local"
    for library in ("torch", "diffusers", "transformers", "safetensors"):
        assert environment[library][0].isdigit()


def test_a_second_run_makes_nothing_and_another_model_makes_it_again(model: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "cast.csv"
    sheet.write_text("id,gender,appearance,size,steps\naria,1girl,silver_hair,64x64,2\n")
    common = (sheet, "--engine", "newbie", "--json", "--store", tmp_path / "store")
    first, again = (json.loads(newbie("run", *common, "--model", model).stdout) for _ in range(2))
    assert (first["generated"], again["generated"], again["new"]) == (1, 0, False)
    other = write_tiny(tmp_path / "other", seed=1)
    assert json.loads(newbie("run", *common, "--model", other).stdout)["generated"] == 1


def test_an_option_of_the_engine_can_be_set_for_a_run(model: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "cast.csv"
    sheet.write_text("id,gender,appearance,size,steps\naria,1girl,silver_hair,64x64,2\n")
    common = (sheet, "--engine", "newbie", "--model", model, "--store", tmp_path / "store")
    planned = json.loads(newbie("plan", *common, "--set", "solver=midpoint", "--json").stdout)
    assert planned["engine"]["sampler"] == "midpoint"
    refused = newbie("plan", *common, "--set", "solver")
    assert refused.returncode == 2 and "NAME=VALUE" in refused.stderr


def test_the_line_starts_without_torch() -> None:
    code = (
        "import sys, newbie_core.cli.main, newbie_core.production, newbie_core.engines; "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_plan_asks_needs_torch_alone(model: Path) -> None:
    code = (
        "import sys; from newbie_core.engines import load_engine; "
        "engine = load_engine('newbie', {'model': sys.argv[1]}); "
        "engine.identity(), engine.capabilities(), engine.environment(), engine.licences(); "
        "sys.exit(sum(name in sys.modules for name in ('diffusers', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", code, model], cwd=ROOT, check=False).returncode == 0


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_killed_run_goes_on_and_ends_with_the_same_digest(model: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "cast.csv"
    rows = "".join(f"aria_{number},1girl,silver_hair,128x128,12\n" for number in range(6))
    sheet.write_text("id,gender,appearance,size,steps\n" + rows)

    def arguments(store: str) -> list[str]:
        common = ["run", str(sheet), "--engine", "newbie", "--model", str(model), "--json"]
        return [*common, "--store", str(tmp_path / store)]

    # An interpreter of its own, which hashes and imports in its own order.
    command = [sys.executable, "-m", "newbie_core.cli", *arguments("whole")]
    whole = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, timeout=200).stdout)
    with Path(os.devnull).open("r+") as nothing:
        process = preloaded.start(arguments("killed"), cwd=ROOT, streams=(nothing.fileno(),) * 3)
    deadline = time.monotonic() + 100
    while process.poll() is None and not _made(tmp_path / "killed") and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    kept = _made(tmp_path / "killed")
    resumed = json.loads(newbie(*arguments("killed")).stdout)
    assert resumed["digest"] == whole["digest"]
    made = _made(tmp_path / "killed")
    assert 0 < len(kept) < len(made) == 6
    assert {path: made[path] for path in kept} == kept, "a picture that was there was made again"


def _made(store: Path) -> dict[Path, int]:
    """The records of pictures in the store, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in store.glob("actions/*/*") if len(path.name) == 64}
