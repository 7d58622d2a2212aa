"""What the drawing room promises: the request decides the picture, and nothing else does."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from newbie_core.drawing import Figure, Setting, draw, understand, vocabulary
from newbie_core.drawing.colours import HAIR

ROOT = Path(__file__).parents[2]
PLAIN = ("1girl", "brown_hair", "blue_eyes", "short_hair", "swept_bangs", "white_shirt", "grey_pleated_skirt")
Pixels = NDArray[np.int16]


def make_picture(
    *people: Sequence[str],
    setting: Sequence[str] = ("white_background",),
    width: int = 64,
    height: int = 64,
    seed: int = 7,
    x: float | None = None,
    y: float | None = None,
) -> Pixels:
    """Pixels (height, width, 3) of a picture of the given people."""
    figures = [Figure(tags=tuple(tags), x=x, y=y) for tags in people or (PLAIN,)]
    image = draw(figures, Setting(tags=tuple(setting)), width=width, height=height, seed=seed)
    assert image.mode == "RGB" and image.size == (width, height)
    return np.asarray(image, dtype=np.int16)


@cache
def make_cached(tags: tuple[str, ...], setting: tuple[str, ...]) -> Pixels:
    """The same, remembered for comparisons."""
    return make_picture(tags, setting=setting)


def changed(one: Pixels, other: Pixels, *, by: int = 12) -> float:
    """The share of pixels that a person could tell apart."""
    return float((np.abs(one - other).max(axis=2) > by).mean())


def digest(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest()


BUSY = ("1girl", "pink_hair", "twintails", "happy", "dress", "cat_ears", "waving")
BUSY_SETTING = ("cherry_blossoms", "watercolor_(medium)", "falling_petals", "soft_lighting")


def test_the_same_seed_gives_the_same_pixels() -> None:
    first = make_picture(BUSY, setting=BUSY_SETTING)
    make_picture(("1boy", "angry"), seed=99)
    assert np.array_equal(first, make_picture(BUSY, setting=BUSY_SETTING))


def test_another_process_with_another_hash_seed_gives_the_same_pixels() -> None:
    script = (
        "import hashlib\n"
        "from newbie_core.drawing import Figure, Setting, draw\n"
        f"figure, setting = Figure(tags={BUSY!r}), Setting(tags={BUSY_SETTING!r})\n"
        "image = draw([figure], setting, width=64, height=64, seed=7)\n"
        "print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.strip() == digest(make_picture(BUSY, setting=BUSY_SETTING))


@pytest.mark.parametrize("setting", ["white_background", "night_sky", "classroom"])
def test_another_seed_is_visibly_another_picture(setting: str) -> None:
    one, other = (make_picture(PLAIN, setting=(setting,), seed=seed) for seed in (1, 2))
    assert changed(one, other) > 0.03


def visible_in(component: str) -> tuple[str, ...]:
    """Tags that bring a component's place into the picture."""
    if component.startswith(("footwear", "legwear")):
        return ("full_body",)
    return ("portrait",) if component in ("mole", "freckles", "expression") else ()


def cases() -> list[tuple[str, tuple[str, ...]]]:
    """Every component with its tags; of each item's colours, three that differ from item to item."""
    found = []
    for component, tags in vocabulary().items():
        if component.endswith("_colour") and component.removesuffix("_colour") in vocabulary():
            tags = tuple(tag for index, tag in enumerate(tags) if index % 7 == 0)
        found.append((component, tags))
    return found


FIGURELESS = {"background", "lighting", "style", "air", "border", "framing"}
# A tag that asks for what a plain figure shows anyway is told from its siblings instead.
USUAL = {*PLAIN, "white_background", "upper_body", "portrait", "fair_skin", "straight_hair"}
USUAL |= {"shirt", "pleated_skirt", "arms_at_sides", "shoes"}


