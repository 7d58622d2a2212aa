"""catalog.toml: every key, every mistake."""

import pytest

from newbie_core.catalogs import Settings, parse_size
from newbie_core.catalogs.settings import EngineSettings, LimitSettings, PictureSettings, load_settings
from newbie_core.errors import CatalogError

EVERYTHING = """
name = "school-cast"
title = "School cast: 表情"
workbook = "cast.xlsx"
pictures = ["characters", ["outfits", "backgrounds"]]
template = "own.xml.j2"
columns = ["mood", "logo_colour"]
exclude = ["*/sad"]
encoding = "gb18030"
merged = "fill"
shrink_limit = 30
lookup = { character = "characters" }

[picture]
size = "512x768"
steps = 30
guidance = 7.0
negative = "lowres"

[engine]
name = "newbie"
options = { precision = "bf16", batch = 4, compile = true }

[defaults]
style = "anime_style"
quality = 1

[limits]
rows = 100
columns = 30
"""


def read(tmp_path, text: str, name: str = "folder") -> Settings:
    file = tmp_path / "catalog.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, name=name)


def faults(tmp_path, text: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        read(tmp_path, text)
    return [str(fault) for fault in caught.value.faults] or [str(caught.value)]


def test_every_key_is_read(tmp_path):
    assert read(tmp_path, EVERYTHING) == Settings(
        name="school-cast",
        title="School cast: 表情",
        workbook="cast.xlsx",
        pictures=(("characters",), ("outfits", "backgrounds")),
        lookup={"character": "characters"},
        template="own.xml.j2",
        columns=("mood", "logo_colour"),
        exclude=("*/sad",),
        encoding="gb18030",
        merged="fill",
        shrink_limit=30,
        picture=PictureSettings(width=512, height=768, steps=30, guidance="7", negative="lowres"),
        engine=EngineSettings(name="newbie", options={"precision": "bf16", "batch": 4, "compile": True}),
        defaults={"style": "anime_style", "quality": "1"},
        limits=LimitSettings(rows=100, columns=30),
    )


def test_without_a_file_everything_has_a_default(tmp_path):
    settings = load_settings(tmp_path / "catalog.toml", name="folder")
    assert settings == Settings(name="folder") == read(tmp_path, "")
    assert settings.engine.name == "sketch"


def test_a_byte_order_mark_does_not_matter(tmp_path):
    assert read(tmp_path, '\ufeffname = "cast"').name == "cast"


def test_width_and_height_come_before_size(tmp_path):
    picture = read(tmp_path, '[picture]\nsize = "512x768"\nwidth = 640').picture
    assert (picture.width, picture.height) == (640, 768)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('nmae = "x"', 1, 'nmae: is not a known setting; did you mean "name"?'),
        ("[picture]\nsteps = 3\nstep = 4", 3, 'picture.step: is not a known setting; did you mean "steps"?'),
        ('[engine]\nnam = "x"', 2, 'engine.nam: is not a known setting; did you mean "name"?'),
        ("[limits]\nrow = 5", 2, 'limits.row: is not a known setting; did you mean "rows"?'),
        ("[pictur]\nsteps = 5", 1, 'pictur: is not a known setting; did you mean "picture"?'),
        ("\n\nzebra = 1", 3, "zebra: is not a known setting; known: name, title"),
        ('name = "x"\n\n[engine]\nname = 3', 4, "engine.name: 3 is not a text; write it in quotes"),
        ('columns = []\n[limits]\ncolumns = "x"', 3, "limits.columns: 'x' is not a whole number"),
        ("picture = { steps = 0 }", 1, "picture.steps: 0 is not a whole number from 1 to 1000"),
        ("picture.steps = 0", 1, "picture.steps: 0 is not a whole number from 1 to 1000"),
        ("[picture]\nsteps = true", 2, "picture.steps: True is not a whole number"),
        ('[picture]\nsize = "big"', 2, "picture.size: 'big' is not a size; write size = \"512x768\""),
        ("[picture]\nguidance = 101", 2, "picture.guidance: 101 is not a number from 0 to 100"),
        ('[picture]\nguidance = "7"', 2, "picture.guidance: '7' is not a number from 0 to 100"),
        ("[picture]\nguidance = nan", 2, "picture.guidance: nan is not a number from 0 to 100"),
        ("picture = 3", 1, "picture: 3 is not a table; write [picture]"),
        ("shrink_limit = 0", 1, "shrink_limit: 0 is not a whole number from 1 to 100"),
        ('merged = "both"', 1, 'merged: "both" is not known; write "error" or "fill"'),
        ('pictures = "characters"', 1, "pictures: 'characters' is not a list of table names"),
        ("pictures = [[]]", 1, "pictures: [[]] is not a list of table names"),
        ('pictures = ["a", ["a"]]', 1, "pictures: names a table twice"),
        ('columns = "mood"', 1, "columns: 'mood' is not a list of texts"),
        ("exclude = [1]", 1, "exclude: [1] is not a list of texts"),
        ("[defaults]\nstyle = []", 2, "defaults.style: [] is not a text"),
        ("[lookup]\ncharacter = true", 2, "lookup.character: True is not a text"),
        (
            "[engine.options]\nbatch = 1.5",
            2,
            "engine.options.batch: 1.5 is not a text, whole number or true/false",
        ),
        ('name = "a/b"', 1, "name: 'a/b' cannot name a set"),
        ('name = " a"', 1, "name: ' a' cannot name a set"),
        ('name = ""', 1, "name: '' cannot name a set"),
        ('name = "a\\u001b"', 1, "cannot name a set"),
    ],
)
def test_every_mistake_is_named_with_its_line(tmp_path, text, line, said):
    (found,) = faults(tmp_path, text)
    assert found.startswith(f"catalog.toml: line {line}: ")
    assert said in found


