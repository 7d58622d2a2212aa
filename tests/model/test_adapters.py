"""Adapters of every form in use change weights as the program that trained them does."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from newbie_core.errors import ModelError
from newbie_core.model.adapters import AdaptedWeights, Adapter, deltas, read_adapter

DIM, HEAD_DIM, KV_ROWS, FFN, CONDITIONING, POOLED = 48, 16, 16, 64, 48, 64
QKV = "layers.0.attention.qkv"
PRODUCTS = 1e-5
"""Sums of a few dozen float32 products in another order differ by about 1e-7 of numbers near one."""


def make_model(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A tree of linear layers and norms with upstream's names; three query heads share one key head."""
    linears = {
        "x_embedder": (DIM, 64),
        "cap_embedder.1": (DIM, 32),
        "clip_text_pooled_proj.1": (POOLED, POOLED),
        "time_text_embed.1": (CONDITIONING, CONDITIONING + POOLED),
        "final_layer.linear": (64, DIM),
    }
    for block in ("noise_refiner.0", "context_refiner.0", "layers.0", "layers.1"):
        linears |= {
            f"{block}.attention.qkv": (DIM + 2 * KV_ROWS, DIM),
            f"{block}.attention.out": (DIM, DIM),
            f"{block}.feed_forward.w1": (FFN, DIM),
            f"{block}.feed_forward.w2": (DIM, FFN),
        }
    generator = torch.Generator().manual_seed(seed)
    root = nn.Module()
    for name, shape in linears.items():
        linear = nn.Linear(shape[1], shape[0], dtype=dtype)
        for parameter in linear.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator).to(dtype)
        place(root, name, linear)
    place(root, "layers.0.attention.q_norm", nn.RMSNorm(HEAD_DIM, dtype=dtype))
    return root


def place(root: nn.Module, name: str, leaf: nn.Module) -> None:
    *folders, last = name.split(".")
    for folder in folders:
        if folder not in dict(root.named_children()):
            root.add_module(folder, nn.Module())
        root = root.get_submodule(folder)
    root.add_module(last, leaf)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.named_parameters()}


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def write(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, file, metadata=metadata)
    return file