@pytest.mark.parametrize(("component", "tags"), cases(), ids=[name for name, _ in cases()])
def test_every_tag_of_the_vocabulary_changes_the_picture(component: str, tags: tuple[str, ...]) -> None:
    base = (*PLAIN, *visible_in(component))
    unchanged = []
    for tag in tags:
        if tag in USUAL:
            continue
        here, there = (
            (base, ("white_background", tag))
            if component in FIGURELESS
            else ((*base, tag), ("white_background",))
        )
        difference = changed(make_cached(base, ("white_background",)), make_cached(here, there))
        if difference < 0.0012:
            unchanged.append((tag, difference))
    assert not unchanged


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("red_skirt", "blue_skirt"),
        ("white_shirt", "black_shirt"),
        ("red_necktie", "green_necktie"),
        ("yellow_hoodie", "purple_hoodie"),
        ("black_thighhighs", "white_thighhighs"),
        ("pink_hair_bow", "blue_hair_bow"),
    ],
)
def test_a_garments_colour_is_visible(one: str, other: str) -> None:
    assert changed(make_picture((*PLAIN, one)), make_picture((*PLAIN, other)), by=40) > 0.004


def test_all_expressions_look_different() -> None:
    faces = {
        tag: make_picture((*PLAIN, tag), setting=("white_background", "portrait"))
        for tag in vocabulary()["expression"]
    }
    same = [
        (one, other)
        for index, one in enumerate(faces)
        for other in list(faces)[index + 1 :]
        if changed(faces[one], faces[other]) < 0.001
        and understand([one]).attributes.keys() == understand([other]).attributes.keys()
    ]
    assert not same


GO_EMOTIONS = """
    admiration amusement anger annoyance approval caring confusion curiosity desire disappointment
    disapproval disgust embarrassment excitement fear gratitude grief joy love nervousness neutral optimism
    pride realization relief remorse sadness surprise
"""


def test_all_sillytavern_labels_are_expressions_of_their_own() -> None:
    faces = {label: understand([label]) for label in GO_EMOTIONS.split()}
    assert not [label for label, face in faces.items() if face.unknown]
    parts = {tuple(sorted(face.attributes.items())) for face in faces.values()}
    assert len(parts) == len(faces) == 28


def test_an_expression_leaves_the_hair_as_it_is() -> None:
    one, other = (make_picture((*PLAIN, tag), width=128, height=128) for tag in ("happy", "sad"))
    assert 0.004 < changed(one, other) < 0.06
    assert changed(one[:36], other[:36]) == 0  # the crown, above the brows


@pytest.mark.parametrize("worn", ["hair_flower", "hairclip"])
@pytest.mark.parametrize("mark", ["anger_vein", "gloom_(expression)"])
def test_a_mark_of_mood_leaves_what_is_worn_in_the_hair_as_it_is(worn: str, mark: str) -> None:
    bare, adorned, marked, both = (
        make_picture((*PLAIN, *extra), width=128, height=128)
        for extra in ((), (worn,), (mark,), (worn, mark))
    )
    ornament = np.abs(adorned - bare).max(axis=2) > 12
    assert ornament.sum() > 60
    assert np.abs(marked - bare).max() > 60
    # Gloom also darkens the forehead, which an ornament's edge may touch.
    hidden = np.abs(both - adorned).max(axis=2)[ornament] > 12
    assert hidden.mean() < (0.16 if "gloom" in mark else 0.001)


@pytest.mark.parametrize("hair", ["white", "black"])
def test_headphones_stand_out_from_the_hair(hair: str) -> None:
    for seed in range(8):
        bare, worn = (
            make_picture(("1girl", f"{hair}_hair", "short_hair", *extra), seed=seed, width=128, height=128)
            for extra in ((), ("headphones",))
        )
        on_hair = (np.abs(bare - HAIR[hair]).max(axis=2) < 40) & (np.abs(worn - bare).max(axis=2) > 12)
        assert on_hair.sum() > 100
        assert np.abs(worn - bare)[on_hair].mean() > 90, seed


def test_boys_are_drawn_differently_from_girls() -> None:
    assert changed(make_picture(("1girl", *PLAIN[1:])), make_picture(("1boy", *PLAIN[1:]))) > 0.02


def share_of(pixels: Pixels, colour: str) -> float:
    """The share of pixels of a hue: red or blue."""
    red, blue = pixels[:, :, 0], pixels[:, :, 2]
    return float((red - blue > 70).mean()) if colour == "red" else float((blue - red > 70).mean())


