from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from transformers import Gemma3TextConfig, Gemma3TextModel, JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from newbie_core.errors import ModelError
from newbie_core.model.config import PARTS, AutoencoderConfig, GemmaConfig, JinaConfig, TransformerConfig
from newbie_core.model.weights import config_from_shapes as sizes
from newbie_core.model.weights import renames
from newbie_core.model.weights import shape_tables as tables
from newbie_core.model.weights.layouts import open_model, open_part
from newbie_core.model.weights.part import ModelFiles
from tests.model.weights_building import (
    GEMMA,
    JINA,
    SPIECE,
    TRANSFORMER,
    VAE,
    assert_reads_back,
    random_state,
    same_bits,
    tiny_states,
    write,
    write_all_in_one,
    write_comfyui,
    write_hub,
    write_json,
    write_port,
    write_shards,
)

STATES = tiny_states()
UNUSED = ("norm_final.weight",)


def assert_whole(files: ModelFiles, *, without: tuple[str, ...] = ()) -> None:
    assert tuple(files.parts) == PARTS
    for name, part in files.parts.items():
        assert part.name == name
        assert part.dtype == "BF16"
        assert_reads_back(part, STATES[name], without=without if name == "transformer" else ())


def test_the_released_model_has_the_published_numbers_of_tensors_and_parameters():
    tallies = [
        (len(table), sum(map(prod, table.values())))
        for table in (
            tables.expected_transformer_shapes(TransformerConfig()),
            tables.expected_gemma_shapes(GemmaConfig()),
            tables.expected_jina_shapes(JinaConfig()),
            tables.expected_autoencoder_shapes(AutoencoderConfig()),
        )
    ]
    assert tallies == [(535, 3_486_636_096), (444, 3_880_263_168), (388, 558_314_496), (244, 83_819_683)]


def test_a_hub_folder_reads_back_bit_for_bit(tmp_path):
    files = open_model(write_hub(tmp_path, STATES))
    assert (files.layout, files.revision, files.shift) == ("hub", "local", None)
    assert_whole(files)
    assert files.parts["text_encoder"].tokenizer == tmp_path / "text_encoder" / "tokenizer.json"
    assert files.parts["clip_model"].tokenizer == tmp_path / "clip_model" / "tokenizer.json"
    assert len(files.parts["text_encoder"].files) == 3
    assert sizes.autoencoder_config(files.parts["vae"]).shift_factor == 0.25


def test_a_port_folder_reads_back_bit_for_bit_without_the_unused_norm(tmp_path):
    files = open_model(str(write_port(tmp_path, STATES)))
    assert (files.layout, files.shift) == ("port", 6.0)
    assert_whole(files, without=UNUSED)
    assert files.parts["text_encoder"].tokenizer == tmp_path / "tokenizer" / "tokenizer.json"
    assert files.parts["clip_model"].tokenizer == tmp_path / "tokenizer_2" / "tokenizer.json"


def test_a_comfyui_folder_reads_back_bit_for_bit_whatever_its_files_are_called(tmp_path):
    files = open_model(write_comfyui(tmp_path, STATES))
    assert files.layout == "comfyui"
    assert_whole(files)
    assert files.parts["text_encoder"].tokenizer == SPIECE
    assert files.parts["clip_model"].tokenizer == SPIECE[:9]


def test_one_file_with_all_parts_reads_back_bit_for_bit(tmp_path):
    path = write_all_in_one(tmp_path / "all.safetensors", STATES)
    for source in (path, tmp_path):
        files = open_model(source)
        assert files.layout == "all-in-one"
        assert_whole(files)
        assert files.parts["text_encoder"].tokenizer == SPIECE
        assert files.parts["clip_model"].tokenizer == SPIECE[:9]
    assert_reads_back(open_part(path, "vae"), STATES["vae"])