def write_folder(folder: Path, tensors: dict[str, Tensor], **config: object) -> Path:
    write(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    values = {"peft_type": "LORA", "r": 4, "lora_alpha": 4} | config
    (folder / "adapter_config.json").write_text(json.dumps(values))
    return folder


def peft_pair(module: str, out: int, columns: int, prefix: str = "base_model.model.") -> dict[str, Tensor]:
    return {
        f"{prefix}{module}.lora_A.weight": numbers(4, columns, seed=2),
        f"{prefix}{module}.lora_B.weight": numbers(out, 4, seed=3),
    }


QKV_PRODUCT = numbers(DIM + 2 * KV_ROWS, 4, seed=3) @ numbers(4, DIM, seed=2)
"""B @ A of peft_pair(QKV, …), made by hand."""


def qkv_pair(prefix: str = "base_model.model.") -> dict[str, Tensor]:
    return peft_pair(QKV, DIM + 2 * KV_ROWS, DIM, prefix)


def only_delta(adapter: Adapter, strength: float = 1.0) -> tuple[str, Tensor]:
    found = list(deltas(adapter, shapes(make_model()), strength=strength))
    assert len(found) == 1
    return found[0]


# Scale


def test_the_change_is_alpha_over_rank_times_the_product(tmp_path: Path) -> None:
    key, delta = only_delta(read_adapter(write_folder(tmp_path / "a", qkv_pair(), lora_alpha=6)))
    assert key == f"{QKV}.weight"
    torch.testing.assert_close(delta, QKV_PRODUCT * 1.5, rtol=0, atol=PRODUCTS)


@pytest.mark.parametrize(("alpha", "rslora"), [(4, False), (2, False), (16, False), (6, True)])
def test_applied_weights_equal_those_peft_merges(tmp_path: Path, alpha: int, rslora: bool) -> None:
    from peft import LoraConfig, get_peft_model

    targets = [
        "attention.qkv",
        "attention.out",
        "feed_forward.w2",
        "time_text_embed.1",
        "clip_text_pooled_proj.1",
    ]
    config = LoraConfig(r=4, lora_alpha=alpha, target_modules=targets, use_rslora=rslora)
    trained = get_peft_model(make_model(), config)
    for number, (name, value) in enumerate(trained.named_parameters()):
        if "lora_" in name:
            value.data.copy_(numbers(*value.shape, seed=number))
    trained.save_pretrained(str(tmp_path))
    merged = weights(trained.merge_and_unload())

    module = make_model()
    adapted = AdaptedWeights(module)
    adapted.apply([(read_adapter(tmp_path), 1.0)])

    assert len(adapted.touched) == 4 * 3 + 2
    for key, applied in weights(module).items():
        torch.testing.assert_close(applied, merged[key], rtol=1e-6, atol=PRODUCTS)


def test_a_lone_peft_file_asks_for_its_alpha(tmp_path: Path) -> None:
    file = write(tmp_path / "miko.safetensors", qkv_pair())
    with pytest.raises(ModelError, match=r"miko\.safetensors does not say its alpha.*adapter_config\.json"):
        read_adapter(file)
    _, delta = only_delta(read_adapter(file, alpha=2))
    torch.testing.assert_close(delta, QKV_PRODUCT * 0.5, rtol=0, atol=PRODUCTS)


@pytest.mark.parametrize(
    "metadata",
    [
        {"lora_adapter_metadata": json.dumps({"transformer.r": 4, "transformer.lora_alpha": 12})},
        {"lora_adapter_metadata": json.dumps({"r": 4, "lora_alpha": 12, "lora_dropout": 0.1})},
        {"lora_alpha": "12.0", "lora_rank": "4"},
    ],
)
def test_a_lone_file_may_say_its_alpha_in_its_metadata(tmp_path: Path, metadata: dict[str, str]) -> None:
    file = write(tmp_path / "a.safetensors", qkv_pair("transformer."), metadata)
    _, delta = only_delta(read_adapter(file))
    torch.testing.assert_close(delta, QKV_PRODUCT * 3, rtol=0, atol=PRODUCTS)


def test_the_weight_file_inside_a_folder_is_the_same_adapter_as_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", qkv_pair(), lora_alpha=8)
    inside = read_adapter(folder / "adapter_model.safetensors")
    assert inside.digest == read_adapter(folder).digest
    torch.testing.assert_close(only_delta(inside)[1], QKV_PRODUCT * 2, rtol=0, atol=PRODUCTS)


def test_an_alpha_that_contradicts_the_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="says alpha 4, but 8 was given"):
        read_adapter(write_folder(tmp_path / "a", qkv_pair()), alpha=8)
    kohya = {"lora_unet_x_embedder.lora_down.weight": numbers(4, 64)}
    kohya |= {
        "lora_unet_x_embedder.lora_up.weight": numbers(DIM, 4),
        "lora_unet_x_embedder.alpha": torch.tensor(2),
    }
    with pytest.raises(ModelError, match="stores alpha 2, but 8 was given"):
        read_adapter(write(tmp_path / "k.safetensors", kohya), alpha=8)


# Names


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "base_model.model.",
        "transformer.",
        "diffusion_model.",
        "unet.base_model.model.",
        "model.diffusion_model.",
    ],
)
def test_a_modules_name_may_carry_any_known_prefix(tmp_path: Path, prefix: str) -> None:
    key, delta = only_delta(read_adapter(write(tmp_path / "a.safetensors", qkv_pair(prefix)), alpha=4))
    assert key == f"{QKV}.weight"
    torch.testing.assert_close(delta, QKV_PRODUCT, rtol=0, atol=PRODUCTS)


@pytest.mark.parametrize(
    "name",
    [
        "lora_unet_layers_0_attention_qkv",
        "lora_transformer_layers_0_attention_qkv",
        "lycoris_layers_0_attention_qkv",
        "diffusion_model.layers.0.attention.qkv",
    ],
)
def test_kohyas_names_and_alphas_are_read(tmp_path: Path, name: str) -> None:
    tensors = {
        f"{name}.lora_down.weight": numbers(4, DIM, seed=2),
        f"{name}.lora_up.weight": numbers(DIM + 2 * KV_ROWS, 4, seed=3),
        f"{name}.alpha": torch.tensor(1.0),
    }
    key, delta = only_delta(read_adapter(write(tmp_path / "a.safetensors", tensors)))
    assert key == f"{QKV}.weight"
    torch.testing.assert_close(delta, QKV_PRODUCT / 4, rtol=0, atol=PRODUCTS)


