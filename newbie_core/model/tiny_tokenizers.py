"""Small real tokenizers, built from nothing: for tests and for the tiny models that stand in for the real one.

Each comes twice, as tokenizer.json and as the SentencePiece model it corresponds to, with the same ids::

    ids    Gemma's kind (BPE, unknown characters as bytes)     Jina's kind (Unigram, as XLM-RoBERTa)
    0-3    <pad> <eos> <bos> <unk>                             <s> <pad> </s> <unk>
    4-7    <mask> <start_of_turn> <end_of_turn> <caption>      words, then characters
    8-263  <0x00> … <0xFF>
    264-   words, then characters                              … <mask>

A SentencePiece model is one protobuf message; its field numbers are those of sentencepiece_model.proto in
google/sentencepiece. They are written by hand, since the protobuf package is not among the requirements.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

SPACE = "▁"
"""How both libraries write a space inside a piece (U+2581)."""

MERGES = 300
"""Pieces of more than one character; enough that an ordinary prompt takes a token for two or three characters."""

TRAINING_TEXT = """\
You are an assistant designed to generate high-quality anime images based on xml format prompts. <Prompt Start> \
You are an assistant designed to generate high-quality anime images with the highest degree of image-text alignment \
based on textual prompts. <Prompt Start> <character_1>
<n>$character_1$</n>
<gender>1girl</gender>
<appearance>silver_hair, short_hair, green_eyes, long_hair, blue_eyes, red_eyes, black_hair, twintails</appearance>
<clothing>raincoat, rubber_boots, school_uniform, white_shirt, pleated_skirt, dress, hat, jacket</clothing>
<body_type>slim</body_type>
<expression>smile, open_mouth, closed_mouth, looking_at_viewer</expression>
<action>holding_umbrella, walking, standing, sitting, waving</action>
<interaction>holding_hands</interaction>
<position>center, left, right</position>
</character_1>

<character_2>
<n>$character_2$</n>
<gender>1boy</gender>
</character_2>

<general_tags>
<count>1girl, solo, 2girls, 1boy</count>
<artists>artist</artists>
<style>anime_style, digital_art</style>
<background>street, rain, simple_background, classroom, night_sky</background>
<environment>outdoors</environment>
<perspective>upper_body, full_body, portrait, cowboy_shot</perspective>
<atmosphere>calm</atmosphere>
<lighting>soft_light</lighting>
<quality>high_resolution, detailed, masterpiece, best_quality, low_quality, worst_quality</quality>
<objects>umbrella</objects>
<other>from_side</other>
</general_tags>
少女 の 夜空
"""

PieceType = Literal["normal", "unknown", "control", "user", "byte"]
PIECE_TYPES: dict[PieceType, int] = {"normal": 1, "unknown": 2, "control": 3, "user": 4, "byte": 6}
"""ModelProto.SentencePiece.Type."""

Piece = tuple[str, float, PieceType]
"""A piece, its score (a step of 1/64, so that single precision keeps it), its kind."""

UNIGRAM, BPE = 1, 2
"""TrainerSpec.ModelType."""

Numbering = Literal["comfyui", "xlm-roberta"]


def _chunks(text: str) -> list[str]:
    """Runs of letters, each with the space before it, and runs of anything else."""
    return re.findall(rf"{SPACE}?[A-Za-z]+|[^A-Za-z{SPACE}]+|{SPACE}", text)


def _merged(word: Sequence[str], pair: tuple[str, str]) -> tuple[str, ...]:
    parts: list[str] = []
    index = 0
    while index < len(word):
        if tuple(word[index : index + 2]) == pair:
            parts.append(word[index] + word[index + 1])
            index += 2
        else:
            parts.append(word[index])
            index += 1
    return tuple(parts)


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    """Byte-pair encoding's merges over the training text, the most frequent first, ties in code point order."""
    chunks = Counter(_chunks(TRAINING_TEXT.replace(" ", SPACE)))
    words = {tuple(chunk): count for chunk, count in chunks.items()}
    found: list[str] = []
    for _ in range(MERGES):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        words = {_merged(word, best): count for word, count in words.items()}
        if "".join(best) not in found:
            found.append("".join(best))
    return tuple(found)


