"""Plans against the latest release: what is added, changed, removed, kept, held, and why."""

import pytest

from newbie_core.errors import PlanError, SheetError
from newbie_core.plans import EngineIdentity, estimate_seconds
from tests.catalogs.building import CHARACTERS, EXPRESSIONS, SMALL, make_catalog, make_workbook, set_cell
from tests.plans.building import SKETCH, faults, ids, plan_of, reasons


def counts(plan) -> tuple[int, int, int, int]:
    return (len(plan.of("add")), len(plan.of("change")), len(plan.remove), len(plan.of("keep")))


@pytest.fixture
def catalog(tmp_path):
    """Two characters with two expressions."""
    return make_catalog(tmp_path / "cast")


@pytest.fixture
def before(catalog):
    """The catalog's first plan, carried out."""
    return plan_of(catalog)


# Add, change, remove, keep


def test_everything_is_new_in_a_first_plan(before):
    assert counts(before) == (4, 0, 0, 0)


def test_an_unchanged_catalog_keeps_everything(catalog, before):
    assert counts(plan_of(catalog, previous=before)) == (0, 0, 0, 4)


def test_one_changed_cell_changes_exactly_the_pictures_that_depend_on_it(catalog, before):
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    plan = plan_of(catalog, previous=before)
    assert [item.picture.id for item in plan.of("change")] == ["aria/happy", "aria/sad"]
    assert counts(plan) == (0, 2, 0, 2)


def test_a_cell_overridden_by_a_later_table_changes_nothing(tmp_path):
    catalog = make_catalog(
        tmp_path / "cast", characters="id,name,expression\na,A,angry\n", expressions=EXPRESSIONS
    )
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "expression", "tired")
    assert counts(plan_of(catalog, previous=before)) == (0, 0, 0, 2)


def test_a_changed_base_changes_all_that_inherit_from_it(tmp_path):
    catalog = make_catalog(
        tmp_path / "cast",
        characters="id,base,name,appearance\na,,A,red_hair\nb,a,B,\nc,b,C,\nd,,D,x\ne,a,E,own_hair\n",
    )
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "appearance", "blue_hair")
    plan = plan_of(catalog, previous=before)
    assert [item.picture.id for item in plan.of("change")] == ["a", "b", "c"]
    assert reasons(plan, "change")["c"] == ['characters!D2 "red_hair" → "blue_hair"']


def test_rows_added_and_taken_away_add_and_remove_their_pictures(catalog, before):
    make_catalog(catalog, characters=CHARACTERS.replace("ren,Ren", "mika,Mika"), expressions=EXPRESSIONS)
    plan = plan_of(catalog, previous=before)
    assert counts(plan) == (2, 0, 2, 2)
    assert plan.remove == ("ren/happy", "ren/sad")
    assert reasons(plan, "add")["mika/sad"] == ['characters!A3 new row "mika"']
    assert reasons(plan, "remove")["ren/sad"] == ['sheet "characters" has no row "ren" any more']


# Causes


def test_a_cause_names_the_cell_with_its_old_and_new_text(catalog, before):
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    change = plan_of(catalog, previous=before).changes("change")[0]
    assert change.record() == {
        "id": "aria/happy",
        "reasons": ['characters!D2 "silver_hair" → "blue_hair"'],
        "causes": [{"kind": "cell", "where": "characters!D2", "from": "silver_hair", "to": "blue_hair"}],
    }


def test_a_cause_names_the_cell_where_it_stands_today(catalog, before):
    moved = (
        "Cast of the week,,,\n,,,\nid,appearance,name,gender\n"
        "ren,black_hair,Ren,1boy\nnew,,New,\naria,blue_hair,Aria,1girl\n"
    )
    make_catalog(catalog, characters=moved, expressions=EXPRESSIONS)
    plan = plan_of(catalog, previous=before)
    assert set(reasons(plan, "change")) == {"aria/happy", "aria/sad"}
    assert reasons(plan, "change")["aria/sad"] == ['characters!B6 "silver_hair" → "blue_hair"']


def test_an_emptied_and_a_filled_cell_are_shown_as_empty(catalog, before):
    set_cell(catalog, "characters", "aria", "appearance", "")
    assert reasons(plan_of(catalog, previous=before), "change")["aria/sad"] == [
        'characters!D2 "silver_hair" → (empty)'
    ]


def test_sheet_names_are_quoted_as_excel_quotes_them(tmp_path):
    toml = 'workbook = "book.xlsx"\npictures = ["My cast"]\n' + SMALL
    folder = make_catalog(tmp_path / "cast", toml=toml, notes="id\n")
    make_workbook(folder / "book.xlsx", **{"My cast": CHARACTERS})
    before = plan_of(folder)
    make_workbook(folder / "book.xlsx", **{"My cast": CHARACTERS.replace("black", "blue")})
    assert reasons(plan_of(folder, previous=before), "change") == {
        "ren": ['\'My cast\'!D3 "black_hair" → "blue_hair"']
    }


