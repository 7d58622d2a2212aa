"""The network as a module: its tensors, its inputs, its training, and what diffusers and PEFT do with it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from newbie_core.model.adapters import AdaptedWeights, read_adapter
from newbie_core.model.config import TransformerConfig
from newbie_core.model.tiny import tiny_sizes
from newbie_core.model.transformer import (
    NextDiT,
    caption_positions,
    image_positions,
    patchify,
    unpatchify,
)
from tests.model.conftest import MakeTransformer

ORDER = {"rtol": 0, "atol": 3e-6}
"""Outputs reach five; other orders of summing move them by a few of float32's steps there, 5e-7 each."""

Shapes = dict[str, tuple[int, ...]]
Inputs = dict[str, Tensor]

GRID = (4, 3)
CAPTION, POOLED, CHANNELS = 48, 64, 16
"""Widths of the tiny model's inputs."""


def make_inputs(
    lengths: tuple[int, ...] = (7, 4), *, padded: int | None = None, seed: int = 0, pooled: bool = True
) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    batch, longest = len(lengths), padded or max(lengths)
    mask = torch.zeros(batch, longest, dtype=torch.int64)
    for row, length in zip(mask, lengths, strict=True):
        row[:length] = 1
    inputs = {
        "x": torch.randn((batch, CHANNELS, 2 * GRID[0], 2 * GRID[1]), generator=generator),
        "t": torch.rand(batch, generator=generator),
        "cap_feats": torch.randn((batch, longest, CAPTION), generator=generator),
        "cap_mask": mask,
    }
    if pooled:
        inputs["clip_text_pooled"] = torch.randn((batch, POOLED), generator=generator)
    return inputs


def captions_of(inputs: Inputs) -> list[Tensor]:
    lengths = inputs["cap_mask"].sum(dim=1).tolist()
    return [row[:length] for row, length in zip(inputs["cap_feats"], lengths, strict=True)]


