"""Names by a pattern: every field, and nothing that some disk refuses."""

from __future__ import annotations

import pytest

from newbie_core.delivery.names import check_names, pattern_names, read_pattern, with_ending
from newbie_core.errors import DeliveryError

FIELDS = {"id": "aria/happy", "character": "aria", "expression": "happy", "seed": "42", "number": "7"}


def name(pattern: str, kind: str = "png", **fields: str) -> str:
    return pattern_names(read_pattern(pattern), [FIELDS | fields], [kind])[0]


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("{character}/{expression}.png", "aria/happy.png"),
        ("{id}", "aria/happy.png"),
        ("{expression}-{seed:08}.png", "happy-00000042.png"),
        ("{{{character}}}_{number:03d}", "{aria}_007.png"),
        ("{character}.v2", "aria.v2.png"),
    ],
)
def test_a_pattern_gives_a_name_by_the_fields(pattern, expected):
    assert name(pattern) == expected


@pytest.mark.parametrize(
    "kind, given, expected",
    [
        ("png", "a.webp", "a.png"),
        ("webp", "a.PNG", "a.webp"),
        ("jpeg", "a.jpeg", "a.jpeg"),
        ("jpeg", "a.JPG", "a.JPG"),
        ("jpeg", "a", "a.jpg"),
        ("png", "a.png.png", "a.png.png"),
    ],
)
def test_the_ending_follows_the_format(kind, given, expected):
    assert with_ending(given, kind) == expected


@pytest.mark.parametrize(
    "pattern, said",
    [
        ("{charcter}.png", 'did you mean "{character}"?'),
        ("{character", "expected '}'"),
        ("{0}.png", "is no field"),
        ("{character.__class__}", "is no field"),
        ("{character[0]}", "is no field"),
        ("{character!r}", "asks for the form"),
        ("{character:03}", "asks for the form"),
        ("{seed:>1000000000}", "asks for the form"),
        ("{seed:{number}}", "asks for the form"),
        ("all.png", "names no field"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_what_to_write(pattern, said):
    with pytest.raises(DeliveryError) as refused:
        name(pattern)
    assert said in str(refused.value)
    assert (refused.value.code, refused.value.exit_code) == ("E_EXPORT_PATTERN", 2)


def test_a_field_with_a_slash_never_chooses_the_folder():
    with pytest.raises(DeliveryError, match=r'picture "aria/happy": .*with a slash in it'):
        name("{character}.png", character="../../etc/passwd")
    with pytest.raises(DeliveryError, match="with a slash"):
        name("{character}.png", character="a\\b")


@pytest.mark.parametrize(
    "bad",
    [
        "../a.png", "a/../b.png", "/etc/a.png", "a//b.png", "./a.png", "a/", "con.png", "a/NUL", "lpt1.tar.png",
        "com¹.png", "a:b.png", "a?.png", "a\0.png", "a\u202egnp.png", "a\nb.png", "a.png /b", " a.png", "a./b.png",
        "x" * 201 + ".png", "/".join(["y" * 60] * 5), "\ud800.png",
    ],
)  # fmt: skip
def test_a_name_that_some_disk_refuses_is_refused_by_name(bad):
    with pytest.raises(DeliveryError) as refused:
        check_names(["good.png", bad], ["aria/sad", "aria/happy"], where="cast r000001")
    assert 'cast r000001: picture "aria/happy" would be called' in str(refused.value)
    assert [fault.code for fault in refused.value.faults] == ["E_EXPORT_NAME"]


@pytest.mark.parametrize(
    "first, second",
    [("a.png", "A.PNG"), ("straße.png", "STRASSE.png"), ("é.png", "e\u0301.png"), ("a", "a/b.png")],
)
def test_two_names_that_are_one_on_some_disk_are_refused(first, second):
    with pytest.raises(DeliveryError, match=r'"(one|two)" would be called'):
        check_names([first, second], ["one", "two"], where="cast")


def test_a_picture_does_not_take_the_name_of_the_exports_own_list():
    with pytest.raises(DeliveryError, match="the export itself has that name"):
        check_names(["Release.json"], ["one"], where="cast", taken=("release.json",))


def test_ordinary_names_in_many_scripts_pass():
    names = ["角色/笑顔.png", "aria (1).png", "console/aux_in.png", "a.b.c.webp", "-x.png", ".hidden.png"]
    check_names(names, names, where="cast")


def test_only_twenty_of_many_bad_names_are_spelled_out():
    names = [f"{at}?.png" for at in range(30)]
    with pytest.raises(DeliveryError, match="and 10 more") as refused:
        check_names(names, names, where="cast")
    assert len(refused.value.faults) == 30
