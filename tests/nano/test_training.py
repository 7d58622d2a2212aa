"""Training: stopped anywhere it goes on the same, other arguments are refused, and latents are what they should be."""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from newbie_core.cli.main import main
from newbie_core.errors import PictureError, TrainingError
from newbie_core.model import NewBieImagePipeline
from newbie_core.nano import autoencoder_training, dataset, training
from newbie_core.nano.autoencoder_training import AutoencoderTraining
from newbie_core.nano.batches import Writer, pool_batches
from newbie_core.nano.dataset import Sample, encode_picture, load_shard, to_tensor
from newbie_core.nano.evaluation import Rate, judge_picture, summarise, table
from newbie_core.nano.judging import OF_CHARACTERS, OF_PICTURES, Seen
from newbie_core.nano.latents import LatentBasis, fit_latents
from newbie_core.nano.scenes import Scene, draw_scene, labels, random_scene
from newbie_core.nano.tokenizer import vocabulary
from newbie_core.nano.training import PLANS, Task, train
from newbie_core.nano.transformer_training import EARLY, EARLY_END, Schedule, TransformerTraining, draw_times
from newbie_core.nano.trials import trials
from tests import preloaded


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = random.Random(1)
    return [random_scene(rng) for _ in range(24)]


@pytest.fixture(scope="module")
def basis(scenes: list[Scene]) -> LatentBasis:
    return fit_latents([to_tensor(draw_scene(scene))[None] for scene in scenes])


@pytest.fixture(scope="module")
def samples(scenes: list[Scene], basis: LatentBasis) -> list[Sample]:
    return [Sample(caption=scene, latents=encode_picture(draw_scene(scene), basis)) for scene in scenes]


def quiet(_text: str) -> None:
    pass


