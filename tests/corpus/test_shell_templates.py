"""Table E of the bad-input corpus through the real shell: hostile, endless and mistaken templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from newbie_core.prompts.document import escape_xml
from tests.corpus.shell import SETTINGS, Finished, Trial, has_release, made_objects, newbie, patience, show

USES = 'template = "cast.xml.j2"\n'
ROWS = "id,name,appearance\naria,Aria,blue eyes\nren,Ren,red hair\n"
BEGINS = "<character_1><n>{{ name }}</n></character_1>"


def with_template(template: str | bytes, rows: str = ROWS) -> Callable[[Path], None]:
    """Writes a catalog of `rows` with the template."""

    def prepare(catalog: Path) -> None:
        (catalog / "characters.csv").write_text(rows, encoding="utf-8")
        (catalog / "templates").mkdir()
        data = template if isinstance(template, bytes) else template.encode()
        (catalog / "templates" / "cast.xml.j2").write_bytes(data)

    return prepare


@dataclass(frozen=True, kw_only=True)
class TemplateTrial(Trial):
    """A template that is refused, by one of the codes, with these words."""

    codes: tuple[str, ...]
    words: tuple[str, ...]
    line: int | None


def refused(
    name: str,
    template: str | bytes,
    codes: str | Sequence[str],
    *words: str,
    line: int | None = None,
    settings: str = "",
    rows: str = ROWS,
) -> TemplateTrial:
    return TemplateTrial(
        name=name,
        prepare=with_template(template, rows),
        settings=USES + settings + SETTINGS,
        codes=(codes,) if isinstance(codes, str) else tuple(codes),
        words=words,
        line=line,
    )


def payload(number: int, name: str, expression: str) -> TemplateTrial:
    """A sandbox payload on the template's second line."""
    words = ("SECURITY", "COLUMN", "SYNTAX", "INCLUDE", "VALUE")
    codes = tuple(f"E_TEMPLATE_{word}" for word in words)
    expression = expression if expression.startswith("{%") else "{{ " + expression + " }}"
    return refused(f"E01-payload-{number:02}-{name}", f"{BEGINS}\n{expression}\n", codes, line=2)


PAYLOADS = (
    payload(1, "class", "name.__class__"),
    payload(2, "mro", "''.__class__.__mro__[1].__subclasses__()"),
    payload(3, "subscript", "name['__class__']"),
    payload(4, "attr-filter", "name|attr('__class__')"),
    payload(5, "map-attribute", "[name]|map(attribute='__class__')|list"),
    payload(6, "map-of-attr", "[name]|map('attr', '__class__')|list"),
    payload(7, "format", "'{0.__class__.__mro__}'.format(name)"),
    payload(8, "stored-format", "{% set f = '{0.__class__}'.format %}{{ f(name) }}"),
    payload(9, "format-map", "'{a.__class__}'.format_map({'a': name})"),
    payload(10, "range-globals", "range.__init__.__globals__"),
    payload(11, "dict-subclasses", "dict.__subclasses__()"),
    payload(12, "dict-mro", "dict.mro()"),
    payload(13, "self-context", "self._TemplateReference__context"),
    payload(14, "self-init", "self.__init__.__globals__"),
    payload(15, "cycler", "cycler.__init__.__globals__.os.popen('id').read()"),
    payload(16, "lipsum", "lipsum.__globals__['os']"),
    payload(17, "macro-globals", "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}"),
    payload(18, "joined-name", "name['__cla' ~ 'ss__']"),
    payload(19, "import", "{% import 'os' as os %}{{ os }}"),
    payload(20, "append", "characters.append(1)"),
    payload(21, "sort-attribute", "[name, name]|sort(attribute='__class__')"),
    payload(22, "loop", "{% for x in [1] %}{{ loop.__init__ }}{% endfor %}"),
    payload(23, "generator-frame", "{% for x in [1] %}{{ (characters|map('upper')).gi_frame }}{% endfor %}"),
    payload(24, "environment", "self._TemplateReference__context.environment"),
    payload(25, "self", "self"),
    payload(26, "function", "range"),
    payload(27, "method", "name.upper"),
    payload(28, "generator", "[name]|map('upper')"),
)

