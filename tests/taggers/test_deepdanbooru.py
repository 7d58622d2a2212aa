"""DeepDanbooru's network and its file."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from newbie_core.errors import ModelError
from newbie_core.taggers.deepdanbooru import (
    Architecture,
    DeepDanbooru,
    Tagger,
    load_tagger,
    read_architecture,
    save_tagger,
)
from newbie_core.taggers.squares import fit_square

TINY = Architecture(stem=4, widths=(16, 32, 32, 32, 64, 64), blocks=(2,) * 6, tags=7)
NAMES = [f"tag_{number}" for number in range(7)]


def make_network(sizes=TINY):
    torch.manual_seed(0)
    return DeepDanbooru(sizes).eval()


def make_file(folder, **changes):
    """A tiny file; a change replaces an entry, None removes it."""
    file = folder / "tiny.pt"
    save_tagger(file, make_network(), NAMES)
    state = torch.load(file, weights_only=True) | changes
    torch.save({name: value for name, value in state.items() if value is not None}, file)
    return file


def make_picture(width=96, height=64):
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8))


def shapes_of(sizes):
    with torch.device("meta"):
        return DeepDanbooru(sizes).state_dict()


def test_full_size_has_the_public_files_tensors():
    tensors = shapes_of(Architecture())
    assert len(tensors) == 357
    assert sum(tensor.numel() for tensor in tensors.values()) == 160_956_544
    assert set(tensors) == {
        f"n_Conv_{number}.{kind}" for number in range(179) for kind in ("weight", "bias")
    } - {"n_Conv_178.bias"}


@pytest.mark.parametrize(
    ("number", "shape"),
    [
        (0, (64, 3, 7, 7)),
        (1, (256, 64, 1, 1)),
        (3, (64, 64, 3, 3)),
        (11, (512, 256, 1, 1)),
        (36, (1024, 512, 1, 1)),
        (97, (256, 1024, 1, 1)),  # the stage that keeps its width: its projection comes last
        (98, (256, 256, 3, 3)),
        (100, (1024, 1024, 1, 1)),
        (158, (2048, 1024, 1, 1)),
        (168, (4096, 2048, 1, 1)),
        (178, (9176, 4096, 1, 1)),
    ],
)
def test_convolutions_are_numbered_as_in_the_public_file(number, shape):
    assert tuple(shapes_of(Architecture())[f"n_Conv_{number}.weight"].shape) == shape


@pytest.mark.parametrize(
    "sizes",
    [
        Architecture(),
        TINY,
        Architecture(stem=4, widths=(16, 32, 32), blocks=(1, 1, 1), tags=5),
        Architecture(stem=16, widths=(16, 64, 256), blocks=(1, 2, 1), tags=5),
        Architecture(stem=64, widths=(64, 64, 64), blocks=(1, 2, 3), tags=64),
    ],
)
def test_sizes_are_read_off_the_tensors(sizes, tmp_path):
    assert read_architecture(shapes_of(sizes), tmp_path) == sizes


def test_the_network_agrees_with_a_plain_account_of_it():
    """One stage, written out with torch's own layers and the paddings that TensorFlow gives even sides."""
    net = make_network(Architecture(stem=4, widths=(8, 8), blocks=(1, 1), tags=3))
    weights = net.state_dict()

    def conv(number, x, stride=1, pads=(0, 0, 0, 0)):
        x = torch.nn.functional.pad(x, pads)
        name = f"n_Conv_{number}"
        return torch.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), stride)

    pictures = torch.rand(2, 64, 64, 3)
    x = conv(0, pictures.permute(0, 3, 1, 2), 2, (2, 3, 2, 3)).relu()
    x = torch.nn.functional.max_pool2d(torch.nn.functional.pad(x, (0, 1, 0, 1), value=-1e9), 3, 2)
    branch = conv(4, conv(3, conv(2, x).relu(), 1, (1, 1, 1, 1)).relu())
    x = (branch + conv(1, x)).relu()
    branch = conv(7, conv(6, conv(5, x).relu(), 2, (0, 1, 0, 1)).relu())
    x = (branch + conv(8, x, 2)).relu()
    expected = conv(9, x).mean(dim=(2, 3)).sigmoid()
    assert torch.allclose(net(pictures), expected, atol=1e-6)


