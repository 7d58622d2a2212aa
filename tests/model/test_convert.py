"""Whatever form a model comes in, it can be written anew in another, with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import newbie_core.model.convert as convert_module
from newbie_core.errors import ModelError
from newbie_core.model.config import PARTS
from newbie_core.model.convert import convert
from newbie_core.model.tiny import CONSOLIDATED_STEM, tiny_parts, write_tiny
from newbie_core.model.weights.layouts import open_model, open_part
from newbie_core.model.weights.renames import UNUSED_NORM


def assert_holds_the_tiny_model(path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    model = open_model(path)
    for name, part in tiny_parts().items():
        found = dict(model.parts[name].read())
        assert set(part.tensors) - set(found) <= {UNUSED_NORM}
        for key, value in found.items():
            assert value.dtype == dtype
            assert torch.equal(value, part.tensors[key].to(dtype)), f"{name} {key}"


def target(folder: Path, to: str) -> Path:
    return folder / ("one.safetensors" if to == "all-in-one" else "converted")


@pytest.mark.parametrize("to", ["hub", "comfyui", "all-in-one"])
@pytest.mark.parametrize("layout", ["hub", "sharded", "comfyui", "all-in-one"])
def test_a_model_keeps_every_bit_in_another_layout(tmp_path: Path, layout: Any, to: Any) -> None:
    source = write_tiny(tmp_path / "source", layout=layout)
    out = target(tmp_path, to)
    written = convert(source, out, to=to)
    assert open_model(out).layout == to
    assert_holds_the_tiny_model(out)
    assert set(written) == ({path for path in out.rglob("*") if path.is_file()} or {out})


def test_a_way_through_all_layouts_ends_where_it_began(tmp_path: Path) -> None:
    here = write_tiny(tmp_path / "port", layout="port")
    convert(here, tmp_path / "hub", to="hub")
    for part in ("text_encoder", "clip_model"):
        # The port's folders have no SentencePiece model, which the next layouts carry inside their files.
        for name, content in tiny_parts()[part].tokenizer.items():
            (tmp_path / "hub" / part / name).write_bytes(content)
    convert(tmp_path / "hub", tmp_path / "comfyui", to="comfyui")
    convert(tmp_path / "comfyui", tmp_path / "one.safetensors", to="all-in-one")
    convert(tmp_path / "one.safetensors", tmp_path / "again", to="hub")
    assert_holds_the_tiny_model(tmp_path / "again")


def test_equal_models_make_equal_bytes(tmp_path: Path) -> None:
    for layout in ("hub", "comfyui"):
        source = write_tiny(tmp_path / layout, layout=layout)
        convert(source, tmp_path / f"{layout}.safetensors", to="all-in-one")
    assert (tmp_path / "hub.safetensors").read_bytes() == (tmp_path / "comfyui.safetensors").read_bytes()


def test_a_pickled_checkpoint_becomes_an_equal_part_in_safetensors(tmp_path: Path) -> None:
    checkpoint = (
        write_tiny(tmp_path / "source", layout="consolidated", pickled=True) / f"{CONSOLIDATED_STEM}.pth"
    )
    with pytest.raises(ModelError, match="pickle"):
        convert(checkpoint, tmp_path / "transformer")
    written = convert(checkpoint, tmp_path / "transformer", allow_pickle=True)
    assert [path.name for path in written] == ["config.json", "diffusion_pytorch_model.safetensors"]
    original = torch.load(checkpoint, weights_only=True)
    assert_equal(load_file(written[1]), original)
    model = open_model(tmp_path / "source", overrides={"transformer": tmp_path / "transformer"})
    assert_equal(dict(model.parts["transformer"].read()), original)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize("name", PARTS)
def test_one_part_is_converted_alone(tmp_path: Path, name: Any) -> None:
    source = write_tiny(tmp_path / "source")
    convert(source / name, tmp_path / "single.safetensors", to="comfyui")
    convert(tmp_path / "single.safetensors", tmp_path / name, to="hub")
    back = open_part(tmp_path / name)
    assert back.name == name
    assert_equal(dict(back.read()), dict(tiny_parts()[name].tensors))
    assert (back.tokenizer is not None) == (name in ("text_encoder", "clip_model"))


def test_a_type_may_be_chosen_and_leaves_the_tokenizers_alone(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source")
    convert(source, tmp_path / "c", to="comfyui", dtype=torch.bfloat16)
    assert_holds_the_tiny_model(tmp_path / "c", dtype=torch.bfloat16)
    assert open_model(tmp_path / "c").parts["clip_model"].tokenizer == tiny_parts()["clip_model"].spiece
    assert (tmp_path / "c/split_files/text_encoders/gemma_3_4b_it_bf16.safetensors").is_file()


def test_numbers_the_chosen_type_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source", layout="consolidated", pickled=True) / f"{CONSOLIDATED_STEM}.pth"
    state = torch.load(source, weights_only=True)
    state["x_embedder.bias"][0] = 1e6
    torch.save(state, source)
    with pytest.raises(ModelError, match=r"x_embedder\.bias holds numbers that torch\.float16 cannot"):
        convert(source, tmp_path / "out", allow_pickle=True, dtype=torch.float16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_the_ports_configuration_is_put_into_upstreams_words(tmp_path: Path) -> None:
    convert(write_tiny(tmp_path / "port", layout="port"), tmp_path / "hub")
    config = open_model(tmp_path / "hub").parts["transformer"].config
    assert (config["dim"], config["n_kv_heads"], config["axes_dims"]) == (96, 2, [8, 8, 8])
    assert "hidden_size" not in config


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    source, out = write_tiny(tmp_path / "source"), tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="nothing is overwritten"):
        convert(source, out)
    assert kind != "file" or out.read_text() == "mine"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_a_conversion_cut_short_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    source = write_tiny(tmp_path / "source")

    def half(place: Path, *_: Any, **__: Any) -> None:
        place.mkdir()
        (place / "model_index.json").write_text("{")
        raise stop(28, "No space left on device")

    monkeypatch.setattr(convert_module, "write_hub", half)
    with pytest.raises(ModelError if stop is OSError else stop, match="No space left"):
        convert(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_layout_that_carries_its_tokenizer_inside_asks_for_one(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source", layout="port")
    with pytest.raises(
        ModelError, match=r"text_encoder: .*the source has tokenizer\.json; .*\"tokenizer\.model\""
    ):
        convert(source, tmp_path / "out", to="comfyui")


def test_xlm_robertas_own_numbering_is_not_put_into_a_comfyui_file(tmp_path: Path) -> None:
    from newbie_core.model.tiny_tokenizers import tiny_jina

    folder = write_tiny(tmp_path / "source") / "clip_model"
    (folder / "spiece.model").write_bytes(tiny_jina(numbering="xlm-roberta")[1])
    with pytest.raises(ModelError, match=r"clip_model: .*numbered as in ComfyUI's files"):
        convert(folder, tmp_path / "out.safetensors", to="comfyui")


@pytest.mark.parametrize(
    ("to", "name", "said"),
    [
        ("all-in-one", "out", "expected a .safetensors file"),
        ("hub", "out.safetensors", "expected a folder's name"),
    ],
)
def test_the_target_must_have_the_form_of_its_layout(tmp_path: Path, to: Any, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        convert(write_tiny(tmp_path / "source"), tmp_path / name, to=to)


def test_one_part_makes_no_all_in_one_file(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source")
    with pytest.raises(ModelError, match="holds one part, vae"):
        convert(source / "vae", tmp_path / "out.safetensors", to="all-in-one")


def test_a_model_that_lacks_a_part_is_not_taken_for_one_part(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source", layout="consolidated")
    (source / "vae").rename(tmp_path / "vae")
    with pytest.raises(ModelError, match=r"no .*vae"):
        convert(source, tmp_path / "out")