LONG = "x" * 30_000
TRIALS: tuple[TemplateTrial, ...] = (
    *PAYLOADS,
    refused(
        "E02-method-of-an-object",
        f"{BEGINS}\n{{{{ characters[0].delete() }}}}",
        "E_TEMPLATE_COLUMN",
        "delete",
        line=2,
    ),
    refused(
        "E03-nested-range",
        f"{BEGINS}\n{{% for a in range(99999) %}}{{% for b in range(99999) %}}{{% endfor %}}{{% endfor %}}",
        "E_TEMPLATE_TIME",
        "exceeded 5 s",
    ),
    refused("E03-power", f"{BEGINS}{{{{ 9 ** (9 ** 9) }}}}", "E_TEMPLATE_TIME", "exceeded 5 s"),
    refused("E04-repeated", f"{BEGINS}{{{{ 'a' * 10 ** 9 }}}}", "E_TEMPLATE_SIZE", "memory"),
    refused("E04-center", f"{BEGINS}{{{{ name.center(10 ** 9) }}}}", "E_TEMPLATE_SIZE", "memory"),
    refused("E04-percent", f"{BEGINS}{{{{ '%1000000000d' % 1 }}}}", "E_TEMPLATE_SIZE", "memory"),
    refused("E04-format", f"{BEGINS}{{{{ '{{:>1000000000}}'.format(1) }}}}", "E_TEMPLATE_SIZE", "memory"),
    refused(
        "E04-doubling",
        BEGINS
        + "{% macro m(x, n) %}{% if n %}{{ m(x ~ x, n - 1) }}{% endif %}{% endmacro %}{{ m('aaaaaaaa', 40) }}",
        "E_TEMPLATE_SIZE",
        "memory",
    ),
    refused("E04-hundred-megabytes", f"{BEGINS}{{{{ 'a' * 10 ** 8 }}}}", "E_PROMPT_SIZE", "65536"),
    refused("E05-lipsum", f"{BEGINS}\n{{{{ lipsum(n=100000) }}}}", "E_TEMPLATE_COLUMN", "lipsum", line=2),
    refused(
        "E10-misspelt-field",
        f"{BEGINS}\n\n{{{{ hiar }}}}",
        "E_TEMPLATE_COLUMN",
        'no column "hiar"; did you mean "hair"?',
        line=3,
        settings='columns = ["hair"]\n',
    ),
    refused(
        "E10-misspelt-field-of-a-character",
        f"{BEGINS}\n{{{{ characters[0].apearance }}}}",
        "E_TEMPLATE_COLUMN",
        'no column "apearance"; did you mean "appearance"?',
        line=2,
    ),
    refused(
        "E10-misspelt-field-in-a-condition",
        f"{BEGINS}\n{{% if styl %}}x{{% endif %}}",
        "E_TEMPLATE_COLUMN",
        'did you mean "style"?',
        line=2,
    ),
    refused("E10-unclosed-tag", f"{BEGINS}\n{{% if name %}}", "E_TEMPLATE_SYNTAX", "endif", line=2),
    refused("E10-unknown-filter", f"{BEGINS}\n{{{{ name|uper }}}}", "E_TEMPLATE_SYNTAX", "uper", line=2),
    refused(
        "E11-include-outside", '{% include "../characters.csv" %}', "E_TEMPLATE_INCLUDE", "outside", "inside"
    ),
    refused("E11-include-absolute", '{% include "/etc/passwd" %}', "E_TEMPLATE_INCLUDE", "outside"),
    refused("E11-include-missing", '{% include "nobody.j2" %}', "E_TEMPLATE_INCLUDE", '"nobody.j2"'),
    refused("E11-include-computed", "{% include name %}", "E_TEMPLATE_INCLUDE", "computed name"),
    refused("E11-include-itself", '{% include "cast.xml.j2" %}', "E_TEMPLATE_RECURSION", "recurses"),
    refused(
        "E11-endless-macro",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "E_TEMPLATE_RECURSION",
        "recurses",
    ),
    refused(
        "E11-nested-parens",
        BEGINS + "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        ("E_TEMPLATE_RECURSION", "E_TEMPLATE_SIZE"),
    ),
    refused(
        "E11-nested-loops",
        BEGINS + "{% for a in [1] %}" * 60 + "{% endfor %}" * 60,
        ("E_TEMPLATE_RECURSION", "E_TEMPLATE_SYNTAX"),
    ),
    refused("E11-not-text", b"\xff\xfe<\0a\0", "E_TEMPLATE_SYNTAX", "not UTF-8"),
    refused("E11-half-a-megabyte", "<!-- " + "x" * 600_000 + " -->", "E_TEMPLATE_SIZE", "262144"),
    refused(
        "E12-doctype",
        f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{BEGINS}',
        "E_PROMPT_DTD",
        "DTD",
        "refused",
    ),
    refused("E12-processing-instruction", f"<?php id ?>{BEGINS}", "E_PROMPT_ELEMENT", "processing"),
    refused(
        "E12-depth",
        f"{BEGINS}<general_tags>{'<style>' * 300}x{'</style>' * 300}</general_tags>",
        "E_PROMPT_XML",
    ),
    refused("E12-size", f"{BEGINS}<caption>{'x' * 70_000}</caption>", "E_PROMPT_SIZE", "65536"),
    refused("E12-unclosed-element", "<character_1><n>{{ name }}</character_1>", "E_PROMPT_XML", "close"),
    refused("E12-unknown-element", f"{BEGINS}<stile>x</stile>", "E_PROMPT_ELEMENT", "<stile>"),
)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_a_template_is_refused_before_any_picture_is_made(trial: TemplateTrial, finished: Finished) -> None:
    ran = finished.ran
    assert ran.exit_code == 2, ran.said
    error = ran.report["error"]
    assert error["code"] in trial.codes, error
    assert "cast.xml.j2" in error["message"], error
    for word in trial.words:
        assert word in error["message"], error
    if trial.line is not None:
        assert f"line {trial.line}" in error["message"] or error["code"] == "E_TEMPLATE_INCLUDE", error
    assert error["message"] in ran.told
    assert "root:" not in ran.said, "a file of the host was read"
    assert not has_release(finished.folder)
    assert made_objects(finished.folder) == 0
    assert finished.after == finished.before


