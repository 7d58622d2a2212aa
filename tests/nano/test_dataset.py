"""The drawn dataset: a shard holds what the seed says, and is there whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image

from newbie_core.nano import dataset
from newbie_core.nano.dataset import (
    draw_shards,
    drawn_basis,
    encode_picture,
    load_shard,
    scene_from,
    scene_of,
    shard_file,
    to_tensor,
)
from newbie_core.nano.latents import LatentBasis, fit_latents
from newbie_core.nano.scenes import draw_scene


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards and bases of a few scenes."""
    monkeypatch.setattr(dataset, "SHARD", 3)
    monkeypatch.setattr(dataset, "BASIS_SCENES", 4)


@pytest.fixture(scope="module")
def basis() -> LatentBasis:
    return fit_latents([to_tensor(draw_scene(scene_of(1, number)))[None] for number in range(4)])


def quiet(_text: str) -> None:
    pass


def test_a_scenes_number_and_the_seed_decide_it() -> None:
    assert scene_of(1, 5) == scene_of(1, 5)
    assert len({scene_of(seed, number) for seed in (1, 2) for number in range(50)}) == 100


def test_a_scene_comes_back_from_json() -> None:
    for number in range(30):
        scene = scene_of(2, number)
        assert scene_from(json.loads(json.dumps(asdict(scene)))) == scene


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_pixels_become_numbers_from_minus_one_to_one(mode: str) -> None:
    picture = Image.new("RGB", (16, 32), "white")
    picture.paste("black", (0, 0, 8, 8))
    found = to_tensor(picture.convert(mode))
    assert found.shape == (3, 32, 16)
    assert found[:, 0, 0].tolist() == [-1, -1, -1]
    assert found[:, 31, 15].tolist() == [1, 1, 1]


def test_a_basis_is_fitted_once_and_then_read(small: None, tmp_path: Path) -> None:
    made = drawn_basis(tmp_path / "basis.safetensors", seed=1, scenes=9)
    assert [file.name for file in tmp_path.iterdir()] == ["basis.safetensors"]
    again = drawn_basis(tmp_path / "basis.safetensors", seed=2, scenes=9)  # the file wins
    assert torch.equal(made.components, again.components)
    other = drawn_basis(tmp_path / "other.safetensors", seed=2, scenes=9)
    assert not torch.equal(made.components, other.components)


def test_a_shard_holds_the_scenes_of_its_number_and_their_pictures(
    small: None, basis: LatentBasis, tmp_path: Path
) -> None:
    basis.save(tmp_path / "basis.safetensors")
    dataset._draw_shard(tmp_path, tmp_path / "basis.safetensors", 1, range(6, 9))
    found = list(load_shard(tmp_path, 2))
    assert [each.caption for each in found] == [scene_of(1, number) for number in (6, 7, 8)]
    for each, number in zip(found, (6, 7, 8), strict=True):
        assert each.latents.dtype == torch.float16
        assert torch.equal(each.latents, encode_picture(draw_scene(scene_of(1, number)), basis))
    assert not list(tmp_path.glob("*.part"))


def test_the_same_shard_has_the_same_bytes(small: None, basis: LatentBasis, tmp_path: Path) -> None:
    basis.save(tmp_path / "basis.safetensors")
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        dataset._draw_shard(tmp_path / name, tmp_path / "basis.safetensors", 1, range(3))
        contents.append(shard_file(tmp_path / name, 0).read_bytes())
    assert contents[0] == contents[1]


class Here:
    """An executor that does the work in this process, where the small shards are."""

    def __init__(self, workers: int, **_settings: object) -> None:
        assert workers == 2

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    map = staticmethod(map)


def test_only_missing_shards_are_drawn(
    small: None, basis: LatentBasis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "ProcessPoolExecutor", Here)
    basis.save(tmp_path / "basis.safetensors")
    folder, said = tmp_path / "scenes", list[str]()
    folder.mkdir()
    shard_file(folder, 1).write_bytes(b"kept")
    draw_shards(folder, tmp_path / "basis.safetensors", seed=1, scenes=7, workers=2, report=said.append)
    assert shard_file(folder, 1).read_bytes() == b"kept"
    assert [each.caption for each in load_shard(folder, 2)] == [scene_of(1, 6)]  # no more than was asked for
    assert len(list(folder.iterdir())) == 3
    assert [text.partition(",")[0] for text in said] == ["drawn 3 of 4 scenes", "drawn 4 of 4 scenes"]


def test_what_is_drawn_is_not_drawn_again(small: None, tmp_path: Path) -> None:
    for number in range(2):
        shard_file(tmp_path, number).write_bytes(b"kept")
    # Without a basis: it would fail if it drew.
    draw_shards(tmp_path, tmp_path / "none", seed=1, scenes=6, workers=1, report=quiet)
    assert [shard_file(tmp_path, number).read_bytes() for number in range(2)] == [b"kept"] * 2


def test_a_shard_stopped_midway_counts_as_not_drawn(small: None, tmp_path: Path) -> None:
    file = shard_file(tmp_path, 0)
    file.with_name(f"{file.name}.123.part").write_bytes(b"half")
    assert not file.exists()
    assert shard_file(tmp_path, 12).name == "scenes-0012.safetensors"