@pytest.mark.parametrize("wrap", [None, "model", "state_dict"])
def test_a_consolidated_folder_prefers_averaged_weights_and_takes_other_parts_by_name(tmp_path, wrap):
    averaged = STATES["transformer"]
    torch.save({wrap: averaged} if wrap else averaged, tmp_path / "consolidated_ema.00-of-01.pth")
    torch.save({}, tmp_path / "consolidated.00-of-01.pth")
    (tmp_path / "model_args.pth").write_bytes(b"never opened")
    hub = write_hub(tmp_path / "hub", STATES)
    others = {name: hub / name for name in ("text_encoder", "clip_model", "vae")}
    files = open_model(tmp_path, allow_pickle=True, overrides=others)
    assert files.layout == "consolidated"
    assert files.parts["transformer"].files == (tmp_path / "consolidated_ema.00-of-01.pth",)
    assert_whole(files)


def test_consolidated_safetensors_need_no_leave_for_pickles(tmp_path):
    write(
        tmp_path / "consolidated.00-of-01.safetensors", renames.to_prefixed(STATES["transformer"], "module.")
    )
    torch.save({}, tmp_path / "consolidated.00-of-01.pth")
    hub = write_hub(tmp_path / "hub", STATES)
    others = dict.fromkeys(("text_encoder", "clip_model", "vae"), hub)
    assert_whole(open_model(tmp_path, overrides=others))


def test_tensor_parallel_shards_are_refused(tmp_path):
    write(tmp_path / "consolidated.00-of-02.safetensors", STATES["transformer"])
    with pytest.raises(ModelError, match="one of 2 tensor-parallel shards") as caught:
        open_model(tmp_path)
    assert caught.value.code == "E_MODEL_SHARDS"


def test_every_layout_gives_the_same_sizes(tmp_path):
    models = [
        open_model(write_hub(tmp_path / "hub", STATES)),
        open_model(write_port(tmp_path / "port", STATES)),
        open_model(write_comfyui(tmp_path / "comfyui", STATES)),
        open_model(write_all_in_one(tmp_path / "all.safetensors", STATES)),
    ]
    for files in models:
        assert sizes.transformer_config(files.parts["transformer"]) == TRANSFORMER
        assert sizes.gemma_config(files.parts["text_encoder"]) == GEMMA
        assert sizes.jina_config(files.parts["clip_model"]) == JINA
    assert sizes.autoencoder_config(models[2].parts["vae"]) == VAE


@pytest.mark.parametrize(
    "prefix",
    ["", "model.diffusion_model.", "diffusion_model.", "transformer.", "module.", "module.diffusion_model."],
)
def test_a_transformer_is_known_under_every_prefix(tmp_path, prefix):
    path = write(tmp_path / "x.safetensors", renames.to_prefixed(STATES["transformer"], prefix))
    assert_reads_back(open_part(path), STATES["transformer"])


@pytest.mark.parametrize(
    "prefix", ["", "model.", "language_model.", "language_model.model.", "model.language_model."]
)
def test_gemma_is_known_under_every_prefix(tmp_path, prefix):
    path = write(tmp_path / "x.safetensors", renames.to_prefixed(STATES["text_encoder"], prefix))
    assert_reads_back(open_part(path, "text_encoder"), STATES["text_encoder"])


def test_jinas_adapter_is_merged_with_the_embeddings_factors_the_other_way_round(tmp_path):
    state = STATES["clip_model"]
    word, qkv = "embeddings.word_embeddings", "encoder.layers.1.mixer.Wqkv"
    table = (torch.randn(30, 4), torch.randn(4, 64))
    linear = (torch.randn(4, 64), torch.randn(192, 4))
    factors = {word: table, qkv: linear}
    path = write(tmp_path / "x.safetensors", renames.to_hub_jina(state, factors=factors))
    merged = dict(open_part(path, "clip_model").read())
    words = (state[f"{word}.weight"].float() + table[0] @ table[1]).bfloat16()
    assert same_bits(merged[f"{word}.weight"], words)
    keys = state["layers.1.self_attn.k_proj.weight"].float() + (linear[1] @ linear[0])[64:128]
    assert same_bits(merged["layers.1.self_attn.k_proj.weight"], keys.bfloat16())
    untouched = "layers.0.self_attn.k_proj.weight"
    assert same_bits(merged[untouched], state[untouched])