def make_catalog(folder: Path, template: str | None, rows: str = ROWS, settings: str = "") -> Path:
    catalog = folder / "catalog"
    catalog.mkdir()
    if template is None:
        (catalog / "characters.csv").write_text(rows, encoding="utf-8")
    else:
        with_template(template, rows)(catalog)
    uses = "" if template is None else USES
    (catalog / "catalog.toml").write_text(uses + settings + SETTINGS, encoding="utf-8")
    return catalog


def run(folder: Path, *options: str, exit_code: int = 0):
    ran = newbie("run", "catalog", "--store", "store", "--json", *options, folder=folder)
    assert ran.exit_code == exit_code, ran.said
    return ran


def test_E01_a_broken_template_leaves_the_release_that_counts_as_it_was(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, BEGINS)
    before = run(tmp_path).report["digest"]
    (catalog / "templates" / "cast.xml.j2").write_text("{{ name.__class__ }}")
    run(tmp_path, exit_code=2)
    release = show(tmp_path, "catalog")
    assert (release["release"], release["digest"]) == ("r000001", before)
    assert set(release["ids"]) == {"aria", "ren"}


def test_E01_no_address_of_an_object_becomes_a_prompt_that_differs_every_night(tmp_path: Path) -> None:
    make_catalog(tmp_path, f"{BEGINS}<caption>{{{{ 'x' ~ range }}}}</caption>")
    error = run(tmp_path, exit_code=2).report["error"]
    assert error["code"] == "E_TEMPLATE_VALUE"
    assert "call it" in error["message"]


