from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import pytest
import torch

from newbie_core.errors import ModelError
from newbie_core.model.config import TransformerConfig
from newbie_core.model.weights import renames
from newbie_core.model.weights import shape_tables as tables
from newbie_core.model.weights.config_from_shapes import transformer_config
from newbie_core.model.weights.headers import read_header
from newbie_core.model.weights.layouts import open_model, open_part
from tests.model.weights_building import (
    TRANSFORMER,
    assert_reads_back,
    random_state,
    tiny_states,
    write,
    write_hub,
    write_json,
    write_shards,
)

STATES = tiny_states()
DIM = 48


def refusal(path: Path, name: str | None = None, *, allow_pickle: bool = False) -> ModelError:
    with pytest.raises(ModelError) as caught:
        open_part(path, name, allow_pickle=allow_pickle)
    return caught.value


def raw(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    ("start", "code", "words"),
    [
        (b"GGUF\x03\0\0\0", "E_MODEL_GGUF", "bf16 safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "E_MODEL_LFS", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "E_MODEL_HTML", "web page"),
        (b'{"error": "not found"}', "E_MODEL_FORMAT", "not a weight file"),
        (b"", "E_MODEL_TRUNCATED", "0 bytes"),
        (b"PK\x03\x04 and the rest", "E_MODEL_PICKLE", "newbie model convert"),
        (b"\x80\x02}q\0 and the rest", "E_MODEL_PICKLE", "--allow-pickle"),
    ],
)
def test_other_kinds_of_file_are_told_by_their_first_bytes(tmp_path, start, code, words):
    path = tmp_path / "model.safetensors"
    path.write_bytes(start)
    error = refusal(path)
    assert error.code == code
    assert words in str(error)
    assert str(path) in str(error)


def test_a_header_128_bytes_long_is_no_pickle(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(128)
    assert list(read_header(raw(tmp_path / "x", header, bytes(4))).tensors) == ["a"]


def test_a_truncated_file_is_told_with_the_bytes_it_lacks(tmp_path):
    path = write(tmp_path / "x.safetensors", STATES["vae"])
    path.write_bytes(path.read_bytes()[:-1000])
    error = refusal(path)
    assert error.code == "E_MODEL_TRUNCATED"
    assert "1000 bytes are missing" in str(error)


def test_a_file_cut_inside_its_header_is_truncated(tmp_path):
    path = write(tmp_path / "x.safetensors", STATES["vae"])
    path.write_bytes(path.read_bytes()[:100])
    assert refusal(path).code == "E_MODEL_TRUNCATED"


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        b'{"a": }',
        b'{"a": 1, "a": 2}',
        b"{" + b'"a":{' * 100_000,
        {"a": 7},
        {"a": {**ENTRY, "dtype": "F33"}},
        {"a": {**ENTRY, "shape": [-2]}},
        {"a": {**ENTRY, "shape": [2.0]}},
        {"a": {**ENTRY, "shape": [3]}},
        {"a": {**ENTRY, "shape": [2**40, 2**40]}},
        {"a": {**ENTRY, "data_offsets": [8, 0]}},
        {"a": ENTRY, "b": ENTRY},
        {"a": {**ENTRY, "shape": [1], "data_offsets": [4, 8]}},
        {"a": {**ENTRY, "shape": [1], "data_offsets": [0, 4]}},
        {"__metadata__": {"a": 1}, "a": ENTRY},
    ],
)
def test_a_header_that_contradicts_itself_or_the_file_is_damaged(tmp_path, header):
    error = refusal(raw(tmp_path / "x.safetensors", header, bytes(8)))
    assert error.code == "E_MODEL_HEADER"
    assert "damaged safetensors file" in str(error)


def test_a_header_too_long_to_be_true_is_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    error = refusal(path)
    assert error.code == "E_MODEL_HEADER"
    assert "the limit is" in str(error)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"layers.0.attention.out.scale_weight": torch.ones(1)}, "E_MODEL_FP8", "scale_weight"),
        ({"scaled_fp8": torch.ones(1)}, "E_MODEL_FP8", "scaled_fp8"),
        ({"layers.0.attention.out.comfy_quant": torch.ones(1)}, "E_MODEL_FP8", "comfy_quant"),
        ({"layers.0.attention.out.weight_scale": torch.ones(1)}, "E_MODEL_FP8", "bf16"),
        (
            {"layers.0.attention.out.weight": torch.zeros(DIM, DIM).to(torch.float8_e4m3fn)},
            "E_MODEL_FP8",
            "F8_E4M3",
        ),
        (
            {"layers.0.attention.out.weight": torch.zeros(DIM, DIM).to(torch.float8_e5m2)},
            "E_MODEL_FP8",
            "F8_E5M2",
        ),
        ({"layers.0.attention.out.weight.absmax": torch.ones(1)}, "E_MODEL_NF4", "bitsandbytes"),
        ({"layers.0.attention.out.weight.quant_map": torch.ones(1)}, "E_MODEL_NF4", "quant_map"),
        (
            {"layers.0.attention.out.weight": torch.zeros(DIM, DIM, dtype=torch.int8)},
            "E_MODEL_QUANTISED",
            "I8",
        ),
    ],
)
def test_quantised_weights_are_refused_with_what_to_fetch(tmp_path, change, code, words):
    error = refusal(write(tmp_path / "x.safetensors", {**STATES["transformer"], **change}))
    assert error.code == code
    assert words in str(error)