@pytest.fixture(autouse=True)
def no_gradients_unless_asked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Training tests say so in their name."""
    with torch.set_grad_enabled("train" in request.node.name or "gradient" in request.node.name):
        yield


# Tensors. The table is the released checkpoint's.

OUTSIDE_BLOCKS: Shapes = {
    "x_embedder.weight": (2304, 64),
    "x_embedder.bias": (2304,),
    "t_embedder.mlp.0.weight": (1024, 256),
    "t_embedder.mlp.0.bias": (1024,),
    "t_embedder.mlp.2.weight": (1024, 1024),
    "t_embedder.mlp.2.bias": (1024,),
    "cap_embedder.0.weight": (2560,),
    "cap_embedder.1.weight": (2304, 2560),
    "cap_embedder.1.bias": (2304,),
    "clip_text_pooled_proj.0.weight": (1024,),
    "clip_text_pooled_proj.1.weight": (1024, 1024),
    "clip_text_pooled_proj.1.bias": (1024,),
    "time_text_embed.1.weight": (1024, 2048),
    "time_text_embed.1.bias": (1024,),
    "norm_final.weight": (2304,),
    "final_layer.linear.weight": (64, 2304),
    "final_layer.linear.bias": (64,),
    "final_layer.adaLN_modulation.1.weight": (2304, 1024),
    "final_layer.adaLN_modulation.1.bias": (2304,),
}
IN_EACH_BLOCK: Shapes = {
    "attention.qkv.weight": (3840, 2304),
    "attention.out.weight": (2304, 2304),
    "attention.q_norm.weight": (96,),
    "attention.k_norm.weight": (96,),
    "feed_forward.w1.weight": (9216, 2304),
    "feed_forward.w2.weight": (2304, 9216),
    "feed_forward.w3.weight": (9216, 2304),
    "attention_norm1.weight": (2304,),
    "attention_norm2.weight": (2304,),
    "ffn_norm1.weight": (2304,),
    "ffn_norm2.weight": (2304,),
}
IN_MODULATED_BLOCKS: Shapes = {
    "adaLN_modulation.1.weight": (9216, 1024),
    "adaLN_modulation.1.bias": (9216,),
}
PARAMETERS = {
    "layers": 3_143_252_736,
    "noise_refiner": 174_625_152,
    "context_refiner": 155_732_352,
    "cap_embedder": 5_903_104,
    "final_layer": 2_509_120,
    "time_text_embed": 2_098_176,
    "t_embedder": 1_312_768,
    "clip_text_pooled_proj": 1_050_624,
    "x_embedder": 149_760,
    "norm_final": 2_304,
}


def released_shapes() -> Shapes:
    shapes = dict(OUTSIDE_BLOCKS)
    blocks = {f"layers.{index}": True for index in range(36)}
    blocks |= {f"noise_refiner.{index}": True for index in range(2)}
    blocks |= {f"context_refiner.{index}": False for index in range(2)}
    for block, modulated in blocks.items():
        own = IN_EACH_BLOCK | IN_MODULATED_BLOCKS if modulated else IN_EACH_BLOCK
        shapes |= {f"{block}.{name}": shape for name, shape in own.items()}
    return shapes


def test_the_default_network_has_the_released_models_tensors() -> None:
    with torch.device("meta"):
        model = NextDiT()
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert found == released_shapes()
    assert len(found) == 535
    assert list(model.buffers()) == []
    assert sum(tensor.numel() for tensor in model.parameters()) == 3_486_636_096
    assert {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    } == PARAMETERS


# Patches and positions


def test_patches_are_row_by_row_and_hold_row_column_channel() -> None:
    x = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    patches = patchify(x, 2)
    assert patches.shape == (1, 6, 8)
    # The second patch: columns 2 and 3 of rows 0 and 1; channel 1 is 24 further on.
    assert patches[0, 1].tolist() == [2, 26, 3, 27, 8, 32, 9, 33]
    assert patches[0, 3, 0] == 12


@pytest.mark.parametrize("size", [1, 2])
def test_unpatchify_undoes_patchify(size: int) -> None:
    x = torch.randn((2, 3, 8, 6), generator=torch.Generator().manual_seed(0))
    assert torch.equal(unpatchify(patchify(x, size), (8 // size, 6 // size), size), x)


def test_image_tokens_stand_behind_the_captions_true_end() -> None:
    assert caption_positions(3).tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert image_positions(3, (2, 2)).tolist() == [[3, 0, 0], [3, 0, 1], [3, 1, 0], [3, 1, 1]]


@pytest.mark.parametrize(
    ("length", "grid", "what"),
    # The image's own position on the first axis is the caption's length, so 1023 tokens are the most.
    [(1024, (4, 4), "1025 caption tokens"), (5, (513, 1), "513 rows"), (5, (1, 513), "513 columns")],
)
def test_positions_the_model_never_saw_are_refused(
    transformer: NextDiT, length: int, grid: tuple[int, int], what: str
) -> None:
    caption, pooled = torch.zeros(length, CAPTION), torch.zeros(1, POOLED)
    with pytest.raises(ValueError, match=f"{what}.*at most"):
        transformer.prepare([caption], pooled, grid=grid, times=torch.zeros(1, 1))


def test_the_last_positions_the_model_saw_are_taken(transformer: NextDiT) -> None:
    prepared = transformer.prepare(
        [torch.ones(1023, CAPTION)], torch.zeros(1, POOLED), grid=(2, 512), times=torch.zeros(1, 1)
    )
    assert prepared.lengths == (1023 + 1024,)


# Batches and padding


def test_what_stands_in_padded_places_changes_nothing(transformer: NextDiT) -> None:
    inputs = make_inputs((7, 4), padded=16)
    expected = transformer(**inputs)
    garbage = inputs["cap_feats"].clone()
    garbage[inputs["cap_mask"] == 0] = torch.tensor(float("nan"))
    assert torch.equal(transformer(**inputs | {"cap_feats": garbage}), expected)
    cut = {"cap_feats": inputs["cap_feats"][:, :7], "cap_mask": inputs["cap_mask"][:, :7]}
    assert torch.equal(transformer(**inputs | cut), expected)
    assert expected.isfinite().all()


def test_what_stands_in_the_caption_does_matter(transformer: NextDiT) -> None:
    inputs = make_inputs((7, 4), padded=16)
    expected = transformer(**inputs)
    inputs["cap_feats"][1, 3] += 1
    changed = transformer(**inputs)
    assert torch.equal(changed[0], expected[0])
    assert (changed[1] - expected[1]).abs().max() > 1e-3


@pytest.mark.parametrize("lengths", [(7, 4), (5, 5), (1, 12)])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_pair_equals_each_alone(transformer: NextDiT, lengths: tuple[int, int], pooled: bool) -> None:
    inputs = make_inputs(lengths, pooled=pooled)
    together = transformer(**inputs)
    for row in range(2):
        alone = transformer(**{name: value[row : row + 1] for name, value in inputs.items()})
        torch.testing.assert_close(together[row : row + 1], alone, **ORDER)


def test_the_output_is_as_large_as_the_latents_and_of_their_size(transformer: NextDiT) -> None:
    inputs = make_inputs()
    found = transformer(**inputs)
    assert found.shape == inputs["x"].shape
    assert 0.05 < found.std() < 20


@pytest.mark.parametrize("name", ["x", "t", "cap_feats", "clip_text_pooled"])
def test_every_input_is_used(transformer: NextDiT, name: str) -> None:
    inputs = make_inputs()
    changed = transformer(**inputs | {name: inputs[name].flip(-1) if name != "t" else inputs["t"] / 2})
    assert (changed - transformer(**inputs)).abs().max() > 1e-3


def test_the_final_norm_is_used_by_nobody(transformer: NextDiT) -> None:
    inputs = make_inputs()
    expected = transformer(**inputs)
    transformer.norm_final.weight.fill_(float("nan"))
    assert torch.equal(transformer(**inputs), expected)


# Prepared


def test_preparing_all_times_at_once_equals_one_call_a_time(transformer: NextDiT) -> None:
    inputs = make_inputs()
    times = torch.tensor([0.0, 0.3, 0.9])
    prepared = transformer.prepare(
        captions_of(inputs), inputs["clip_text_pooled"], grid=GRID, times=times[:, None]
    )
    assert (prepared.batch, prepared.times, prepared.image_tokens) == (2, 3, 12)
    for step, time in enumerate(times):
        expected = transformer(**inputs | {"t": time.expand(2)})
        torch.testing.assert_close(transformer.velocity(inputs["x"], prepared, step), expected, **ORDER)


def test_each_sequence_may_have_a_time_of_its_own(transformer: NextDiT) -> None:
    inputs = make_inputs()
    times = torch.tensor([[0.1, 0.8], [0.5, 0.2]])
    prepared = transformer.prepare(captions_of(inputs), inputs["clip_text_pooled"], grid=GRID, times=times)
    expected = transformer(**inputs | {"t": times[1]})
    torch.testing.assert_close(transformer.velocity(inputs["x"], prepared, 1), expected, **ORDER)


def test_latents_that_all_sequences_share_are_given_once(transformer: NextDiT) -> None:
    inputs = make_inputs()
    prepared = transformer.prepare(
        captions_of(inputs), inputs["clip_text_pooled"], grid=GRID, times=torch.tensor([[0.4]])
    )
    shared = inputs["x"][:1]
    found = transformer.velocity(shared, prepared, 0)
    torch.testing.assert_close(found, transformer.velocity(shared.repeat(2, 1, 1, 1), prepared, 0), **ORDER)
    assert found.shape == inputs["x"].shape


def test_the_first_of_a_pair_equals_the_condition_prepared_alone(transformer: NextDiT) -> None:
    inputs = make_inputs((9, 2))
    times = torch.tensor([[0.2], [0.6]])
    captions, pooled = captions_of(inputs), inputs["clip_text_pooled"]
    first = transformer.prepare(captions, pooled, grid=GRID, times=times).first()
    alone = transformer.prepare(captions[:1], pooled[:1], grid=GRID, times=times)
    assert first.lengths == alone.lengths
    for step in range(2):
        torch.testing.assert_close(
            transformer.velocity(inputs["x"][:1], first, step),
            transformer.velocity(inputs["x"][:1], alone, step),
            **ORDER,
        )


class Waiting(TorchDispatchMode):
    """Counts operations that wait for a device's numbers or carry them to another device."""

    NAMES = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        name = func.overloadpacket.__name__
        if name in self.NAMES or (name in ("_to_copy", "copy_") and "device" in (kwargs or {})):
            self.seen.append(name)
        return func(*args, **kwargs or {})


