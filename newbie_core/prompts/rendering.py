"""The child side of rendering: templates run here, under limits, and leave as canonical prompts.

A call carries `{"start": {...}}` once, then `{"contexts": [...]}`; the answer has one entry a context,
`[xml, null]` or `[null, {line, code, text, structural}]`.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from newbie_core.errors import PromptError
from newbie_core.prompts.document import escape_xml, split_tags
from newbie_core.prompts.parsing import SIZE_LIMIT, parse_prompt
from newbie_core.spelling import nearest

ROW_SECONDS = 5.0
"""A template that needs longer for one picture is refused."""

_FILTERS = (
    "abs", "batch", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "join", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select",
    "selectattr", "slice", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
_NUMBERED = re.compile(r"(.+)_([1-9])")
_PLAIN_TAG = re.compile(r"[A-Za-z0-9(][A-Za-z0-9 _\-'():.!?/+]*")
_OBJECT = re.compile(r" at 0x[0-9a-f]{4,16}(?:&gt;|>)")
_MESSAGE_LIMIT = 500
_TEXTS_REMEMBERED = 4096
"""Many cells of a sheet say the same."""
_PEOPLE = (("girl", "girls"), ("boy", "boys"), ("other", "others"))


class _StrictUndefined(jinja2.StrictUndefined):
    """Undefined that names the nearest column."""

    __slots__ = ()


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox that computes no power while it compiles: `9 ** (9 ** 9)` belongs under the row's clock."""

    intercepted_binops = frozenset({"**"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As Jinja's, but a dict's own key comes first: `c.gender` then costs no failed look-up."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As Jinja's, by a shorter way for macros: they are always safe, and a prompt calls twenty."""
        if type(obj) is Macro:
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return obj(context.eval_ctx, *args, **kwargs)
        return super().call(context, obj, *args, **kwargs)


class _Code(CodeGenerator):
    """Compiles without Jinja's own escaping around `_finalize`, which has escaped everything already."""

    def _output_child_pre(
        self, node: jinja2.nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo
    ) -> None:
        self.write("(")
        if finalize.src is not None:
            self.write(finalize.src)


_Environment.code_generator_class = _Code


def make_environment(sources: Mapping[str, str]) -> jinja2.Environment:
    """A sandboxed environment over `sources`, with only the filters that are pure and cheap."""
    environment = _Environment(
        loader=jinja2.DictLoader(dict(sources)),
        undefined=_StrictUndefined,
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    environment.filters["tags"] = tag_text
    environment.filters["spaces"] = lambda text: str(text).replace("_", " ")
    environment.globals = {"range": environment.globals["range"], "dict": dict}
    return environment


def tag_text(value: object) -> str:
    """A cell's tags in Danbooru's spelling: `Blue hair，smile` → `blue_hair, smile`; other text as it is."""
    return _spelt(str(value))


@lru_cache(maxsize=_TEXTS_REMEMBERED)
def _spelt(text: str) -> str:
    return ", ".join(map(_spell_tag, split_tags(text)))


def _spell_tag(tag: str) -> str:
    return tag.replace(" ", "_").lower() if _PLAIN_TAG.fullmatch(tag) else tag


def _finalize(value: Any) -> Any:
    if type(value) is str:
        return _escaped(value)
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        value = round(value, 6)
    if not isinstance(value, (str, int, float, jinja2.Undefined)):
        raise jinja2.TemplateRuntimeError(
            f"prints a {type(value).__name__}, not a text; join a list, call a function, or name a column"
        )
    return _escaped(str(value))


@lru_cache(maxsize=_TEXTS_REMEMBERED)
def _escaped(text: str) -> Markup:
    return Markup(escape_xml(text))


class Renderer:
    """Renders the contexts of one template; a value of a context is plain text, nothing else."""

    def __init__(
        self, *, name: str, sources: Mapping[str, str], columns: list[str], extra_fields: list[str]
    ) -> None:
        self._name = name
        self._columns = columns
        self._blank = dict.fromkeys(columns, "")
        self._character_fields = tuple(dict.fromkeys(c for c in columns if c not in _NOT_OF_A_CHARACTER))
        self._extra = frozenset(extra_fields)
        self._template = make_environment(sources).get_template(name)

    def render(self, values: Mapping[str, str]) -> str:
        """The canonical XML of one picture."""
        text = self._template.render(self.context(values))
        if len(text) > SIZE_LIMIT:
            raise PromptError(
                f"the rendered prompt has {len(text)} characters, the limit is {SIZE_LIMIT}",
                code="E_PROMPT_SIZE",
            )
        if _OBJECT.search(text):  # its address would be another one in every run
            raise jinja2.TemplateRuntimeError(
                "prints a function or generator, not a text; call it, or join it"
            )
        prompt = parse_prompt(text, extra_fields=self._extra)
        if not prompt.has_text():
            raise PromptError("every field of it is empty", code="E_PROMPT_BLANK")
        return prompt.to_xml()

    def context(self, values: Mapping[str, str]) -> dict[str, Any]:
        """What a template sees: every column by its name, and `characters`, `count_tags`."""
        flat: dict[str, Any] = {**self._blank, **values}
        people = self._people(values, flat)
        flat["characters"] = people
        flat["count_tags"] = count_tags([person.get("gender", "") for person in people])
        return flat

    def _people(self, values: Mapping[str, str], flat: Mapping[str, Any]) -> list[dict[str, Any]]:
        others: dict[int, dict[str, str]] = {}
        first_named = False
        for name, value in values.items():
            if name[-2:-1] == "_" and (match := _NUMBERED.fullmatch(name)):
                others.setdefault(int(match[2]), {})[match[1]] = value
            elif name in self._character_fields:
                first_named = True
        first = {field: flat[field] for field in self._character_fields}
        if 1 in others:
            first.update(others.pop(1))
            first_named = True
        people: list[dict[str, Any]] = [{**first, "number": 1}] if first_named else []
        blank = dict.fromkeys(self._character_fields, "")
        for number in sorted(others):
            people.append({**blank, **others[number], "number": len(people) + 1})
        return people


_NOT_OF_A_CHARACTER = frozenset(
    """
id base seed count enabled negative width height size steps guidance background style lighting composition
caption artists environment perspective atmosphere quality objects other character
""".split()
)


def count_tags(genders: list[str]) -> str:
    """Danbooru's count tags: one girl → `1girl, solo`; a girl and a boy → `1girl, 1boy`."""
    people = dict.fromkeys((word for word, _ in _PEOPLE), 0)
    for gender in genders:
        for word in people:
            if word in gender.lower():
                people[word] += 1
                break
    tags = [f"1{one}" if people[one] == 1 else f"{people[one]}{many}" for one, many in _PEOPLE if people[one]]
    if sum(people.values()) == 1 and len(genders) == 1:
        tags.append("solo")
    return ", ".join(tags)


class _RowTimeout(BaseException):
    """One picture took longer than ROW_SECONDS; no template construct can catch it."""


def _ring(_number: int, _frame: object) -> None:
    raise _RowTimeout


_renderer: list[Renderer] = []


def serve(payload: dict[str, Any]) -> Any:
    """The sandbox's entry: `start` compiles, `contexts` renders."""
    if "start" in payload:
        signal.signal(signal.SIGALRM, _ring)
        return _timed(lambda: _guard(lambda: _renderer.append(Renderer(**payload["start"]))))
    return [_render_one(_renderer[-1], values) for values in payload["contexts"]]


def _render_one(renderer: Renderer, values: dict[str, str]) -> list[Any]:
    rendered: list[str] = []
    problem = _timed(lambda: _guard(lambda: rendered.append(renderer.render(values)), renderer, values))
    return [None, problem] if problem else [rendered[0], None]


def _timed(work: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """Ring after ROW_SECONDS of `work`."""
    signal.setitimer(signal.ITIMER_REAL, ROW_SECONDS)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _guard(
    work: Callable[[], Any], renderer: Renderer | None = None, values: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Do `work`; what went wrong, as the parent reports it. A fault of one row's data is not structural."""
    try:
        work()
    except jinja2.TemplateSyntaxError as error:
        return _problem(error.message or "syntax error", error.lineno, "E_TEMPLATE_SYNTAX")
    except jinja2.TemplateNotFound as error:
        return _problem(
            f'it includes "{error}", which is not in the templates folder', None, "E_TEMPLATE_INCLUDE"
        )
    except SecurityError as error:
        return _problem(f"not allowed: {error}", _line(error), "E_TEMPLATE_SECURITY")
    except jinja2.UndefinedError as error:
        return _problem(_undefined_text(str(error), renderer), _line(error), "E_TEMPLATE_COLUMN")
    except _RowTimeout:
        return _problem(f"exceeded {ROW_SECONDS:g} s", None, "E_TEMPLATE_TIME")
    except MemoryError:
        return _problem("exceeded its memory", None, "E_TEMPLATE_SIZE")
    except RecursionError:
        return _problem("recurses without end", None, "E_TEMPLATE_RECURSION")
    except PromptError as error:
        structural = not _is_of_the_row(error, values or {})
        return _problem(
            f"renders to a prompt that is refused: {error}", None, error.code, structural=structural
        )
    except jinja2.TemplateError as error:
        return _problem(str(error), _line(error), "E_TEMPLATE_VALUE")
    except SyntaxError as error:
        return _problem(f"cannot be compiled: {error.msg}", None, "E_TEMPLATE_SYNTAX")
    except (ArithmeticError, LookupError, TypeError, ValueError, OverflowError) as error:
        return _problem(f"{type(error).__name__}: {error}", _line(error), "E_TEMPLATE_DATA", structural=False)
    return None


def _is_of_the_row(error: PromptError, values: Mapping[str, str]) -> bool:
    """Whether the values, not the template, make a prompt that is refused."""
    if error.code == "E_PROMPT_SIZE":
        return sum(map(len, values.values())) > SIZE_LIMIT // 4
    return error.code in ("E_PROMPT_BLANK", "E_PROMPT_POSITION")


def _problem(text: str, line: int | None, code: str, *, structural: bool = True) -> dict[str, Any]:
    return {"text": text[:_MESSAGE_LIMIT], "line": line, "code": code, "structural": structural}


def _line(error: BaseException) -> int | None:
    trace = error.__traceback__
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith((".j2", "<template>")):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


_MISSING = re.compile(r"'([^']+)' is undefined|has no attribute '([^']+)'")


def _undefined_text(text: str, renderer: Renderer | None) -> str:
    match = _MISSING.search(text)
    if match is None or renderer is None:
        return text
    name = match[1] or match[2]
    known = [*renderer._columns, "characters", "count_tags", "number"]
    near = nearest(name, known)
    hint = f'did you mean "{near}"?' if near else "declare it in catalog.toml, columns = [...]"
    return f'no column "{name}"; {hint}'
