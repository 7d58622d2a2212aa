"""Parts are there when they are needed and gone when the plan says so, and the pixels never know."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from newbie_core.errors import ModelError, PictureError
from newbie_core.model import stages as stages_module
from newbie_core.model.attention import choose_kernel
from newbie_core.model.memory import PLANS
from newbie_core.model.stages import Hosting, PeakMemory, Stages, choose_hosting
from newbie_core.model.streaming import BlockStream
from newbie_core.model.text_to_image import NewBieImagePipeline
from newbie_core.model.weights.part import ModelFiles
from tests.model.conftest import MakePipeline

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
XML = "<character_1>\n<n>$character_1$</n>\n<gender>1girl</gender>\n</character_1>"
TAGS = "1girl, silver_hair, raincoat"
PROSE = "a girl under an umbrella"
QUICK = {"height": 48, "width": 32, "num_inference_steps": 2}

Pixels = list[bytes]


def draw(pipeline: NewBieImagePipeline, prompt: str | list[str] = XML, **options: Any) -> Pixels:
    images = pipeline(prompt, **{"seed": 1} | QUICK | options).images
    return [image.tobytes() for image in images]


# Equal pixels


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("solver", ["euler", "dpm"])
def test_every_plan_gives_the_same_pixels(make_pipeline: MakePipeline, plan: str, solver: str) -> None:
    expected = draw(make_pipeline(plan="resident"), [XML, TAGS], solver=solver)
    pipeline = make_pipeline(plan=plan)
    assert draw(pipeline, [XML, TAGS], solver=solver) == expected
    pipeline.close()
    assert draw(pipeline, [XML, TAGS], solver=solver) == expected
    assert expected[0] != expected[1]


@pytest.mark.parametrize("plan", PLANS)
def test_neighbours_and_their_order_change_nothing(make_pipeline: MakePipeline, plan: str) -> None:
    pipeline = make_pipeline(plan=plan)
    texts = [XML, TAGS, PROSE]

    def generators(seeds: list[int]) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    together = draw(pipeline, texts, generator=generators([5, 6, 7]))
    turned = draw(make_pipeline(plan=plan), texts[::-1], generator=generators([7, 6, 5]))
    alone = [draw(pipeline, text, seed=seed)[0] for text, seed in zip(texts, (5, 6, 7), strict=True)]
    assert together == alone == turned[::-1]
    assert len(set(together)) == 3


class Stopped(Exception):
    """What a callback raises in the middle."""


@pytest.mark.parametrize("plan", PLANS)
def test_a_run_broken_off_in_the_middle_and_repeated_gives_the_same_pixels(
    make_pipeline: MakePipeline, plan: str
) -> None:
    expected = draw(make_pipeline(), num_inference_steps=4)
    pipeline = make_pipeline(plan=plan)

    def stop(_: Any, step: int, time: float, values: dict[str, Any]) -> None:
        if step == 1:
            raise Stopped

    with pytest.raises(Stopped):
        draw(pipeline, num_inference_steps=4, callback_on_step_end=stop)
    assert draw(pipeline, num_inference_steps=4) == expected
    with pytest.raises(Stopped):
        draw(pipeline, TAGS, num_inference_steps=3, callback_on_step_end=stop)
    assert draw(pipeline, num_inference_steps=4) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("plan", ["staged", "offload"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_every_plan_gives_the_same_pixels_on_a_gpu(
    make_pipeline: MakePipeline, plan: str, dtype: str
) -> None:
    # Sizes and steps that keep the device busy while the next blocks are asked for.
    large = {"height": 1024, "width": 1024, "num_inference_steps": 8}
    resident, pipeline = (make_pipeline(device="cuda", dtype=dtype, plan=each) for each in ("resident", plan))
    expected = draw(resident, [XML, TAGS], **large)
    assert draw(pipeline, [XML, TAGS], **large) == expected
    pipeline.close()
    assert draw(pipeline, [XML, TAGS], **large) == expected


# What is in memory when


class Watched:
    """A pipeline's parts as they come and go: what else was there when each was loaded."""

    def __init__(self, pipeline: NewBieImagePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads: list[tuple[str, tuple[str, ...]]] = []
        self._parts: list[tuple[str, weakref.ref[Any]]] = []
        texts = pipeline.stages.texts
        texts.load_gemma = self._watched("gemma", texts.load_gemma, lambda encoder: encoder._model)
        texts.load_jina = self._watched("jina", texts.load_jina, lambda encoder: encoder._model)
        load = Stages._load_transformer
        monkeypatch.setattr(
            Stages,
            "_load_transformer",
            lambda own: self._watched("transformer", lambda: load(own), lambda model: model)(),
        )

    def _watched(self, name: str, load: Callable[[], Any], model: Callable[[Any], Any]) -> Callable[[], Any]:
        def loading() -> Any:
            self.loads.append((name, self.there))
            part = load()
            # A model may be gone while something still holds one of its layers.
            self._parts.append((name, weakref.ref(model(part).layers[0])))
            return part

        return loading

    @property
    def there(self) -> tuple[str, ...]:
        """The names of the parts of which something is in memory."""
        return tuple(name for name, part in self._parts if part() is not None)


@pytest.mark.parametrize("plan", ["staged", "offload"])
def test_parts_take_turns(make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch, plan: str) -> None:
    pipeline = make_pipeline(plan=plan)
    watched = Watched(pipeline, monkeypatch)
    gc.disable()
    try:
        draw(pipeline, [XML, TAGS])
        draw(pipeline, PROSE)
    finally:
        gc.enable()
    turn = [("gemma", ()), ("jina", ()), ("transformer", ())]
    assert watched.loads == turn * 2
    assert watched.there == ("transformer",)


def test_resident_parts_are_loaded_once_and_stay(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(plan="resident")
    watched = Watched(pipeline, monkeypatch)
    draw(pipeline, [XML, TAGS])
    draw(pipeline, PROSE)
    assert [name for name, _ in watched.loads] == ["gemma", "jina", "transformer"]
    assert watched.there == ("gemma", "jina", "transformer")


@pytest.mark.parametrize("plan", PLANS)
def test_closed_nothing_is_left_in_memory(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    pipeline = make_pipeline(plan=plan)
    watched = Watched(pipeline, monkeypatch)
    draw(pipeline)
    decoder = weakref.ref(pipeline.stages.autoencoder.module)
    pipeline.close()
    assert watched.there == ()
    assert decoder() is None
    pipeline.close()


@pytest.mark.parametrize("plan", PLANS)
def test_a_text_that_comes_again_is_not_encoded_again(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    pipeline = make_pipeline(plan=plan)
    watched = Watched(pipeline, monkeypatch)
    texts = pipeline.stages.texts
    first = draw(pipeline, [XML, XML, TAGS])
    assert texts.encodings_run == 3  # two prompts and the empty negative
    loads = len(watched.loads)
    assert draw(pipeline, [XML, TAGS])[0] == first[0]
    assert texts.encodings_run == 3
    assert len(watched.loads) == loads
    draw(pipeline, PROSE)
    assert texts.encodings_run == 4


def test_without_a_cache_texts_are_encoded_each_time(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(text_cache=0)
    assert draw(pipeline) == draw(pipeline) == draw(make_pipeline())
    assert pipeline.stages.texts.encodings_run == 4


def test_offload_never_has_more_than_two_blocks_on_the_device(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = BlockStream.fetch
    counts: dict[int, list[int]] = {}
    taken: list[tuple[int, int]] = []

    def counting(self: BlockStream, block: Any) -> Any:
        found = fetch(self, block)
        away = [
            any(value.data_ptr() != masters[name].data_ptr() for name, value in each.named_parameters())
            for each, masters in zip(self._blocks, self._masters, strict=True)
        ]
        counts.setdefault(len(self._blocks), []).append(sum(away))
        largest = max(sum(value.nbytes for value in masters.values()) for masters in self._masters)
        taken.append((self.nbytes, 2 * (largest + 20 * 256)))
        return found

    monkeypatch.setattr(BlockStream, "fetch", counting)
    draw(make_pipeline(plan="offload"))
    # Gemma's six used layers, and the transformer's four blocks.
    assert counts.keys() == {6, 4}
    assert {count for each in counts.values() for count in each} == {1}
    assert all(used <= most for used, most in taken)
    # Gemma reads three texts' worth once each: a prompt and the empty negative. Two steps and the preparation.
    assert len(counts[6]) == 2 * 6
    assert len(counts[4]) == 4 + 2 * 3


@pytest.mark.parametrize("plan", ["resident", "staged"])
def test_the_other_plans_stream_nothing(make_pipeline: MakePipeline, plan: str) -> None:
    assert make_pipeline(plan=plan).stages.transformer.streamed is None


def test_the_decoder_alone_decodes(make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = make_pipeline()
    watched = Watched(pipeline, monkeypatch)
    picture = pipeline.decode(torch.zeros(1, 16, 6, 4))
    assert picture.size == (32, 48)
    assert watched.loads == []
    assert not hasattr(pipeline.stages.autoencoder.module, "encoder")


def test_a_refused_text_leaves_its_neighbours_their_conditioning(make_pipeline: MakePipeline) -> None:
    long = "long, " * 600
    found = make_pipeline(plan="staged").stages.encode([XML, long, TAGS])
    assert {text for text, each in found.items() if isinstance(each, PictureError)} == {long}
    assert found.keys() == {XML, long, TAGS}


# Storage and adapters


@pytest.mark.parametrize("plan", PLANS)
def test_fp8_storage_moves_pixels_a_little_and_the_same_in_every_plan(
    make_pipeline: MakePipeline, plan: str
) -> None:
    full, fp8 = (make_pipeline(plan=plan, storage=storage) for storage in ("full", "fp8"))
    found, expected = (
        pipeline(XML, seed=1, output_type="latent", **QUICK).images[0] for pipeline in (fp8, full)
    )
    # Eight bits of which three are the fraction: each weight is off by up to a sixteenth.
    assert 0 < (found - expected).abs().max() < expected.std()
    assert draw(fp8) == draw(make_pipeline(plan="resident", storage="fp8"))
    transformer = fp8.stages.transformer
    assert transformer.layers[0].attention.qkv.weight.dtype == torch.float8_e4m3fn
    assert transformer.layers[0].adaLN_modulation[1].weight.dtype == torch.float32
    assert transformer.x_embedder.weight.dtype == torch.float32


def test_the_kernel_asked_for_is_the_transformers(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(attention="sdpa-math")
    assert pipeline.stages.transformer.kernel.name == "sdpa-math"


# Choosing


def test_on_a_cpu_everything_is_float32_and_resident(tiny_files: ModelFiles) -> None:
    hosting = choose_hosting(tiny_files, device="cpu")
    assert (hosting.dtype, hosting.plan, hosting.storage) == (torch.float32, "resident", "full")
    assert hosting.kernel.name == "sdpa-flash"


def test_on_cuda_it_is_bf16_and_the_plan_that_fits(
    tiny_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USE_FLASH_ATTENTION", "0")
    chosen = {}
    for free in (0, 10**12):
        monkeypatch.setattr(stages_module, "free_memory", lambda _, free=free: free)
        hosting = choose_hosting(tiny_files, device="cuda")
        chosen[free] = (hosting.dtype, hosting.plan, hosting.kernel.name)
    assert chosen == {
        0: (torch.bfloat16, "offload", "sdpa-flash"),
        10**12: (torch.bfloat16, "resident", "sdpa-flash"),
    }


def test_larger_pictures_may_need_another_plan(
    tiny_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Hosting(
        device=CPU,
        dtype=torch.float32,
        plan="resident",
        kernel=choose_kernel("auto", device=CPU, dtype=torch.float32),
    )
    sizes = stages_module.sizes_of(tiny_files)
    enough = stages_module.forecast_for(sizes, small, 256, 256).peak
    monkeypatch.setattr(stages_module, "free_memory", lambda _: enough)
    assert choose_hosting(tiny_files, device="cpu", side=256).plan == "resident"
    assert choose_hosting(tiny_files, device="cpu", side=1024).plan == "offload"


@pytest.mark.parametrize(
    ("dtype", "chosen"),
    [
        ("auto", torch.float32),
        ("bfloat16", torch.bfloat16),
        ("float16", torch.float16),
        ("float32", torch.float32),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_a_dtype_is_named_or_given(
    tiny_files: ModelFiles, dtype: str | torch.dtype, chosen: torch.dtype
) -> None:
    assert choose_hosting(tiny_files, device="cpu", dtype=dtype).dtype == chosen


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        ({"dtype": "int8"}, 'no dtype "int8"; known: auto, bfloat16, float16, float32', "E_MODEL_DTYPE"),
        ({"plan": "swap"}, 'no memory plan "swap"; known: auto, resident, staged, offload', "E_MODEL_PLAN"),
        ({"storage": "int4"}, 'no storage "int4"; known: full, fp8', "E_MODEL_STORAGE"),
        ({"attention": "xformers"}, 'no attention kernel "xformers"', "E_MODEL_KERNEL"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(
    tiny_files: ModelFiles, options: dict[str, Any], message: str, code: str
) -> None:
    with pytest.raises(ModelError, match=message) as refused:
        choose_hosting(tiny_files, device="cpu", **options)
    assert refused.value.code == code


_PEAK = "import torch; from newbie_core.model.stages import PeakMemory; print(PeakMemory(torch.device('cpu')).read())"
_PARENT = f"""
import subprocess, sys
block = b"x" * 2_000_000_000
print(subprocess.run([sys.executable, "-c", {_PEAK!r}], capture_output=True, text=True, check=True).stdout)
"""


def test_peak_memory_of_a_cpu_is_the_processs(tmp_path: Path) -> None:
    before = PeakMemory(CPU).read()
    block = b"x" * before
    assert PeakMemory(CPU).read() > len(block) > 100_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell the process's own size anyway")
def test_peak_memory_is_not_that_of_the_process_that_started_it() -> None:
    made = subprocess.run(
        [sys.executable, "-c", _PARENT], capture_output=True, text=True, check=True, cwd=ROOT, timeout=200
    )
    assert 100_000_000 < int(made.stdout) < 1_500_000_000
