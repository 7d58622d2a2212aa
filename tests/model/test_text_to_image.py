"""The pipeline as its users call it: one picture for one prompt and seed, however it is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from newbie_core.errors import ModelError, PictureError
from newbie_core.model.adapters import read_adapter
from newbie_core.model.sampling import SOLVERS, noise
from newbie_core.model.text_to_image import NewBieImagePipeline, Recipe, denoise
from newbie_core.model.tiny import write_tiny
from tests.model.conftest import MakePipeline, TinyCheckpoint

XML = "<character_1>\n<n>$character_1$</n>\n<gender>1girl</gender>\n</character_1>"
TAGS = "1girl, silver_hair, raincoat"
QUICK: dict[str, Any] = {"height": 48, "width": 32, "num_inference_steps": 2}


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> NewBieImagePipeline:
    return make_pipeline()


def draw(pipeline: NewBieImagePipeline, prompt: Any = XML, **options: Any) -> list[bytes]:
    return [image.tobytes() for image in pipeline(prompt, **QUICK | options).images]


def latents_of(pipeline: NewBieImagePipeline, prompt: Any = XML, **options: Any) -> Tensor:
    """Of the first picture."""
    options = {"seed": 1} | QUICK | options
    found: Tensor = pipeline(prompt, output_type="latent", **options).images[0]
    return found


# Layouts


@pytest.mark.parametrize("layout", ["port", "comfyui", "all-in-one", "consolidated", "sharded"])
def test_equal_weights_in_another_layout_give_equal_pictures(
    tiny_checkpoint: TinyCheckpoint, pipeline: NewBieImagePipeline, layout: str
) -> None:
    other = NewBieImagePipeline.from_pretrained(tiny_checkpoint(layout), device="cpu")
    assert other.files.layout == ("hub" if layout == "sharded" else layout)
    assert draw(other, [XML, TAGS], seed=1) == draw(pipeline, [XML, TAGS], seed=1)


def test_a_pickled_checkpoint_gives_equal_pictures_where_pickles_are_allowed(
    tiny_checkpoint: TinyCheckpoint, pipeline: NewBieImagePipeline
) -> None:
    path = tiny_checkpoint("consolidated", pickled=True)
    with pytest.raises(ModelError, match="pickle"):
        NewBieImagePipeline.from_pretrained(path, device="cpu")
    other = NewBieImagePipeline.from_pretrained(path, device="cpu", allow_pickle=True)
    assert draw(other, seed=1) == draw(pipeline, seed=1)


def test_parts_may_come_from_four_places(
    tiny_checkpoint: TinyCheckpoint, pipeline: NewBieImagePipeline
) -> None:
    consolidated = tiny_checkpoint("consolidated") / "consolidated_ema.00-of-01.safetensors"
    text_encoders = tiny_checkpoint("comfyui") / "split_files" / "text_encoders"
    other = NewBieImagePipeline.from_pretrained(
        tiny_checkpoint("port"),
        device="cpu",
        transformer=consolidated,
        text_encoder=next(text_encoders.glob("gemma*")),
        clip_model=tiny_checkpoint() / "clip_model",
        vae=tiny_checkpoint("sharded") / "vae",
    )
    assert draw(other, seed=1) == draw(pipeline, seed=1)
    files = {str(part.files[0]) for part in other.files.parts.values()}
    assert len({Path(file).parent for file in files}) == 4


def test_other_weights_give_another_picture(tmp_path: Path, pipeline: NewBieImagePipeline) -> None:
    other = NewBieImagePipeline.from_pretrained(write_tiny(tmp_path / "other", seed=1), device="cpu")
    assert draw(other, seed=1) != draw(pipeline, seed=1)


# What is asked for, as with diffusers


def test_a_picture_has_the_size_asked_for_and_is_no_flat_field(pipeline: NewBieImagePipeline) -> None:
    image = pipeline(XML, seed=7, **QUICK).images[0]
    assert isinstance(image, Image.Image)
    assert (image.size, image.mode) == ((32, 48), "RGB")
    assert np.asarray(image).std() > 5


def test_the_result_saves_its_first_picture(pipeline: NewBieImagePipeline, tmp_path: Path) -> None:
    found = pipeline(XML, seed=7, **QUICK)
    found.save(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as read:
        assert read.tobytes() == found.images[0].tobytes()


def test_a_tuple_is_returned_where_asked(pipeline: NewBieImagePipeline) -> None:
    found = pipeline(XML, seed=7, return_dict=False, **QUICK)
    assert isinstance(found, tuple)
    assert [image.tobytes() for image in found[0]] == draw(pipeline, seed=7)


def test_the_seed_decides_the_picture(pipeline: NewBieImagePipeline) -> None:
    assert draw(pipeline, seed=7) == draw(pipeline, seed=7) != draw(pipeline, seed=8)


def test_without_a_seed_each_call_draws_its_own(pipeline: NewBieImagePipeline) -> None:
    assert draw(pipeline) != draw(pipeline)


def test_several_pictures_of_a_prompt_take_the_next_seeds(pipeline: NewBieImagePipeline) -> None:
    found = draw(pipeline, [XML, TAGS], seed=7, num_images_per_prompt=2)
    alone = [draw(pipeline, XML, seed=seed)[0] for seed in (7, 8)]
    alone += [draw(pipeline, TAGS, seed=seed)[0] for seed in (9, 10)]
    assert found == alone


def test_a_generator_wins_over_the_seed_and_draws_the_same_noise(pipeline: NewBieImagePipeline) -> None:
    generator = torch.Generator().manual_seed(7)
    assert draw(pipeline, generator=generator, seed=3) == draw(pipeline, seed=7)
    assert draw(pipeline, generator=generator) != draw(pipeline, seed=7)


def test_generators_are_one_a_picture(pipeline: NewBieImagePipeline) -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (7, 3)]
    found = draw(pipeline, generator=generators, num_images_per_prompt=2)
    assert found == [draw(pipeline, seed=7)[0], draw(pipeline, seed=3)[0]]
    with pytest.raises(PictureError, match="2 generators were given for 3 pictures"):
        draw(pipeline, generator=generators, num_images_per_prompt=3)


def test_one_generator_serves_all_pictures_in_turn(pipeline: NewBieImagePipeline) -> None:
    found = draw(pipeline, generator=torch.Generator().manual_seed(7), num_images_per_prompt=2)
    assert found[0] == draw(pipeline, seed=7)[0]
    assert found[0] != found[1]


def test_latents_are_the_ones_the_picture_is_decoded_from(pipeline: NewBieImagePipeline) -> None:
    latents = latents_of(pipeline)
    assert (latents.shape, latents.dtype) == ((1, 16, 6, 4), torch.float32)
    assert pipeline.decode(latents).tobytes() == draw(pipeline, seed=1)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"negative_prompt": "blurry"},
        {"guidance_scale": 2.0},
        {"num_inference_steps": 3},
        {"shift": 3.0},
        {"solver": "midpoint"},
        {"solver": "dpm"},
        {"renorm": 0.5},
        {"cfg_trunc": 0.1},
        {"system_prompt": "You are an assistant. <Prompt Start> "},
    ],
)
def test_every_setting_changes_the_picture(pipeline: NewBieImagePipeline, change: dict[str, Any]) -> None:
    assert not torch.equal(latents_of(pipeline, **change), latents_of(pipeline))


@pytest.mark.parametrize(
    "same",
    [
        {"shift": 6.0},
        {"negative_prompt": [""]},
        {"cfg_trunc": 2.0},
        {"renorm": 1e6},
        {"allow_cut": True},
    ],
)
def test_a_setting_that_says_the_default_changes_nothing(
    pipeline: NewBieImagePipeline, same: dict[str, Any]
) -> None:
    assert torch.equal(latents_of(pipeline, **same), latents_of(pipeline))


def test_the_prompt_matters_and_without_guidance_the_negative_does_not(
    pipeline: NewBieImagePipeline,
) -> None:
    plain = latents_of(pipeline, guidance_scale=1.0)
    assert torch.equal(latents_of(pipeline, guidance_scale=1.0, negative_prompt="blurry"), plain)
    assert not torch.equal(latents_of(pipeline, TAGS, guidance_scale=1.0), plain)


def test_each_prompt_may_have_a_negative_of_its_own(pipeline: NewBieImagePipeline) -> None:
    both = draw(pipeline, [XML, XML], negative_prompt=["", "blurry"], seed=4)
    assert both == [
        draw(pipeline, XML, seed=4)[0],
        draw(pipeline, XML, seed=5, negative_prompt="blurry")[0],
    ]
    with pytest.raises(PictureError, match="1 negative prompts were given for 2 prompts"):
        draw(pipeline, [XML, TAGS], negative_prompt=["blurry"])


def test_the_schedulers_own_shift_is_the_default(tmp_path: Path, pipeline: NewBieImagePipeline) -> None:
    path = write_tiny(tmp_path / "model", layout="port")
    config = path / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"shift": 3.0}))
    other = NewBieImagePipeline.from_pretrained(path, device="cpu")
    assert (other.default_shift, pipeline.default_shift) == (3.0, 6.0)
    assert torch.equal(latents_of(other), latents_of(pipeline, shift=3.0))


@pytest.mark.parametrize(
    ("named", "solver"),
    [
        ("DPMSolverMultistepScheduler", "dpm"),
        ("FlowMatchEulerDiscreteScheduler", "euler"),
        ("Other", "euler"),
    ],
)
def test_the_schedulers_solver_is_the_default(
    tmp_path: Path, pipeline: NewBieImagePipeline, named: str, solver: str
) -> None:
    path = write_tiny(tmp_path / "model", layout="port")
    config = path / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({"_class_name": named, "flow_shift": 2.0}))
    other = NewBieImagePipeline.from_pretrained(path, device="cpu")
    assert (other.default_solver, pipeline.default_solver) == (solver, "euler")
    expected = latents_of(pipeline, solver=solver, shift=2.0)
    assert torch.equal(latents_of(other), expected)
    changed = "midpoint" if solver == "dpm" else "dpm"
    assert not torch.equal(latents_of(other, solver=changed), expected)


# Callback


def test_the_callback_sees_every_step_and_the_time_it_reached(pipeline: NewBieImagePipeline) -> None:
    seen: list[tuple[Any, int, float, tuple[int, ...]]] = []

    def watch(pipe: Any, step: int, time: float, values: dict[str, Any]) -> None:
        seen.append((pipe, step, time, tuple(values["latents"].shape)))

    draw(pipeline, callback_on_step_end=watch, num_inference_steps=4, seed=1)
    assert [each[1] for each in seen] == [0, 1, 2, 3]
    assert [each[2] for each in seen] == pytest.approx([1 / 19, 1 / 7, 1 / 3, 1.0])
    assert {(each[0], each[3]) for each in seen} == {(pipeline, (1, 16, 6, 4))}


def test_latents_a_callback_returns_take_the_places_of_the_others(pipeline: NewBieImagePipeline) -> None:
    other = torch.ones(1, 16, 6, 4)

    def exchange(_: Any, step: int, time: float, values: dict[str, Any]) -> dict[str, Any]:
        return {"latents": other} if step == 1 else {}

    assert torch.equal(latents_of(pipeline, callback_on_step_end=exchange), other)
    longer = latents_of(pipeline, callback_on_step_end=exchange, num_inference_steps=3)
    assert not torch.equal(longer, other)
    assert not torch.equal(longer, latents_of(pipeline, num_inference_steps=3))


# The picture's own way


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_seed_and_a_pair_of_texts_denoise_as_the_call_does(
    pipeline: NewBieImagePipeline, solver: Any
) -> None:
    encoded = pipeline.stages.encode([XML, ""])
    recipe = Recipe(width=32, height=48, steps=2, solver=solver)
    found = pipeline.denoise(encoded[XML], encoded[""], recipe, 1)  # type: ignore[arg-type]
    assert torch.equal(found, latents_of(pipeline, solver=solver))


def test_guidance_is_of_the_velocities_and_ends_at_its_time(pipeline: NewBieImagePipeline) -> None:
    """Two steps written out: the first guided, the second the condition alone."""
    encoded = pipeline.stages.encode([XML, ""])
    condition, uncondition = encoded[XML], encoded[""]
    recipe = Recipe(width=32, height=48, steps=2, guidance=3.0, cfg_trunc=0.1)
    model, x = pipeline.stages.transformer, noise(1, 16, 6, 4)

    def velocity(x: Tensor, t: float, text: Any) -> Tensor:
        mask = torch.ones(1, len(text.features), dtype=torch.int64)
        return model(x, torch.tensor([t]), text.features[None], mask, text.pooled[None])

    middle = 1 / 7  # of two steps, shifted by 6
    with torch.no_grad():
        with_text, without = velocity(x, 0.0, condition), velocity(x, 0.0, uncondition)
        x = x + middle * (without + 3.0 * (with_text - without))
        x = x + (1 - middle) * velocity(x, middle, condition)
    found = pipeline.denoise(condition, uncondition, recipe, 1)  # type: ignore[arg-type]
    # Latents reach five; the pair is summed in another order than each alone, then tripled.
    torch.testing.assert_close(found, x, rtol=0, atol=2e-5)


class Waiting(TorchDispatchMode):
    """Counts what would wait for a device in the middle of its work."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal"):
            self.seen.append(name)
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("options", [{}, {"renorm": 1.0}, {"cfg_trunc": 0.1}, {"solver": "dpm"}])
def test_no_step_waits_for_the_device(pipeline: NewBieImagePipeline, options: dict[str, Any]) -> None:
    encoded = pipeline.stages.encode([XML, ""])
    texts = (encoded[XML], encoded[""])
    model, recipe = pipeline.stages.transformer, Recipe(width=32, height=48, steps=3, **options)
    with Waiting() as waiting:
        denoise(model, *texts, recipe, noise(1, 16, 6, 4))  # type: ignore[arg-type]
    assert waiting.seen == []
    assert waiting.operations > 500


