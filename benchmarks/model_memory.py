"""How much memory a picture takes: what is forecast at full size, and the process's peak with a small checkpoint.

`python -m benchmarks.model_memory` (about a minute). The forecast is arithmetic over the released model's shapes;
on a GPU, `benchmarks.model_gpu` compares it. Here the small checkpoint runs once a plan in a process of its own,
which first is measured with everything imported and nothing loaded. On a CPU a plan can only take turns: blocks
that are streamed come from the same memory that they go to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Report, Value, command
from benchmarks.shell import python
from newbie_core.model.memory import PLANS, MemoryPlan, ModelSizes, forecast
from newbie_core.model.tiny import tiny_sizes, write_tiny

SIDE = 1024
SMALL_SIDE = 512
GIB = 2**30
CARDS = (8, 12, 16, 24)
"""GiB of common graphics cards."""

_PICTURE = """
import sys
from newbie_core.model import NewBieImagePipeline
import torch
torch.set_num_threads(1)
folder, plan, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
if plan != "nothing":
    pipeline = NewBieImagePipeline.from_pretrained(folder, device="cpu", plan=plan)
    pipeline("1girl, solo", "lowres", width=side, height=side, num_inference_steps=2, seed=1)
"""


def forecasts(side: int) -> Iterator[dict[str, Value]]:
    """One row a plan and storage, in GiB."""
    for plan in PLANS:
        for fp8 in (False, True):
            found = forecast(ModelSizes(), plan, width=side, height=side, fp8=fp8)
            fits = [size for size in CARDS if found.peak <= 0.95 * size * GIB]
            yield {
                "plan": plan,
                "model": f"full, {'bf16 + fp8 storage' if fp8 else 'bf16'}, forecast",
                **{
                    f"{stage} MB": round(found.stages[stage] / 1e6) for stage in ("text", "denoise", "decode")
                },
                "peak MB": round(found.peak / 1e6),
                "fits a card of": f"{fits[0]} GiB" if fits else "more",
            }


def small_peaks(folder: Path, side: int) -> Iterator[dict[str, Value]]:
    """One row a plan, forecast and then measured less an idle process, in MB."""
    write_tiny(folder, size="small")
    idle = _peak(folder, "nothing", side)
    parts = tiny_sizes("small")
    sizes = ModelSizes(
        transformer=parts.transformer,
        text_encoder=parts.text_encoder,
        clip_model=parts.clip_model,
        vae=parts.vae,
    )
    for plan in PLANS:
        found = forecast(sizes, plan, width=side, height=side, item=4, embedding_on_device=True)
        yield {
            "plan": plan,
            "model": f"small, float32, {side} x {side}, forecast",
            **{f"{stage} MB": round(found.stages[stage] / 1e6) for stage in ("text", "denoise", "decode")},
            "peak MB": round(found.peak / 1e6),
            "fits a card of": "",
        }
        yield {
            "plan": plan,
            "model": f"small, float32, {side} x {side}, measured",
            **{f"{stage} MB": "" for stage in ("text", "denoise", "decode")},
            "peak MB": round(_peak(folder, plan, side) - idle),
            "fits a card of": "",
        }


def _peak(folder: Path, plan: MemoryPlan | str, side: int) -> float:
    return python("-c", _PICTURE, str(folder), plan, str(side)).memory


def measure() -> Report:
    """Forecasts at full size, then the small model."""
    with tempfile.TemporaryDirectory() as place:
        small = list(small_peaks(Path(place) / "small", SMALL_SIDE))
    full = list(forecasts(SIDE))
    least = {str(row["plan"]): row for row in full if "fp8" not in str(row["model"])}
    said = ", ".join(f"{plan} {row['peak MB']:,} MB ({row['fits a card of']})" for plan, row in least.items())
    return Report(
        title=f"Memory of a picture, full size at {SIDE} x {SIDE} with guidance",
        rows=[*full, *small],
        verdicts=[
            f"bf16, forecast: {said}",
            "measured: the process's peak on a CPU less that of one which only imports",
        ],
    )


if __name__ == "__main__":
    command(measure, __doc__)
