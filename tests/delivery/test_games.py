"""Ren'Py and SillyTavern take these folders as they are."""

from __future__ import annotations

import re

import pytest

from newbie_core.catalogs import LABELS, Channel
from newbie_core.delivery import Order, deliver, read_pattern
from newbie_core.delivery.renpy import KEYWORDS, word
from newbie_core.delivery.sillytavern import USUAL_LABELS, label_of
from newbie_core.errors import DeliveryError
from tests.delivery.conftest import make_release
from tests.delivery.test_delivering import files_in

STATEMENT = re.compile(r'image ((?:\w+)(?: \w+)*) = "([^"\[\]{}\\]+)"')
WEB = Channel(name="web", width=48, height=48, format="webp")


def test_renpy_gets_layered_names_and_a_script_that_defines_them(export, tmp_path):
    export(kind="renpy")
    lines = (tmp_path / "out/newbie_cast.rpy").read_text().splitlines()
    found = dict(STATEMENT.fullmatch(line).groups() for line in lines if not line.startswith("#"))
    assert found == {
        f"{who} {face}": f"images/{who} {face}.png" for who in ("aria", "ren") for face in ("happy", "sad")
    }
    assert all((tmp_path / "out" / name).is_file() for name in found.values())


@pytest.mark.parametrize(
    "text, expected",
    [
        ("aria", "aria"),
        ("Aria-School 2", "aria_school_2"),
        ("2b", "n2b"),
        ("__init", "init"),
        ("角色", "角色"),
        ("at", "at_"),
        ("With", "with_"),
        ("!!!", "n"),
        ("🦊fox", "fox"),
        ('a"[b]\\', "a_b"),
    ],
)
def test_every_word_is_a_name_that_renpy_takes(text, expected):
    assert word(text) == expected
    assert re.fullmatch(r"[a-z\u00a1-\ufffd][0-9a-z_\u00a1-\ufffd]*", word(text))
    assert word(text) not in KEYWORDS


def test_copies_have_an_attribute_of_their_own(tmp_path):
    shelf = make_release(tmp_path, characters="id,name,gender,appearance,count\nat,At,1girl,silver_hair,2\n")
    deliver(shelf, shelf.current(), Order(to=tmp_path / "out", kind="renpy", channels=(WEB,)))
    assert files_in(tmp_path / "out/images") == ["at_ take2.webp", "at_.webp"]


def test_two_pictures_with_one_name_in_renpy_are_refused(tmp_path):
    shelf = make_release(
        tmp_path, characters="id,name,gender,appearance\na-b,A,1girl,red_hair\na_b,B,1boy,black_hair\n"
    )
    with pytest.raises(DeliveryError, match='"a-b" and "a_b" would both be'):
        deliver(shelf, shelf.current(), Order(to=tmp_path / "out", kind="renpy"))


@pytest.mark.parametrize("kind", ["renpy", "sillytavern"])
def test_formats_with_names_of_their_own_take_no_pattern_and_one_channel(export, kind):
    with pytest.raises(DeliveryError, match="names its files itself"):
        export(kind=kind, pattern=read_pattern("{id}"))
    with pytest.raises(DeliveryError, match="takes one form of each picture"):
        export(kind=kind, channels=(WEB, Channel(name="other", width=8, height=8)))


def test_sillytavern_gets_a_picture_a_label_and_is_told_of_the_missing_ones(export, tmp_path):
    done = export(kind="sillytavern")
    for who in ("aria", "ren"):
        assert files_in(tmp_path / "out" / who) == ["joy.png", "sadness.png"]
        assert done.details["missing"][who] == [label for label in LABELS if label not in ("joy", "sadness")]
    assert done.details["left_out"] == []
    assert any(note.startswith("aria: no picture for admiration") for note in done.notes)


def test_the_catalogs_labels_come_before_the_usual_ones(export, tmp_path):
    done = export(kind="sillytavern", labels={"sad": "joy", "happy": "joy"}, channels=(WEB,))
    assert files_in(tmp_path / "out/aria") == ["joy-1.webp", "joy.webp"]
    assert done.files == 4


def test_an_expression_without_a_label_is_left_out_and_named(export, tmp_path):
    done = export(kind="sillytavern", labels={"sad": ""})
    assert done.details["left_out"] == ["aria/sad", "ren/sad"]
    assert files_in(tmp_path / "out/ren") == ["joy.png"]
    with pytest.raises(DeliveryError, match="no picture has an expression with a label"):
        export("none", kind="sillytavern", labels={"sad": "", "happy": ""})


def test_outfits_are_folders_below_the_character(tmp_path):
    shelf = make_release(
        tmp_path,
        characters="id,name,gender,appearance\naria,Aria,1girl,red_hair\n",
        expressions="id,expression\nangry,angry\n",
        outfits="id,clothing\nwinter,scarf\n",
    )
    deliver(shelf, shelf.current(), Order(to=tmp_path / "out", kind="sillytavern"))
    assert (tmp_path / "out/aria/winter/anger.png").is_file()


def test_there_are_twenty_eight_labels_and_every_usual_name_has_one_of_them():
    assert len(set(LABELS)) == 28
    assert set(USUAL_LABELS.values()) == set(LABELS)
    assert [label_of(name, {}) for name in ("Heart Eyes", "生气", "JOY", "zzz")] == [
        "love",
        "anger",
        "joy",
        "",
    ]
