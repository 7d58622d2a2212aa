"""A prompt's text as the transformer takes it: Gemma's hidden states and Jina's pooled vector.

The two encoders see different strings: Gemma the system prompt and the prompt, Jina the prompt alone::

    conditioner = TextConditioner.from_parts(parts["text_encoder"], parts["clip_model"], device="cuda")
    conditioning = conditioner.encode("<general_tags>\\n<count>1girl</count>\\n</general_tags>")
    conditioner.release()  # the encoders; what was encoded stays

Each text is encoded alone and at its exact length, so its result never depends on its neighbours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from transformers import Gemma3TextConfig, Gemma3TextModel, JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from newbie_core.errors import ModelError, PictureError
from newbie_core.model.config import GemmaConfig, JinaConfig
from newbie_core.model.prompt_fields import fields_behind, is_xml_like
from newbie_core.model.tokenizers import Encoding, Tokenizer, gemma_tokenizer, jina_tokenizer
from newbie_core.model.weights.config_from_shapes import gemma_config, jina_config
from newbie_core.model.weights.loading import load_into
from newbie_core.model.weights.part import Part

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

FULL_ATTENTION_EVERY = 6
"""Layers 5, 11, 17, … of Gemma attend to everything, the others to a window; source: its config.json."""

GEMMA_ROPE = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
}
"""Gemma 3 4B's rotary embedding; the factor is no default of transformers, and wrong results name no cause."""

JINA_ROPE = {"rope_type": "default", "rope_theta": 20_000.0}
"""Jina's rotary base; source: the published config.json, which overrides its class's 10000."""

_NAMES_SHOWN = 12


def system_prompt_for(prompt: str) -> str:
    """What training put in front of such a prompt: `S_XML`, `S_TEXT`, or nothing before an empty one."""
    if not prompt.strip():
        return ""
    return S_XML if is_xml_like(prompt) else S_TEXT


class Encoder(Protocol):
    """Turns one text's tokens into what the transformer takes."""

    def encode(self, ids: Sequence[int]) -> Tensor:
        """The text's tensor, on the encoder's device."""

    def release(self) -> None:
        """Free its weights; it cannot encode afterwards."""


class GemmaEncoder:
    """Gemma 3's text model up to the layer before its last, whose raw output conditions the transformer.

    That is `hidden_states[-2]` of the whole model. The last layer, the final norm and the logits are neither
    loaded nor computed.
    """

    def __init__(self, model: nn.Module, embedding: nn.Module, *, device: torch.device, where: str) -> None:
        self._model: nn.Module | None = model
        self._embedding: nn.Module | None = embedding
        self._device = device
        self._where = where

    @classmethod
    def load(
        cls,
        part: Part,
        *,
        device: torch.device | str,
        dtype: torch.dtype = torch.bfloat16,
        embedding_device: torch.device | str | None = None,
    ) -> Self:
        """The encoder with `part`'s weights.

        Args:
            embedding_device: where the token embedding stays; "cpu" saves 1.25 GiB of the device's memory, and
                vectors are looked up there and moved. None means `device`.

        Raises:
            ModelError: tensors missing, unexpected or of another shape.
        """
        config = gemma_config(part)
        model, embedding = _build_gemma(config)
        kept: dict[str, Tensor] = {}

        def read() -> Iterator[tuple[str, Tensor]]:
            # One pass over the file serves both modules; the embedding may belong on another device.
            for name, tensor in part.read():
                if name == "embed_tokens.weight":
                    kept["weight"] = tensor
                else:
                    yield name, tensor

        last = f"layers.{config.num_hidden_layers - 1}."
        load_into(
            model,
            replace(part, read=read),
            device=device,
            dtype=dtype,
            skip=(last, "norm.", "embed_tokens."),
        )
        shapes = {"weight": part.shapes["embed_tokens.weight"]}
        table = replace(part, shapes=shapes, read=lambda: iter(kept.items()))
        load_into(
            embedding, table, device=device if embedding_device is None else embedding_device, dtype=dtype
        )
        return cls(model, embedding, device=torch.device(device), where=str(part.files[0]))

    def encode(self, ids: Sequence[int]) -> Tensor:
        """Hidden states [L, hidden] of one text of L tokens.

        Raises:
            ModelError: the numbers overflowed.
        """
        if self._model is None or self._embedding is None:
            raise RuntimeError("the encoder was released")
        with torch.inference_mode():
            table = next(self._embedding.parameters()).device
            vectors = self._embedding(torch.tensor([list(ids)], device=table)).to(self._device)
            hidden: Tensor = self._model(inputs_embeds=vectors, use_cache=False).last_hidden_state[0]
            _check_finite(hidden, self._where)
        # A copy made out here is an ordinary tensor, which anyone may write to.
        return hidden.clone()

    def release(self) -> None:
        """Free its weights."""
        self._model = self._embedding = None