def test_underscored_names_are_looked_up_whole(tmp_path: Path) -> None:
    tensors = {"lora_unet_clip_text_pooled_proj_1.lora_down.weight": numbers(4, POOLED)}
    tensors |= {"lora_unet_clip_text_pooled_proj_1.lora_up.weight": numbers(POOLED, 4)}
    key, _ = only_delta(read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4))
    assert key == "clip_text_pooled_proj.1.weight"


@pytest.mark.parametrize("style", ["transformer.layers.0.attn.to_{}", "lora_unet_layers_0_attention_to_{}"])
def test_split_names_change_the_true_rows_of_the_fused_weight(tmp_path: Path, style: str) -> None:
    rows = {"q": (0, DIM), "k": (DIM, KV_ROWS), "v": (DIM + KV_ROWS, KV_ROWS)}
    tensors: dict[str, Tensor] = {}
    expected = torch.zeros(DIM + 2 * KV_ROWS, DIM)
    for letter, (first, count) in rows.items():
        if letter == "k":
            continue
        tensors |= peft_pair(style.format(letter), count, DIM, prefix="")
        expected[first : first + count] = numbers(count, 4, seed=3) @ numbers(4, DIM, seed=2)
    key, delta = only_delta(read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4))
    assert key == f"{QKV}.weight"
    torch.testing.assert_close(delta, expected, rtol=0, atol=PRODUCTS)


def test_the_ports_names_mean_upstreams_modules(tmp_path: Path) -> None:
    tensors = {
        **peft_pair("layers.0.attn.to_out.0", DIM, DIM, prefix=""),
        **peft_pair("noise_refiner.0.feed_forward.linear_2", DIM, FFN, prefix=""),
        **peft_pair("time_caption_embed.caption_embedder.1", DIM, 32, prefix=""),
        **peft_pair("layers.1.attention.to_out.0", DIM, DIM, prefix=""),
        **peft_pair("norm_out.linear_2", 64, DIM, prefix=""),
    }
    adapter = read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4)
    assert {key for key, _ in deltas(adapter, shapes(make_model()), strength=1)} == {
        "cap_embedder.1.weight",
        "final_layer.linear.weight",
        "layers.0.attention.out.weight",
        "layers.1.attention.out.weight",
        "noise_refiner.0.feed_forward.w2.weight",
    }


def test_modules_that_do_not_fit_are_named_together_with_the_nearest_that_exist(tmp_path: Path) -> None:
    tensors = {
        **peft_pair("layers.0.attention.qvk", DIM + 2 * KV_ROWS, DIM),
        **peft_pair("layers.1.attention.out", DIM, DIM + 2),
        **qkv_pair(),
        **qkv_pair(prefix="transformer."),
    }
    adapter = read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4)
    with pytest.raises(ModelError) as caught:
        deltas(adapter, shapes(make_model()), strength=1)
    text = str(caught.value)
    assert "in 3 of its 4 modules" in text
    assert "layers.0.attention.qvk: no such module; the nearest is layers.0.attention.qkv" in text
    assert "layers.1.attention.out: changes (48, 50), the weight is (48, 48)" in text
    assert f"transformer.{QKV}: the same module as base_model.model.{QKV}" in text


def test_ten_faults_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for number in range(14):
        tensors |= peft_pair(f"text_encoder.{number}", DIM, DIM)
    adapter = read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4)
    with pytest.raises(ModelError, match="and 4 more") as caught:
        deltas(adapter, shapes(make_model()), strength=1)
    assert str(caught.value).count("no such module") == 10


# LoKr

LOKR = "lycoris_layers_0_attention_qkv"


def write_lokr(folder: Path, tensors: dict[str, Tensor], alpha: float | None) -> Path:
    stored = {f"{LOKR}.{part}": tensor for part, tensor in tensors.items()}
    if alpha is not None:
        stored[f"{LOKR}.alpha"] = torch.tensor(alpha)
    write(folder / "adapter_model.safetensors", stored, {"adapter_type": "lyco_lokr", "lora_rank": "3"})
    config = {"adapter_type": "lyco_lokr", "peft_type": "LYCORIS", "lycoris_type": "lokr", "r": 3}
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"network_dim": 3, "lora_alpha": 114514.0})
    )
    return folder