def test_a_step_asks_the_device_for_nothing(transformer: NextDiT) -> None:
    inputs = make_inputs()
    prepared = transformer.prepare(
        captions_of(inputs), inputs["clip_text_pooled"], grid=GRID, times=torch.tensor([[0.4], [0.5]])
    )
    with Waiting() as waiting:
        transformer.velocity(inputs["x"], prepared, 1)
    assert waiting.seen == []
    assert waiting.operations > 100
    with Waiting() as waiting:
        inputs["x"].sum().item()
    assert waiting.seen == ["_local_scalar_dense"]


def test_a_step_runs_where_there_are_no_numbers_to_ask_for() -> None:
    with torch.device("meta"):
        model = NextDiT(**asdict(tiny_sizes().transformer))
        captions, pooled = [torch.empty(7, CAPTION), torch.empty(4, CAPTION)], torch.empty(2, POOLED)
    prepared = model.prepare(captions, pooled, grid=GRID, times=torch.tensor([[0.4]]))
    assert model.velocity(torch.empty(1, 16, 8, 6, device="meta"), prepared, 0).shape == (2, 16, 8, 6)


# diffusers


def test_saved_and_loaded_by_diffusers_it_is_the_same_network(transformer: NextDiT, tmp_path: Path) -> None:
    transformer.save_pretrained(tmp_path)
    loaded = NextDiT.from_pretrained(tmp_path)
    assert loaded.sizes == transformer.sizes
    assert torch.equal(loaded(**make_inputs()), transformer(**make_inputs()))