def test_E02_a_template_sees_only_plain_texts_numbers_lists_and_dictionaries(tmp_path: Path) -> None:
    template = (
        BEGINS + "{% for one in characters %}{% for key, value in one.items() %}"
        "{% if not (value is string or value is integer) %}<wrong></wrong>{% endif %}{% endfor %}{% endfor %}"
        "{% if not (characters is sequence and count_tags is string and appearance is string) %}"
        "<wrong></wrong>{% endif %}"
    )
    make_catalog(tmp_path, template)
    run(tmp_path)


def test_E03_an_endless_template_ends_within_seven_seconds(tmp_path: Path) -> None:
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    make_catalog(tmp_path, BEGINS + loops)
    ran = newbie("check", "catalog", "--json", folder=tmp_path)
    assert ran.exit_code == 2
    assert 5 <= ran.seconds <= 7 * patience(), ran.seconds
    assert ran.report["error"]["code"] == "E_TEMPLATE_TIME"


def test_E08_a_value_that_looks_like_a_template_stays_as_it_is(tmp_path: Path) -> None:
    value = "{{ 7*7 }} {% for x in y %} <b>&amp; \"quotes\" 'too' ]]> <!-- -->"
    rows = 'id,name,caption\naria,{{ 7*7 }},"' + value.replace('"', '""') + '"\n'
    make_catalog(tmp_path, None, rows)
    run(tmp_path)
    prompt = show(tmp_path, "catalog", "aria")["prompt"]
    assert "<n>{{ 7*7 }}</n>" in prompt
    assert f"<caption>{escape_xml(value)}</caption>" in prompt
    assert "49" not in prompt


@pytest.mark.parametrize(
    ("character", "shown"), [("\0", "U+0000"), ("\x0b", "U+000B"), ("\ufffe", "U+FFFE"), ("\x1b", "U+001B")]
)
def test_E09_a_character_that_xml_cannot_carry_rejects_its_row_and_names_the_cell(
    tmp_path: Path, character: str, shown: str
) -> None:
    make_catalog(tmp_path, None, f"id,name,appearance\naria,Aria,blue eyes\nren,Ren,red{character}hair\n")
    fault = run(tmp_path, exit_code=3).report["rejected"][0]
    assert (fault["file"], fault["sheet"], fault["row"], fault["column"], fault["code"]) == (
        "characters.csv",
        "characters",
        3,
        "C",
        "E_CELL_CHARACTER",
    )
    assert shown in fault["message"]
    assert show(tmp_path, "catalog")["ids"] == ["aria"]


def test_E12_one_row_too_long_for_a_prompt_is_rejected_and_the_others_are_made(tmp_path: Path) -> None:
    rows = f"id,name,appearance,clothing,caption\naria,Aria,hat,,\nren,Ren,{LONG},{LONG},{LONG}\n"
    make_catalog(tmp_path, None, rows)
    fault = run(tmp_path, exit_code=3).report["rejected"][0]
    assert (fault["code"], fault["row"]) == ("E_PROMPT_SIZE", 3)
    assert "ren" in fault["message"]
    assert "65536" in fault["message"]
    assert show(tmp_path, "catalog")["ids"] == ["aria"]


def test_E12_a_row_that_asks_for_nothing_is_rejected_and_the_others_are_made(tmp_path: Path) -> None:
    make_catalog(tmp_path, None, "id,name,appearance\naria,Aria,hat\nren,,\n")
    fault = run(tmp_path, exit_code=3).report["rejected"][0]
    assert (fault["code"], fault["row"]) == ("E_PROMPT_BLANK", 3)
    assert show(tmp_path, "catalog")["ids"] == ["aria"]


def test_E12_a_position_out_of_the_picture_rejects_its_row_and_names_the_cell(tmp_path: Path) -> None:
    make_catalog(tmp_path, None, 'id,name,position\naria,Aria,"x:0.5, y:0.7"\nren,Ren,"x:5, y:0.7"\n')
    fault = run(tmp_path, exit_code=3).report["rejected"][0]
    assert (fault["code"], fault["row"], fault["column"]) == ("E_CELL_VALUE", 3, "C")
    assert "0 to 1" in fault["fix"]
    assert show(tmp_path, "catalog")["ids"] == ["aria"]