@pytest.mark.parametrize("alpha", [114514.0, 1.0, None])
def test_alpha_beside_whole_lokr_factors_is_ignored(tmp_path: Path, alpha: float | None) -> None:
    w1, w2 = numbers(8, 8), numbers(10, 6, seed=2)
    adapter = read_adapter(write_lokr(tmp_path, {"lokr_w1": w1, "lokr_w2": w2}, alpha))
    assert adapter.kind == "lokr"
    _, delta = only_delta(adapter)
    by_hand = torch.einsum("ij,kl->ikjl", w1, w2).reshape(DIM + 2 * KV_ROWS, DIM)
    torch.testing.assert_close(delta, by_hand, rtol=0, atol=PRODUCTS)


@pytest.mark.parametrize("factored", [("w1",), ("w2",), ("w1", "w2")])
def test_a_factored_lokr_is_scaled_by_alpha_over_its_rank(tmp_path: Path, factored: tuple[str, ...]) -> None:
    tensors: dict[str, Tensor] = {}
    whole: dict[str, Tensor] = {}
    for name, shape in {"w1": (8, 8), "w2": (10, 6)}.items():
        if name in factored:
            a, b = numbers(shape[0], 3, seed=4), numbers(3, shape[1], seed=5)
            tensors |= {f"lokr_{name}_a": a, f"lokr_{name}_b": b}
            whole[name] = a @ b
        else:
            whole[name] = tensors[f"lokr_{name}"] = numbers(*shape, seed=6)
    _, delta = only_delta(read_adapter(write_lokr(tmp_path, tensors, 1.5)))
    torch.testing.assert_close(delta, torch.kron(whole["w1"], whole["w2"]) * 0.5, rtol=1e-6, atol=PRODUCTS)


# Strength, several adapters, originals


def make_adapter(folder: Path, seed: int, modules: tuple[str, ...] = (QKV,)) -> Adapter:
    tensors: dict[str, Tensor] = {}
    for number, module in enumerate(modules):
        out, columns = shapes(make_model())[f"{module}.weight"]
        tensors[f"{module}.lora_A.weight"] = numbers(4, columns, seed=seed + 2 * number)
        tensors[f"{module}.lora_B.weight"] = numbers(out, 4, seed=seed + 2 * number + 1)
    return read_adapter(write(folder / f"{seed}.safetensors", tensors), alpha=4)


@pytest.mark.parametrize("strength", [0.5, -1.0, 2.0])
def test_strength_multiplies_the_change(tmp_path: Path, strength: float) -> None:
    adapter = read_adapter(write(tmp_path / "a.safetensors", qkv_pair()), alpha=4)
    torch.testing.assert_close(
        only_delta(adapter, strength)[1], QKV_PRODUCT * strength, rtol=0, atol=PRODUCTS
    )


def test_several_adapters_add_up(tmp_path: Path) -> None:
    first, second = make_adapter(tmp_path, 10, (QKV, "x_embedder")), make_adapter(tmp_path, 20)
    module = make_model()
    AdaptedWeights(module).apply([(first, 0.5), (second, -0.25)])
    expected = weights(make_model())
    for adapter, strength in ((first, 0.5), (second, -0.25)):
        for key, delta in deltas(adapter, shapes(module), strength=strength):
            expected[key] += delta
    for key, value in weights(module).items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=PRODUCTS)


def test_another_order_is_the_same_sum_but_for_rounding(tmp_path: Path) -> None:
    adapters = [(make_adapter(tmp_path, seed), 0.7) for seed in (10, 20, 30)]
    forward, backward = make_model(), make_model()
    AdaptedWeights(forward).apply(adapters)
    AdaptedWeights(backward).apply(adapters[::-1])
    one, other = weights(forward)[f"{QKV}.weight"], weights(backward)[f"{QKV}.weight"]
    torch.testing.assert_close(one, other, rtol=0, atol=PRODUCTS)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_restored_weights_have_their_original_bits(tmp_path: Path, dtype: torch.dtype) -> None:
    module = make_model(dtype=dtype)
    adapted = AdaptedWeights(module)
    adapted.apply([(make_adapter(tmp_path, 10, (QKV, "x_embedder")), 0.3)])
    assert not torch.equal(
        weights(module)["x_embedder.weight"], weights(make_model(dtype=dtype))["x_embedder.weight"]
    )
    adapted.restore()
    assert_same_bits(module, make_model(dtype=dtype))
    assert adapted.touched == ()


def assert_same_bits(module: nn.Module, other: nn.Module) -> None:
    expected = weights(other)
    for key, value in weights(module).items():
        assert value.dtype == expected[key].dtype
        assert torch.equal(value.view(torch.uint8), expected[key].view(torch.uint8)), key


