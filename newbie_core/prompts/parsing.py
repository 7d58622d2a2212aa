"""Read XML text as a prompt; refuse what is not one, with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from functools import lru_cache

from lxml import etree

from newbie_core.errors import PromptError
from newbie_core.prompts.document import (
    CHARACTER_FIELDS,
    GENERAL_FIELDS,
    SCENE_FIELDS,
    TEXT_FIELDS,
    Block,
    BlockKind,
    Prompt,
    make_block,
    position_point,
    split_tags,
)

SIZE_LIMIT = 64 * 1024
"""Characters of one prompt; the text encoders read a few thousand at most."""

_ROOTS = ("prompt", "image", "img", "document")
_ALIASES = {"name": "n", "artist": "artists"}
_DECLARATION = re.compile(r"\A(\s*)<\?xml\s[^>]*\?>")
_LOOSE_CHARACTER = re.compile(r"<(/?)character[ -](\d+)>")
_CHARACTER = re.compile(r"character_([1-9]\d?)")
_TOP = ("character_1", "scene", "general_tags", "caption")


def parse_prompt(text: str, *, extra_fields: Collection[str] = ()) -> Prompt:
    """The prompt that `text` spells, with or without one of the known root elements.

    Args:
        text: XML: `character_1` …, `scene`, `general_tags`, `caption`.
        extra_fields: further element names that a catalog declares for its template.

    Raises:
        PromptError: a DTD, a processing instruction, an unknown, repeated or misnumbered element,
            text outside the fields, over 64 KiB; with the line.
    """
    if len(text) > SIZE_LIMIT:
        raise PromptError(
            f"the prompt has {len(text)} characters, the limit is {SIZE_LIMIT}; shorten its fields",
            code="E_PROMPT_SIZE",
        )
    root = _parse_xml(text)
    if len(root) == 1 and root[0].tag in _ROOTS and not (root.text or "").strip():
        root = root[0]
    return _read_root(root, frozenset(extra_fields))


def _parse_xml(text: str) -> etree._Element:
    upper = text.upper() if "<!" in text else ""
    for mark in ("<!DOCTYPE", "<!ENTITY", "<!ELEMENT"):
        at = upper.find(mark)
        if at >= 0:
            line = upper.count("\n", 0, at) + 1
            raise PromptError(
                f"line {line}: declares a DTD or an entity ({mark}): refused; write the text itself",
                line=line,
                code="E_PROMPT_DTD",
            )
    body = _LOOSE_CHARACTER.sub(r"<\1character_\2>", _DECLARATION.sub(r"\1", text))
    try:
        return etree.fromstring(f"<prompt>{body}</prompt>", _parser())
    except etree.XMLSyntaxError as error:
        line = min(error.lineno or 1, text.count("\n") + 1)
        raise PromptError(
            f"line {line}: not well-formed XML: {error.msg}; close every tag, write &amp; &lt; &gt; for & < >",
            line=line,
            code="E_PROMPT_XML",
        ) from None
    except ValueError as error:
        raise PromptError(
            f"the prompt holds a character XML cannot carry: {error}", code="E_PROMPT_XML"
        ) from None


@lru_cache(maxsize=1)
def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )


def _read_root(root: etree._Element, extra_fields: frozenset[str]) -> Prompt:
    _refuse_text(root)
    characters: list[Block] = []
    scene: Block | None = None
    general: Block | None = None
    caption = ""
    style_above: tuple[str, ...] = ()
    for element in root:
        tag = _name(element)
        if match := _CHARACTER.fullmatch(tag):
            if int(match[1]) != len(characters) + 1:
                raise _at(
                    element,
                    f"<{tag}> found where <character_{len(characters) + 1}> was expected; number them",
                )
            characters.append(_read_block(element, "character", CHARACTER_FIELDS, extra_fields))
        elif tag == "scene" and scene is None:
            scene = _read_block(element, "scene", SCENE_FIELDS, extra_fields)
        elif tag == "general_tags" and general is None:
            general = _read_block(element, "general_tags", GENERAL_FIELDS, extra_fields)
        elif tag == "caption" and not caption:
            caption = _text(element)
        elif tag == "style" and not style_above:  # the ComfyUI prompt builder puts it before everything
            style_above = split_tags(_text(element))
        elif tag in (*_TOP, "style"):
            raise _at(element, f"<{tag}> stands twice; keep one")
        else:
            raise _unknown(element, tag, _TOP)
    if style_above:
        fields = dict(general.fields) if general else {}
        fields["style"] = tuple(dict.fromkeys((*style_above, *fields.get("style", ()))))
        general = make_block("general_tags", fields, GENERAL_FIELDS)
    if not (characters or scene or general or caption):
        raise PromptError(
            "the prompt is empty; give it a <character_1> or <general_tags>", code="E_PROMPT_EMPTY"
        )
    return Prompt(characters=tuple(characters), scene=scene, general=general, caption=caption)


def _read_block(
    element: etree._Element, kind: BlockKind, order: tuple[str, ...], extra_fields: frozenset[str]
) -> Block:
    _refuse_text(element)
    fields: dict[str, tuple[str, ...]] = {}
    for child in element:
        name = _name(child)
        name = _ALIASES.get(name, name)
        if name not in order and name not in extra_fields:
            raise _unknown(child, name, (*order, *sorted(extra_fields)))
        if name in fields:
            raise _at(child, f"<{name}> stands twice in <{_name(element)}>; join the two")
        text = _text(child)
        fields[name] = ((text,) if text else ()) if name in TEXT_FIELDS else split_tags(text)
        if name == "position":
            _check_position(child, text)
    return make_block(kind, fields, order)


def _check_position(element: etree._Element, text: str) -> None:
    if ":" not in text:
        return
    point = position_point(text)
    if point is None or not all(0 <= value <= 1 for value in point):
        said = f'position "{text}" is neither a word nor like "x:0.5, y:0.7" with values from 0 to 1'
        raise _at(element, said, code="E_PROMPT_POSITION")


def _name(element: etree._Element) -> str:
    if not isinstance(element.tag, str):
        raise _at(element, "a processing instruction or entity; write plain elements")
    if element.keys():
        raise _at(element, f"<{element.tag}> has attributes; a prompt has none")
    return element.tag


def _text(element: etree._Element) -> str:
    if len(element):
        raise _at(element, f"<{element.tag}> holds <{_name(element[0])}>; it may hold only text")
    return " ".join((element.text or "").split())


def _refuse_text(element: etree._Element) -> None:
    for text in (element.text, *[child.tail for child in element]):
        if text and text.strip():
            found = text.strip()[:40]
            raise _at(element, f'"{found}" stands outside every field; put it into one, such as <appearance>')


def _unknown(element: etree._Element, tag: str, known: tuple[str, ...]) -> PromptError:
    near = difflib.get_close_matches(tag, known, n=1)
    hint = f"did you mean <{near[0]}>?" if near else f"known: {', '.join(known)}"
    return _at(element, f"<{tag}> is not a known element; {hint}")


def _at(element: etree._Element, message: str, *, code: str = "E_PROMPT_ELEMENT") -> PromptError:
    line = element.sourceline if isinstance(element.sourceline, int) else 1
    return PromptError(f"line {line}: {message}", line=line, code=code)
