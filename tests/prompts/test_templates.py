"""Templates: what they see, what they may do, what happens when they are wrong."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from newbie_core.errors import TemplateError
from newbie_core.prompts.parsing import parse_prompt
from newbie_core.prompts.templates import RowProblem, load_template
from tests.prompts.building import COLUMNS, make_template, render, render_one

CAPTION = "<caption>{}</caption>"


def refusal(text: str, *values: dict[str, str], **options) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(text, *values, **options)
    return caught.value


# What a template sees


def test_a_template_sees_every_column_by_its_name():
    assert (
        render_one(CAPTION.format("{{ pose }} {{ style }}."), pose="standing")
        == "<caption>standing .</caption>\n"
    )


def test_a_template_sees_each_character_with_its_number():
    text = CAPTION.format("{% for c in characters %}{{ c.number }} {{ c.name }};{% endfor %}")
    assert render_one(text, name_1="Aria", name_2="Ren") == "<caption>1 Aria;2 Ren;</caption>\n"


def test_columns_without_a_number_are_the_first_characters():
    text = CAPTION.format("{% for c in characters %}{{ c.name }} {{ c.pose }};{% endfor %}")
    assert (
        render_one(text, name="Aria", pose="standing", pose_2="sitting")
        == "<caption>Aria standing; sitting;</caption>\n"
    )


def test_a_picture_without_character_columns_has_no_characters():
    text = CAPTION.format("{{ characters|length }} {{ background }}")
    assert render_one(text, background="forest") == "<caption>0 forest</caption>\n"


@pytest.mark.parametrize(
    ("genders", "tags"),
    [
        (["1girl"], "1girl, solo"),
        (["1boy"], "1boy, solo"),
        (["1girl", "1boy"], "1girl, 1boy"),
        (["1girl", "1girl"], "2girls"),
        (["1other"], "1other, solo"),
        (["girl", "1boy", "boy"], "1girl, 2boys"),
        (["robot"], ""),
    ],
)
def test_count_tags_count_the_people(genders, tags):
    values = {f"gender_{number}": gender for number, gender in enumerate(genders, start=1)}
    assert render_one(CAPTION.format("{{ count_tags }}."), **values) == CAPTION.format(f"{tags}.") + "\n"


def test_the_tags_filter_spells_tags_as_danbooru_does():
    assert render_one(
        CAPTION.format("{{ appearance|tags }}"), appearance="Blue hair，Long  Hair, 长发, :D"
    ) == ("<caption>blue_hair, long_hair, 长发, :D</caption>\n")


def test_the_spaces_filter_turns_underscores_into_spaces():
    assert (
        render_one(CAPTION.format("{{ pose|spaces }}"), pose="hand_on_hip")
        == "<caption>hand on hip</caption>\n"
    )


def test_a_templates_answer_is_canonical():
    assert render_one("<image>\n\n  <caption>  a\n b </caption></image>") == "<caption>a b</caption>\n"


def test_pictures_are_answered_in_order_over_many_chunks():
    values = [{"caption": f"picture {number}"} for number in range(600)]
    answers = render(CAPTION.format("{{ caption }}"), *values)
    assert answers == [f"<caption>picture {number}</caption>\n" for number in range(600)]


# Values are data


@pytest.mark.parametrize(
    "value",
    [
        "{{ 7 * 7 }}",
        "{% for x in range(9) %}x{% endfor %}",
        "{# hidden #}",
        "{{ self.__init__.__globals__ }}",
        "</caption><style>x</style><caption>",
        "<!DOCTYPE x>",
        "&lt;b&gt; & \"quotes\" 'single' <b>",
        "$character_1$ ${x} %s {0}",
        "🎀 长い髪 شعر ]]>",
        "\\u0041 \\n",
    ],
)
def test_a_value_is_never_rendered_again_and_never_markup(value):
    prompt = parse_prompt(render_one(CAPTION.format("{{ caption }}"), caption=value))
    assert prompt.caption == value
    assert not prompt.characters and prompt.general is None


def test_a_value_stays_data_through_filters_and_macros():
    text = "{% macro f(v) %}<caption>{{ v|trim|upper|replace('X', '<') }}</caption>{% endmacro %}{{ f(caption) }}"
    assert parse_prompt(render_one(text, caption="x<b>&")).caption == "<<B>&"


# Mistakes are named


def test_an_unknown_column_is_named_with_its_line_and_the_nearest_one():
    error = refusal("<caption>\n{{ expresion }}\n</caption>")
    assert error.line == 2
    assert str(error) == 'template own.xml.j2, line 2: no column "expresion"; did you mean "expression"?'


def test_an_unknown_column_of_a_character_is_named():
    error = refusal(
        "{% for c in characters %}<caption>{{ c.clothng }}</caption>{% endfor %}", {"name": "Aria"}
    )
    assert 'no column "clothng"; did you mean "clothing"?' in str(error)


def test_a_quite_unknown_column_is_to_be_declared():
    assert "declare it in catalog.toml, columns = [...]" in str(refusal(CAPTION.format("{{ zodiac }}")))
    declared = render(CAPTION.format("{{ zodiac }}"), {"zodiac": "ox"}, columns=(*COLUMNS, "zodiac"))
    assert declared == ["<caption>ox</caption>\n"]


@pytest.mark.parametrize("use", ["{% if zodiac %}a{% endif %}", "{{ zodiac|upper }}", "{{ zodiac ~ 'a' }}"])
def test_an_unknown_column_is_an_error_in_every_use(use):
    assert refusal(CAPTION.format(use)).code == "E_TEMPLATE_COLUMN"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<caption>\n{{ pose </caption>", 2),
        ("<caption>\n\n{% if pose %}\n</caption>", 3),
        ("{% endfor %}", 1),
        ("\n{{ pose|no_such_filter }}", 2),
        ("\n{{ pose|tojson }}", 2),
        ("\n{% do x %}", 2),
    ],
)
def test_wrong_syntax_is_named_with_its_line(text, line):
    error = refusal(text)
    assert error.code == "E_TEMPLATE_SYNTAX"
    assert error.line == line
    assert f"own.xml.j2, line {line}" in str(error)


def test_a_template_that_gives_no_prompt_is_refused_with_the_prompts_line():
    error = refusal("<general_tags>\n<stile>a</stile>\n</general_tags>")
    assert "line 2: <stile> is not a known element; did you mean <style>?" in str(error)
    assert refusal("").code == "E_PROMPT_EMPTY"


def test_a_further_field_must_be_declared():
    text = "<general_tags><mood>calm</mood></general_tags>"
    assert "<mood> is not a known element" in str(refusal(text))
    assert render(text, extra_fields=["mood"]) == ["<general_tags>\n<mood>calm</mood>\n</general_tags>\n"]


def test_one_rows_data_rejects_that_picture_only():
    text = CAPTION.format("{{ 10 // (seed|int) }}")
    first, second, third = render(text, {"seed": "5"}, {"seed": "0"}, {"seed": "2"})
    assert (first, third) == ("<caption>2</caption>\n", "<caption>5</caption>\n")
    assert isinstance(second, RowProblem)
    assert second.code == "E_TEMPLATE_DATA"
    assert "own.xml.j2, line 1: ZeroDivisionError" in second.text


def test_one_rows_position_rejects_that_picture_only():
    text = "<character_1><n>a</n><position>{{ position }}</position></character_1>"
    good, bad = render(text, {"position": "x:0.1, y:0.2"}, {"position": "x:4, y:0.2"})
    assert isinstance(good, str)
    assert isinstance(bad, RowProblem)
    assert "values from 0 to 1" in bad.text


# Includes


def test_includes_are_found_beside_the_template():
    template = make_template("{% include 'frame.j2' %}", frame=CAPTION.format("{{ pose }}"))
    assert set(template.sources) == {"own.xml.j2", "frame.j2"}
    assert render_one(template, pose="standing") == "<caption>standing</caption>\n"


def test_imported_macros_and_parents_are_found_too():
    template = make_template(
        "{% extends 'frame.j2' %}{% from 'macros.j2' import loud %}{% block body %}{{ loud(pose) }}{% endblock %}",
        frame="<caption>{% block body %}{% endblock %}</caption>",
        macros="{% macro loud(text) %}{{ text|upper }}{% endmacro %}",
    )
    assert render_one(template, pose="standing") == "<caption>STANDING</caption>\n"


def test_the_digest_covers_everything_included():
    def digest(frame: str) -> str:
        return make_template("{% include 'frame.j2' %}", frame=frame).digest

    assert digest("<caption>a</caption>") == digest("<caption>a</caption>")
    assert digest("<caption>a</caption>") != digest("<caption>b</caption>")


def test_files_that_are_not_included_do_not_matter_to_the_digest():
    assert (
        make_template("<caption>a</caption>").digest
        == make_template("<caption>a</caption>", other="x").digest
    )


def test_line_ends_and_a_byte_order_mark_do_not_matter_to_the_digest():
    digests = set()
    for data in (b"<caption>a\nb</caption>", b"\xef\xbb\xbf<caption>a\r\nb</caption>"):
        digests.add(_write_and_load(data).digest)
    assert len(digests) == 1


def _write_and_load(data: bytes):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "own.xml.j2").write_bytes(data)
        return load_template("own.xml.j2", [Path(folder)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% include 'absent.j2' %}", 'includes "absent.j2": no such file'),
        ("{% include '../secret.j2' %}", "outside the templates folder"),
        ("{% include '/etc/passwd' %}", "outside the templates folder"),
        ("{% include pose %}", "a computed name"),
        ("{% include 'a' ~ '.j2' %}", "a computed name"),
        ("{% include ['absent.j2', 'frame.j2'] %}", "no such file"),
        ("{% import pose as x %}", "a computed name"),
    ],
)
def test_an_include_names_one_file_inside_the_folder(text, said):
    with pytest.raises(TemplateError, match=said) as caught:
        make_template(text, frame="a")
    assert caught.value.code == "E_TEMPLATE_INCLUDE"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.j2").write_text("<caption>hunter2</caption>")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "own.xml.j2").symlink_to(tmp_path / "secret.j2")
    with pytest.raises(TemplateError, match="no such file"):
        load_template("own.xml.j2", [folder])


def test_the_first_folder_that_has_a_template_gives_it(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.xml.j2").write_text(f"<caption>{name}</caption>")
    template = load_template("own.xml.j2", [tmp_path / "absent", tmp_path / "first", tmp_path / "second"])
    assert template.sources == {"own.xml.j2": "<caption>first</caption>"}


def test_too_many_includes_are_refused():
    many = {f"part{number}": f"{{% include 'part{number + 1}.j2' %}}" for number in range(60)}
    with pytest.raises(TemplateError, match="more than 50 files"):
        make_template("{% include 'part0.j2' %}", **many)


def test_templates_that_include_each_other_are_refused():
    error = refusal_of(make_template("{% include 'frame.j2' %}", frame="{% include 'own.xml.j2' %}"))
    assert error.code == "E_TEMPLATE_RECURSION"


def refusal_of(template) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(template)
    return caught.value


def test_a_template_that_is_not_text_or_too_long_is_refused(tmp_path):
    (tmp_path / "binary.j2").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long.j2").write_bytes(b" " * (300 * 1024))
    with pytest.raises(TemplateError, match="not UTF-8"):
        load_template("binary.j2", [tmp_path])
    with pytest.raises(TemplateError, match="the limit is"):
        load_template("long.j2", [tmp_path])


# The sandbox

PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ characters.__class__.__base__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ range.__class__ }}",
    "{{ dict.fromkeys.__self__.__subclasses__() }}",
    "{{ '%s'.format.__self__.__class__ }}",
    "{{ '{0.__class__.__mro__}'.format(pose) }}",
    "{{ '{x.__class__}'.format_map({'x': pose}) }}",
    "{{ (pose|map(attribute='__class__')|list)[0] }}",
    "{{ characters.append(1) }}",
    "{% set x = characters.clear %}{{ x() }}",
    "{{ [].__reduce_ex__(2) }}",
    "{{ pose.encode.__func__ }}",
    "{% macro m() %}{% endmacro %}{{ m.__call__.__globals__ }}",
    "{{ import_module('os') }}",
    "{{ open('/etc/passwd').read() }}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_template_cannot_reach_behind_its_values(payload):
    answers: list[object] = []
    try:
        answers = render(f"<caption>{payload}</caption>", {"pose": "standing", "name": "Aria"})
    except TemplateError as error:
        assert error.code in ("E_TEMPLATE_SECURITY", "E_TEMPLATE_COLUMN", "E_TEMPLATE_SYNTAX")
    assert not answers


def test_templates_that_compute_without_end_are_refused_within_six_seconds():
    hogs = [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ (seed|int) ** 99999999 }}",  # one operation in C, which no signal interrupts
    ]

    def seconds_of(hog: str) -> float:
        started = time.monotonic()
        error = refusal(CAPTION.format(hog), {"seed": "7"})
        assert error.code in ("E_TEMPLATE_TIME", "E_TEMPLATE_SIZE")
        return time.monotonic() - started

    with ThreadPoolExecutor() as pool:
        assert max(pool.map(seconds_of, hogs)) < 6


@pytest.mark.parametrize(
    ("hog", "codes"),
    [
        ("{{ 'x' * 10000000000 }}", {"E_TEMPLATE_SIZE"}),
        ("{{ range(100000000) }}", {"E_TEMPLATE_SIZE", "E_TEMPLATE_DATA", "E_TEMPLATE_SECURITY"}),
        ("{{ 'x' * 100000 }}", {"E_PROMPT_SIZE"}),
        ("{{ '%1000000000d' % 1 }}", {"E_TEMPLATE_SIZE"}),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {"E_TEMPLATE_RECURSION"}),
    ],
)
def test_a_template_that_grows_without_end_is_refused_at_once(hog, codes):
    started = time.monotonic()
    answer = None
    try:
        answer = render(CAPTION.format(hog))[0]
    except TemplateError as error:
        assert error.code in codes
    if answer is not None:
        assert isinstance(answer, RowProblem)
        assert answer.code in codes
    assert time.monotonic() - started < 6
