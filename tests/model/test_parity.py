"""The network agrees with upstream's outputs, and each known mistake in it would show."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model import attention, layers, parity
from newbie_core.model import transformer as network
from newbie_core.model.layers import FeedForward
from newbie_core.model.transformer import Block, NextDiT
from tests import preloaded

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
FILES = sorted(GOLDEN.glob("*.safetensors"))
SMALLEST = GOLDEN / "wide_b2_pooled_cfg.safetensors"

Mistake = Callable[[pytest.MonkeyPatch], None]
Answer = tuple[int, list[str], list[str]]


def ask(*files: Path, copied: bool = False) -> Answer:
    """The command's exit code, and the lines it wrote; from an interpreter of its own, or a copy of one."""
    if copied:
        done = preloaded.run(*files, module="newbie_core.model.parity", cwd=GOLDEN)
    else:
        command = [sys.executable, "-m", "newbie_core.model.parity", *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def rewrite(source: Path, target: Path, change: Callable[[dict[str, Tensor], dict[str, str]], None]) -> Path:
    """A copy of a golden file with its tensors or metadata changed."""
    with safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    change(tensors, metadata)
    save_file(tensors, target, metadata)
    return target


# Agreement


def test_all_four_golden_files_are_here() -> None:
    assert [file.stem for file in FILES] == [
        "square_b1_pooled",
        "tall_b2_nopool_cfg",
        "trajectory_euler_shift6",
        "wide_b2_pooled_cfg",
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_network_and_samplers_agree_with_upstream(file: Path) -> None:
    found = parity.differences(file)
    with safe_open(file, "pt") as golden:
        outputs = {key for key in golden.keys() if key.startswith(("out", "t_grid"))}  # noqa: SIM118
    assert {each.output for each in found} == outputs
    assert [str(each) for each in found if not each.within] == []


def test_a_difference_that_is_no_number_is_not_within() -> None:
    assert not parity.Difference(output="out", largest=math.nan, tolerance=1.0).within


# Mistakes. Each is one an implementation was seen to make; all move an output by 0.1 or more.


def time_in_thousandths(patch: pytest.MonkeyPatch) -> None:
    sinusoid = layers.time_sinusoid
    patch.setattr(layers, "time_sinusoid", lambda t: sinusoid(1000 * t))


def sin_before_cos(patch: pytest.MonkeyPatch) -> None:
    sinusoid = layers.time_sinusoid
    patch.setattr(layers, "time_sinusoid", lambda t: sinusoid(t).roll(128, dims=-1))


def half_split_rotation(patch: pytest.MonkeyPatch) -> None:
    def rotate(x: Tensor, table: Tensor) -> Tensor:
        (a, b), (cos, sin) = x.chunk(2, dim=-1), table.unbind(-1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)

    patch.setattr(layers, "rotate", rotate)


def tiled_key_heads(patch: pytest.MonkeyPatch) -> None:
    attend = attention._attend

    def tiled(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        times = query.shape[1] // key.shape[1]
        return attend(query, key.repeat(1, times, 1, 1), value.repeat(1, times, 1, 1))

    patch.setattr(attention, "_attend", tiled)


def w1_and_w3_exchanged(patch: pytest.MonkeyPatch) -> None:
    def forward(self: FeedForward, x: Tensor) -> Tensor:
        return self.w2(self.w1(x) * torch.nn.functional.silu(self.w3(x)))

    patch.setattr(FeedForward, "forward", forward)


def gate_without_tanh(patch: pytest.MonkeyPatch) -> None:
    def modulation(self: Block, conditioning: Tensor) -> Tensor:
        scale1, gate1, scale2, gate2 = self.adaLN_modulation(conditioning).chunk(4, dim=-1)
        norms = (self.attention_norm1, self.attention_norm2, self.ffn_norm1, self.ffn_norm2)
        factors = (1 + scale1, gate1, 1 + scale2, gate2)
        return torch.stack([norm.weight * by for norm, by in zip(norms, factors, strict=True)], dim=1)

    patch.setattr(Block, "modulation", modulation)


def channel_before_place_in_a_patch(patch: pytest.MonkeyPatch) -> None:
    def patchify(x: Tensor, size: int) -> Tensor:
        cut = x.unflatten(-1, (-1, size)).unflatten(-3, (-1, size))
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    patch.setattr(network, "patchify", patchify)


def move_image(patch: pytest.MonkeyPatch, move: Callable[[Tensor], Tensor]) -> None:
    """Other positions of image tokens, `[N, 3]`."""
    positions = network.image_positions
    patch.setattr(network, "image_positions", lambda length, grid: move(positions(length, grid)))


def image_at_zero_on_the_text_axis(patch: pytest.MonkeyPatch) -> None:
    move_image(patch, lambda at: at * torch.tensor([0, 1, 1]))


def image_at_the_padded_length_on_the_text_axis(patch: pytest.MonkeyPatch) -> None:
    def padded(at: Tensor) -> Tensor:
        # All golden captions are padded to a multiple of eight, or the longer to one.
        return torch.cat((-(-at[:, :1] // 8) * 8, at[:, 1:]), dim=1)

    move_image(patch, padded)


def rows_and_columns_exchanged(patch: pytest.MonkeyPatch) -> None:
    move_image(patch, lambda at: at[:, [0, 2, 1]])


def around_prepare(patch: pytest.MonkeyPatch, change: Callable[[NextDiT, dict[str, Any]], None]) -> None:
    """`change` sees the model and the arguments of `prepare` before it runs."""
    prepare = NextDiT.prepare

    def changed(self: NextDiT, captions: Any, pooled: Tensor | None, **others: Any) -> Any:
        arguments: dict[str, Any] = {"captions": captions, "pooled": pooled, **others}
        change(self, arguments)
        return prepare(self, **arguments)

    patch.setattr(NextDiT, "prepare", changed)


def zeros_for_a_missing_pooled_vector(patch: pytest.MonkeyPatch) -> None:
    def change(model: NextDiT, arguments: dict[str, Any]) -> None:
        if arguments["pooled"] is None:
            arguments["pooled"] = torch.zeros(len(arguments["captions"]), model.sizes.clip_text_dim)

    around_prepare(patch, change)


def final_norm_applied(patch: pytest.MonkeyPatch) -> None:
    def change(model: NextDiT, _: dict[str, Any]) -> None:
        model.final_layer._forward_pre_hooks.clear()
        model.final_layer.register_forward_pre_hook(lambda _, given: (model.norm_final(given[0]), given[1]))

    around_prepare(patch, change)


def noise_refiner_without_text(patch: pytest.MonkeyPatch) -> None:
    modulation = Block.modulation
    plain: dict[int, Tensor] = {}

    def change(model: NextDiT, arguments: dict[str, Any]) -> None:
        embedded = model._conditioning(arguments["times"], None, len(arguments["captions"]))
        plain.clear()
        plain.update({id(block): embedded for block in model.noise_refiner})

    def without(self: Block, conditioning: Tensor) -> Tensor:
        return modulation(self, plain.get(id(self), conditioning))

    around_prepare(patch, change)
    patch.setattr(Block, "modulation", without)


def residual_around_time_and_text(patch: pytest.MonkeyPatch) -> None:
    fused = NextDiT._conditioning

    def residual(self: NextDiT, times: Tensor, pooled: Tensor | None, batch: int) -> Tensor:
        both = fused(self, times, pooled, batch)
        return both if pooled is None else both + fused(self, times, None, batch)

    patch.setattr(NextDiT, "_conditioning", residual)


def queries_and_keys_without_norm(patch: pytest.MonkeyPatch) -> None:
    norm = layers.rms_norm
    # Only the heads' weights have two dimensions.
    patch.setattr(layers, "rms_norm", lambda x, weight, eps: x if weight.dim() == 2 else norm(x, weight, eps))


def noise_minus_data(patch: pytest.MonkeyPatch) -> None:
    velocity = NextDiT.velocity
    patch.setattr(NextDiT, "velocity", lambda self, x, prepared, step: -velocity(self, x, prepared, step))


def guidance_from_the_condition(patch: pytest.MonkeyPatch) -> None:
    guide = parity.guide
    patch.setattr(parity, "guide", lambda condition, other, **how: guide(other, condition, **how))


MISTAKES: tuple[Mistake, ...] = (
    time_in_thousandths,
    sin_before_cos,
    half_split_rotation,
    tiled_key_heads,
    w1_and_w3_exchanged,
    gate_without_tanh,
    channel_before_place_in_a_patch,
    image_at_zero_on_the_text_axis,
    image_at_the_padded_length_on_the_text_axis,
    rows_and_columns_exchanged,
    noise_refiner_without_text,
    final_norm_applied,
    zeros_for_a_missing_pooled_vector,
    residual_around_time_and_text,
    queries_and_keys_without_norm,
    noise_minus_data,
    guidance_from_the_condition,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_known_mistake_moves_a_golden_output_by_a_tenth(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    moved = max(each.largest for file in FILES for each in parity.differences(file) if not each.within)
    assert moved >= 0.1


def test_another_shift_moves_the_grid_and_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = parity.grid
    monkeypatch.setattr(parity, "grid", lambda solver, steps, *, shift: grid(solver, steps, shift=shift / 2))
    found = parity.differences(GOLDEN / "trajectory_euler_shift6.safetensors")
    assert {each.output for each in found if not each.within} >= {"t_grid", "out", "out_midpoint", "out_dpm"}


# The command


def test_the_command_writes_a_line_a_file_and_succeeds() -> None:
    code, lines, errors = ask(*FILES)
    assert (code, errors) == (0, [])
    assert [line.split(":")[0] for line in lines] == [file.name for file in FILES]
    assert all(": ok  " in line for line in lines)
    assert "t_grid" in lines[2]
    assert "out_cfg_renorm" in lines[3]


def test_an_output_nudged_by_a_hundredth_is_beyond_tolerance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nudge(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
        tensors["out_cfg"][0, 0, 0, 0] += 0.01

    nudged = rewrite(SMALLEST, tmp_path / "nudged.safetensors", nudge)
    assert parity.main([str(SMALLEST), str(nudged)]) == 1
    written = capsys.readouterr()
    lines = written.out.splitlines()
    assert (len(lines), written.err) == (2, "")
    assert ": ok  " in lines[0]
    assert lines[1].startswith("nudged.safetensors: BEYOND TOLERANCE  ")
    assert "out_cfg 1.0e-02" in lines[1]


def test_files_that_are_no_golden_files_are_named_and_the_others_tried(tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(SMALLEST.read_bytes()[:100_000])
    other = tmp_path / "notes.safetensors"
    other.write_text("not a tensor in it")
    code, lines, errors = ask(cut, other, tmp_path / "gone.safetensors", SMALLEST, copied=True)
    assert code == 2
    assert [line.split("  ")[0] for line in lines] == [f"{SMALLEST.name}: ok"]
    assert len(errors) == 3
    for name, line in zip(("cut", "notes", "gone"), errors, strict=True):
        assert line.startswith(f"{tmp_path / name}.safetensors: not a golden file: ")


def test_beyond_tolerance_and_unreadable_together_are_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nudge(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
        tensors["out"] += 0.01

    nudged = rewrite(SMALLEST, tmp_path / "nudged.safetensors", nudge)
    gone = tmp_path / "gone.safetensors"
    assert parity.main([str(gone), str(nudged)]) == 2
    assert parity.main([str(nudged), str(gone)]) == 2
    assert parity.main([str(nudged)]) == 1
    assert capsys.readouterr().out.count("BEYOND TOLERANCE") == 3


def without_weight(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
    del tensors["weights.layers.0.feed_forward.w1.weight"]


def with_stray_weight(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
    tensors["weights.layers.9.norm.weight"] = torch.ones(2)


def without_input(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
    del tensors["in.cap_mask"]


def without_settings(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    del metadata["config"]


def with_broken_settings(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["config"] = metadata["config"][:-5]


def with_impossible_settings(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["config"] = metadata["config"].replace('"n_heads": 2', '"n_heads": 5')


def without_query_norms(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["config"] = metadata["config"].replace('"qk_norm": true', '"qk_norm": false')


def with_a_list_for_settings(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["config"] = "[1, 2]"


def with_another_fixture(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["fixture"] = '{"name": "none"}'


def with_an_output_of_another_shape(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    tensors["out"] = tensors["out"][:, :, :2].contiguous()


def with_an_input_of_another_shape(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    tensors["in.cap_feats"] = tensors["in.cap_feats"][..., :4].contiguous()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without_weight, r"layers\.0\.feed_forward\.w1\.weight"),
        (with_stray_weight, r"layers\.9\.norm\.weight"),
        (without_input, r"in\.cap_mask"),
        (without_settings, "config"),
        (with_broken_settings, "not a golden file"),
        (with_impossible_settings, "n_heads 5"),
        (without_query_norms, "qk_norm is false"),
        (with_a_list_for_settings, "not a golden file"),
        (with_another_fixture, "cfg_scale"),
        (with_an_output_of_another_shape, "out is"),
        (with_an_input_of_another_shape, "its inputs or outputs do not fit"),
    ],
    ids=lambda value: getattr(value, "__name__", "named"),
)
def test_a_golden_file_that_is_not_whole_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], None], named: str
) -> None:
    changed = rewrite(SMALLEST, tmp_path / "changed.safetensors", change)
    with pytest.raises(ModelError, match=named) as refused:
        parity.differences(changed)
    assert refused.value.code == "E_MODEL_GOLDEN"
    assert str(changed) in str(refused.value)


def test_a_folder_is_no_golden_file(tmp_path: Path) -> None:
    shutil.copy(SMALLEST, tmp_path)
    with pytest.raises(ModelError, match="not a golden file"):
        parity.differences(tmp_path)
