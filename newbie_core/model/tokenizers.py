"""Text to token ids, the same ids whichever file they come from: tokenizer.json or a SentencePiece model.

=================  ======================================  ==========================================
                   tokenizer.json (a hub folder)           SentencePiece model (a ComfyUI file)
=================  ======================================  ==========================================
Gemma              ``<bos>`` + text                        the same
Jina               ``<s>`` + text + ``</s>``               the same, renumbered where the file is XLM-RoBERTa's own
=================  ======================================  ==========================================

Tokenizer files are untrusted: no code in them is run, and what they put around a text is ignored.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Protocol

import sentencepiece
import tokenizers
from tokenizers import models

from newbie_core.errors import ModelError, first_line

FILE_LIMIT = 200_000_000
"""Bytes a tokenizer file may have; the largest of the published ones has 33 MB."""

UNUSED_ROWS = 1024
"""Rows an embedding may have beyond its tokenizer's ids: Gemma 3 has 64, and Gemma 2's tokenizer lacks 6208."""

GEMMA_RESERVED = (
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", "<start_of_turn>", "<end_of_turn>",
    "<start_of_image>", "<end_of_image>", "<image_soft_token>",
)  # fmt: skip
"""Strings with a token of their own that steer a conversation; source: google/gemma-3-4b-it's tokenizer.

Gemma's tokens for HTML tags, such as `<caption>`, are ordinary vocabulary and stay.
"""

_RESERVED = re.compile("|".join(f"{re.escape(text[0])}(?={re.escape(text[1:])})" for text in GEMMA_RESERVED))

JINA_SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
"""XLM-RoBERTa's special tokens and their rows in the embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A text as tokens.

    Attributes:
        ids: rows of the model's embedding.
        offsets: for each token the characters of the text it stands for, first and one past the last; (0, 0) for
            tokens put around the text. Several byte tokens may stand for one character.
        unknown: of those, the ones for which there is no token.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    unknown: tuple[tuple[int, int], ...] = ()


class Tokenizer(Protocol):
    """Turns text into ids."""

    @property
    def vocabulary(self) -> int:
        """One more than the largest id it can give."""

    def encode(self, text: str) -> Encoding:
        """The whole of `text`, never cut and never padded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonTokenizer:
    """A tokenizer.json, without what it would put around a text."""

    tokenizer: tokenizers.Tokenizer
    vocabulary: int
    where: str

    def encode(self, text: str) -> Encoding:
        """The text's own tokens.

        Raises:
            ModelError: the file is damaged in a way that shows only when it is used.
        """
        with _failures_named(self.where):
            found = self.tokenizer.encode(text, add_special_tokens=False)
        nothing = self.tokenizer.token_to_id("<unk>")
        unknown = (span for number, span in zip(found.ids, found.offsets, strict=True) if number == nothing)
        return Encoding(ids=tuple(found.ids), offsets=tuple(found.offsets), unknown=tuple(unknown))

    def words(self) -> tuple[str, ...]:
        """Its whole words, where it has a token for each rather than pieces of words; in no order."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.single_word)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceTokenizer:
    """A SentencePiece model; `shift` is added to its ids, and its unknown piece becomes `unknown`."""

    processor: sentencepiece.SentencePieceProcessor
    vocabulary: int
    unknown: int
    shift: int = 0

    def encode(self, text: str) -> Encoding:
        """The text's own tokens."""
        # Of the forms with offsets, only this one is in every release of sentencepiece; it counts bytes.
        message = self.processor.encode(text, out_type="serialized_proto")
        starts = [0, *accumulate(len(char.encode()) for char in text)]
        ids, offsets = [], []
        for piece in _piece_fields(message):
            number = piece.get(_ID, 0)
            ids.append(self.unknown if number == self.processor.unk_id() else number + self.shift)
            first = bisect_right(starts, piece.get(_BEGIN, 0)) - 1
            offsets.append((first, max(first, bisect_left(starts, piece.get(_END, 0)))))
        return Encoding(ids=tuple(ids), offsets=tuple(offsets))


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmaTokenizer:
    """`<bos>` and the text; a reserved word a person wrote is plain text."""

    inner: Tokenizer
    bos: int

    @property
    def vocabulary(self) -> int:
        """One more than the largest id."""
        return max(self.inner.vocabulary, self.bos + 1)

    def encode(self, text: str) -> Encoding:
        """`<bos>` once, then the text; no end token, no chat template."""
        ids, offsets = [self.bos], [(0, 0)]
        # Broken after its first character, a reserved word matches no token; Gemma puts nothing before a part.
        cuts = [0, *(match.end() for match in _RESERVED.finditer(text)), len(text)]
        unknown: list[tuple[int, int]] = []
        for start, end in pairwise(cuts):
            part = self.inner.encode(text[start:end])
            ids += part.ids
            offsets += [(first + start, last + start) for first, last in part.offsets]
            unknown += [(first + start, last + start) for first, last in part.unknown]
        return Encoding(ids=tuple(ids), offsets=tuple(offsets), unknown=tuple(unknown))

    def words(self) -> tuple[str, ...]:
        """All words it knows, where its vocabulary is one of whole words; in no order."""
        return self.inner.words() if isinstance(self.inner, JsonTokenizer) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JinaTokenizer:
    """`<s>`, the text, `</s>`.

    From a tokenizer.json, a `<s>`, `<pad>`, `</s>` or `<mask>` that a person wrote is still that token: its
    Unigram model holds them as pieces. From a SentencePiece model it is plain text.
    """

    inner: Tokenizer

    @property
    def vocabulary(self) -> int:
        """One more than the largest id."""
        return self.inner.vocabulary

    def encode(self, text: str) -> Encoding:
        """The text between `<s>` and `</s>`."""
        part = self.inner.encode(text)
        return Encoding(
            ids=(JINA_SPECIAL["<s>"], *part.ids, JINA_SPECIAL["</s>"]),
            offsets=((0, 0), *part.offsets, (0, 0)),
        )