def _characters() -> list[str]:
    printable = [chr(code) for code in range(0x21, 0x7F)]
    return [SPACE, "\n", *printable, *sorted({char for char in TRAINING_TEXT if ord(char) > 0x7F})]


# Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _block(field: int, value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _model_proto(pieces: Iterable[Piece], *, trainer: bytes, normalizer: bytes) -> bytes:
    """ModelProto: pieces (1), trainer_spec (2), normalizer_spec (3)."""
    listed = b"".join(
        _block(1, _block(1, text) + _float(2, score) + _number(3, PIECE_TYPES[kind]))
        for text, score, kind in pieces
    )
    return listed + _block(2, trainer) + _block(3, normalizer)


def _trainer_spec(kind: int, size: int, names: dict[str, tuple[int, str]], *, byte_fallback: bool) -> bytes:
    """TrainerSpec: model_type (3), vocab_size (4), byte_fallback (35), then ids and names of unk, bos, eos, pad."""
    ids = b"".join(
        _number(40 + place, names[name][0]) for place, name in enumerate(("unk", "bos", "eos", "pad"))
    )
    texts = b"".join(
        _block(45 + place, names[name][1]) for place, name in enumerate(("unk", "bos", "eos", "pad"))
    )
    return _number(3, kind) + _number(4, size) + _number(35, int(byte_fallback)) + ids + texts


def _normalizer_spec(*, charsmap: bytes, prefix: bool, trim: bool) -> bytes:
    """NormalizerSpec: name (1), precompiled_charsmap (2), add_dummy_prefix (3), remove_extra_whitespaces (4)."""
    named = _block(1, "user_defined" if charsmap else "identity")
    mapped = _block(2, charsmap) if charsmap else b""
    return named + mapped + _number(3, int(prefix)) + _number(4, int(trim)) + _number(5, 1)


def _whitespace_map() -> bytes:
    """A charsmap that turns tab, newline and carriage return into a space, as XLM-RoBERTa's does among much else.

    The format: the trie's length in bytes, the trie, then the replacements, each ended by a zero byte. The trie
    is a double array as darts-clone lays it out: the child for byte c of a node with offset o lies at o ^ c; bits
    0-7 of a unit are its byte, bit 8 says that a value follows, the offset starts at bit 10; a value has bit 31.
    """
    value = 1 << 31
    units = [value] * 256  # a unit with bit 31 matches no byte
    units[0] = 1 << 10
    for leaf, char in enumerate("\t\n\r", start=128):
        child = 1 ^ ord(char)
        units[child] = (child ^ leaf) << 10 | 1 << 8 | ord(char)
        units[leaf] = value
    trie = struct.pack("<256I", *units)
    return struct.pack("<I", len(trie)) + trie + b" \0"


def _json(
    *, added: Sequence[dict[str, Any]], normalizer: Any, pre_tokenizer: Any, ends: tuple[str, str], model: Any
) -> bytes:
    """A tokenizer.json as the tokenizers library writes them; `ends` are put before and after the text."""
    ids = {entry["content"]: entry["id"] for entry in added}
    special = [{"SpecialToken": {"id": text, "type_id": 0}} if text else None for text in ends]
    single = [special[0], {"Sequence": {"id": "A", "type_id": 0}}, special[1]]
    template = {
        "type": "TemplateProcessing",
        "single": [entry for entry in single if entry],
        "pair": [entry for entry in (*single, {"Sequence": {"id": "B", "type_id": 1}}) if entry],
        "special_tokens": {
            text: {"id": text, "ids": [ids[text]], "tokens": [text]} for text in sorted(set(ends)) if text
        },
    }
    table = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": template,
        "decoder": None,
        "model": model,
    }
    return json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()


def _added(index: int, text: str, *, special: bool = True) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": index, "content": text, **flags, "special": special}


def _gemma_pieces() -> list[Piece]:
    words = _words()
    pieces: list[Piece] = [("<pad>", 0.0, "control"), ("<eos>", 0.0, "control"), ("<bos>", 0.0, "control")]
    pieces.append(("<unk>", 0.0, "unknown"))
    pieces += [(text, 0.0, "user") for text in ("<mask>", "<start_of_turn>", "<end_of_turn>", "<caption>")]
    pieces += [(f"<0x{byte:02X}>", 0.0, "byte") for byte in range(256)]
    pieces += [(word, -rank / 64, "normal") for rank, word in enumerate(words)]
    pieces += [(char, -100.0, "normal") for char in _characters()]
    return pieces