def test_all_mistakes_are_told_at_once(tmp_path):
    text = 'nmae = "x"\nshrink_limit = 0\n[picture]\nsteps = 0\nsise = "1x1"\n[engine]\nname = 3\n'
    assert len(faults(tmp_path, text)) == 5


@pytest.mark.parametrize("text", ["name = ", "[picture\n", "a = 1\na = 2"])
def test_what_is_not_toml_is_refused_with_its_line(tmp_path, text):
    (found,) = faults(tmp_path, text)
    assert "not a TOML file" in found
    assert "line " in found or "at end of document" in found


def test_what_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "catalog.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(CatalogError, match="not a TOML file"):
        load_settings(tmp_path / "catalog.toml", name="x")


@pytest.mark.parametrize(
    ("text", "size"),
    [("512x768", (512, 768)), (" 512 × 768 ", (512, 768)), ("512X768", (512, 768)), ("512*768", (512, 768))],
)
def test_a_size_is_width_by_height(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "512", "x512", "512x", "-1x5", "1.5x2", "123456x1", "512x768x3"])
def test_what_is_no_size_is_none(text):
    assert parse_size(text) is None


def test_flat_settings_name_all_that_may_decide_pixels(tmp_path):
    flat = read(tmp_path, EVERYTHING).flat()
    assert flat["picture.size"] == "512x768"
    assert flat["defaults.style"] == "anime_style"
    assert flat["engine.options.batch"] == "4"
    assert not any(key.startswith(("name", "title", "limits", "exclude")) for key in flat)


UNATTENDED = """
[canary]
pictures = 4
accept = "alike"

[run]
workers = 2
devices = ["0", "GPU-3f2a"]

[hook]
url = "https://example.org/newbie?set=cast"
secret = "HOOK_SECRET"
command = ["tell", "--loud"]
timeout = 5
"""


def test_what_unattended_runs_do_is_read(tmp_path):
    settings = read(tmp_path, UNATTENDED)
    assert (settings.canary.pictures, settings.canary.accept) == (4, "alike")
    assert (settings.run.workers, settings.run.devices) == (2, ("0", "GPU-3f2a"))
    assert settings.hook.url == "https://example.org/newbie?set=cast"
    assert (settings.hook.secret, settings.hook.command, settings.hook.timeout) == (
        "HOOK_SECRET",
        ("tell", "--loud"),
        5,
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("[canary]\npictures = 9", "canary.pictures: 9 is not a whole number from 0 to 8"),
        ('[canary]\naccept = "alikke"', 'did you mean "alike"?'),
        ('[run]\ndevices = ["0", "0"]', "names a device twice"),
        ('[run]\ndevices = ["../x y"]', "cannot name a device"),
        ('[run]\nworkers = 2\ndevices = ["0"]', "2 workers for 1 devices"),
        ('[hook]\nurl = "file:///etc/passwd"', "hook.url: is not an http or https URL"),
        ('[hook]\nurl = "https://me:secret@example.org"', "hook.url: holds a password"),
        ('[hook]\nurl = "$not a name"', "names no environment variable"),
        ('[hook]\nsecret = "it is s3cret!"', "is no name of an environment variable"),
        ('[hook]\ncommand = "rm -rf /"', "is not a list of texts"),
    ],
)
def test_mistakes_in_what_unattended_runs_do_are_named(tmp_path, text, said):
    [fault] = faults(tmp_path, text)
    assert said in fault
    assert "s3cret" not in fault and "me:secret" not in fault