def test_a_column_that_is_gone_is_named(catalog, before):
    make_catalog(
        catalog, characters="id,name,gender\naria,Aria,1girl\nren,Ren,1boy\n", expressions=EXPRESSIONS
    )
    said = reasons(plan_of(catalog, previous=before), "change")["aria/sad"]
    assert said == ['sheet "characters" row 2, column "appearance" (gone) "silver_hair" → (empty)']


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[picture]\nsize = "64x72"', 'catalog.toml picture.size "64x64" → "64x72"'),
        ('[picture]\nsize = "64x64"\nsteps = 9', 'catalog.toml picture.steps "28" → "9"'),
        ('[picture]\nsize = "64x64"\nguidance = 9', 'catalog.toml picture.guidance "4.5" → "9"'),
        ('[picture]\nsize = "64x64"\nnegative = "x"', 'catalog.toml picture.negative (empty) → "x"'),
        ('[picture]\nsize = "64x64"\n[defaults]\nstyle = "x"', 'catalog.toml defaults.style (empty) → "x"'),
    ],
)
def test_a_changed_setting_is_named(catalog, before, toml, said):
    (catalog / "catalog.toml").write_text(toml)
    plan = plan_of(catalog, previous=before)
    assert counts(plan) == (0, 4, 0, 0)
    assert reasons(plan, "change")["ren/sad"] == [said]


def test_a_changed_template_is_named(catalog, before):
    stock = before.catalog.template.sources["character.xml.j2"]
    (catalog / "templates").mkdir()
    (catalog / "templates" / "character.xml.j2").write_text(stock.replace("<n>", "<n>the "))
    said = reasons(plan_of(catalog, previous=before), "change")["ren/sad"]
    assert len(said) == 1
    assert said[0].startswith("template character.xml.j2 ")


def test_another_template_is_named(catalog, before):
    (catalog / "templates").mkdir()
    (catalog / "templates" / "own.xml.j2").write_text("<caption>{{ name }}</caption>")
    (catalog / "catalog.toml").write_text('template = "own.xml.j2"\n' + SMALL)
    said = reasons(plan_of(catalog, previous=before), "change")["ren/sad"]
    assert said[0] == 'template "character.xml.j2" → "own.xml.j2"'


def test_a_changed_engine_is_named_by_its_part(catalog, before):
    newer = EngineIdentity(name="sketch", parts={"algorithm": "2"})
    said = reasons(plan_of(catalog, previous=before, engine=newer), "change")["ren/sad"]
    assert said == ['engine algorithm "1" → "2"']
    assert SKETCH.fingerprint != newer.fingerprint


def test_a_disabled_row_is_named_as_the_cause_of_what_goes(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,enabled\na,A,yes\nb,B,yes\nc,C,yes\n")
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "enabled", "no")
    plan = plan_of(catalog, previous=before)
    assert reasons(plan, "remove") == {"a": ['characters!C2 "yes" → "no"']}


# Rejected rows hold their pictures


def test_the_pictures_of_a_rejected_row_are_held(tmp_path):
    catalog = make_catalog(
        tmp_path / "cast", characters="id,name,steps\naria,Aria,9\nren,Ren,9\n", expressions=EXPRESSIONS
    )
    before = plan_of(catalog)
    set_cell(catalog, "characters", "aria", "steps", "none")
    plan = plan_of(catalog, previous=before)
    assert dict(plan.held) == dict.fromkeys(
        ("aria/happy", "aria/sad"), 'row "aria" of sheet "characters" is rejected'
    )
    assert counts(plan) == (0, 0, 0, 2)
    assert len(plan.rejected()) == 1


def test_further_pictures_of_a_rejected_row_are_held_too(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,count,steps\na,A,3,9\nb,B,,9\n")
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "steps", "none")
    assert set(plan_of(catalog, previous=before).held) == {"a", "a#2", "a#3"}


def test_a_row_whose_base_is_rejected_is_held_as_well(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,base,name,steps\na,,A,9\nb,a,B,9\nc,,C,9\n")
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "steps", "0")
    plan = plan_of(catalog, previous=before)
    assert set(plan.held) == {"a", "b"}
    assert plan.remove == ()


def test_a_row_whose_size_cannot_be_made_is_held(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,size\na,A,64x64\nb,B,64x64\n")
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "size", "100x64")
    assert set(plan_of(catalog, previous=before).held) == {"a"}


def test_a_picture_whose_prompt_cannot_be_rendered_is_held(tmp_path):
    template = "<caption>{{ name }} {{ 10 // (style|int) }}</caption>"
    catalog = make_catalog(
        tmp_path / "cast",
        toml='template = "own.xml.j2"\n' + SMALL,
        templates={"own.xml.j2": template},
        characters="id,name,style\na,A,2\nb,B,5\n",
    )
    before = plan_of(catalog)
    set_cell(catalog, "characters", "a", "style", "0")
    plan = plan_of(catalog, previous=before)
    assert dict(plan.held) == {"a": 'picture "a" is rejected'}
    assert "ZeroDivisionError" in str(plan.rejected()[0])


