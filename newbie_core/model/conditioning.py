"""A prompt as the transformer takes it: its tokens counted, its text encoded, the last results kept.

The two encoders see different strings: Gemma the system prompt and the prompt, Jina the prompt alone::

    from newbie_core.model.weights.layouts import open_model

    parts = open_model("models/").parts
    conditioner = TextConditioner.from_parts(parts["text_encoder"], parts["clip_model"], device="cpu")
    conditioning = conditioner.encode("<general_tags>\\n<count>1girl</count>\\n</general_tags>")
    conditioner.release()  # the encoders; what was encoded stays

Each text is encoded alone and at its exact length, so its result never depends on its neighbours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from newbie_core.errors import ModelError, PictureError
from newbie_core.model.prompt_fields import fields_behind, is_xml_like
from newbie_core.model.tokenizers import Encoding, GemmaTokenizer, Tokenizer, gemma_tokenizer, jina_tokenizer
from newbie_core.model.weights.config_from_shapes import gemma_config, jina_config
from newbie_core.model.weights.part import Part

if TYPE_CHECKING:
    from newbie_core.model.text_encoders import Encoder

S_XML = (
    "You are an assistant designed to generate high-quality anime images based on xml format prompts. "
    "<Prompt Start> "
)
"""Put before XML captions in training; source: upstream's finetune.py. Plain text to the tokenizer."""

S_TEXT = (
    "You are an assistant designed to generate high-quality anime images with the highest degree of "
    "image-text alignment based on textual prompts. <Prompt Start> "
)
"""Put before all other captions in training; source: upstream's finetune.py."""

MAX_GEMMA_TOKENS = 512
"""Length upstream trained with, `<bos>` and the system prompt included."""

MAX_JINA_TOKENS = 2048
"""Length upstream trained with, `<s>` and `</s>` included."""

CACHE_BYTES = 256 * 1024**2
"""What conditionings may be kept; a prompt of 512 tokens takes 2.6 MB in bf16."""

_NAMES_SHOWN = 12