# Refusals


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"height": 1000}, "height 1000 is not a multiple of 16"),
        ({"width": 8}, "width 8 is not a multiple of 16 from 16"),
        ({"width": 0}, "width 0 is not"),
        ({"height": -16}, "height -16 is not"),
        ({"width": 8208}, "width 8208 is not a multiple of 16 from 16 to 8192"),
    ],
)
def test_a_size_that_cannot_be_made_is_refused(
    pipeline: NewBieImagePipeline, size: dict[str, int], message: str
) -> None:
    with pytest.raises(PictureError, match=message) as refused:
        draw(pipeline, **size)
    assert refused.value.code == "E_PICTURE_SIZE"
    assert pipeline.stages.texts.encodings_run == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_inference_steps": 0}, "0 steps"),
        ({"num_inference_steps": 1001}, "1001 steps"),
        ({"shift": 0.0}, "shift 0.0"),
        ({"shift": float("nan")}, "shift nan"),
        ({"solver": "heun"}, 'no solver "heun"; known: euler, midpoint, dpm'),
        ({"output_type": "np"}, 'no output type "np"; known: pil, latent'),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**63}, "seed 9223372036854775808"),
        ({"seed": 2**63 - 1, "num_images_per_prompt": 2}, "seed"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    pipeline: NewBieImagePipeline, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(PictureError, match=message):
        draw(pipeline, **setting)


def test_the_largest_seed_is_taken(pipeline: NewBieImagePipeline) -> None:
    assert draw(pipeline, seed=2**63 - 1) != draw(pipeline, seed=2**63 - 2)


def test_a_prompt_that_is_too_long_is_refused_and_cut_where_asked(pipeline: NewBieImagePipeline) -> None:
    long = "<general_tags>\n<count>1girl</count>\n<other>" + "raincoat, " * 300 + "</other>\n</general_tags>"
    with pytest.raises(PictureError, match="general_tags/other"):
        draw(pipeline, long, seed=1)
    assert len(draw(pipeline, long, seed=1, allow_cut=True)) == 1
    with pytest.raises(PictureError, match="tokens"):
        draw(pipeline, negative_prompt=long, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, 'no dtype "int8"'),
        ({"plan": "swap"}, 'no memory plan "swap"'),
        ({"storage": "int4"}, 'no storage "int4"'),
        ({"attention": "xformers"}, 'no attention kernel "xformers"'),
        ({"adapters": [("nowhere.safetensors", "strong")]}, "strength 'strong' is not a number"),
        ({"transformer": "nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_a_name_that_is_not_known_is_refused(
    make_pipeline: MakePipeline, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        make_pipeline(**options)


def test_weights_that_are_no_numbers_give_an_error_and_no_picture(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "model")
    file = path / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["layers.1.feed_forward.w2.weight"][3, 5] = float("nan")
    save_file(weights, file)
    pipeline = NewBieImagePipeline.from_pretrained(path, device="cpu")
    with pytest.raises(PictureError, match=r"no numbers \(in torch\.float32\)") as refused:
        draw(pipeline, seed=1)
    assert refused.value.code == "E_PICTURE_NOT_FINITE"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_no_numbers_are_not_decoded(pipeline: NewBieImagePipeline, value: float) -> None:
    latents = torch.zeros(1, 16, 6, 4)
    latents[0, 3, 2, 1] = value
    with pytest.raises(PictureError, match="no numbers"):
        pipeline.decode(latents)


# Adapters


def make_lora(folder: Path, *, module: str = "layers.0.attention.qkv") -> Path:
    generator = torch.Generator().manual_seed(0)
    stem = f"base_model.model.{module}"
    tensors = {
        f"{stem}.lora_A.weight": torch.randn((4, 96), generator=generator) / 10,
        f"{stem}.lora_B.weight": torch.randn((192, 4), generator=generator) / 2,
    }
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4}))
    return folder