def test_a_row_that_is_gone_is_removed_not_held_when_another_is_rejected(tmp_path):
    rows = "a,A,9\nb,B,9\nc,C,9\n"
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\n" + rows)
    before = plan_of(catalog)
    make_catalog(catalog, characters="id,name,steps\na,A,bad\nc,C,9\n")
    plan = plan_of(catalog, previous=before)
    assert (set(plan.held), plan.remove) == ({"a"}, ("b",))


def test_when_every_row_is_rejected_the_plan_is_refused_with_all_of_them(tmp_path):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,x\nb,B,y\n")
    with pytest.raises(SheetError, match="every row is rejected") as caught:
        plan_of(catalog)
    assert len(caught.value.faults) == 2


# Guards


def make_many(folder, number: int):
    rows = "".join(f"c{index},C{index}\n" for index in range(number))
    return make_catalog(folder, characters="id,name\n" + rows)


def test_a_set_that_loses_more_than_half_is_refused_with_numbers(tmp_path):
    before = plan_of(make_many(tmp_path / "cast", 10))
    with pytest.raises(
        PlanError, match=r"6 of 10 pictures missing, more than 50 %; .*--allow-shrink"
    ) as caught:
        plan_of(make_many(tmp_path / "cast", 4), previous=before)
    assert caught.value.code == "E_PLAN_SHRINK"


def test_exactly_the_limit_may_go(tmp_path):
    before = plan_of(make_many(tmp_path / "cast", 10))
    assert len(plan_of(make_many(tmp_path / "cast", 5), previous=before).remove) == 5


def test_the_shrink_limit_is_a_setting(tmp_path):
    before = plan_of(make_many(tmp_path / "cast", 10))
    catalog = make_many(tmp_path / "cast", 8)
    (catalog / "catalog.toml").write_text("shrink_limit = 10\n" + SMALL)
    with pytest.raises(PlanError, match="more than 10 %"):
        plan_of(catalog, previous=before)


def test_a_shrunken_set_may_be_allowed(tmp_path):
    before = plan_of(make_many(tmp_path / "cast", 10))
    catalog = make_many(tmp_path / "cast", 1)
    assert len(plan_of(catalog, previous=before, allow_shrink=True).remove) == 9


def test_strict_plans_refuse_rejected_rows_and_warnings(tmp_path):
    good = make_catalog(tmp_path / "good", characters="id,name,note\na,A,mine\n")
    assert ids(plan_of(good, strict=True)) == ["a"]
    for name, text in {"bad": "id,name,steps\na,A,x\nb,B,\n", "slip": "id,name,pose\na,A,standin\n"}.items():
        assert faults(make_catalog(tmp_path / name, characters=text), strict=True) or name == "slip"
        with pytest.raises(SheetError):
            plan_of(tmp_path / name, strict=True)


# Selections


def test_only_selects_by_id_and_carries_the_others(catalog, before):
    for row, colour in (("aria", "blue_hair"), ("ren", "red_hair")):
        set_cell(catalog, "characters", row, "appearance", colour)
    plan = plan_of(catalog, previous=before, only=("aria/*",))
    assert [item.picture.id for item in plan.of("change")] == ["aria/happy", "aria/sad"]
    assert plan.carried == ("ren/happy", "ren/sad")
    assert plan.remove == ()


def test_several_globs_select_their_union(catalog):
    assert ids(plan_of(catalog, only=("aria/happy", "*/sad"))) == ["aria/happy", "aria/sad", "ren/sad"]


def test_a_row_that_is_gone_outside_the_selection_is_carried(catalog, before):
    make_catalog(catalog, characters="id,name\naria,Aria\n", expressions=EXPRESSIONS)
    plan = plan_of(catalog, previous=before, only=("aria/*",))
    assert (plan.carried, plan.remove) == (("ren/happy", "ren/sad"), ())


def test_a_selection_that_matches_nothing_is_refused(catalog):
    with pytest.raises(PlanError, match=r'no picture id matches "arai/\*"'):
        plan_of(catalog, only=("arai/*",))


# Jobs


def test_jobs_carry_the_rendered_prompt_and_the_settings(catalog):
    plan = plan_of(catalog)
    job = plan.jobs([plan.items[0]])[0]
    assert (job.id, job.key, job.width, job.height) == ("aria/happy", plan.items[0].key, 64, 64)
    assert (job.steps, job.guidance, job.negative) == (28, "4.5", "")
    assert "<appearance>silver_hair</appearance>" in job.prompt


def test_a_plan_with_remembered_prompts_is_the_same_plan(catalog, before):
    again = plan_of(catalog)
    assert [(item.key, item.prompt) for item in again.items] == [
        (item.key, item.prompt) for item in before.items
    ]
    assert again.jobs(again.items) == before.jobs(before.items)


def test_an_estimate_needs_history_for_every_picture(before):
    assert estimate_seconds(before.items, lambda _: 1.5) == 6.0
    assert estimate_seconds(before.items, lambda item: None if item.picture.id == "ren/sad" else 1.5) is None
    assert estimate_seconds([], lambda _: None) == 0.0