@pytest.mark.parametrize(
    "key",
    [
        "base_model.model.layers.0.attention.qkv.lora_A.weight",
        "lora_unet_layers_0_attention_qkv.lora_down.weight",
        "lycoris_layers_0_attention_qkv.lokr_w1",
        "diffusion_model.layers.0.attention.qkv.lora_B.weight",
    ],
)
def test_an_adapter_given_as_a_model_is_told(tmp_path, key):
    error = refusal(write(tmp_path / "x.safetensors", {key: torch.zeros(2, 2)}))
    assert error.code == "E_MODEL_ADAPTER"
    assert key in str(error)
    assert "--adapter" in str(error)


@pytest.mark.parametrize("port", [False, True])
def test_lumina_image_2_is_told_by_its_missing_pooled_projection(tmp_path, port):
    state = STATES["transformer"]
    if port:
        state = renames.to_port(state, TRANSFORMER)
    state = {name: tensor for name, tensor in state.items() if "clip_text_pooled_proj" not in name}
    error = refusal(write(tmp_path / "x.safetensors", state))
    assert error.code == "E_MODEL_LUMINA2"
    assert "Lumina-Image-2.0" in str(error)


def test_z_image_is_told_by_its_width(tmp_path):
    state = {
        "layers.0.attention.qkv.weight": torch.zeros(1, 1),
        "layers.0.attention.out.weight": torch.zeros(3840, 1),
    }
    assert refusal(write(tmp_path / "x.safetensors", state)).code == "E_MODEL_ZIMAGE"


def test_gemma_2_is_told_by_its_missing_query_norm(tmp_path):
    state = {name: x for name, x in STATES["text_encoder"].items() if "q_norm" not in name}
    assert refusal(write(tmp_path / "x.safetensors", state)).code == "E_MODEL_GEMMA2"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "E_MODEL_SD"),
        ("down_blocks.0.attentions.0.norm.weight", "E_MODEL_SD"),
        ("quant_conv.weight", "E_MODEL_SD"),
        ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "E_MODEL_UNKNOWN"),
        ("exp_avg.layers.0", "E_MODEL_OPTIMIZER"),
    ],
)
def test_other_models_files_are_told(tmp_path, key, code):
    state = {**STATES["vae"], key: torch.zeros(2, 2)}
    assert refusal(write(tmp_path / "x.safetensors", state)).code == code


def test_a_file_of_unknown_tensors_is_told_with_some_of_them(tmp_path):
    error = refusal(write(tmp_path / "x.safetensors", {"bert.pooler.weight": torch.zeros(1)}))
    assert error.code == "E_MODEL_UNKNOWN"
    assert "bert.pooler.weight" in str(error)


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("transformer", "x_embedder.weight"),
        ("transformer", "layers.1.feed_forward.w3.weight"),
        ("text_encoder", "embed_tokens.weight"),
        ("text_encoder", "layers.1.mlp.up_proj.weight"),
        ("clip_model", "layers.0.mlp.fc1.bias"),
        ("vae", "decoder.conv_in.weight"),
        ("vae", "encoder.mid_block.attentions.0.to_q.bias"),
    ],
)
def test_a_missing_tensor_is_named(tmp_path, part, key):
    state = {name: x for name, x in STATES[part].items() if name != key}
    error = refusal(write(tmp_path / "x.safetensors", state), part)
    assert error.code == "E_MODEL_MISSING_KEYS"
    assert key in str(error)


def test_many_missing_tensors_are_counted_and_ten_are_named(tmp_path):
    state = {name: x for name, x in STATES["transformer"].items() if not name.endswith("norm2.weight")}
    error = refusal(write(tmp_path / "x.safetensors", state))
    assert "8 tensors are missing" in str(error)
    state = {name: x for name, x in state.items() if "feed_forward.w2" not in name and "k_norm" not in name}
    error = refusal(write(tmp_path / "y.safetensors", state))
    assert "16 tensors are missing" in str(error)
    assert str(error).count(".weight") == 10


