from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn

from newbie_core.errors import ModelError
from newbie_core.model.weights import renames
from newbie_core.model.weights.digests import cache_path, file_digest, model_digests
from newbie_core.model.weights.hub import locate
from newbie_core.model.weights.layouts import open_model, open_part
from newbie_core.model.weights.loading import load_into
from tests.model.weights_building import (
    same_bits,
    tiny_states,
    write,
    write_all_in_one,
    write_hub,
)

STATES = tiny_states()


def tiny_autoencoder() -> AutoencoderKL:
    with torch.device("meta"):
        return AutoencoderKL(
            latent_channels=4,
            block_out_channels=(32, 64, 64),
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )


class Module(nn.Module):
    """A module with exactly the parameters it is given, on the meta device."""

    def __init__(self, names: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        for name, shape in names.items():
            *path, leaf = name.split(".")
            home: nn.Module = self
            for step in path:
                if step not in dict(home.named_children()):
                    home.add_module(step, nn.Module())
                home = home.get_submodule(step)
            home.register_parameter(leaf, nn.Parameter(torch.empty(shape, device="meta")))


@pytest.fixture
def vae(tmp_path):
    return open_part(write(tmp_path / "x.safetensors", renames.to_bfl_vae(STATES["vae"])))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEWBIE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "digests.json"


def test_a_module_on_the_meta_device_gets_every_tensor(vae):
    network = tiny_autoencoder()
    load_into(network, vae)
    assert all(same_bits(tensor, STATES["vae"][name]) for name, tensor in network.state_dict().items())
    picture = network.decode(torch.zeros(1, 4, 2, 2, dtype=torch.bfloat16)).sample
    assert picture.shape == (1, 3, 8, 8)


def test_tensors_lie_where_sums_round_alike_whatever_file_they_are_from(vae):
    assert any(tensor.data_ptr() % 64 for _, tensor in vae.read())
    network = tiny_autoencoder()
    load_into(network, vae)
    assert not any(tensor.data_ptr() % 64 for tensor in network.state_dict().values())


def test_tensors_are_cast_on_the_way(vae):
    network = tiny_autoencoder()
    load_into(network, vae, dtype=torch.float32)
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}
    name = "decoder.conv_in.weight"
    assert torch.equal(network.state_dict()[name], STATES["vae"][name].float())


def test_missing_and_unexpected_tensors_are_refused_before_any_is_read(vae):
    shapes = {name: shape for name, shape in vae.shapes.items() if name != "decoder.conv_in.bias"}
    network = Module({**shapes, "decoder.conv_in.extra": (1,)})
    with pytest.raises(ModelError) as caught:
        load_into(network, vae)
    assert "1 tensors are missing: decoder.conv_in.extra" in str(caught.value)
    assert "1 tensors are unexpected: decoder.conv_in.bias" in str(caught.value)
    assert str(vae.files[0]) in str(caught.value)
    assert all(tensor.is_meta for tensor in network.parameters())


def test_a_tensor_of_another_shape_is_refused_by_name(vae):
    network = Module({**vae.shapes, "decoder.conv_in.bias": (65,)})
    with pytest.raises(ModelError, match=r"decoder\.conv_in\.bias \[64\] \(expected \[65\]\)") as caught:
        load_into(network, vae)
    assert caught.value.code == "E_MODEL_SHAPES"


def test_a_module_may_do_without_named_tensors(vae):
    network = Module({name: shape for name, shape in vae.shapes.items() if not name.startswith("encoder.")})
    load_into(network, vae, skip=("encoder.",))
    assert same_bits(network.state_dict()["decoder.conv_in.bias"], STATES["vae"]["decoder.conv_in.bias"])


def test_the_norm_nobody_uses_may_be_absent_on_either_side(tmp_path):
    state = STATES["transformer"]
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    bare = {name: tensor for name, tensor in state.items() if name != "norm_final.weight"}
    with_norm = open_part(write(tmp_path / "a.safetensors", state))
    without = open_part(write(tmp_path / "b.safetensors", bare))
    for part in (with_norm, without):
        full, lean = Module(shapes), Module({name: shapes[name] for name in bare})
        load_into(full, part)
        assert {tensor.dtype for tensor in full.parameters()} == {torch.bfloat16}
        load_into(lean, part)
        assert not any(tensor.is_meta for tensor in (*full.parameters(), *lean.parameters()))
        assert same_bits(lean.state_dict()["x_embedder.bias"], state["x_embedder.bias"])


def test_buffers_outside_the_state_dictionary_are_left_alone(vae):
    network = tiny_autoencoder()
    network.register_buffer("frequencies", torch.arange(3.0), persistent=False)
    load_into(network, vae)
    assert torch.equal(network.frequencies, torch.arange(3.0))


def test_a_file_changed_after_opening_is_told(vae):
    vae.files[0].unlink()
    with pytest.raises(ModelError) as caught:
        dict(vae.read())
    assert caught.value.code == "E_MODEL_READ"