def test_the_saved_configuration_has_the_constructors_names(transformer: NextDiT, tmp_path: Path) -> None:
    transformer.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["_class_name"] == "NextDiT"
    assert TransformerConfig.from_mapping(written) == tiny_sizes().transformer


def test_it_is_saved_in_shards_and_loaded_in_bf16(transformer: NextDiT, tmp_path: Path) -> None:
    transformer.save_pretrained(tmp_path, max_shard_size="500KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = NextDiT.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    found, expected = loaded(**make_inputs()), transformer(**make_inputs())
    assert found.dtype == torch.bfloat16
    # bf16 has eight bits: a few thousandths of each of some twenty sums.
    assert 0 < (found.float() - expected).abs().max() < 0.2 * expected.std()


def test_layerwise_casting_runs_and_moves_the_output_a_little(
    transformer: NextDiT, make_transformer: MakeTransformer
) -> None:
    cast = make_transformer()
    cast.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert cast.layers[0].attention.qkv.weight.dtype == torch.float8_e4m3fn
    assert cast.layers[0].attention_norm1.weight.dtype == torch.float32
    found, expected = cast(**make_inputs()), transformer(**make_inputs())
    assert 0 < (found - expected).abs().max() < 0.5 * expected.std()


# Training


def loss_of(model: NextDiT, inputs: Inputs) -> Tensor:
    target = torch.randn(inputs["x"].shape, generator=torch.Generator().manual_seed(9)) - inputs["x"]
    return (model(**inputs) - target).square().mean()


def gradients(model: NextDiT, inputs: Inputs) -> dict[str, Tensor]:
    model.zero_grad()
    loss_of(model, inputs).backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def test_training_from_new_weights_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    model, inputs = NextDiT(**asdict(tiny_sizes().transformer)), make_inputs()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    names = {name for name, _ in model.named_parameters()}
    first = {name for name, value in gradients(model, inputs).items() if value.abs().max() > 0}
    # The output starts at zero, so that nothing behind it has a gradient yet.
    assert first == {"final_layer.linear.weight", "final_layer.linear.bias"}
    optimiser.step()
    second = {name for name, value in gradients(model, inputs).items() if value.abs().max() > 0}
    assert names - second == {"norm_final.weight"}


def test_training_lets_time_and_text_change_the_output() -> None:
    torch.manual_seed(0)
    model, inputs = NextDiT(**asdict(tiny_sizes().transformer)), make_inputs()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = loss_of(model, inputs).item()
    for _ in range(5):
        gradients(model, inputs)
        optimiser.step()
    assert loss_of(model, inputs).item() < 0.95 * before
    at_start = model(**inputs | {"t": torch.zeros(2)})
    assert (model(**inputs | {"t": torch.ones(2)}) - at_start).abs().max() > 1e-3
    other = make_inputs(seed=1)["clip_text_pooled"]
    assert (model(**inputs | {"clip_text_pooled": other}) - model(**inputs)).abs().max() > 1e-4


def test_a_new_networks_output_is_zero() -> None:
    model = NextDiT(**asdict(tiny_sizes().transformer))
    assert torch.equal(model(**make_inputs()), torch.zeros(2, CHANNELS, 8, 6))


def test_checkpointing_gives_the_same_gradients(make_transformer: MakeTransformer) -> None:
    plain, checkpointed = make_transformer(), make_transformer()
    checkpointed.enable_gradient_checkpointing()
    runs = 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    checkpointed.layers[0].register_forward_pre_hook(count)
    expected, found = gradients(plain.train(), make_inputs()), gradients(checkpointed.train(), make_inputs())
    assert runs == 2
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


# PEFT

TRAINER_TARGETS = (
    "attention.qkv",
    "attention.out",
    "feed_forward.w2",
    "time_text_embed.1",
    "clip_text_pooled_proj.1",
)
"""The trainer's default modules, matched as endings of their names."""


def test_training_an_adapter_leaves_the_base_alone(transformer: NextDiT) -> None:
    transformer.requires_grad_(False)
    torch.manual_seed(0)
    transformer.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=list(TRAINER_TARGETS)))
    before = {name: value.detach().clone() for name, value in transformer.named_parameters()}
    trained = [value for value in transformer.parameters() if value.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.5)
    for _ in range(2):
        gradients(transformer, make_inputs())
        optimiser.step()
    changed = {n for n, value in transformer.named_parameters() if not torch.equal(value, before[n])}
    assert changed == {name for name in before if ".lora_" in name}
    # 2 layers and a refiner each, three modules, and the two outside; two factors a module.
    assert len(changed) == 2 * (4 * 3 + 2)