def gemma_tokenizer(source: Path | bytes, *, rows: int, name: str = "") -> GemmaTokenizer:
    """Gemma's tokenizer from a tokenizer.json or a SentencePiece model, told apart by their first byte.

    Args:
        rows: rows of the model's token embedding.
        name: what to call the file in errors, where `source` is bytes.

    Raises:
        ModelError: unreadable, damaged, another model's, or with more or far fewer ids than `rows`.
    """
    where = _name(source, name)
    content = _content(source, where)
    inner: Tokenizer
    if _is_json(content):
        loaded = _json(content, where, kind="BPE")
        bos = loaded.tokenizer.token_to_id("<bos>")
        inner = loaded
    else:
        processor = _processor(content, where)
        bos = processor.bos_id() if processor.piece_to_id("<bos>") == processor.bos_id() else None
        inner = PieceTokenizer(
            processor=processor, vocabulary=processor.get_piece_size(), unknown=processor.unk_id()
        )
    if bos is None:
        raise _foreign(where, 'it has no token "<bos>"', "Gemma 3's")
    found = GemmaTokenizer(inner=inner, bos=bos)
    _check_rows(where, found, rows, "Gemma 3's")
    return found


def jina_tokenizer(source: Path | bytes, *, rows: int, name: str = "") -> JinaTokenizer:
    """Jina's tokenizer (XLM-RoBERTa's) from a tokenizer.json or a SentencePiece model in either numbering.

    Args:
        rows: rows of the model's token embedding; 250002 for the published model, whose last is `<mask>`.
        name: what to call the file in errors, where `source` is bytes.

    Raises:
        ModelError: unreadable, damaged, another model's, or with more or far fewer ids than `rows`.
    """
    where = _name(source, name)
    content = _content(source, where)
    inner: Tokenizer
    if _is_json(content):
        loaded = _json(content, where, kind="Unigram")
        ids = {text: loaded.tokenizer.token_to_id(text) for text in JINA_SPECIAL}
        if ids != JINA_SPECIAL:
            raise _foreign(where, f"its special tokens are {ids}, expected {JINA_SPECIAL}", "Jina CLIP v2's")
        inner = loaded
    else:
        inner = _jina_pieces(_processor(content, where), where)
    found = JinaTokenizer(inner=inner)
    _check_rows(where, found, rows, "Jina CLIP v2's")
    return found


def _jina_pieces(processor: sentencepiece.SentencePieceProcessor, where: str) -> PieceTokenizer:
    """Its ids as rows of the embedding, by the numbering that its special pieces show."""
    special = {text: processor.piece_to_id(text) for text in ("<s>", "</s>", "<unk>", "<pad>")}
    count, unknown = processor.get_piece_size(), JINA_SPECIAL["<unk>"]
    if special == JINA_SPECIAL:
        return PieceTokenizer(processor=processor, vocabulary=count, unknown=unknown)
    # A piece that is not there, as <pad>, is answered by the unknown one's id.
    if special == {"<s>": 1, "</s>": 2, "<unk>": 0, "<pad>": 0} and processor.unk_id() == 0:
        # XLM-RoBERTa's own file lacks <pad>, so its words stand one row lower than in the embedding.
        return PieceTokenizer(processor=processor, vocabulary=count + 1, unknown=unknown, shift=1)
    raise _foreign(
        where,
        f"its special pieces are {special}, expected {JINA_SPECIAL}, or <s> 1, </s> 2, <unk> 0 and no <pad>",
        "Jina CLIP v2's",
    )