def test_a_digest_is_the_files_sha256_and_is_remembered(tmp_path, cache, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert file_digest(path) == expected
    assert json.loads(cache.read_text())[str(path)]["sha256"] == expected
    assert list(cache.parent.iterdir()) == [cache]
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert file_digest(path) == expected


def test_a_changed_file_is_hashed_anew(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one")
    file_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()


def test_a_recheck_finds_bytes_changed_behind_the_clocks_back(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one")
    before = path.stat()
    first = file_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_digest(path) == first
    assert file_digest(path, recheck=True) == hashlib.sha256(b"two").hexdigest()
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("damage", ["{", "[]", '{"%s": 7}', '{"%s": {"sha256": "beef"}}'])
def test_a_damaged_memory_is_ignored(tmp_path, cache, damage):
    path = tmp_path / "x"
    path.write_bytes(b"weights")
    cache.parent.mkdir()
    cache.write_text(damage.replace("%s", str(path)))
    for _ in range(2):
        assert file_digest(path) == hashlib.sha256(b"weights").hexdigest()


def test_a_memory_that_cannot_be_written_is_ignored_with_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "taken").write_bytes(b"")
    monkeypatch.setenv("NEWBIE_CACHE", str(tmp_path / "taken"))
    path = tmp_path / "x"
    path.write_bytes(b"weights")
    assert file_digest(path) == hashlib.sha256(b"weights").hexdigest()
    assert "cannot be" in caplog.text


def test_the_memory_lies_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("NEWBIE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_path() == Path("/somewhere/newbie-assets/digests.json")


def test_a_models_digests_are_named_by_part_and_file(tmp_path):
    hub = open_model(write_hub(tmp_path / "hub", STATES))
    digests = model_digests(hub)
    assert len(digests) == 8
    assert sum("tokenizer" in name for name in digests) == 2
    path = tmp_path / "hub" / "vae" / "diffusion_pytorch_model.safetensors"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digests["vae/diffusion_pytorch_model.safetensors"] == expected
    whole = model_digests(open_model(write_all_in_one(tmp_path / "all.safetensors", STATES)))
    assert set(whole) == {
        f"{part}/all.safetensors" for part in ("transformer", "text_encoder", "clip_model", "vae")
    }
    assert len(set(whole.values())) == 1


HUB_SCRIPT = """
import sys
from newbie_core.errors import ModelError
from newbie_core.model.weights.hub import locate
try:
    folder, commit = locate(sys.argv[1], revision=sys.argv[2] or None, progress=False)
    print(folder, commit)
except ModelError as error:
    print(error.code, error)
"""


def ask_hub(home: Path, source: str, revision: str = "") -> str:
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", HUB_SCRIPT, source, revision],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_a_cached_repository_is_found_offline_with_its_commit(tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--newbie--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = write_hub(repository / "snapshots" / commit, STATES)
    (repository / "blobs").mkdir()
    weights = snapshot / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(repository / "blobs" / "beef")
    weights.symlink_to("../../../blobs/beef")
    assert ask_hub(tmp_path, "newbie/tiny") == f"{snapshot} {commit}"
    assert ask_hub(tmp_path, "newbie/tiny", commit) == f"{snapshot} {commit}"
    assert len(open_model(snapshot).parts) == 4


def test_an_uncached_repository_offline_says_what_to_do(tmp_path):
    answer = ask_hub(tmp_path, "newbie/absent")
    assert answer.startswith("E_MODEL_HUB_OFFLINE newbie/absent")
    assert "HF_HUB_OFFLINE" in answer


def test_a_hub_repositorys_commit_becomes_the_models_revision(tmp_path, monkeypatch):
    folder = write_hub(tmp_path / "c0ffee", STATES)
    asked = []

    def answer(repo_id: str, **settings: object) -> str:
        asked.append((repo_id, settings["revision"]))
        return str(folder)

    monkeypatch.setattr("newbie_core.model.weights.hub.snapshot_download", answer)
    files = open_model("newbie/tiny", revision="v1")
    assert (files.source, files.revision) == ("newbie/tiny", "c0ffee")
    assert asked == [("newbie/tiny", "v1")]


@pytest.mark.parametrize(
    "source", ["./newby", "models/newby", "models/x.safetensors", "newby", "~/newby-absent"]
)
def test_what_looks_like_a_path_is_never_looked_up_on_the_hub(tmp_path, monkeypatch, source):
    (tmp_path / "models" / "newbie").mkdir(parents=True)
    (tmp_path / "newbie").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelError, match="there is no such file or folder") as caught:
        locate(source, revision=None, progress=False)
    assert caught.value.code == "E_MODEL_NOT_FOUND"
    if source.endswith("newby"):
        assert 'newbie"?' in str(caught.value)


def test_an_existing_path_is_taken_even_if_it_could_be_a_hub_id(tmp_path, monkeypatch):
    (tmp_path / "newbie" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate("newbie/tiny", revision=None, progress=False) == (Path("newbie/tiny"), None)
    with pytest.raises(ModelError, match="a path has no revision"):
        locate("newbie/tiny", revision="main", progress=False)
