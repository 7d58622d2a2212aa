"""Templates turn a picture's values into an XML prompt; they are untrusted and run in limited children.

A template sees every column by its name, `characters` (a list with each character's columns and
`number`) and `count_tags`. Its digest, with all it includes, is part of each picture's identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from newbie_core.digests import digest_value
from newbie_core.errors import SandboxError, TemplateError
from newbie_core.sandbox import SandboxLimits, Worker

DEFAULT_TEMPLATE = "character.xml.j2"
_SOURCE_LIMIT = 256 * 1024
_INCLUDE_LIMIT = 50
_CHUNK = 250
_CHUNK_SECONDS = 5.5
_LIMITS = SandboxLimits(memory_bytes=640 << 20, cpu_seconds=1200)
_SECOND_WORKER_FROM = 1500
"""From so many pictures on a second child renders beside the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template's text with the texts of all it includes, by name; equal digests render equally."""

    name: str
    sources: Mapping[str, str]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """Why one picture's prompt could not be rendered; the others could."""

    code: str
    text: str


def load_template(name: str, folders: Sequence[Path]) -> Template:
    """The template `name` from the first of `folders` that has it, with everything it includes.

    Raises:
        TemplateError: not found, outside the folders, too long, wrong syntax, an include by computed name.
    """
    sources: dict[str, str] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in sources:
            sources[current] = _read_source(current, folders, needed_by=name)
            waiting.extend(_references(current, sources[current]))
        if len(sources) > _INCLUDE_LIMIT:
            raise TemplateError(
                f"{name}: includes more than {_INCLUDE_LIMIT} files", code="E_TEMPLATE_INCLUDE"
            )
    return Template(name=name, sources=sources, digest=digest_value({"name": name, "sources": sources}))


def stock_folder() -> Path:
    """Where the project's own templates stand: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_templates"
    return inside if inside.is_dir() else package.parent / "templates"


def _read_source(name: str, folders: Sequence[Path], *, needed_by: str) -> str:
    about = f"template {needed_by} includes" if name != needed_by else "template"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not name:
        raise TemplateError(
            f'{about} "{name}": outside the templates folder; name a file inside it',
            code="E_TEMPLATE_INCLUDE",
        )
    for folder in folders:
        file = folder / path
        if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
            return _text_of(file, name)
    looked = ", ".join(str(folder.name or folder) for folder in folders)
    raise TemplateError(f'{about} "{name}": no such file in {looked}', code="E_TEMPLATE_INCLUDE")


def _text_of(file: Path, name: str) -> str:
    data = file.read_bytes()
    if len(data) > _SOURCE_LIMIT:
        raise TemplateError(
            f"{name}: {len(data)} bytes, the limit is {_SOURCE_LIMIT}", code="E_TEMPLATE_SIZE"
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateError(f"{name}: not UTF-8 text: {error}", code="E_TEMPLATE_SYNTAX") from None


def _references(name: str, source: str) -> Iterator[str]:
    if "{%" not in source:
        return
    import jinja2
    from jinja2 import meta

    try:
        tree = jinja2.Environment().parse(source)
        references = list(meta.find_referenced_templates(tree))
    except jinja2.TemplateSyntaxError as error:
        text = f"template {name}, line {error.lineno}: {error.message}"
        raise TemplateError(text, line=error.lineno, code="E_TEMPLATE_SYNTAX") from None
    except RecursionError:
        raise TemplateError(f"template {name}: nested too deeply", code="E_TEMPLATE_RECURSION") from None
    for reference in references:
        if reference is None:
            raise TemplateError(
                f"template {name}: includes a file by a computed name; write the name",
                code="E_TEMPLATE_INCLUDE",
            )
        yield reference


def render_all(
    template: Template,
    values: Iterable[Mapping[str, str]],
    *,
    columns: Sequence[str],
    extra_fields: Sequence[str] = (),
    expected: int = 0,
) -> Iterator[str | RowProblem]:
    """The canonical XML of each picture, in order, or why it has none.

    Args:
        values: each picture's non-empty values by column.
        columns: every column a template may name.
        extra_fields: columns that may also be elements of the prompt.
        expected: about how many pictures come; large sets render in two children.

    Raises:
        TemplateError: the template itself is at fault: syntax, an unknown column, a limit.
    """
    start = {
        "name": template.name,
        "sources": dict(template.sources),
        "columns": list(columns),
        "extra_fields": list(extra_fields),
    }
    with ExitStack() as stack:
        count = 2 if expected >= _SECOND_WORKER_FROM else 1
        workers = [stack.enter_context(_Renderer(template.name, start)) for _ in range(count)]
        yield from _in_turn(workers, iter(values))


def _in_turn(workers: list[_Renderer], values: Iterator[Mapping[str, str]]) -> Iterator[str | RowProblem]:
    waiting: list[_Renderer] = []
    idle = list(workers)
    while True:
        while idle and (chunk := list(islice(values, _CHUNK))):
            worker = idle.pop(0)
            worker.send(chunk)
            waiting.append(worker)
        if not waiting:
            return
        worker = waiting.pop(0)
        answers = worker.receive()
        idle.append(worker)
        if chunk := list(islice(values, _CHUNK)):
            idle.pop().send(chunk)
            waiting.append(worker)
        yield from answers


class _Renderer:
    """One limited child that renders one template."""

    def __init__(self, name: str, start: dict[str, Any]) -> None:
        self._name = name
        self._worker = Worker("newbie_core.prompts.rendering:serve", _LIMITS)
        self._worker.send({"start": start})
        self._starting = True

    def __enter__(self) -> _Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    def send(self, chunk: list[Mapping[str, str]]) -> None:
        if self._starting:
            self._starting = False
            if problem := self._receive(30):
                raise self._error(problem)
        self._worker.send({"contexts": chunk})

    def receive(self) -> list[str | RowProblem]:
        answers: list[str | RowProblem] = []
        for text, problem in self._receive(_CHUNK_SECONDS):
            if problem is None:
                answers.append(text)
            elif problem["structural"]:
                raise self._error(problem)
            else:
                line = f", line {problem['line']}" if problem["line"] else ""
                answers.append(
                    RowProblem(code=problem["code"], text=f"template {self._name}{line}: {problem['text']}")
                )
        return answers

    def _receive(self, seconds: float) -> Any:
        try:
            return self._worker.receive(seconds=seconds)
        except SandboxError as error:
            said = {
                "time": ("exceeded 5 s", "E_TEMPLATE_TIME"),
                "cpu": ("exceeded 5 s", "E_TEMPLATE_TIME"),
                "memory": ("exceeded its memory or size limit", "E_TEMPLATE_SIZE"),
            }
            other = (f"could not be rendered ({error})", "E_TEMPLATE")
            text, code = said.get(error.reason, other)
            raise TemplateError(f"template {self._name}: {text}; make it simpler", code=code) from None

    def _error(self, problem: Mapping[str, Any]) -> TemplateError:
        line = problem["line"]
        where = f"template {self._name}" + (f", line {line}" if line else "")
        return TemplateError(f"{where}: {problem['text']}", line=line, code=problem["code"])