def _name(source: Path | bytes, name: str) -> str:
    if isinstance(source, Path):
        return str(source)
    return name or "the tokenizer inside the weight file"


def _content(source: Path | bytes, where: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        if source.stat().st_size > FILE_LIMIT:
            raise ModelError(
                f"{where}: larger than {FILE_LIMIT} bytes, no tokenizer file; "
                "name a tokenizer.json or a SentencePiece model",
                code="E_MODEL_TOKENIZER",
            )
        return source.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{where}: cannot be read: {error.strerror or error}; "
            "expected a tokenizer.json or a SentencePiece model",
            code="E_MODEL_READ",
        ) from error


def _is_json(content: bytes) -> bool:
    return content.lstrip()[:1] == b"{"


def _damaged(where: str, why: object, kind: str) -> ModelError:
    return ModelError(f"{where}: damaged {kind}: {why}; fetch it again", code="E_MODEL_TOKENIZER")


def _foreign(where: str, what: str, owner: str) -> ModelError:
    return ModelError(
        f"{where}: this tokenizer does not belong to the model: {what}; take {owner} own tokenizer file",
        code="E_MODEL_TOKENIZER",
    )


def _check_rows(where: str, tokenizer: Tokenizer, rows: int, owner: str) -> None:
    if not rows - UNUSED_ROWS <= tokenizer.vocabulary <= rows:
        raise _foreign(
            where,
            f"its largest id is {tokenizer.vocabulary - 1}, the model's embedding has {rows} rows",
            owner,
        )


@contextmanager
def _failures_named(where: str) -> Iterator[None]:
    """Turn the tokenizers library's own failures into an error that names the file."""
    try:
        yield
    except BaseException as error:
        # It raises bare Exceptions, and panics, which are none and whose class has only its name to know it by.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise _damaged(where, error, "tokenizer.json") from error


def _json(content: bytes, where: str, *, kind: str) -> JsonTokenizer:
    try:
        with _failures_named(where):
            loaded = tokenizers.Tokenizer.from_buffer(content)
    except ValueError as error:
        raise _damaged(where, error, "tokenizer.json") from error
    expected = models.BPE if kind == "BPE" else models.Unigram
    if not isinstance(loaded.model, expected):
        raise ModelError(
            f"{where}: a tokenizer of the kind {type(loaded.model).__name__}, expected {kind}; "
            "take the tokenizer.json published with this model",
            code="E_MODEL_TOKENIZER",
        )
    if loaded.token_to_id("<unk>") is None:
        raise _damaged(where, 'it has no token "<unk>"', "tokenizer.json")
    loaded.no_truncation()
    loaded.no_padding()
    loaded.encode_special_tokens = True
    ids = loaded.get_vocab(with_added_tokens=True).values()
    return JsonTokenizer(tokenizer=loaded, vocabulary=max(ids) + 1, where=where)


def _processor(content: bytes, where: str) -> sentencepiece.SentencePieceProcessor:
    # An empty file is refused here: the library takes it and fails later.
    if not content:
        raise _damaged(where, "it is empty", "SentencePiece model")
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=content)
    except (RuntimeError, ValueError) as error:
        raise _damaged(where, first_line(error), "SentencePiece model") from error
    if not 0 <= processor.unk_id() < processor.get_piece_size():
        raise _damaged(where, "it has no unknown piece", "SentencePiece model")
    return processor


# Numbers of the fields read from SentencePieceText; source: sentencepiece.proto in google/sentencepiece.
_PIECES, _ID, _BEGIN, _END = 2, 2, 4, 5


def _piece_fields(message: bytes) -> Iterator[dict[int, int]]:
    """The whole-number fields of each piece in a serialized SentencePieceText."""
    for field, value in _fields(message):
        if field == _PIECES and isinstance(value, bytes):
            yield {key: number for key, number in _fields(value) if isinstance(number, int)}


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """A protobuf message's fields; the library writes only whole numbers and blocks into this one."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        value, position = _varint(message, position)
        if key & 7 == 2:
            yield key >> 3, message[position : position + value]
            position += value
        else:
            yield key >> 3, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
