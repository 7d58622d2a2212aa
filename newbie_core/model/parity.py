"""Compare the network and the samplers with outputs of upstream's own code.

A golden file is a safetensors file: `weights.<key>` in upstream's layout, inputs as `in.<name>`, outputs as `out…`,
and two JSON strings in its metadata, `config` (constructor arguments) and `fixture` (settings). From a shell::

    python -m newbie_core.model.parity tests/data/golden/*.safetensors
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.config import TransformerConfig
from newbie_core.model.sampling import Solver, grid, guide, guided_evaluations, integrate
from newbie_core.model.transformer import NextDiT

TOLERANCES: Mapping[str, float] = {
    "t_grid": 1e-6,
    "out": 2e-5,
    "out_traj": 2e-5,
    "out_midpoint": 2e-5,
    "out_cfg": 1e-4,
    "out_cfg_renorm": 1e-4,
    "out_cfg_truncated": 1e-4,
    "out_dpm": 2e-4,
}
"""Largest absolute difference allowed in fp32 on a CPU; other orders of summing give a tenth of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One output of a golden file against ours."""

    output: str
    largest: float
    tolerance: float

    @property
    def within(self) -> bool:
        """Whether it is within its tolerance; a difference that is no number is not."""
        return self.largest <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Golden:
    tensors: Mapping[str, Tensor]
    fixture: Mapping[str, Any]
    model: NextDiT

    def captions(self) -> list[Tensor]:
        lengths = self.tensors["in.cap_mask"].sum(dim=1).tolist()
        features = self.tensors["in.cap_feats"]
        return [row[:length] for row, length in zip(features, lengths, strict=True)]

    def velocity_of(self, x: Tensor, evaluations: Sequence[float], **guidance: float) -> _Guided:
        times = torch.tensor(evaluations, dtype=torch.float32)[:, None]
        prepared = self.model.prepare(
            self.captions(),
            self.tensors.get("in.clip_text_pooled"),
            grid=self.model.grid_of(x),
            times=times,
        )
        scale, trunc = guidance["guidance"], guidance["cfg_trunc"]
        acts = guided_evaluations(evaluations, guidance=scale, cfg_trunc=trunc)
        return _Guided(self.model, prepared, acts, scale, guidance["renorm"])


@dataclass(frozen=True, slots=True)
class _Guided:
    """Guidance on one picture: row 0 is the condition, row 1 the unconditional."""

    model: NextDiT
    prepared: Any
    acts: Sequence[bool]
    scale: float
    renorm: float

    def __call__(self, x: Tensor, index: int) -> Tensor:
        condition, uncondition = self.model.velocity(x, self.prepared, index).split(1)
        if not self.acts[index]:
            return condition
        return guide(condition, uncondition, guidance=self.scale, renorm=self.renorm)


@dataclass(frozen=True, slots=True)
class _Path:
    """Latents at each time of a trajectory."""

    latents: list[Tensor]

    def take(self, step: int, latents: Tensor) -> None:
        self.latents.append(latents)


@torch.inference_mode()
def differences(path: str | Path) -> list[Difference]:
    """Run the network on a golden file's inputs and compare every output it holds.

    Raises:
        ModelError: not a golden file, or its weights do not fit its configuration.
    """
    golden = _read(Path(path))
    results = _trajectory(golden) if "in.z" in golden.tensors else _forward(golden)
    try:
        return [_compare(name, ours, golden.tensors[name]) for name, ours in results]
    except KeyError as error:
        raise ModelError(
            f"{path}: not a golden file: it lacks {error}; fetch it again", code="E_MODEL_GOLDEN"
        ) from None
    except (RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: not a golden file: its inputs or outputs do not fit its network: {error}",
            code="E_MODEL_GOLDEN",
        ) from None


def _compare(name: str, ours: Tensor, theirs: Tensor) -> Difference:
    if ours.shape != theirs.shape:
        raise ValueError(f"{name} is {list(theirs.shape)}, ours {list(ours.shape)}")
    largest = (ours.double() - theirs.double()).abs().max().item()
    return Difference(output=name, largest=largest, tolerance=TOLERANCES[name])


def _read(path: Path) -> _Golden:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        settings, fixture = json.loads(metadata["config"]), json.loads(metadata["fixture"])
        if not isinstance(settings, dict) or not isinstance(fixture, dict):
            raise ValueError("its config and fixture must be JSON tables")
        if not settings.get("qk_norm", True):
            raise ValueError("qk_norm is false: the network always normalises queries and keys")
        config = TransformerConfig.from_mapping(settings)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: not a golden file: {error}", code="E_MODEL_GOLDEN") from None
    weights = {
        key.removeprefix("weights."): tensors.pop(key) for key in list(tensors) if key[:8] == "weights."
    }
    with torch.device("meta"):
        model = NextDiT(**asdict(config))
    try:
        model.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}", code="E_MODEL_GOLDEN") from None
    return _Golden(tensors=tensors, fixture=fixture, model=model.float().eval())


def _forward(golden: _Golden) -> Iterator[tuple[str, Tensor]]:
    x, t, features, mask = (golden.tensors[f"in.{name}"] for name in ("x", "t", "cap_feats", "cap_mask"))
    yield "out", golden.model.forward(x, t, features, mask, golden.tensors.get("in.clip_text_pooled"))
    x, first = x[:1], float(t[0])
    for name, renorm, trunc in (
        ("out_cfg", 0.0, float("inf")),
        ("out_cfg_renorm", 1.0, float("inf")),
        ("out_cfg_truncated", 0.0, first),
    ):
        if name in golden.tensors:
            scale = float(golden.fixture["cfg_scale"])
            yield name, golden.velocity_of(x, [first], guidance=scale, renorm=renorm, cfg_trunc=trunc)(x, 0)


def _trajectory(golden: _Golden) -> Iterator[tuple[str, Tensor]]:
    fixture, z = golden.fixture, golden.tensors["in.z"]
    intervals, shift = int(fixture["num_steps"]) - 1, float(fixture["time_shift"])
    yield "t_grid", torch.tensor(grid("euler", intervals, shift=shift).points)
    runs: dict[str, tuple[Solver, int]] = {
        "out": ("euler", intervals),
        "out_midpoint": ("midpoint", intervals),
        "out_dpm": ("dpm", int(fixture.get("dpm_steps", intervals))),
    }
    for name, (solver, steps) in runs.items():
        if name not in golden.tensors:
            continue
        times = grid(solver, steps, shift=shift)
        velocity = golden.velocity_of(
            z,
            times.evaluations,
            guidance=float(fixture["cfg_scale"]),
            renorm=float(fixture.get("renorm_cfg", 0.0)),
            cfg_trunc=float(fixture.get("cfg_trunc", float("inf"))),
        )
        path = _Path([z])
        yield name, integrate(z, times, velocity, on_step=path.take)
        if name == "out" and "out_traj" in golden.tensors:
            yield "out_traj", torch.cat(path.latents)


def main(arguments: Sequence[str] | None = None) -> int:
    """One line a file; 1 if any output is beyond its tolerance, 2 if a file is not a golden file."""
    parser = argparse.ArgumentParser(prog="python -m newbie_core.model.parity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    status = 0
    for path in parser.parse_args(arguments).files:
        try:
            found = differences(path)
        except ModelError as error:
            sys.stderr.write(f"{error}\n")
            status = 2
            continue
        beyond = [each for each in found if not each.within]
        figures = "  ".join(f"{each.output} {each.largest:.1e}" for each in found)
        sys.stdout.write(f"{path.name}: {'BEYOND TOLERANCE' if beyond else 'ok'}  {figures}\n")
        if beyond:
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(main())