class JinaEncoder:
    """Jina CLIP v2's text tower: the mean over a text's tokens of its last hidden states, not normalised."""

    def __init__(self, model: nn.Module, *, device: torch.device, where: str) -> None:
        self._model: nn.Module | None = model
        self._device = device
        self._where = where

    @classmethod
    def load(cls, part: Part, *, device: torch.device | str, dtype: torch.dtype = torch.bfloat16) -> Self:
        """The encoder with `part`'s weights, its adapter already merged into them.

        Raises:
            ModelError: tensors missing, unexpected or of another shape.
        """
        model = _build_jina(jina_config(part))
        load_into(model, part, device=device, dtype=dtype)
        return cls(model, device=torch.device(device), where=str(part.files[0]))

    def encode(self, ids: Sequence[int]) -> Tensor:
        """The pooled vector [hidden] of one text; summed in float32.

        Raises:
            ModelError: the numbers overflowed.
        """
        if self._model is None:
            raise RuntimeError("the encoder was released")
        with torch.inference_mode():
            tokens = torch.tensor([list(ids)], device=self._device)
            hidden: Tensor = self._model(input_ids=tokens).last_hidden_state[0]
            pooled = hidden.float().mean(dim=0).to(hidden.dtype)
            _check_finite(pooled, self._where)
        return pooled.clone()

    def release(self) -> None:
        """Free its weights."""
        self._model = None


def _build_gemma(config: GemmaConfig) -> tuple[nn.Module, nn.Module]:
    """The layers that are used, and the token embedding; weights on the meta device, buffers real."""
    layers = config.num_hidden_layers - 1
    full = [(index + 1) % FULL_ATTENTION_EVERY == 0 for index in range(layers)]
    values: dict[str, Any] = {
        **asdict(config),
        "num_hidden_layers": layers,
        "layer_types": ["full_attention" if every else "sliding_attention" for every in full],
        "rope_parameters": {kind: dict(rope) for kind, rope in GEMMA_ROPE.items()},
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "attn_implementation": "sdpa",
    }
    settings = Gemma3TextConfig(**values)
    with torch.device("meta"):
        model: Any = Gemma3TextModel(settings)
    embedding = model.embed_tokens
    embedding.embed_scale = torch.tensor(embedding.scalar_embed_scale)
    model.rotary_emb = type(model.rotary_emb)(settings)
    # A model's last hidden state comes after its norm, but these layers are not the last ones.
    model.norm = nn.Identity()
    model.embed_tokens = nn.Identity()
    return _frozen(model), _frozen(embedding)


def _build_jina(config: JinaConfig) -> nn.Module:
    """The tower without its pooler; weights on the meta device, buffers real."""
    values: dict[str, Any] = {
        **asdict(config),
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "rope_parameters": dict(JINA_ROPE),
        "attn_implementation": "sdpa",
    }
    settings = JinaEmbeddingsV3Config(**values)
    with torch.device("meta"):
        model: Any = JinaEmbeddingsV3Model(settings, add_pooling_layer=False)
    places = settings.max_position_embeddings
    model.embeddings.position_ids = torch.arange(places).expand((1, -1))
    model.embeddings.token_type_ids = torch.zeros((1, places), dtype=torch.long)
    model.rotary_emb = type(model.rotary_emb)(settings)
    return _frozen(model)