def test_a_written_file_gives_the_same_probabilities(tmp_path):
    file = tmp_path / "tiny.pt"
    save_tagger(file, make_network(), NAMES)
    loaded = load_tagger(file, side=128)
    assert loaded.tags == tuple(NAMES)
    wanted = Tagger(make_network(), NAMES, side=128).probabilities([make_picture()])
    assert torch.equal(loaded.probabilities([make_picture()]), wanted)


def test_equal_networks_give_equal_files(tmp_path):
    for name in ("one.pt", "other.pt"):
        save_tagger(tmp_path / name, make_network(), NAMES)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_half_precision_files_are_loaded_as_float32(tmp_path):
    file = tmp_path / "tiny.pt"
    save_tagger(file, make_network(), NAMES, dtype=torch.float16)
    assert {tensor.dtype for tensor in load_tagger(file).module.state_dict().values()} == {torch.float32}


def test_the_older_file_form_is_read_too(tmp_path):
    file = make_file(tmp_path)
    state = torch.load(file, weights_only=True)
    torch.save(state, file, _use_new_zipfile_serialization=False)
    assert load_tagger(file).tags == tuple(NAMES)


def test_only_probable_tags_are_named_the_most_probable_first():
    tagger = Tagger(make_network(), NAMES, side=128)
    every = tagger.tag(make_picture(), threshold=0)
    middle = sorted(every.values())[3]
    kept = tagger.tag(make_picture(), threshold=middle)
    assert list(every.values()) == sorted(every.values(), reverse=True)
    assert kept == {tag: value for tag, value in every.items() if value >= middle}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"tags": None}, 'no list "tags"'),
        ({"tags": [1, 2, 3, 4, 5, 6, 7]}, 'no list "tags"'),
        ({"tags": NAMES[:5]}, "5 tags and 7 outputs"),
        ({"n_Conv_3.bias": None}, '"n_Conv_3.bias" is missing'),
        ({"n_Conv_3.bias": torch.zeros(9)}, r'"n_Conv_3.bias" is \(9,\), expected \(4,\)'),
        ({"n_Conv_0.weight": None}, "no convolutions"),
        ({"n_Conv_9.weight": torch.zeros(3)}, r'"n_Conv_9.weight" is \(3,\)'),
        ({"more.weight": torch.zeros(3)}, '"more.weight"'),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(tmp_path, changes, found):
    file = make_file(tmp_path, **changes)
    with pytest.raises(ModelError, match=found) as caught:
        load_tagger(file)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 2


class Harmful:
    """What a pickle may carry: reading it naively would call print."""

    def __reduce__(self):
        return print, ("run!",)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, capsys):
    for stored in (pickle.dumps(Harmful(), protocol=2), zipped(Harmful())):
        (file := tmp_path / "bad.pt").write_bytes(stored)
        with pytest.raises(ModelError, match=r"bad\.pt"):
            load_tagger(file)
    assert capsys.readouterr().out == ""


def zipped(value):
    buffer = io.BytesIO()
    torch.save({"tags": value}, buffer)
    return buffer.getvalue()


def test_what_is_no_file_of_torch_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("not a network")
    for name in ("text.pt", "absent.pt"):
        with pytest.raises(ModelError, match=name):
            load_tagger(tmp_path / name)


def test_pictures_are_fitted_and_their_edges_drawn_out():
    picture = Image.new("RGB", (100, 50), "red")
    picture.paste("blue", (0, 25, 100, 50))
    square = fit_square(picture, 64)
    assert square.shape == (64, 64, 3)
    assert (square[:16] == (255, 0, 0)).all()
    assert (square[48:] == (0, 0, 255)).all()


def test_what_is_transparent_lies_on_white():
    square = fit_square(Image.new("RGBA", (10, 10), (255, 0, 0, 0)), 16)
    assert (square == 255).all()


def test_the_room_is_imported_without_torch():
    code = "import sys, newbie_core.taggers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