@pytest.mark.parametrize(("left", "right"), [("red", "blue"), ("blue", "red")])
def test_figures_stand_from_left_to_right_in_the_order_they_are_named(left: str, right: str) -> None:
    rest = ("1girl", "long_hair", "white_shirt", "grey_skirt", "black_eyes")
    pixels = make_picture((f"{left}_hair", *rest), (f"{right}_hair", *rest), width=128, height=128)
    west, east = pixels[:, :60], pixels[:, 68:]
    assert share_of(west, left) > 0.15 > 0.03 > share_of(west, right)
    assert share_of(east, right) > 0.15 > 0.03 > share_of(east, left)


def middle_of(pixels: Pixels) -> tuple[float, float]:
    """The mean position of what is not white, as parts of width and height."""
    rows, columns = np.nonzero(pixels.min(axis=2) < 235)
    return float(columns.mean() / pixels.shape[1]), float(rows.mean() / pixels.shape[0])


def test_x_places_a_figure() -> None:
    west, east = (middle_of(make_picture(PLAIN, width=192, height=96, x=x)) for x in (0.25, 0.75))
    assert west[0] == pytest.approx(0.25, abs=0.05)
    assert east[0] == pytest.approx(0.75, abs=0.05)


def test_y_shifts_a_figure_down() -> None:
    high, low = (middle_of(make_picture(PLAIN, y=y)) for y in (0.5, 0.7))
    assert low[1] > high[1] + 0.03


def test_unknown_tags_are_reported_and_change_nothing() -> None:
    strange = ("masterpiece", "utter_nonsense", "red_nonsense", "")
    assert understand((*PLAIN, *strange)).unknown == strange[:3]
    assert np.array_equal(make_picture(PLAIN), make_picture((*PLAIN, *strange)))


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("Twin Tails", "twintails"), ("twin-tails", "twintails"), ("teal eyes", "aqua_eyes"),
        ("yellow_hair", "blonde_hair"), ("navy skirt", "dark_blue_skirt"), ("tie", "necktie"),
        ("(smile:1.2)", "smile"), ("hands on hip", "hands_on_hips"), ("close up", "close-up"),
        ("sakura", "cherry_blossoms"), ("tears", "teardrop"), ("heart eyes", "love"),
        ("jeans", "blue_pants"), ("half closed eyes", "half-closed_eyes"), ("T-Shirt", "t-shirt"),
        ("watercolor", "watercolor_\\(medium\\)"),
    ],
)  # fmt: skip
def test_spellings_mean_the_same(written: str, tag: str) -> None:
    assert understand([written]) == understand([tag])
    assert not understand([written]).unknown


def test_the_vocabulary_knows_itself() -> None:
    strange = [tag for tags in vocabulary().values() for tag in tags if understand([tag]).unknown]
    assert not strange


def test_touches_refine_a_face_in_any_order() -> None:
    assert understand(["smile", "closed_eyes"]).attributes["eyes"] == "happy_closed"
    assert understand(["closed_eyes", "smile"]).attributes["eyes"] == "happy_closed"
    assert understand(["smile", "open_mouth"]).attributes["mouth"] == "open_smile"
    assert understand(["angry", "closed_mouth", "blush"]).attributes["blush"] == "full"


def test_colours_stay_with_their_garments() -> None:
    chosen = understand(["red_skirt", "white shirt", "blue plaid scarf", "black_thighhighs"]).attributes
    assert (chosen["lower"], chosen["lower_colour"]) == ("skirt", "red")
    assert (chosen["garment"], chosen["garment_colour"]) == ("shirt", "white")
    assert (chosen["neckwear"], chosen["neckwear_colour"]) == ("scarf", "blue")


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (333, 127), (96, 160), (64, 512), (480, 64)])
def test_any_size_works(size: tuple[int, int]) -> None:
    pixels = make_picture(BUSY, setting=("beach",), width=size[0], height=size[1])
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7])
def test_any_number_of_figures_works(count: int) -> None:
    image = draw([Figure(tags=("1girl",))] * count, Setting(), width=96, height=96, seed=3)
    assert image.size == (96, 96)


def test_figures_far_outside_the_picture_do_no_harm() -> None:
    make_picture(BUSY, x=3.0, y=-2.0)
