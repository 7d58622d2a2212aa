"""Keys and seeds: what they depend on, and what not."""

import shutil

import pytest

from newbie_core.plans import Capabilities, EngineIdentity, derive_seed, job_key
from newbie_core.plans.job import SEED_LIMIT
from tests.catalogs.building import CHARACTERS, EXPRESSIONS, make_catalog, make_workbook, set_cell
from tests.plans.building import SKETCH, faults, ids, keys, plan_of, seeds

ONE = "id,name,gender,appearance,seed\naria,Aria,1girl,silver_hair,7\n"
PARTS = {
    "prompt_digest": "a" * 64,
    "negative": "lowres",
    "seed": 1,
    "width": 64,
    "height": 64,
    "steps": 28,
    "guidance": "4.5",
    "engine": "e" * 64,
    "template": "t" * 64,
}


def make_one(tmp_path, toml='name = "set"\n[picture]\nsize = "64x64"\n', *, name="cast", text=ONE, **tables):
    return make_catalog(tmp_path / name, toml=toml, characters=text, **tables)


# Keys


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_digest": "b" * 64},
        {"negative": ""},
        {"seed": 0},
        {"width": 72},
        {"height": 72},
        {"steps": 29},
        {"guidance": "4"},
        {"engine": "f" * 64},
        {"template": "u" * 64},
    ],
)
def test_everything_that_decides_pixels_changes_the_key(change):
    assert job_key(**PARTS | change) != job_key(**PARTS)


def test_the_key_is_the_same_on_every_machine():
    assert job_key(**PARTS) == "34c081104a69e11d9c5d9a814c571b8dc7e1da54fa20763bf7b9def676b8dfb2"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("silver_hair", "blue_hair"),
        ("aria,Aria", "aria,Arya"),
        ("1girl", "1boy"),
        (",7\n", ",8\n"),
    ],
)
def test_a_cell_that_decides_pixels_changes_the_key(tmp_path, before, after):
    first = plan_of(make_one(tmp_path))
    second = plan_of(make_one(tmp_path, text=ONE.replace(before, after)))
    assert keys(first)["aria"] != keys(second)["aria"]


@pytest.mark.parametrize(
    "cell", ["size,72x64", "width,72", "height,72", "steps,29", "guidance,7", "negative,lowres"]
)
def test_a_row_that_overrides_a_setting_changes_the_key(tmp_path, cell):
    column, value = cell.split(",")
    header, row = ONE.splitlines()
    second = plan_of(make_one(tmp_path, text=f"{header},{column}\n{row},{value}\n"))
    assert keys(plan_of(make_one(tmp_path, name="other")))["aria"] != keys(second)["aria"]


@pytest.mark.parametrize(
    "toml",
    [
        '[picture]\nsize = "72x64"',
        '[picture]\nsize = "64x64"\nsteps = 29',
        '[picture]\nsize = "64x64"\nguidance = 4.0',
        '[picture]\nsize = "64x64"\nnegative = "lowres"',
        '[picture]\nsize = "64x64"\n[defaults]\nstyle = "sketch"',
    ],
)
def test_a_setting_that_decides_pixels_changes_the_key(tmp_path, toml):
    first = plan_of(make_one(tmp_path))
    assert keys(first)["aria"] != keys(plan_of(make_one(tmp_path, 'name = "set"\n' + toml)))["aria"]


@pytest.mark.parametrize(
    "engine",
    [
        EngineIdentity(name="other", parts=SKETCH.parts),
        EngineIdentity(name="sketch", parts={"algorithm": "2"}),
    ],
)
def test_another_engine_changes_the_key(tmp_path, engine):
    catalog = make_one(tmp_path)
    assert keys(plan_of(catalog)) != keys(plan_of(catalog, engine=engine))


def test_another_template_changes_the_key(tmp_path):
    catalog = make_one(tmp_path)
    before = keys(plan_of(catalog))
    stock = next(iter(plan_of(catalog).catalog.template.sources.values()))
    make_catalog(
        catalog,
        templates={"character.xml.j2": stock + "{# a comment #}"},
        toml='name = "set"\n[picture]\nsize = "64x64"\n',
    )
    assert keys(plan_of(catalog)) != before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("silver_hair", " silver_hair "),
        ("silver_hair", "Silver hair"),
        (ONE, ONE + "ren,Ren,1boy,black_hair,9\n"),
        (ONE, ONE.replace("aria,Aria", "ren,Ren,1boy,black_hair,9\naria,Aria")),
        (ONE, "note,id,seed,name,gender,appearance\nlovely,aria,7,Aria,1girl,silver_hair\n"),
        (ONE, "My cast\n\n" + ONE),
        (ONE, ONE.replace("appearance", "外貌")),
        (ONE, "count," + ONE.replace("\naria", "\n2,aria")),
        (ONE, "enabled," + ONE.replace("\naria", "\nyes,aria")),
    ],
)
def test_what_decides_no_pixels_leaves_the_key(tmp_path, before, after):
    first = plan_of(make_one(tmp_path, name="a"))
    second = plan_of(make_one(tmp_path, name="b", text=ONE.replace(before, after)))
    assert keys(first)["aria"] == keys(second)["aria"]