def test_jina_under_transformers_names_is_read_as_it_is(tmp_path):
    path = write(tmp_path / "x.safetensors", STATES["clip_model"])
    assert_reads_back(open_part(path), STATES["clip_model"])


def test_the_labs_autoencoder_names_are_those_diffusers_converts_from():
    config = AutoencoderConfig(latent_channels=4, block_out_channels=(8, 16, 16), layers_per_block=2)
    state = random_state(tables.expected_autoencoder_shapes(config))
    blocks = {"down_block_types": [""] * 3, "up_block_types": [""] * 3}
    converted = convert_ldm_vae_checkpoint(renames.to_bfl_vae(state), blocks)
    assert set(converted) == set(state)
    assert all(same_bits(converted[name], state[name]) for name in state)


def test_the_autoencoders_table_is_diffusers_own():
    with torch.device("meta"):
        network = AutoencoderKL(
            latent_channels=4,
            block_out_channels=(32, 64, 64),
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert own == tables.expected_autoencoder_shapes(VAE)


def test_a_port_state_splits_rows_by_the_numbers_of_heads():
    port = renames.to_port(STATES["transformer"], TRANSFORMER)
    qkv = STATES["transformer"]["layers.0.attention.qkv.weight"]
    assert same_bits(port["layers.0.attn.to_q.weight"], qkv[:48])
    assert same_bits(port["layers.0.attn.to_k.weight"], qkv[48:72])
    assert same_bits(port["layers.0.attn.to_v.weight"], qkv[72:])
    assert "context_refiner.0.norm1.weight" in port
    assert "noise_refiner.0.norm1.norm.weight" in port


def test_opening_a_part_reads_no_numbers(tmp_path, monkeypatch):
    path = write(tmp_path / "x.safetensors", STATES["transformer"])

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("tensor data was opened")

    monkeypatch.setattr("newbie_core.model.weights.stored.safe_open", refuse)
    assert open_part(path).parameters == sum(tensor.numel() for tensor in STATES["transformer"].values())


def test_single_files_may_carry_their_configuration_as_metadata(tmp_path):
    config = {"axes_dims": [2, 4, 6], "axes_lens": [64, 32, 32]}
    path = write(tmp_path / "x.safetensors", STATES["transformer"], {"config": json.dumps(config)})
    found = sizes.transformer_config(open_part(path))
    assert (found.axes_dims, found.axes_lens) == ((2, 4, 6), (64, 32, 32))


def test_an_override_replaces_one_part(tmp_path):
    hub = write_hub(tmp_path / "hub", STATES)
    other = random_state(tables.expected_autoencoder_shapes(VAE), 9)
    path = write(tmp_path / "ae.safetensors", renames.to_bfl_vae(other))
    files = open_model(hub, overrides={"vae": path})
    assert files.parts["vae"].files == (path,)
    assert_reads_back(files.parts["vae"], other)


def test_a_shard_index_can_be_named_itself(tmp_path):
    index = write_shards(tmp_path, STATES["vae"], stem="odd")
    assert_reads_back(open_part(index), STATES["vae"])
    assert_reads_back(open_part(tmp_path), STATES["vae"])


def test_a_missing_part_is_named_with_what_was_looked_for_and_how_to_name_it(tmp_path):
    write_hub(tmp_path, STATES)
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        open_model(tmp_path)
    assert caught.value.code == "E_MODEL_PART_MISSING"
    for words in ("no vae", "vae/", "diffusion_pytorch_model.safetensors", "--vae", "arguments vae"):
        assert words in str(caught.value)


def test_a_comfyui_folder_passes_over_other_files_and_says_why_a_part_is_missing(tmp_path):
    write_comfyui(tmp_path, STATES)
    files = tmp_path / "split_files" / "text_encoders"
    write(files / "lora.safetensors", {"layers.0.lora_A.weight": torch.zeros(2, 2)})
    assert_whole(open_model(tmp_path))
    (files / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no text_encoder;(.|\n)*lora\.safetensors: an adapter"):
        open_model(tmp_path)


def test_two_files_with_the_same_part_must_be_chosen_between(tmp_path):
    write_comfyui(tmp_path, STATES)
    other = write(tmp_path / "vae" / "e.safetensors", STATES["vae"])
    with pytest.raises(ModelError, match=r"2 files hold a vae.*--vae") as caught:
        open_model(tmp_path)
    assert caught.value.code == "E_MODEL_AMBIGUOUS"
    assert_whole(open_model(tmp_path, overrides={"vae": other}))


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path):
    write_hub(tmp_path, STATES)
    narrow = GemmaConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=24,
        vocab_size=40,
    )
    path = write(tmp_path / "g.safetensors", random_state(tables.expected_gemma_shapes(narrow)))
    with pytest.raises(ModelError, match=r"hidden states 16 wide.*takes 32") as caught:
        open_model(tmp_path, overrides={"text_encoder": path})
    assert caught.value.code == "E_MODEL_SHAPES"