def make_lora_folder(folder: Path, model: NextDiT, *, alpha: float) -> Path:
    """As NewbieLoraTrainer writes it with PEFT; the scale is in the JSON alone."""
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, module in model.named_modules():
        if name.endswith(TRAINER_TARGETS):
            out, width = module.weight.shape
            stem = f"base_model.model.{name}"
            tensors[f"{stem}.lora_A.weight"] = torch.randn((4, width), generator=generator) / width**0.5
            tensors[f"{stem}.lora_B.weight"] = torch.randn((out, 4), generator=generator) / 4
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": alpha, "target_modules": list(TRAINER_TARGETS)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("alpha", [4, 2])
def test_an_adapter_loaded_by_diffusers_equals_one_added_to_the_weights(
    make_transformer: MakeTransformer, tmp_path: Path, alpha: int
) -> None:
    loaded, added = make_transformer(), make_transformer()
    folder = make_lora_folder(tmp_path / "lora", added, alpha=alpha)
    AdaptedWeights(added).apply([(read_adapter(folder), 1.0)])
    prefix = "base_model.model"
    metadata = json.loads((folder / "adapter_config.json").read_text())
    # Given a path, diffusers would look for the alpha in the file, which does not have it.
    loaded.load_lora_adapter(
        load_file(folder / "adapter_model.safetensors"),
        prefix=prefix,
        metadata={f"{prefix}.{name}": value for name, value in metadata.items()},
    )
    expected, base = added(**make_inputs()), make_transformer()(**make_inputs())
    torch.testing.assert_close(loaded(**make_inputs()), expected, rtol=0, atol=1e-5)
    assert (expected - base).abs().max() > 1e-2


def test_an_adapter_taken_off_again_leaves_the_network_as_it_was(
    transformer: NextDiT, tmp_path: Path
) -> None:
    before, inputs = copy.deepcopy(transformer.state_dict()), make_inputs()
    expected = transformer(**inputs)
    folder = make_lora_folder(tmp_path / "lora", transformer, alpha=4)
    transformer.load_lora_adapter(
        str(folder), weight_name="adapter_model.safetensors", prefix="base_model.model"
    )
    assert not torch.equal(transformer(**inputs), expected)
    transformer.unload_lora()
    assert torch.equal(transformer(**inputs), expected)
    after = transformer.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