@pytest.mark.parametrize(
    "toml",
    ['title = "Cast"', "shrink_limit = 90", 'exclude = ["x"]', "[limits]\nrows = 50", 'columns = ["mood"]'],
)
def test_settings_that_decide_no_pixels_leave_the_key(tmp_path, toml):
    size = '[picture]\nsize = "64x64"\n'
    first = plan_of(make_one(tmp_path, name="a"))
    second = plan_of(make_one(tmp_path, f'name = "set"\n{toml}\n{size}', name="b"))
    assert keys(first) == keys(second)


def test_the_place_and_the_file_leave_the_key(tmp_path):
    toml = 'name = "set"\n[picture]\nsize = "64x64"\n'
    catalog = make_one(tmp_path)
    moved = tmp_path / "elsewhere" / "deep" / "other"
    shutil.copytree(catalog, moved)
    book = make_catalog(tmp_path / "book", toml=toml, notes="id\n")
    make_workbook(book / "any name.xlsx", characters=ONE)
    assert keys(plan_of(catalog)) == keys(plan_of(moved)) == keys(plan_of(book))


# Seeds


def test_a_seed_derives_from_who_the_picture_is(tmp_path):
    plan = plan_of(make_catalog(tmp_path / "cast"))
    assert seeds(plan) == {picture: derive_seed("cast", picture, 0) for picture in ids(plan)}
    assert len(set(seeds(plan).values())) == 4


def test_derived_seeds_are_the_same_on_every_machine_and_survive_a_spreadsheet():
    assert derive_seed("cast", "aria/happy", 0) == 3582344110
    assert all(0 <= derive_seed("cast", f"p{number}", 0) < 2**32 for number in range(100))


def test_rows_put_in_or_moved_leave_every_other_seed(tmp_path):
    before = seeds(plan_of(make_catalog(tmp_path / "a" / "cast")))
    reordered = (
        "id,name,gender,appearance\nnew,New,1girl,x\nren,Ren,1boy,black_hair\naria,Aria,1girl,silver_hair\n"
    )
    after = seeds(
        plan_of(make_catalog(tmp_path / "b" / "cast", characters=reordered, expressions=EXPRESSIONS))
    )
    assert before.items() <= after.items()


@pytest.mark.parametrize("seed", ["0", "1", "42", "4294967296", str(SEED_LIMIT - 1)])
def test_a_given_seed_is_used_and_zero_is_an_ordinary_one(tmp_path, seed):
    assert seeds(plan_of(make_one(tmp_path, text=ONE.replace(",7\n", f",{seed}\n")))) == {"aria": int(seed)}


def test_further_pictures_of_a_row_have_their_own_seeds_and_leave_the_first(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,count\naria,Aria,\n")
    first = plan_of(catalog)
    set_cell(catalog, "characters", "aria", "count", "3")
    third = plan_of(catalog)
    assert ids(third) == ["aria", "aria#2", "aria#3"]
    assert keys(third)["aria"] == keys(first)["aria"]
    assert seeds(third)["aria"] == seeds(first)["aria"]
    assert len(set(seeds(third).values())) == 3


def test_further_pictures_of_a_given_seed_count_on(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,seed,count\naria,Aria,5,3\n")
    assert seeds(plan_of(catalog)) == {"aria": 5, "aria#2": 6, "aria#3": 7}


def test_the_last_table_that_gives_a_count_decides(tmp_path):
    catalog = make_catalog(
        tmp_path / "cast", characters="id,name,count\na,A,3\n", expressions="id,count\nx,2\ny,\n"
    )
    assert ids(plan_of(catalog)) == ["a/x", "a/x#2", "a/y", "a/y#2", "a/y#3"]


@pytest.mark.parametrize("count", ["0", "1001"])
def test_a_count_must_be_from_one_to_a_thousand(tmp_path, count):
    catalog = make_catalog(tmp_path / "cast", characters=f"id,count,name\na,{count},A\nb,1,B\n")
    (fault,) = faults(catalog)
    assert (fault.row, fault.column) == (2, "B")
    assert "from 1 to 1000" in str(fault)


# Sizes an engine can make


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((64, 64), None),
        ((100, 64), "width 100 is not a multiple of 8 from 64 to 512; the nearest is 96"),
        ((64, 56), "height 56 is not a multiple of 8 from 64 to 512; the nearest is 64"),
        ((1000, 64), "width 1000 is not a multiple of 8 from 64 to 512; the nearest is 512"),
    ],
)
def test_a_size_that_cannot_be_made_is_told_with_the_nearest(size, said):
    assert (
        Capabilities(size_step=8, smallest_side=64, largest_side=512, options={}).size_problem(*size) == said
    )


def test_the_fingerprint_of_an_engine_is_of_its_name_and_parts():
    same = EngineIdentity(name="sketch", parts={"algorithm": "1"})
    assert same.fingerprint == SKETCH.fingerprint
    assert EngineIdentity(name="sketch", parts={"algorithm": "1", "x": "y"}).fingerprint != SKETCH.fingerprint


def test_a_cast_of_two_crosses_with_two_expressions(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters=CHARACTERS, expressions=EXPRESSIONS)
    assert ids(plan_of(catalog)) == ["aria/happy", "aria/sad", "ren/happy", "ren/sad"]