def test_links_inside_the_hubs_cache_work_and_links_elsewhere_do_not(tmp_path):
    repository = tmp_path / "models--a--b"
    snapshot = write_hub(repository / "snapshots" / ("c" * 40), STATES)
    (repository / "blobs").mkdir()
    weights = snapshot / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(repository / "blobs" / "0123")
    weights.symlink_to(Path("../../../blobs/0123"))
    assert_whole(open_model(snapshot))
    (repository / "blobs" / "0123").rename(tmp_path / "elsewhere")
    weights.unlink()
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"a link out of the model's folder.*--vae") as caught:
        open_model(snapshot)
    assert caught.value.code == "E_MODEL_SYMLINK"


def test_a_link_a_person_names_is_followed(tmp_path):
    target = write(tmp_path / "a" / "x.safetensors", STATES["vae"])
    link = tmp_path / "b.safetensors"
    link.symlink_to(target)
    assert_reads_back(open_part(link), STATES["vae"])


@pytest.mark.parametrize("key", ["shift", "flow_shift"])
@pytest.mark.parametrize("shift", ["six", -1, True])
def test_a_scheduler_whose_shift_is_no_number_is_refused(tmp_path, shift, key):
    write_port(tmp_path, STATES)
    write_json(tmp_path / "scheduler" / "scheduler_config.json", {key: shift})
    with pytest.raises(ModelError, match=f'"{key}" is'):
        open_model(tmp_path)


def test_a_single_folder_of_the_port_still_finds_its_tokenizer(tmp_path):
    write_port(tmp_path, STATES)
    part = open_part(tmp_path / "text_encoder_2", "clip_model")
    assert part.tokenizer == tmp_path / "tokenizer_2" / "tokenizer.json"
    with pytest.raises(ModelError, match="no transformer"):
        open_model(tmp_path / "text_encoder")


def test_a_training_checkpoint_may_lie_among_the_other_parts_folders(tmp_path):
    write_hub(tmp_path, STATES)
    (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors").rename(
        tmp_path / "consolidated_ema.00-of-01.safetensors"
    )
    (tmp_path / "transformer" / "config.json").unlink()
    (tmp_path / "transformer").rmdir()
    files = open_model(tmp_path)
    assert files.layout == "consolidated"
    assert_whole(files)


def test_the_text_towers_tables_are_transformers_own():
    gemma = Gemma3TextConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        vocab_size=40,
    )
    jina = JinaEmbeddingsV3Config(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=96, vocab_size=30
    )
    with torch.device("meta"):
        networks = (Gemma3TextModel(gemma), JinaEmbeddingsV3Model(jina, add_pooling_layer=False))
    own = [
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} for network in networks
    ]
    assert own == [tables.expected_gemma_shapes(GEMMA), tables.expected_jina_shapes(JINA)]