def test_strength_zero_leaves_every_bit_alone(tmp_path: Path) -> None:
    module, base = make_model(), make_model()
    for tree in (module, base):
        tree.get_parameter(f"{QKV}.weight").data[0] = -0.0
    adapter = make_adapter(tmp_path, 10)
    AdaptedWeights(module).apply([(adapter, 0.0)])
    assert_same_bits(module, base)
    assert list(deltas(adapter, shapes(module), strength=0.0)) == []


def test_applying_again_replaces_what_was_applied(tmp_path: Path) -> None:
    first, second = make_adapter(tmp_path, 10, (QKV, "x_embedder")), make_adapter(tmp_path, 20)
    twice, once = make_model(), make_model()
    adapted = AdaptedWeights(twice)
    adapted.apply([(first, 1.0)])
    adapted.apply([(second, 1.0)])
    AdaptedWeights(once).apply([(second, 1.0)])
    assert_same_bits(twice, once)
    adapted.restore()
    assert_same_bits(twice, make_model())


def test_the_sum_is_rounded_once_to_the_weights_own_type(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path, 10)
    module = make_model(dtype=torch.bfloat16)
    base = weights(module)[f"{QKV}.weight"].float()
    AdaptedWeights(module).apply([(adapter, 0.5), (adapter, 0.25)])
    delta = adapter.modules[QKV].delta()
    assert torch.equal(weights(module)[f"{QKV}.weight"], (base + 0.5 * delta + 0.25 * delta).bfloat16())


def test_an_adapter_that_does_not_fit_leaves_the_applied_ones_in_place(tmp_path: Path) -> None:
    good = make_adapter(tmp_path, 10)
    strange = write(tmp_path / "s.safetensors", peft_pair("elsewhere", DIM, DIM))
    module, expected = make_model(), make_model()
    adapted = AdaptedWeights(module)
    adapted.apply([(good, 1.0)])
    AdaptedWeights(expected).apply([(good, 1.0)])
    with pytest.raises(ModelError, match="elsewhere: no such module"):
        adapted.apply([(good, 0.5), (read_adapter(strange, alpha=4), 0.0)])
    assert_same_bits(module, expected)


def test_a_sum_too_large_for_the_weights_is_refused_and_the_base_is_back(tmp_path: Path) -> None:
    module = make_model(dtype=torch.float16)
    adapter = make_adapter(tmp_path, 10, ("layers.1.attention.out", "x_embedder"))
    with pytest.raises(ModelError, match=r"does not fit torch\.float16; lower the strengths"):
        AdaptedWeights(module).apply([(adapter, 1e6)])
    assert_same_bits(module, make_model(dtype=torch.float16))


def test_a_strength_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="strength nan"):
        AdaptedWeights(make_model()).apply([(make_adapter(tmp_path, 10), math.nan)])


def test_quantised_weights_take_no_adapter(tmp_path: Path) -> None:
    module = make_model()
    weight = module.get_parameter(f"{QKV}.weight")
    weight.data = weight.data.to(torch.float8_e4m3fn)
    with pytest.raises(ModelError, match=r"layers\.0\.attention\.qkv\.weight, which is torch\.float8_e4m3fn"):
        AdaptedWeights(module).apply([(make_adapter(tmp_path, 10), 1.0)])


# Identity


def test_whatever_decides_the_change_changes_the_digest(tmp_path: Path) -> None:
    file = write(tmp_path / "a.safetensors", qkv_pair())
    digests = [
        read_adapter(write_folder(tmp_path / "b", qkv_pair(), lora_alpha=4)).digest,
        read_adapter(write_folder(tmp_path / "c", qkv_pair(), lora_alpha=8)).digest,
        read_adapter(file, alpha=4).digest,
        read_adapter(file, alpha=8).digest,
        make_adapter(tmp_path, 10).digest,
    ]
    assert len(set(digests)) == len(digests)
    assert read_adapter(file, alpha=4).digest == digests[2]


# Refusals