@lru_cache(maxsize=1)
def tiny_gemma() -> tuple[bytes, bytes]:
    """Gemma's kind of tokenizer: tokenizer.json, and the SentencePiece model with the same ids."""
    pieces = _gemma_pieces()
    names = {"unk": (3, "<unk>"), "bos": (2, "<bos>"), "eos": (1, "<eos>"), "pad": (0, "<pad>")}
    spiece = _model_proto(
        pieces,
        trainer=_trainer_spec(BPE, len(pieces), names, byte_fallback=True),
        normalizer=_normalizer_spec(charsmap=b"", prefix=False, trim=False),
    )
    vocabulary = {text: index for index, (text, _, _) in enumerate(pieces)}
    mergeable = {text for text, _, kind in pieces if kind == "normal"}
    # SentencePiece joins any two neighbours whose text is a piece; tokenizers only those pairs that are listed.
    merges = [
        [word[:cut], word[cut:]]
        for word in _words()
        for cut in range(1, len(word))
        if word[:cut] in mergeable and word[cut:] in mergeable
    ]
    added = [
        _added(index, text, special=text != "<caption>")
        for index, (text, _, kind) in enumerate(pieces)
        if kind in ("control", "unknown", "user")
    ]
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "continuing_subword_prefix": None,
    }
    model |= {"end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False}
    tokenizer = _json(
        added=added,
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        pre_tokenizer={
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        ends=("<bos>", ""),
        model={**model, "vocab": vocabulary, "merges": merges},
    )
    return tokenizer, spiece


def _jina_words() -> list[Piece]:
    # A longer piece must cost less than the pieces it is made of, or Unigram would never choose it.
    words: list[Piece] = [(word, -6 - rank / 128, "normal") for rank, word in enumerate(_words())]
    words = [piece for piece in words if "\n" not in piece[0]]
    taken = {text for text, _, _ in words}
    chars = [char for char in _characters() if char != "\n" and char not in taken]
    return words + [(char, -12 - place / 64, "normal") for place, char in enumerate(chars)]


@lru_cache(maxsize=2)
def tiny_jina(*, numbering: Numbering = "comfyui") -> tuple[bytes, bytes]:
    """Jina's kind of tokenizer: tokenizer.json, and a SentencePiece model.

    Args:
        numbering: of the SentencePiece model only. "comfyui" has tokenizer.json's ids; "xlm-roberta" has those
            of the published sentencepiece.bpe.model: <unk> 0, <s> 1, </s> 2, the rest one lower, and no <mask>.
    """
    words = _jina_words()
    listed: list[Piece] = [("<s>", 0.0, "control"), ("<pad>", 0.0, "control"), ("</s>", 0.0, "control")]
    listed += [("<unk>", 0.0, "unknown"), *words, ("<mask>", 0.0, "control")]
    names = {"unk": (3, "<unk>"), "bos": (0, "<s>"), "eos": (2, "</s>"), "pad": (1, "<pad>")}
    pieces = listed
    if numbering == "xlm-roberta":
        names = {"unk": (0, "<unk>"), "bos": (1, "<s>"), "eos": (2, "</s>"), "pad": (-1 % 2**64, "<pad>")}
        pieces = [listed[3], listed[0], listed[2], *words]
    charsmap = _whitespace_map()
    spiece = _model_proto(
        pieces,
        trainer=_trainer_spec(UNIGRAM, len(pieces), names, byte_fallback=False),
        normalizer=_normalizer_spec(charsmap=charsmap, prefix=True, trim=True),
    )
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    tokenizer = _json(
        added=[_added(index, listed[index][0]) for index in (0, 1, 2, 3, len(listed) - 1)],
        normalizer={"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap).decode()},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        ends=("<s>", "</s>"),
        model={"type": "Unigram", "unk_id": 3, "vocab": [[text, score] for text, score, _ in listed]},
    )
    return tokenizer, spiece