@pytest.mark.parametrize("plan", ["resident", "offload"])
def test_an_adapter_changes_the_picture_by_its_strength(
    make_pipeline: MakePipeline, tmp_path: Path, plan: str
) -> None:
    lora = make_lora(tmp_path / "lora")
    plain, none = make_pipeline(plan=plan), make_pipeline(plan=plan, adapters=[(lora, 0.0)])
    whole, half = (
        make_pipeline(plan=plan, adapters=[lora]),
        make_pipeline(plan=plan, adapters=[(str(lora), 0.5)]),
    )
    base = latents_of(plain)
    assert torch.equal(latents_of(none), base)
    far, near = ((latents_of(each) - base).norm() for each in (whole, half))
    assert far > near > 0
    halves = make_pipeline(plan=plan, adapters=[(read_adapter(lora), 0.5), (lora, 0.5)])
    torch.testing.assert_close(latents_of(halves), latents_of(whole), rtol=0, atol=1e-4)


def test_an_adapter_of_another_model_is_refused_when_it_is_added(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    lora = make_lora(tmp_path / "lora", module="layers.7.attention.qkv")
    with pytest.raises(ModelError, match=r"layers\.7\.attention\.qkv"):
        draw(make_pipeline(adapters=[lora]), seed=1)


# Other ways to run


def test_bf16_gives_nearly_the_same_latents(
    make_pipeline: MakePipeline, pipeline: NewBieImagePipeline
) -> None:
    half = latents_of(make_pipeline(dtype="bfloat16"))
    assert half.dtype == torch.float32
    # Eight bits a number, multiplied by the guidance.
    assert 0 < (half - latents_of(pipeline)).abs().max() < 0.5
    assert torch.equal(latents_of(make_pipeline(torch_dtype=torch.bfloat16)), half)


def test_math_attention_gives_the_same_latents_but_for_rounding(
    make_pipeline: MakePipeline, pipeline: NewBieImagePipeline
) -> None:
    found = latents_of(make_pipeline(attention="sdpa-math"))
    torch.testing.assert_close(found, latents_of(pipeline), rtol=0, atol=1e-4)


def test_on_another_device_it_is_the_same_pipeline(pipeline: NewBieImagePipeline) -> None:
    before = draw(pipeline, seed=1)
    assert pipeline.to("cpu") is pipeline
    assert pipeline.hosting.device == torch.device("cpu")
    assert draw(pipeline, seed=1) == before


def test_steps_are_shown_on_a_terminal_and_hidden_where_asked(
    pipeline: NewBieImagePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(pipeline, seed=1)
    assert capsys.readouterr().err == ""
    pipeline.set_progress_bar_config(disable=False)
    draw(pipeline, seed=1)
    assert "/2" in capsys.readouterr().err
