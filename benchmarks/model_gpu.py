"""The whole model at full size on a GPU, with random weights that are drawn there; no files.

`python -m benchmarks.model_gpu` (under eight minutes on a data-centre card; `--json` for programs; `--rehearse`
runs all of it on a CPU at tiny sizes in under a minute). In this order::

    rates        matrix products: 8192 cubed, and the four of a block over both sequences of a step
    attention    every kernel there is, at the released model's heads
    pictures     28 guided steps, 1024 x 1024: ours and diffusers' Lumina2 of as many layers, eager and compiled
    decoder      latents to pixels
    plans        resident, staged, offload through the whole pipeline: seconds, peak memory and its forecast
    pixels       the same picture again, after another shape, after other pictures, and in every plan
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.lumina import (
    FULL,
    TINY,
    Case,
    apart,
    inputs,
    our_loop,
    our_network,
    their_loop,
    their_network,
    their_pipeline,
)
from benchmarks.model_counts import our_work
from benchmarks.random_model import random_model, with_small_vocabularies
from benchmarks.report import Report, Value, machine
from newbie_core.errors import ModelError
from newbie_core.model.attention import KERNELS, choose_kernel
from newbie_core.model.autoencoder import Autoencoder, build_autoencoder
from newbie_core.model.config import LATENT_REDUCTION
from newbie_core.model.memory import PLANS, MemoryPlan, ModelSizes
from newbie_core.model.stages import PeakMemory, choose_hosting
from newbie_core.model.text_to_image import NewBieImagePipeline
from newbie_core.model.tiny import tiny_sizes

STEPS = 28
WORDS = "silver_hair, short_hair, green_eyes, raincoat, holding_umbrella, walking, street, rain, "
NEGATIVE = "lowres, bad_hands"
TITLE = "The model at full size with random weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, and how often.

    Attributes:
        square: side of the largest matrix product.
        model: sizes of all four parts, for decoder and memory plans.
        side: pixels of a picture's side in the memory plans; another shape is half as high.
        backend: of torch.compile.
    """

    case: Case
    model: ModelSizes
    square: int = 8192
    repeats: int = 20
    pictures: int = 3
    steps: int = STEPS
    plan_steps: int = 4
    side: int = 1024
    words: int = 10
    backend: str = "inductor"


def full() -> Plan:
    """The released model, but for its vocabularies."""
    return Plan(case=FULL, model=with_small_vocabularies(ModelSizes()))


def rehearsal() -> Plan:
    """Everything, tiny."""
    parts = tiny_sizes()
    sizes = ModelSizes(
        transformer=parts.transformer,
        text_encoder=parts.text_encoder,
        clip_model=parts.clip_model,
        vae=parts.vae,
    )
    return Plan(
        case=TINY,
        model=sizes,
        square=128,
        repeats=2,
        pictures=1,
        steps=2,
        plan_steps=1,
        side=64,
        words=1,
        backend="eager",
    )


