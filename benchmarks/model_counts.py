"""What a picture costs, counted and not timed: floating-point operations, calls, operators, waits.

`python -m benchmarks.model_counts` (about a minute; the same on every machine). Operations are counted on
tensors without numbers, at full size. Calls of diffusers' Lumina2 are counted at a small width but at the full
depth, since they depend on nothing else; how many texts it encodes is told from its code, which takes every
prompt and every negative one. FLOPs are of matrix products alone, two a multiply-add.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.lumina import (
    FULL,
    TINY,
    Case,
    inputs,
    our_loop,
    our_network,
    their_loop,
    their_network,
    their_pipeline,
)
from benchmarks.report import Report, Value, command, verdict
from newbie_core.model import NewBieImagePipeline, transformer
from newbie_core.model.tiny import write_tiny

STEPS = 28
DEEP = replace(TINY, config=replace(TINY.config, n_layers=FULL.config.n_layers))
"""Lumina2 at full depth and a small width."""

TARGET_OUTSIDE = 0.01
PROMPTS = ("<general_tags>\n<count>1girl</count>\n</general_tags>", "a lighthouse at night") * 4
NEGATIVE = "lowres"


class Lists(TorchFunctionMode):
    """Counts `tolist`, which waits for the device but is no operator on a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.calls += func is torch.Tensor.tolist
        return func(*args, **(kwargs or {}))


class Operators(TorchDispatchMode):
    """Counts aten operators, and those of them that wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not (args and found is args[0]) or name.endswith("_"):
            self.calls[name] += 1
        if name in WAITING or (name in COPYING and _leaves_the_device(name, args, found)):
            self.waits[name] += 1
        return found


COLUMN = "counted"
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")
COPYING = ("_to_copy", "copy_")
VIEWS = (
    "_unsafe_view alias as_strided chunk detach dropout empty expand flatten permute reshape select slice split "
    "split_with_sizes squeeze t transpose unbind unflatten unsqueeze view view_as_complex view_as_real"
).split()
"""Operators that move no data, at least not for any device's sake."""


def _leaves_the_device(name: str, args: tuple[Any, ...], found: Any) -> bool:
    source, target = (args[1], args[0]) if name == "copy_" else (args[0], found)
    return bool(source.device.type != "cpu" and target.device.type == "cpu")


@dataclass(slots=True)
class Flops:
    """FLOPs of a stretch of work."""

    total: int = 0
    blocks: int = 0


@contextmanager
def flops(model: nn.Module) -> Iterator[Flops]:
    """Counts what runs inside, and what of it `model`'s blocks do."""
    found = Flops()
    counter = FlopCounterMode(display=False)
    begun: list[int] = []
    hooks = []
    for block in blocks_of(model):
        hooks.append(block.register_forward_pre_hook(lambda *_: begun.append(counter.get_total_flops())))

        def leave(*_: object) -> None:
            found.blocks += counter.get_total_flops() - begun.pop()

        hooks.append(block.register_forward_hook(leave))
    try:
        with torch.no_grad(), counter:
            yield found
        found.total = counter.get_total_flops()
    finally:
        for hook in hooks:
            hook.remove()


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The refiners' and main layers' blocks of either network."""
    lists: tuple[Any, ...] = (model.noise_refiner, model.context_refiner, model.layers)
    return [block for blocks in lists for block in blocks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """FLOPs of one picture of ours: before its first step, and in a step with guidance."""

    prepare: Flops
    step: Flops


def our_work(sizes: Case) -> Work:
    """Counted on the meta device."""
    model = our_network(sizes.config, device="meta", dtype=torch.bfloat16)
    given = inputs(sizes, device="cpu", dtype=torch.bfloat16)
    with flops(model) as before:
        prepared = model.prepare(
            list(given.sides), None, grid=model.grid_of(given.latents), times=torch.rand(STEPS, 1)
        )
    with flops(model) as step:
        model.velocity(given.latents.to("meta"), prepared, 0)
    return Work(prepare=before, step=step)


@contextmanager
def calls(named: dict[str, list[nn.Module]]) -> Iterator[Counter[str]]:
    """Counts how often modules run, under the names given."""
    found: Counter[str] = Counter(dict.fromkeys(named, 0))
    hooks = []
    for name, modules in named.items():

        def count(*_: object, name: str = name) -> None:
            found[name] += 1

        hooks += [module.register_forward_hook(count) for module in modules]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


PARTS = ("caption embedder", "context refiner blocks", "rotary tables", "modulation GEMMs")


def our_calls(sizes: Case) -> Counter[str]:
    """Calls in one picture of ours, and `waits`: how often the host waits for the device in it."""
    model = our_network(sizes.config, device="meta", dtype=torch.bfloat16)
    given = inputs(sizes, device="cpu", dtype=torch.bfloat16)
    named: dict[str, list[nn.Module]] = {
        "caption embedder": [model.cap_embedder],
        "context refiner blocks": list(model.context_refiner),
        "modulation GEMMs": [
            module for name, module in model.named_modules() if name.endswith("adaLN_modulation.1")
        ],
    }
    make_table = transformer.rotary_table
    with (
        patch.object(transformer, "rotary_table", wraps=make_table) as tables,
        calls(named) as found,
        Lists() as lists,
        Operators() as operators,
    ):
        our_loop(model, given, steps=STEPS)
    # Of captions, of the image, of both together: three of one set.
    found["rotary tables"] = tables.call_count // 3
    found["waits"] = operators.waits.total() + lists.calls
    return found


def their_calls(sizes: Case) -> Counter[str]:
    """Calls in one picture of diffusers', on a CPU."""
    model = their_network(our_network(sizes.config, device="cpu", dtype=torch.float32))
    given = inputs(sizes, device="cpu", dtype=torch.float32)
    modulations = [module for name, module in model.named_modules() if name.endswith("norm1.linear")]
    named: dict[str, list[nn.Module]] = {
        "caption embedder": [model.time_caption_embed.caption_embedder],
        "context refiner blocks": list(model.context_refiner),
        "rotary tables": [model.rope_embedder],
        "modulation GEMMs": [*modulations, model.norm_out.linear_1],
    }
    with calls(named) as found, Lists() as lists, Operators() as operators:
        their_loop(their_pipeline(model), given, steps=STEPS)
    found["waits"] = operators.waits.total() + lists.calls
    return found


