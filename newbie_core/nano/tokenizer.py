"""A word-level tokenizer in the two file forms of the model: Gemma's kind (BPE) and Jina's kind (Unigram).

Every known word is an added token, so the model beneath only ever sees unknown ones, which become `<unk>`. Another
name for a word has an id of its own, whose embedding row is a copy of the word's; ids of words agree in both files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from newbie_core.model.conditioning import S_TEXT, S_XML
from newbie_core.nano.words import (
    FIELDS,
    FILLERS,
    MOST_CHARACTERS,
    aliases,
    canonical_words,
    colour_names,
    spelled,
)

GEMMA_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
JINA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
UNKNOWN = 3
"""The unknown token's id in both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a tokenizer knows.

    Attributes:
        tokens: texts with a row of their own, from id 4 on.
        others: other names, from the id behind the last token, with the token each stands for.
    """

    tokens: tuple[str, ...]
    others: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> int:
        """Ids in all, special ones included."""
        return UNKNOWN + 1 + len(self.tokens) + len(self.others)

    @property
    def own_rows(self) -> int:
        """Ids without the other names: rows that are trained."""
        return UNKNOWN + 1 + len(self.tokens)

    def row_of(self) -> list[int]:
        """For every id the trained row it uses."""
        place = {text: index for index, text in enumerate(self.tokens, start=UNKNOWN + 1)}
        return [*range(self.own_rows), *(place[word] for _, word in self.others)]


def vocabulary(more: Iterable[str] = ()) -> Vocabulary:
    """The model's own words, and `more` of a user's captions."""
    marks = [S_XML, S_TEXT]
    for number in range(1, MOST_CHARACTERS + 1):
        marks += [f"<character_{number}>", f"</character_{number}>"]
    marks += [f"<{name}>" for name in FIELDS]
    words = [spelled(word) for word in canonical_words()]
    taken = {*words, *(spelled(name) for name in aliases())}
    words += [word for word in dict.fromkeys(spelled(each) for each in more) if word and word not in taken]
    others = {spelled(name): spelled(word) for name, word in aliases().items()}
    own = set(words)
    return Vocabulary(
        tokens=(*marks, *words),
        others=tuple((name, word) for name, word in others.items() if name not in own),
    )


def gemma_json(words: Vocabulary) -> bytes:
    """tokenizer.json of Gemma's kind."""
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {text: index for index, text in enumerate(GEMMA_SPECIAL)},
        "merges": [],
    }
    return _json(GEMMA_SPECIAL, words, model)


def jina_json(words: Vocabulary) -> bytes:
    """tokenizer.json of Jina's kind."""
    model: dict[str, Any] = {
        "type": "Unigram",
        "unk_id": UNKNOWN,
        "vocab": [[text, 0.0] for text in JINA_SPECIAL],
    }
    return _json(JINA_SPECIAL, words, model)


BREAK = "\u2063"
"""Stands where a word was left out, so that what stood apart does not join; it gets no token itself."""


def _said_of() -> Iterator[tuple[str, str]]:
    """ "hair is red" as "red hair", for every colour of hair and eyes."""
    for noun in ("hair", "eyes"):
        for colour in colour_names(noun):
            yield rf"(?<!\w){noun} (?:is|are) {colour}(?!\w)", f"{colour} {noun}"


_REWRITES: tuple[tuple[str, str], ...] = (
    (r"<n>[^<]*</n>", " "),  # a name says nothing about looks
    (r"</(?!character)[a-z_]+>", " "),
    (r":\d+(\.\d+)?\)", " "),  # weights such as (smile:1.2)
    (r"<lora:[^<>]*>", " "),
    # Numeric positions as the words left, center, right.
    (r"(?<!\w)x:\s*0?\.[0-3]\d*(,?\s*y:\s*[\d.]+)?", " left "),
    (r"(?<!\w)x:\s*0?\.[45]\d*(,?\s*y:\s*[\d.]+)?", " center "),
    (r"(?<!\w)x:\s*0?\.[6-9]\d*(,?\s*y:\s*[\d.]+)?", " right "),
    (r"_+|-(?=haired)", " "),
    (r"\\", ""),
    (r"[\s,.;!?()\[\]{}\"'~|*$]+|:\s|[、。，；：！？（）【】的着与]", " "),
    *_said_of(),
    (rf"(?<![\w<])(?:{'|'.join(FILLERS)})(?![\w>])", BREAK),
    (rf"[ {BREAK}]*{BREAK}[ {BREAK}]*", f" {BREAK} "),
    (r" +", " "),
)
"""What is rewritten before words are looked up: patterns and what takes their place."""


def _json(special: Sequence[str], words: Vocabulary, model: dict[str, Any]) -> bytes:
    first = len(special)
    added = [_added(index, text, special=True) for index, text in enumerate(special)]
    for index, text in enumerate((*words.tokens, *(name for name, _ in words.others)), start=first):
        added.append(_added(index, text, special=False))
    normalizers: list[dict[str, Any]] = [{"type": "Lowercase"}]
    normalizers += [
        {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}
        for pattern, content in _REWRITES
    ]
    table = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Split", "pattern": {"String": BREAK}, "behavior": "Removed", "invert": False},
            ],
        },
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    return json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()


_ASCII_WORD = re.compile(r"[\x20-\x7e]+")


def _added(index: int, text: str, *, special: bool) -> dict[str, Any]:
    """A token that is looked up in a whole text; words of letters only where they stand alone."""
    is_prompt = text in (S_XML, S_TEXT)
    is_word = not special and not is_prompt and text[0] != "<" and _ASCII_WORD.fullmatch(text) is not None
    return {
        "id": index,
        "content": text,
        "single_word": is_word,
        "lstrip": False,
        "rstrip": False,
        "normalized": not special and not is_prompt,
        "special": special,
    }