def test_latents_keep_the_picture(scenes: list[Scene], basis: LatentBasis, tmp_path: Path) -> None:
    picture = to_tensor(draw_scene(scenes[0]))[None]
    latents = basis.encode(picture)
    assert latents.shape == (1, 16, picture.shape[2] // 8, picture.shape[3] // 8)
    back = basis.decode(latents)
    error = (back - picture).square().mean()
    assert error < 0.12 * picture.var()
    assert torch.allclose(basis.encode(back), latents, atol=1e-4)  # a projection: nothing more is lost
    basis.save(tmp_path / "basis.safetensors")
    assert torch.equal(LatentBasis.load(tmp_path / "basis.safetensors").encode(picture), latents)


def test_batches_are_the_seeds_alone(samples: list[Sample]) -> None:
    writer = Writer(vocabulary())
    one, two, other = (list(pool_batches(samples, writer, seed=seed, pool=3, batch=4)) for seed in (1, 1, 2))
    assert len(one) > 3
    assert all(torch.equal(a.gemma_ids, b.gemma_ids) and torch.equal(a.latents, b.latents)
               for a, b in zip(one, two, strict=True))  # fmt: skip
    assert any(a.gemma_ids.shape != b.gemma_ids.shape or not torch.equal(a.gemma_ids, b.gemma_ids)
               for a, b in zip(one, other, strict=False))  # fmt: skip
    for each in one:
        assert each.gemma_ids[:, 0].eq(2).all()
        assert each.jina_ids[:, 0].eq(0).all()
        assert each.jina_ids[:, -1].eq(2).all()


SHORT = Schedule(steps=3, batch=2)


@pytest.fixture(scope="module")
def through(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> TransformerTraining:
    """A short training that nothing stopped."""
    run = TransformerTraining(tmp_path_factory.mktemp("through"), vocabulary(), SHORT, seed=1, compiled=False)
    run.run(samples, quiet)
    return run


@pytest.mark.parametrize("stopped", [1, 2])
def test_the_transformers_training_goes_on_the_same(
    samples: list[Sample], tmp_path: Path, through: TransformerTraining, stopped: int
) -> None:
    words = vocabulary()
    first = TransformerTraining(tmp_path, words, SHORT, seed=1, compiled=False)
    first.run(samples, quiet, until=stopped)
    again = TransformerTraining(tmp_path, words, SHORT, seed=1, compiled=False)
    assert again.step == stopped
    again.run(samples, quiet)
    assert again.step == SHORT.steps
    for part in ("network", "heads"):
        whole, parts = (getattr(each, part).state_dict() for each in (through, again))
        for name, one in whole.items():
            assert torch.equal(one, parts[name]), name
    assert all(
        torch.equal(through.average.values[name], again.average.values[name]) for name in again.average.values
    )


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    schedule = Schedule(steps=1000)
    rates = [schedule.factor(step) for step in range(1001)]
    assert 0 < rates[0] < rates[30] < rates[59] == rates[200] == rates[449] == 1
    assert 1 > rates[600] > rates[800] > rates[999] > rates[1000] == 0


def test_the_heads_are_trained_along_where_labels_are_known(
    samples: list[Sample], through: TransformerTraining, tmp_path: Path
) -> None:
    fresh = TransformerTraining(tmp_path, vocabulary(), SHORT, seed=1, compiled=False)
    assert not torch.equal(fresh.heads.heads.weight, through.heads.heads.weight)
    # Pictures of one's own have no labels: the heads stay as they were.
    own = [replace(sample, caption="1girl, red_hair, smile") for sample in samples]
    before = fresh.heads.heads.weight.clone()
    fresh.run(own, quiet, until=1)
    assert torch.equal(fresh.heads.heads.weight, before)


def test_prompts_are_whole_where_the_schedule_says(samples: list[Sample]) -> None:
    writer = Writer(vocabulary())
    plain, whole = (
        list(pool_batches(samples, writer, seed=1, pool=3, batch=4, whole=whole)) for whole in (False, True)
    )
    told = [each.gemma_ids.shape[1] for each in whole if each.gemma_ids.shape[1] > 2]
    assert min(told) > 15  # nothing is left out
    assert min(each.gemma_ids.shape[1] for each in plain if each.gemma_ids.shape[1] > 2) < min(told)


def test_times_are_of_all_the_way_and_a_share_of_them_early() -> None:
    times = draw_times(20_000, torch.Generator().manual_seed(1))
    assert 0 <= times.min() < 0.01
    assert 0.9 < times.max() <= 1
    early = float((times < EARLY_END).float().mean())
    assert EARLY < early < EARLY + 0.15  # logit-normal times are as early now and then
    assert torch.equal(times, draw_times(20_000, torch.Generator().manual_seed(1)))


def test_the_times_of_one_step_are_spread_over_all_the_way() -> None:
    """Of sixteen, 40 % are early and 27 % late: 6.4 and 4.3; drawn one by one, they would vary by two."""
    generator = torch.Generator().manual_seed(1)
    steps = [draw_times(16, generator) for _ in range(200)]
    assert {int((times < EARLY_END).sum()) for times in steps} == {6, 7}
    assert {int((times > 0.5).sum()) for times in steps} == {4, 5}
    assert not all(torch.equal(times, times.sort().values) for times in steps)


def test_the_autoencoders_training_goes_on_the_same(
    scenes: list[Scene], basis: LatentBasis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder_training, "CROPS", ((32, 4), (48, 2)))
    pictures = [((to_tensor(draw_scene(scene)) + 1) * 127.5).round().to(torch.uint8) for scene in scenes[:6]]

    def start(name: str) -> AutoencoderTraining:
        return AutoencoderTraining(tmp_path / name, basis, seed=1, decoder_steps=2, encoder_steps=2)

    through = start("a")
    through.run(pictures, quiet)
    for until in (1, 2, 3, 4):
        start("b").run(pictures, quiet, until=until)
    one, other = through.finished().state_dict(), start("b").finished().state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    attention = [tensor for name, tensor in one.items() if "attentions" in name and "to_out" in name]
    assert attention
    assert all(not tensor.any() for tensor in attention)


def draw_ahead(out: Path, basis: LatentBasis) -> None:
    """What a run of the tiny plan draws first, in this process and no more than it needs."""
    training._settle(Task(out=out, plan=PLANS["tiny"], seed=1))
    basis.save(out / "latents.safetensors")
    (out / "scenes").mkdir()
    dataset._draw_shard(out / "scenes", out / "latents.safetensors", 1, range(PLANS["tiny"].scenes))


def test_a_run_keeps_to_its_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], basis: LatentBasis
) -> None:
    out = tmp_path / "out"
    draw_ahead(out, basis)
    # Out of time at once.
    assert main(["nano", "train", "--out", str(out), "--plan", "tiny", "--minutes", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"finished": False, "model": None}
    assert not (out / "model").exists()
    assert "the same command goes on from here" in (out / "train.log").read_text()
    assert len(list(load_shard(out / "scenes", 0))) == PLANS["tiny"].scenes
    with pytest.raises(
        TrainingError,
        match=r"holds another run \(seed 1 instead of 2\);",
    ):
        train(Task(out=out, plan=PLANS["tiny"], seed=2), quiet, stop=lambda: True)
    other = replace(PLANS["tiny"], steps=9, polish_steps=5)
    with pytest.raises(TrainingError, match=r"\(steps 4 instead of 9, polish_steps 2 instead of 5\);"):
        train(Task(out=out, plan=other, seed=1), quiet, stop=lambda: True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("do not touch")
    assert main(["nano", "train", "--out", str(tmp_path / "full"), "--plan", "tiny"]) == 2
    assert "is not empty and holds no training run" in capsys.readouterr().err
    # What was begun is finished, to a model with its tagger.
    assert main(["nano", "train", "--out", str(out), "--plan", "tiny"]) == 0
    assert (out / "model" / "tagger.pt").is_file()
    assert json.loads((out / "model" / "training.json").read_text())["seed"] == 1
    assert "everything is trained" in (out / "model" / "training.log").read_text()
    pipeline = NewBieImagePipeline.from_pretrained(str(out / "model"), device="cpu", progress=False)
    (picture,) = pipeline(
        prompt="1girl, red_hair", width=192, height=192, num_inference_steps=2, seed=1
    ).images
    assert picture.size == (192, 192)
    with pytest.raises(PictureError, match="makes no pictures of 256x256"):
        pipeline(prompt="1girl", width=256, height=256, num_inference_steps=2, seed=1)
    assert main(["nano", "evaluate", str(out), "--count", "1", "--kinds", "one,two", "--workers", "1",
                 "--out", str(tmp_path / "page")]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "| right | one | two |" in said
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<img") == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"plan": 3}'])
def test_a_run_whose_record_is_damaged_is_not_gone_on_with(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(TrainingError, match=r"not JSON|holds another run \(unreadable\)"):
        train(Task(out=tmp_path, plan=PLANS["tiny"], seed=1), quiet, stop=lambda: True)
    assert (tmp_path / "run.json").read_text() == content


def test_bad_arguments(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "run.json").write_text("{}")
    for more, text in (
        (["train", "--out", str(tmp_path / "o"), "--device", "warp"], "is not a device"),
        (["train", "--out", str(tmp_path / "o"), "--steps", "0"], "at least 1"),
        (["train", "--out", str(tmp_path / "o"), "--data", str(tmp_path / "none")], "no such folder"),
        (["evaluate", "--kinds", "four"], 'there is no "four"'),
        (["evaluate", "--count", "0"], "at least 1"),
        (["evaluate", str(tmp_path / "begun")], "is not finished"),
    ):
        assert main(["nano", *more]) == 2
        assert text in capsys.readouterr().err


class Oracle:
    """A judge that sees what was asked, but for one character's hair."""

    def __init__(self, scene: Scene, hair: str | None = None) -> None:
        self._scene, self._hair = scene, hair

    def characters(self, _picture: object, _boxes: object) -> list[dict[str, Seen]]:
        found = []
        for values in labels(self._scene):
            answers = {name: Seen(value=values[name], probability=1.0) for name in OF_CHARACTERS}
            if self._hair and not found:
                answers["hair_colour"] = Seen(value=self._hair, probability=1.0)
            found.append(answers)
        return found

    def picture(self, _picture: object) -> dict[str, Seen]:
        truth = (self._scene.background, str(len(self._scene.characters)))
        return {
            name: Seen(value=value, probability=1.0) for name, value in zip(OF_PICTURES, truth, strict=True)
        }


def test_verdicts_and_rates() -> None:
    chosen = list(trials("two", 2, seed=4))
    good, bad = chosen
    left, right = (each.hair_colour for each in bad.scene.characters)
    verdicts = [
        judge_picture(Oracle(good.scene), draw_scene(good.scene), good),  # type: ignore[arg-type]
        judge_picture(Oracle(bad.scene, right), draw_scene(bad.scene), bad),  # type: ignore[arg-type]
    ]
    assert verdicts[0].wrong == ((), ())
    assert verdicts[1].wrong == (("hair_colour",), ())
    assert verdicts[0].probed == tuple(each.hair_colour for each in good.scene.characters)
    rates = summarise("two", verdicts, seed=4).rates
    assert (rates["all attributes"].right, rates["all attributes"].of) == (3, 4)
    assert (rates["all hair colours of a picture"].right, rates["all hair colours of a picture"].of) == (1, 2)
    assert left != right
    assert "75.0 %" in table([summarise("two", verdicts, seed=4)])


def test_intervals_are_wilsons() -> None:
    low, high = Rate(right=96, of=96).interval
    assert (round(low, 3), round(high, 3)) == (0.962, 1.0)
    low, high = Rate(right=20, of=40).interval
    assert (round(low, 3), round(high, 3)) == (0.352, 0.648)


def test_a_signal_to_all_processes_ends_them_in_order(tmp_path: Path) -> None:
    """Ctrl+C in a terminal reaches the children too."""
    shown, said = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    process = preloaded.start(
        ["nano", "train", "--out", str(tmp_path), "--plan", "tiny"],
        cwd=tmp_path.parent,
        streams=(nothing, said, said),
        session=True,
    )
    os.close(said)
    os.close(nothing)
    seen = []
    with os.fdopen(shown) as lines:
        for line in lines:
            seen.append(line)
            if line.startswith("drawn"):
                os.killpg(process.pid, signal.SIGINT)
                break
        rest = lines.read()
    assert process.wait(timeout=120) == 130
    assert "stopped after" in rest
    assert "Traceback" not in "".join(seen) + rest
    assert (tmp_path / "transformer" / "transformer.pt").exists()