@pytest.mark.parametrize(
    "setting",
    [
        {"use_dora": True},
        {"rank_pattern": {"qkv": 8}},
        {"alpha_pattern": {"qkv": 8}},
        {"bias": "all"},
        {"lora_bias": True},
        {"modules_to_save": ["x_embedder"]},
        {"fan_in_fan_out": True},
        {"init_lora_weights": "pissa"},
        {"setting_from_the_future": 1},
    ],
)
def test_settings_that_change_the_formula_are_refused_by_name(
    tmp_path: Path, setting: dict[str, object]
) -> None:
    with pytest.raises(ModelError, match=next(iter(setting))) as caught:
        read_adapter(write_folder(tmp_path, qkv_pair(), **setting))
    assert caught.value.code == "E_MODEL_ADAPTER_CONFIG"


def test_a_rank_other_than_the_configured_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has rank 4, but .*adapter_config\.json says r = 8"):
        read_adapter(write_folder(tmp_path, qkv_pair(), r=8))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"peft_type": "LOHA"}', '{"peft_type": "LORA", "r": 0}', "\xff"]
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    write_folder(tmp_path, qkv_pair())
    (tmp_path / "adapter_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match="adapter_config"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("dora_scale", "DoRA"),
        ("lora_magnitude_vector.weight", "DoRA"),
        ("lokr_t2", "LoKr with a Tucker core"),
        ("hada_w1_a", "LoHa"),
        ("w_norm", "a difference to a norm"),
        ("b_norm", "a difference to a norm's bias"),
        ("diff", "a whole difference"),
        ("lora_B.bias", "a LoRA bias"),
        ("weight", "is this an adapter, and not a checkpoint"),
    ],
)
def test_other_methods_are_refused_by_name_and_never_skipped(tmp_path: Path, part: str, said: str) -> None:
    key = f"base_model.model.{QKV}.{part}"
    file = write(tmp_path / "a.safetensors", qkv_pair() | {key: numbers(4, 4)})
    with pytest.raises(ModelError, match=said) as caught:
        read_adapter(file, alpha=4)
    assert key in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_eight_bit_adapters_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {key: value.to(dtype) for key, value in qkv_pair().items()}
    with pytest.raises(ModelError, match=r"lora_A\.weight is stored as (F8_E4M3|I8)"):
        read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4)


@pytest.mark.parametrize("name", ["a.bin", "a.pt", "disguised.safetensors"])
def test_pickles_are_refused_whatever_they_are_called(tmp_path: Path, name: str) -> None:
    torch.save(qkv_pair(), tmp_path / name)
    with pytest.raises(ModelError, match="is a pickle") as caught:
        read_adapter(tmp_path / name)
    assert caught.value.code == "E_MODEL_PICKLE"


def test_the_trainers_resume_file_is_refused_as_what_it_is(tmp_path: Path) -> None:
    torch.save(qkv_pair(), tmp_path / "checkpoint_400.pt")
    with pytest.raises(ModelError, match="resume file"):
        read_adapter(tmp_path / "checkpoint_400.pt")
    with pytest.raises(ModelError, match="resume file"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, keep: int) -> None:
    file = write(tmp_path / "a.safetensors", qkv_pair())
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"a\.safetensors: truncated"):
        read_adapter(file, alpha=4)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"x_embedder.lora_A.weight": numbers(4, 64)}, "expected down, up"),
        (
            {"x_embedder.lora_A.weight": numbers(4, 64), "x_embedder.lora_B.weight": numbers(DIM, 3)},
            "no common rank",
        ),
        (
            {"x_embedder.lora_A.weight": numbers(4, 8, 8), "x_embedder.lora_B.weight": numbers(DIM, 4)},
            "expected a m",
        ),
        ({"x_embedder.lokr_w1": numbers(8, 8)}, "expected lokr_w2, or"),
        ({"x_embedder.lokr_w1": numbers(8, 8), **qkv_pair()}, "mixes LoKr"),
        (
            {"x_embedder.lora_A.weight": numbers(4, 64), "x_embedder.lora_down.weight": numbers(4, 64)},
            "given twice",
        ),
        (qkv_pair() | {f"base_model.model.{QKV}.lora_A.weight": numbers(4, DIM) * math.inf}, "not finite"),
        ({}, "holds no tensors"),
    ],
)
def test_factors_that_make_no_change_are_refused(
    tmp_path: Path, tensors: dict[str, Tensor], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        read_adapter(write(tmp_path / "a.safetensors", tensors), alpha=4)


def test_a_path_with_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no adapter_model\.safetensors"):
        read_adapter(tmp_path)
    with pytest.raises(ModelError, match="does not exist"):
        read_adapter(tmp_path / "none")