def _frozen(module: nn.Module) -> nn.Module:
    return module.eval().requires_grad_(False)


def _check_finite(values: Tensor, where: str) -> None:
    if not torch.isfinite(values).all():
        raise ModelError(
            f"{where}: encoding a text in {values.dtype} gave values that are no numbers; "
            "use bfloat16 or float32, and if that does not help, fetch the file again",
            code="E_MODEL_NOT_FINITE",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """How long a prompt is for either encoder, before anything is cut.

    Attributes:
        gemma: with `<bos>` and the system prompt.
        system: how many of those begin before the prompt does.
        jina: with `<s>` and `</s>`.
        cut: the prompt's fields that would fall off its end, wholly or partly, as "general_tags/quality"; of a
            prompt that is no XML, its words.
    """

    gemma: int
    system: int
    jina: int
    cut: tuple[str, ...] = ()
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

    gemma_tokenizer: Tokenizer
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
        cache_bytes: int = CACHE_BYTES,
    ) -> Self:
        """Over two parts of a model: tokenizers are read now, weights when first needed.

        Raises:
            ModelError: a tokenizer is missing, damaged, or another model's.
        """
        gemma_source, gemma_name = _tokenizer_source(text_encoder, "Gemma 3")
        jina_source, jina_name = _tokenizer_source(clip_model, "Jina CLIP v2")
        return cls(
            gemma_tokenizer=gemma_tokenizer(
                gemma_source, rows=gemma_config(text_encoder).vocab_size, name=gemma_name
            ),
            jina_tokenizer=jina_tokenizer(
                jina_source, rows=jina_config(clip_model).vocab_size, name=jina_name
            ),
            load_gemma=lambda: GemmaEncoder.load(
                text_encoder, device=device, dtype=dtype, embedding_device=embedding_device
            ),
            load_jina=lambda: JinaEncoder.load(clip_model, device=device, dtype=dtype),
            cache_bytes=cache_bytes,
        )

    def tokens(self, prompt: str, *, system: str | None = None) -> TokenCount:
        """How long the prompt is and what of it would be cut; `system` none means `system_prompt_for` it.

        Raises:
            PictureError: the text cannot be written in UTF-8.
        """
        return self._tokenize(prompt, system_prompt_for(prompt) if system is None else system)[2]

    def encode(self, prompt: str, *, system: str | None = None, allow_cut: bool = False) -> Conditioning:
        """The prompt's conditioning; the same tensors for the same text while the cache holds it.

        Args:
            system: put before the prompt for Gemma; none means `system_prompt_for` it.
            allow_cut: cut off what is too long, at its end, instead of refusing it.

        Raises:
            PictureError: the prompt is too long, with the fields that would be cut.
            ModelError: the weights cannot be loaded.
        """
        system = system_prompt_for(prompt) if system is None else system
        key = (system, prompt)
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
            _check_length(known.tokens, allow_cut=allow_cut)
            return known
        gemma_ids, jina_ids, count = self._tokenize(prompt, system)
        _check_length(count, allow_cut=allow_cut)
        self.load()
        assert self._gemma is not None and self._jina is not None
        self.encodings_run += 1
        found = Conditioning(
            features=self._gemma.encode(gemma_ids).cpu(),
            pooled=self._jina.encode(jina_ids).cpu(),
            tokens=count,
        )
        self._keep(key, found)
        return found

    def load(self) -> None:
        """Load the encoders that are not loaded."""
        if self._gemma is None:
            self._gemma = self.load_gemma()
        if self._jina is None:
            self._jina = self.load_jina()

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

    def _tokenize(self, prompt: str, system: str) -> tuple[tuple[int, ...], tuple[int, ...], TokenCount]:
        """What either encoder is given, cut to its limit, and the count before cutting."""
        _check_unicode(system + prompt)
        gemma = self.gemma_tokenizer.encode(system + prompt)
        jina = self.jina_tokenizer.encode(prompt)
        before = max(1, sum(first < len(system) for first, _ in gemma.offsets))
        count = TokenCount(gemma=len(gemma.ids), system=before, jina=len(jina.ids))
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