@dataclass(slots=True, kw_only=True)
class Measured:
    """Rows as they are found, and what is needed further on."""

    rows: list[dict[str, Value]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def add(self, what: str, found: Value, unit: str, *, tflops: float | None = None, note: str = "") -> None:
        """One row."""
        rate = "" if tflops is None else round(tflops, 1)
        self.rows.append({"what": what, "found": found, "unit": unit, "TFLOP/s": rate, "note": note})


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The median of `repeats` calls after a first one."""
    call()
    took = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        call()
        wait(device)
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def free(device: torch.device) -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def digest(tensor: Tensor) -> str:
    """Of the numbers, bit for bit; the first sixteen digits."""
    return hashlib.sha256(tensor.contiguous().cpu().view(torch.uint8).numpy().tobytes()).hexdigest()[:16]


@torch.inference_mode()
def rates(found: Measured, plan: Plan, device: torch.device, dtype: torch.dtype) -> float:
    """Matrix products; the rate of the square one in FLOP/s."""
    config = plan.case.config
    tokens = sum(plan.case.texts) + 2 * plan.case.image_tokens
    qkv = (config.n_heads + 2 * config.kv_heads) * config.head_dim
    shapes = {
        f"{plan.square} cubed": (plan.square, plan.square, plan.square),
        "qkv": (tokens, config.dim, qkv),
        "attention out": (tokens, config.dim, config.dim),
        "w1, w3": (tokens, config.dim, config.hidden_dim),
        "w2": (tokens, config.hidden_dim, config.dim),
    }
    best = 0.0
    for name, (rows, inner, columns) in shapes.items():
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(columns, inner, device=device, dtype=dtype)
        took = seconds(partial(F.linear, left, right), device, plan.repeats)
        rate = 2 * rows * inner * columns / took
        best = best or rate
        note = f"{rows} x {inner} x {columns}"
        found.add(f"product, {name}", round(1000 * took, 3), "ms", tflops=rate / 1e12, note=note)
    return best


@torch.inference_mode()
def attention(found: Measured, plan: Plan, device: torch.device, dtype: torch.dtype) -> None:
    """Every kernel over the two sequences of a step."""
    config, case = plan.case.config, plan.case
    lengths = tuple(length + case.image_tokens for length in case.texts)
    total, width = sum(lengths), config.head_dim
    query = torch.randn(total, config.n_heads, width, device=device, dtype=dtype)
    key, value = (torch.randn(total, config.kv_heads, width, device=device, dtype=dtype) for _ in range(2))
    work = sum(4 * length**2 * config.dim for length in lengths)
    for name in KERNELS:
        try:
            kernel = choose_kernel(name, device=device, dtype=dtype)
            with kernel.session():
                took = seconds(partial(kernel.attend, query, key, value, lengths), device, plan.repeats)
        except (ModelError, RuntimeError) as error:
            # A back end may be built for other cards, or its temporary tensors may not fit.
            found.add(f"attention, {name}", "none", "", note=str(error).splitlines()[0][:80])
            continue
        found.add(
            f"attention, {name}", round(1000 * took, 3), "ms", tflops=work / took / 1e12, note=kernel.name
        )


def pictures(
    found: Measured, plan: Plan, device: torch.device, dtype: torch.dtype, product_rate: float
) -> None:
    """The loop of ours and of diffusers', eager, then with compiled blocks, in turn."""
    case = plan.case
    work = our_work(case)
    flops = plan.steps * work.step.total + work.prepare.total
    model = our_network(case.config, device=device, dtype=dtype)
    lumina = their_network(model)
    pipeline = their_pipeline(lumina)
    given = inputs(case, device=device, dtype=dtype)
    calls = {
        "ours": lambda: our_loop(model, given, steps=plan.steps),
        "diffusers": lambda: their_loop(pipeline, given, steps=plan.steps),
    }
    difference = apart(calls["ours"](), calls["diffusers"]())
    for way in ("eager", "compiled blocks"):
        if way != "eager":
            for block in (*model.layers, *model.noise_refiner, *lumina.layers, *lumina.noise_refiner):
                block.compile(backend=plan.backend)
        try:
            took = in_turn(calls, device, plan.pictures)
        except RuntimeError as error:
            # A compiler may be missing or refuse; what follows does not need it.
            found.add(f"picture, {way}", "none", "", note=str(error).strip().splitlines()[0][:80])
            break
        ratio = took["diffusers"] / took["ours"]
        for name, each in took.items():
            share = f"{flops / each / product_rate:.0%} of the product's rate" if name == "ours" else ""
            found.add(f"picture, {name}, {way}", round(each, 3), "s", tflops=flops / each / 1e12, note=share)
        found.verdicts.append(f"{way}: ours {ratio:.2f} x diffusers' speed; results {difference:.0e} apart")
    torch.compiler.reset()


def in_turn(calls: dict[str, Callable[[], Tensor]], device: torch.device, repeats: int) -> dict[str, float]:
    """Medians of calls that take turns, each after a first one that is not counted."""
    for call in calls.values():
        call()
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            wait(device)
            start = time.perf_counter()
            call()
            wait(device)
            took[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in took.items()}


def decoder(found: Measured, plan: Plan, device: torch.device, dtype: torch.dtype) -> None:
    """Latents to pixels on the CPU."""
    with torch.device("meta"):
        module = nn.Module.to(build_autoencoder(plan.model.vae), dtype=dtype)
    del module.encoder
    module.to_empty(device=device)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_().div_(weight[0].numel() ** 0.5) if weight.dim() > 1 else weight.fill_(0.5)
    autoencoder = Autoencoder(module.eval().requires_grad_(False), plan.model.vae)
    side = plan.side // LATENT_REDUCTION
    latents = torch.randn(1, plan.model.vae.latent_channels, side, side, device=device)
    peak = PeakMemory(device)
    took = seconds(lambda: autoencoder.decode(latents), device, plan.repeats // 4 + 1)
    note = f"{plan.side} x {plan.side}, peak {peak.read() / 1e6:,.0f} MB"
    found.add("decoder", round(1000 * took, 1), "ms", note=note)


def plans(found: Measured, plan: Plan, device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """Each memory plan through the whole pipeline; the digests of its picture by plan."""
    digests: dict[str, str] = {}
    for name in PLANS:
        free(device)
        pipeline = pipeline_of(plan, name, device, dtype)
        peak = PeakMemory(device)
        start = time.perf_counter()
        digests[name] = one_picture(pipeline, plan, plan.side, plan.side)
        first = time.perf_counter() - start
        took = seconds(partial(one_picture, pipeline, plan, plan.side, plan.side), device, 1)
        highest, foreseen = peak.read() / 1e6, pipeline.forecast(plan.side, plan.side).peak / 1e6
        note = f"forecast {foreseen:,.0f} MB; {took:.2f} s a picture of {plan.plan_steps} steps, first {first:.1f} s"
        found.add(f"plan, {name}", round(highest), "MB at most", note=note)
        pipeline.close()
        del pipeline
    return digests


def pipeline_of(
    plan: Plan, name: MemoryPlan, device: torch.device, dtype: torch.dtype
) -> NewBieImagePipeline:
    """The random model in one memory plan."""
    files = random_model(plan.model, device=device, dtype=dtype)
    pipeline = NewBieImagePipeline(files, choose_hosting(files, device=device, dtype=dtype, plan=name))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def one_picture(
    pipeline: NewBieImagePipeline, plan: Plan, width: int, height: int, *, seed: int = 7, words: str = WORDS
) -> str:
    """Digests of one picture's latents and pixels."""
    given = pipeline(
        words * plan.words,
        NEGATIVE,
        width=width,
        height=height,
        num_inference_steps=plan.plan_steps,
        seed=seed,
        allow_cut=True,
        output_type="latent",
        return_dict=False,
    )
    assert isinstance(given, tuple)
    latents: Tensor = given[0][0]
    pixels = pipeline.stages.autoencoder.decode(latents)
    return f"{digest(latents)} {digest(pixels)}"


def pixels(found: Measured, plan: Plan, device: torch.device, dtype: torch.dtype) -> Iterator[str]:
    """Digests of the same picture in other company."""
    free(device)
    pipeline = pipeline_of(plan, "resident", device, dtype)
    yield one_picture(pipeline, plan, plan.side, plan.side)
    one_picture(pipeline, plan, plan.side, plan.side // 2)
    yield one_picture(pipeline, plan, plan.side, plan.side)
    one_picture(pipeline, plan, plan.side, plan.side, seed=8, words="another, ")
    one_picture(pipeline, plan, plan.side // 2, plan.side, seed=9, words="a third, ")
    yield one_picture(pipeline, plan, plan.side, plan.side)
    pipeline.close()


def measure_on(device: torch.device, dtype: torch.dtype, plan: Plan) -> Report:
    """All of it."""
    found = Measured()
    with torch.no_grad():
        rate = rates(found, plan, device, dtype)
        attention(found, plan, device, dtype)
        pictures(found, plan, device, dtype, rate)
        free(device)
        decoder(found, plan, device, dtype)
    by_plan = plans(found, plan, device, dtype)
    names = ("alone", "after another shape", "after other pictures")
    alike = dict(zip(names, pixels(found, plan, device, dtype), strict=True))
    for what, both in (by_plan | alike).items():
        found.add(f"latents and pixels, {what}", both, "sha-256")
    same = len({*by_plan.values(), *alike.values()}) == 1
    found.verdicts.append(
        "met: the picture is the same, bit for bit, everywhere" if same else "MISSED: pictures differ"
    )
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, a rehearsal at tiny sizes"
    return Report(title=f"{TITLE}: {name}, {dtype}", rows=found.rows, verdicts=found.verdicts)


def measure() -> Report:
    """On the first CUDA device; without one a report that says so."""
    if not torch.cuda.is_available():
        said = "not measured: there is no CUDA device here; --rehearse runs everything at tiny sizes on a CPU"
        return Report(title=TITLE, rows=[{"what": said}])
    return measure_on(torch.device("cuda"), torch.bfloat16, full())


def rehearse() -> Report:
    """The same at tiny sizes on a CPU; tells whether it runs, and nothing of speed."""
    return measure_on(torch.device("cpu"), torch.float32, rehearsal())


def main() -> None:
    """The table, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--rehearse", action="store_true", help="tiny sizes on a CPU, to see that all of it runs"
    )
    given = parser.parse_args()
    report = rehearse() if given.rehearse else measure()
    where = f"{machine()}, torch {torch.__version__}"
    if given.json:
        print(json.dumps({"machine": where, **report.record()}, indent=2, ensure_ascii=False))
    else:
        print(f"{where}\n\n{report.table()}")


if __name__ == "__main__":
    main()