def test_a_layer_missing_between_others_is_named(tmp_path):
    state = {name: x for name, x in STATES["transformer"].items() if not name.startswith("layers.0.")}
    error = refusal(write(tmp_path / "x.safetensors", state))
    assert error.code == "E_MODEL_MISSING_KEYS"
    assert "layers.0" in str(error)


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "clip_model", "vae"])
def test_a_tensor_too_many_is_named_as_the_file_has_it(tmp_path, part):
    state = {f"{name}": x for name, x in STATES[part].items()} | {"layers.0.surprise": torch.zeros(1)}
    prefix = "vae." if part == "vae" else "model.diffusion_model." if part == "transformer" else "model."
    error = refusal(write(tmp_path / "x.safetensors", renames.to_prefixed(state, prefix)), part)
    assert error.code == "E_MODEL_EXTRA_KEYS"
    assert f"{prefix}layers.0.surprise" in str(error)


def test_a_port_block_without_its_values_is_refused(tmp_path):
    port = renames.to_port(STATES["transformer"], TRANSFORMER)
    del port["layers.0.attn.to_v.weight"]
    error = refusal(write(tmp_path / "x.safetensors", port))
    assert error.code == "E_MODEL_MISSING_KEYS"
    assert "layers.0.attention.qkv.weight" in str(error)


def test_a_tensor_under_two_names_is_refused(tmp_path):
    port = renames.to_port(STATES["transformer"], TRANSFORMER)
    port["cap_embedder.0.weight"] = STATES["transformer"]["cap_embedder.0.weight"]
    error = refusal(write(tmp_path / "x.safetensors", port))
    assert "cap_embedder.0.weight" in str(error)
    assert "same tensor by two names" in str(error)


@pytest.mark.parametrize(
    ("part", "key", "shape"),
    [
        ("transformer", "layers.1.feed_forward.w1.weight", (65, 48)),
        ("transformer", "layers.0.attention.qkv.weight", (97, 48)),
        ("transformer", "x_embedder.weight", (48,)),
        ("text_encoder", "layers.1.self_attn.q_norm.weight", (9,)),
        ("clip_model", "layers.1.mlp.fc2.weight", (64, 97)),
        ("vae", "decoder.conv_out.weight", (4, 32, 3, 3)),
    ],
)
def test_shapes_that_disagree_with_each_other_are_refused(tmp_path, part, key, shape):
    state = {**STATES[part], key: torch.zeros(shape)}
    error = refusal(write(tmp_path / "x.safetensors", state), part)
    assert error.code == "E_MODEL_SHAPES"
    assert key.removesuffix(".weight") in str(error)


def test_adapter_factors_of_another_shape_are_refused(tmp_path):
    hub = renames.to_hub_jina(STATES["clip_model"])
    key = "text_model.transformer.roberta.encoder.layers.0.mlp.fc1.parametrizations.weight.0.lora_A"
    hub[key] = hub[key].expand(5, -1, -1)
    error = refusal(write(tmp_path / "x.safetensors", hub))
    assert error.code == "E_MODEL_SHAPES"
    assert "encoder.layers.0.mlp.fc1" in str(error)


@pytest.mark.parametrize(
    ("part", "config", "field"),
    [
        ("transformer", {"dim": 2304}, "dim"),
        ("transformer", {"num_kv_heads": 4}, "n_kv_heads"),
        ("transformer", {"axes_dims": [4, 4, 6]}, "axes_dims"),
        ("transformer", {"axes_dims": "wide"}, "axes_dims"),
        ("transformer", {"patch_size": 0}, "patch_size"),
        ("transformer", {"norm_eps": "small"}, "norm_eps"),
        ("text_encoder", {"text_config": {"num_hidden_layers": 34}}, "num_hidden_layers"),
        ("clip_model", {"text_config": {"embed_dim": 1024}}, "embed_dim"),
        ("vae", {"block_out_channels": [128, 256]}, "block_out_channels"),
        ("vae", {"norm_num_groups": 5}, "norm_num_groups"),
    ],
)
def test_a_configuration_that_disagrees_is_refused_by_its_field(tmp_path, part, config, field):
    write(tmp_path / "model.safetensors", STATES[part])
    write_json(tmp_path / "config.json", config)
    error = refusal(tmp_path, part)
    assert error.code == "E_MODEL_CONFIG"
    assert f'"{field}"' in str(error)


def test_a_configuration_that_is_no_table_is_refused(tmp_path):
    write(tmp_path / "model.safetensors", STATES["vae"])
    (tmp_path / "config.json").write_text("[1]")
    assert "not a JSON table" in str(refusal(tmp_path, "vae"))
    (tmp_path / "config.json").write_text("{")
    assert "not valid JSON" in str(refusal(tmp_path, "vae"))