def system_prompt_for(prompt: str) -> str:
    """What training put in front of such a prompt: `S_XML`, `S_TEXT`, or nothing before an empty one."""
    if not prompt.strip():
        return ""
    return S_XML if is_xml_like(prompt) else S_TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """How long a prompt is for either encoder, before anything is cut.

    Attributes:
        gemma: with `<bos>` and the system prompt.
        system: how many of those begin before the prompt does.
        jina: with `<s>` and `</s>`.
        cut: the prompt's fields that would fall off its end, wholly or partly, as "general_tags/quality"; of a
            prompt that is no XML, its words.
        unknown: words that Gemma's tokenizer has no token for; the model passes over them. The released one has
            tokens for everything.
    """

    gemma: int
    system: int
    jina: int
    cut: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    gemma_limit: int = MAX_GEMMA_TOKENS
    jina_limit: int = MAX_JINA_TOKENS

    @property
    def fits(self) -> bool:
        """Whether nothing is cut."""
        return self.gemma <= self.gemma_limit and self.jina <= self.jina_limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditioning:
    """A prompt as the transformer takes it, on the CPU.

    Attributes:
        features: Gemma's hidden states [L, 2560].
        pooled: Jina's vector [1024].
    """

    features: Tensor
    pooled: Tensor
    tokens: TokenCount

    @property
    def size(self) -> int:
        """Bytes of memory it takes."""
        return self.features.nbytes + self.pooled.nbytes


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class TextConditioner:
    """Both tokenizers, both encoders, and the conditionings of the texts seen last.

    Attributes:
        load_gemma, load_jina: make an encoder; called when a text first needs it, and again after `release`.
        cache_bytes: what conditionings may be kept.
        encodings_run: texts that went through the encoders, rather than coming from the cache.
    """

    gemma_tokenizer: GemmaTokenizer
    jina_tokenizer: Tokenizer
    load_gemma: Callable[[], Encoder]
    load_jina: Callable[[], Encoder]
    cache_bytes: int = CACHE_BYTES
    encodings_run: int = field(default=0, init=False)
    _gemma: Encoder | None = field(default=None, init=False)
    _jina: Encoder | None = field(default=None, init=False)
    _cache: OrderedDict[tuple[str, str], Conditioning] = field(default_factory=OrderedDict, init=False)
    _cached_bytes: int = field(default=0, init=False)

    @classmethod
    def from_parts(
        cls,
        text_encoder: Part,
        clip_model: Part,
        *,
        device: torch.device | str,
        dtype: torch.dtype = torch.bfloat16,
        embedding_device: torch.device | str | None = None,
        streamed: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> Self:
        """Over two parts of a model: tokenizers are read now, weights when first needed.

        Args:
            streamed: whether Gemma's layers visit the device one at a time.

        Raises:
            ModelError: a tokenizer is missing, damaged, or another model's.
        """

        def load_gemma() -> Encoder:
            from newbie_core.model.text_encoders import GemmaEncoder

            return GemmaEncoder.load(
                text_encoder, device=device, dtype=dtype, embedding_device=embedding_device, streamed=streamed
            )

        def load_jina() -> Encoder:
            from newbie_core.model.text_encoders import JinaEncoder

            return JinaEncoder.load(clip_model, device=device, dtype=dtype)

        gemma_source, gemma_name = _tokenizer_source(text_encoder, "Gemma 3")
        jina_source, jina_name = _tokenizer_source(clip_model, "Jina CLIP v2")
        return cls(
            gemma_tokenizer=gemma_tokenizer(
                gemma_source, rows=gemma_config(text_encoder).vocab_size, name=gemma_name
            ),
            jina_tokenizer=jina_tokenizer(
                jina_source, rows=jina_config(clip_model).vocab_size, name=jina_name
            ),
            load_gemma=load_gemma,
            load_jina=load_jina,
            cache_bytes=cache_bytes,
        )

    def tokens(self, prompt: str, *, system: str | None = None) -> TokenCount:
        """How long the prompt is and what of it would be cut; `system` none means `system_prompt_for` it.

        Raises:
            PictureError: the text cannot be written in UTF-8.
        """
        return self._tokenize(_system_for(prompt, system), prompt)[2]

    def encode(self, prompt: str, *, system: str | None = None, allow_cut: bool = False) -> Conditioning:
        """The prompt's conditioning; the same tensors for the same text while the cache holds it.

        Args:
            system: put before the prompt for Gemma; none means `system_prompt_for` it.
            allow_cut: cut off what is too long, at its end, instead of refusing it.

        Raises:
            PictureError: the prompt is too long, with the fields that would be cut.
            ModelError: the weights cannot be loaded.
        """
        key = (_system_for(prompt, system), prompt)
        known = self._known(key)
        if known is not None:
            _check_length(known.tokens, allow_cut=allow_cut)
            return known
        gemma_ids, jina_ids, count = self._tokenize(*key)
        _check_length(count, allow_cut=allow_cut)
        self.encodings_run += 1
        found = Conditioning(
            features=self.gemma.encode(gemma_ids).cpu(),
            pooled=self.jina.encode(jina_ids).cpu(),
            tokens=count,
        )
        self._keep(key, found)
        return found

    def encode_all(
        self,
        prompts: Sequence[str],
        *,
        system: str | None = None,
        allow_cut: bool = False,
        one_by_one: bool = False,
    ) -> dict[str, Conditioning | PictureError]:
        """Each distinct prompt's conditioning, or the error that refuses it.

        Args:
            one_by_one: free Gemma before Jina is loaded, so that only one of them is ever in memory.

        Raises:
            ModelError: the weights cannot be loaded.
        """
        found: dict[str, Conditioning | PictureError] = {}
        waiting: dict[str, tuple[tuple[int, ...], tuple[int, ...], TokenCount]] = {}
        for prompt in dict.fromkeys(prompts):
            key = (_system_for(prompt, system), prompt)
            try:
                tokens = self._tokenize(*key)
                _check_length(tokens[2], allow_cut=allow_cut)
            except PictureError as error:
                found[prompt] = error
                continue
            known = self._known(key)
            if known is None:
                waiting[prompt] = tokens
            else:
                found[prompt] = known
        features = {prompt: self.gemma.encode(ids).cpu() for prompt, (ids, _, _) in waiting.items()}
        if one_by_one and waiting:
            self.release()
        for prompt, (_, ids, count) in waiting.items():
            pooled = self.jina.encode(ids).cpu()
            made = Conditioning(features=features.pop(prompt), pooled=pooled, tokens=count)
            self.encodings_run += 1
            self._keep((_system_for(prompt, system), prompt), made)
            found[prompt] = made
        return found

    def unknown(self, prompts: Sequence[str], *, system: str | None = None) -> list[str]:
        """The prompts whose conditioning is not kept."""
        return [prompt for prompt in prompts if (_system_for(prompt, system), prompt) not in self._cache]

    def known_words(self) -> tuple[str, ...]:
        """Every word the model knows, where it knows words rather than pieces of them; else none."""
        return self.gemma_tokenizer.words()

    @property
    def gemma(self) -> Encoder:
        """Gemma, loaded when first asked for."""
        if self._gemma is None:
            self._gemma = self.load_gemma()
        return self._gemma

    @property
    def jina(self) -> Encoder:
        """Jina, loaded when first asked for."""
        if self._jina is None:
            self._jina = self.load_jina()
        return self._jina

    def _known(self, key: tuple[str, str]) -> Conditioning | None:
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
        return known

    def release(self) -> None:
        """Free both encoders; what was encoded stays, and a new text loads them again."""
        for encoder in (self._gemma, self._jina):
            if encoder is not None:
                encoder.release()
        self._gemma = self._jina = None
        if torch.cuda.is_available():
            # Or torch would keep the memory, where other programs on the same device cannot have it.
            torch.cuda.empty_cache()

    def clear(self) -> None:
        """Forget every conditioning."""
        self._cache.clear()
        self._cached_bytes = 0

    def _keep(self, key: tuple[str, str], found: Conditioning) -> None:
        if found.size > self.cache_bytes:
            return
        self._cache[key] = found
        self._cached_bytes += found.size
        while self._cached_bytes > self.cache_bytes:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.size

    def _tokenize(self, system: str, prompt: str) -> tuple[tuple[int, ...], tuple[int, ...], TokenCount]:
        """What either encoder is given, cut to its limit, and the count before cutting."""
        _check_unicode(system + prompt)
        gemma = self.gemma_tokenizer.encode(system + prompt)
        jina = self.jina_tokenizer.encode(prompt)
        before = max(1, sum(first < len(system) for first, _ in gemma.offsets))
        unknown = tuple(dict.fromkeys(_unknown_words(system + prompt, gemma.unknown)))
        count = TokenCount(gemma=len(gemma.ids), system=before, jina=len(jina.ids), unknown=unknown)
        if not count.fits:
            place = min(
                _cut_at(gemma, MAX_GEMMA_TOKENS, whole=len(system + prompt)) - len(system),
                # `</s>` stays, so Jina's text ends one token before the limit.
                _cut_at(jina, MAX_JINA_TOKENS, kept=1, whole=len(prompt)),
            )
            count = replace(count, cut=fields_behind(prompt, place))
        jina_ids = jina.ids
        if len(jina_ids) > MAX_JINA_TOKENS:
            jina_ids = (*jina_ids[: MAX_JINA_TOKENS - 1], jina_ids[-1])
        return gemma.ids[:MAX_GEMMA_TOKENS], jina_ids, count


def _unknown_words(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Texts without a token; those that an underscore joins are one word."""
    begin = end = -1
    for first, last in (*spans, (-1, -1)):
        if end >= 0 and text[end:first] == "_":
            end = last
            continue
        if end > begin:
            yield text[begin:end]
        begin, end = first, last


def _system_for(prompt: str, system: str | None) -> str:
    """What Gemma is given before the prompt: nothing before an empty one, else `system` or the trained one."""
    return system_prompt_for(prompt) if system is None or not prompt.strip() else system


def _cut_at(encoding: Encoding, limit: int, *, kept: int = 0, whole: int) -> int:
    """The character where a text cut to `limit` tokens ends, `kept` of them standing behind it."""
    return encoding.offsets[limit - kept][0] if len(encoding.ids) > limit else whole


def _tokenizer_source(part: Part, owner: str) -> tuple[Path | bytes, str]:
    """A part's tokenizer, and what to call it in errors."""
    if part.tokenizer is None:
        raise ModelError(
            f"{part.files[0]}: no tokenizer inside this file or beside it; put {owner}'s tokenizer.json, or its "
            "SentencePiece model as tokenizer.model, into the same folder",
            code="E_MODEL_TOKENIZER",
        )
    inside = isinstance(part.tokenizer, bytes)
    return part.tokenizer, f"{part.files[0]}, the tokenizer inside it" if inside else str(part.tokenizer)


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PictureError(
            f"the prompt holds {text[error.start]!r} at character {error.start + 1}, half of a character that "
            "cannot be encoded; write the character again",
            code="E_PROMPT_TEXT",
        ) from error


def _check_length(count: TokenCount, *, allow_cut: bool) -> None:
    if count.fits or allow_cut:
        return
    over = []
    if count.gemma > count.gemma_limit:
        over.append(
            f"{count.gemma} tokens for Gemma ({count.system} of them for the system prompt), "
            f"the limit is {count.gemma_limit}"
        )
    if count.jina > count.jina_limit:
        over.append(f"{count.jina} tokens for Jina, the limit is {count.jina_limit}")
    more = len(count.cut) - _NAMES_SHOWN
    names = ", ".join(count.cut[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    raise PictureError(
        f"the prompt is too long: {'; '.join(over)}; cut at the limit it would lose "
        f"{names or 'the white space at its end'}; shorten it, or allow cutting",
        code="E_PROMPT_TOKENS",
    )