def block_operators(sizes: Case) -> dict[str, int]:
    """Operators that move data, in one modulated block for one guided step: of diffusers', and of ours.

    Counted without numbers, as they are asked of any device that is no CPU: norms and attention are one each, and
    on CUDA each is about one kernel. Diffusers calls a block twice, once a prompt; ours takes the pair at once.
    """
    model = our_network(sizes.config, device="meta", dtype=torch.bfloat16)
    lumina = their_network(model)
    lengths = [length + sizes.image_tokens for length in sizes.texts]
    config = sizes.config
    half = config.head_dim // 2

    def ours() -> None:
        factors = torch.empty(4, 2, config.dim, device="meta", dtype=torch.bfloat16)
        x = torch.empty(sum(lengths), config.dim, device="meta", dtype=torch.bfloat16)
        table = torch.empty(sum(lengths), 1, half, 2, device="meta")
        model.layers[0](x, lengths, table, model.kernel, transformer.BlockModulation(*factors))

    def theirs() -> None:
        for length in lengths:
            x = torch.empty(1, length, config.dim, device="meta", dtype=torch.bfloat16)
            turns = torch.empty(1, length, half, device="meta", dtype=torch.complex64)
            conditioning = torch.empty(1, config.conditioning_dim, device="meta", dtype=torch.bfloat16)
            lumina.layers[0](x, None, turns, conditioning)

    return {"diffusers": _moving(theirs), "ours": _moving(ours)}


def _moving(run: Callable[[], None]) -> int:
    with torch.inference_mode(), Operators() as operators:
        run()
    return sum(times for name, times in operators.calls.items() if name not in VIEWS)


def encodings(place: Path) -> int:
    """Texts encoded for eight pictures of two prompts with one negative prompt, on a tiny checkpoint."""
    pipeline = NewBieImagePipeline.from_pretrained(write_tiny(place), device="cpu")
    pipeline.set_progress_bar_config(disable=True)
    pipeline(PROMPTS, NEGATIVE, height=32, width=32, num_inference_steps=1, seed=1, output_type="latent")
    return pipeline.stages.texts.encodings_run


def report(sizes: Case, deep: Case) -> Report:
    """Everything, ours at `sizes` and diffusers' calls at `deep`, which has as many layers."""
    work, mine, theirs = our_work(sizes), our_calls(sizes), their_calls(deep)
    operators = block_operators(sizes)
    with tempfile.TemporaryDirectory() as place:
        encoded = encodings(Path(place))
    step, prepare = work.step, work.prepare
    outside = (step.total - step.blocks) / step.total
    rows: list[dict[str, Value]] = [
        {COLUMN: name, "diffusers": theirs[name], "ours": mine[name]} for name in PARTS
    ]
    rows += [
        {
            COLUMN: "waits for the device",
            "diffusers": theirs["waits"],
            "ours": mine["waits"],
        },
        {COLUMN: "operators a block and step", **operators},
        {
            COLUMN: "texts encoded for 8 pictures of 2 prompts",
            "diffusers": 2 * len(PROMPTS),
            "ours": encoded,
        },
    ]
    return Report(
        title=f"Counts for a picture of {STEPS} guided steps, {8 * sizes.latent} x {8 * sizes.latent}, "
        f"{sizes.texts[0]} and {sizes.texts[1]} text tokens; exact",
        rows=rows,
        verdicts=[
            f"a guided step: {step.total / 1e12:.2f} TFLOP, {(step.total - step.blocks) / 1e9:.2f} GFLOP of it "
            f"outside the blocks; before the first step: {prepare.total / 1e12:.3f} TFLOP; "
            f"a picture: {(STEPS * step.total + prepare.total) / 1e15:.3f} PFLOP",
            verdict("FLOPs of a step outside the blocks", 100 * outside, 100 * TARGET_OUTSIDE, "%"),
            verdict("waits for the device in a picture's loop", mine["waits"], 0, "waits"),
            verdict("texts encoded for 8 pictures of 2 prompts with one negative", encoded, 3, "texts"),
        ],
    )


def measure() -> Report:
    """The released model's sizes."""
    return report(FULL, DEEP)


if __name__ == "__main__":
    command(measure, __doc__)