def test_a_head_that_does_not_split_in_three_is_split_evenly_and_said_so(tmp_path, caplog):
    config = TransformerConfig(
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=1,
        axes_dims=(4, 6, 6),
        cap_feat_dim=8,
        clip_text_dim=8,
        ffn_dim=16,
    )
    path = write(tmp_path / "model.safetensors", random_state(tables.expected_transformer_shapes(config)))
    assert transformer_config(open_part(path)).axes_dims == (4, 6, 6)
    assert "[4, 6, 6]" in caplog.text and "axes_dims" in caplog.text
    caplog.clear()
    write_json(tmp_path / "config.json", {"axes_dims": [6, 6, 4]})
    assert transformer_config(open_part(tmp_path)).axes_dims == (6, 6, 4)
    assert not caplog.text


def test_missing_shards_are_named(tmp_path):
    index = write_shards(tmp_path, STATES["vae"])
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    error = refusal(index)
    assert error.code == "E_MODEL_SHARDS"
    assert "model-00002-of-00003.safetensors" in str(error)


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/passwd", "..", "sub/x.safetensors", "", 7, "..\\x"]
)
def test_an_index_may_only_name_files_beside_it(tmp_path, name):
    write(tmp_path / "x.safetensors", STATES["vae"])
    folder = tmp_path / "folder"
    index = write_json(folder / "model.safetensors.index.json", {"weight_map": {"a": name}})
    assert refusal(index).code == "E_MODEL_INDEX"


def test_an_index_that_names_absent_tensors_is_refused(tmp_path):
    index = write_shards(tmp_path, STATES["vae"])
    table = json.loads(index.read_text())
    table["weight_map"]["surprise"] = "model-00001-of-00003.safetensors"
    write_json(index, table)
    assert "1 tensors it names are in no shard: surprise" in str(refusal(index))


def test_another_part_than_expected_is_told(tmp_path):
    error = refusal(write(tmp_path / "x.safetensors", STATES["vae"]), "transformer")
    assert error.code == "E_MODEL_WRONG_PART"
    assert "holds vae; expected transformer" in str(error)


def test_an_empty_folder_is_told_with_the_names_looked_for(tmp_path):
    error = refusal(tmp_path, "clip_model")
    assert error.code == "E_MODEL_NOT_FOUND"
    assert "jina-clip-v2.safetensors" in str(error)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_of_tensors_is_read_only_with_leave(tmp_path, zipped):
    path = tmp_path / "pytorch_model.bin"
    torch.save(STATES["clip_model"], path, _use_new_zipfile_serialization=zipped)
    assert refusal(tmp_path, "clip_model").code == "E_MODEL_PICKLE"
    assert_reads_back(open_part(tmp_path, "clip_model", allow_pickle=True), STATES["clip_model"])


def test_a_pickle_in_a_hub_folder_needs_leave(tmp_path):
    write_hub(tmp_path, STATES)
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(STATES["vae"], tmp_path / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="newbie model convert"):
        open_model(tmp_path)
    assert_reads_back(open_model(tmp_path, allow_pickle=True).parts["vae"], STATES["vae"])


@pytest.mark.parametrize("zipped", [True, False])
def test_an_unsafe_pickle_is_refused_with_what_it_wanted(tmp_path, zipped):
    path = tmp_path / "model_args.pth"
    torch.save({"model": argparse.Namespace(dim=1)}, path, _use_new_zipfile_serialization=zipped)
    error = refusal(path, allow_pickle=True)
    assert error.code == "E_MODEL_PICKLE_UNSAFE"
    assert "argparse.Namespace" in str(error)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"state": {}, "param_groups": []}, "E_MODEL_OPTIMIZER"),
        ({"base_lrs": [0.1], "last_epoch": 3}, "E_MODEL_OPTIMIZER"),
        ({"step": 7, "w": torch.zeros(1)}, "E_MODEL_PICKLE_CONTENT"),
        ([torch.zeros(1)], "E_MODEL_PICKLE_CONTENT"),
    ],
)
def test_pickles_of_other_things_are_told(tmp_path, content, code):
    torch.save(content, tmp_path / "x.pth")
    assert refusal(tmp_path / "x.pth", allow_pickle=True).code == code


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_pickle_is_refused(tmp_path, zipped):
    path = tmp_path / "x.pth"
    torch.save(STATES["vae"], path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:5000])
    assert refusal(path, allow_pickle=True).code in ("E_MODEL_TRUNCATED", "E_MODEL_PICKLE_UNSAFE")
