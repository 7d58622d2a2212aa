"""The two text encoders, without the parts that are not used: one text in, one tensor out.

Gemma gives hidden states, a vector a token; Jina one pooled vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from transformers import Gemma3TextConfig, Gemma3TextModel, JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from newbie_core.errors import ModelError
from newbie_core.model.config import GemmaConfig, JinaConfig
from newbie_core.model.streaming import BlockStream, stream_layers
from newbie_core.model.weights.config_from_shapes import gemma_config, jina_config
from newbie_core.model.weights.loading import load_into
from newbie_core.model.weights.part import Part

FULL_ATTENTION_EVERY = 6
"""Layers 5, 11, 17, … of Gemma attend to everything, the others to a window; source: its config.json."""

GEMMA_ROPE = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
}
"""Gemma 3 4B's rotary embedding; the factor is no default of transformers, and wrong results name no cause."""

JINA_ROPE = {"rope_type": "default", "rope_theta": 20_000.0}
"""Jina's rotary base; source: the published config.json, which overrides its class's 10000."""


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

    def __init__(
        self,
        model: nn.Module,
        embedding: nn.Module,
        *,
        device: torch.device,
        where: str,
        stream: BlockStream | None = None,
    ) -> None:
        self._model: nn.Module | None = model
        self._embedding: nn.Module | None = embedding
        self._stream = stream
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
        streamed: bool = False,
    ) -> Self:
        """The encoder with `part`'s weights.

        Args:
            embedding_device: where the token embedding stays; "cpu" saves 1.25 GiB of the device's memory, and
                vectors are looked up there and moved. None means `device`.
            streamed: whether layers stay in main memory and visit the device one at a time.

        Raises:
            ModelError: tensors missing, unexpected or of another shape.
        """
        config = gemma_config(part)
        with torch.device("meta"):
            model, embedding = (_frozen(part) for part in build_gemma(config))
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
            device="cpu" if streamed else device,
            dtype=dtype,
            skip=(last, "norm.", "embed_tokens."),
        )
        shapes = {"weight": part.shapes["embed_tokens.weight"]}
        table = replace(part, shapes=shapes, read=lambda: iter(kept.items()))
        load_into(
            embedding, table, device=device if embedding_device is None else embedding_device, dtype=dtype
        )
        stream = stream_layers(model, torch.device(device)) if streamed else None
        return cls(model, embedding, device=torch.device(device), where=str(part.files[0]), stream=stream)

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
        self._model = self._embedding = self._stream = None


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
        with torch.device("meta"):
            model = _frozen(build_jina(jina_config(part)))
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


def build_gemma(config: GemmaConfig) -> tuple[nn.Module, nn.Module]:
    """The layers that are used, and the token embedding, on torch's current default device; buffers are real."""
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
    model: Any = Gemma3TextModel(settings)
    embedding = model.embed_tokens
    with torch.device("cpu"):
        embedding.embed_scale = torch.tensor(embedding.scalar_embed_scale)
        model.rotary_emb = type(model.rotary_emb)(settings)
    # A model's last hidden state comes after its norm, but these layers are not the last ones.
    model.norm = nn.Identity()
    model.embed_tokens = nn.Identity()
    return model, embedding


def build_jina(config: JinaConfig) -> nn.Module:
    """The tower without its pooler, on torch's current default device; buffers are real."""
    values: dict[str, Any] = {
        **asdict(config),
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "rope_parameters": dict(JINA_ROPE),
        "attn_implementation": "sdpa",
    }
    settings = JinaEmbeddingsV3Config(**values)
    model: Any = JinaEmbeddingsV3Model(settings, add_pooling_layer=False)
    places = settings.max_position_embeddings
    with torch.device("cpu"):
        model.embeddings.position_ids = torch.arange(places).expand((1, -1))
        model.embeddings.token_type_ids = torch.zeros((1, places), dtype=torch.long)
        model.rotary_emb = type(model.rotary_emb)(settings)
    built: nn.Module = model
    return built


def _frozen(module: nn.Module) -> nn.Module:
    return module.eval().requires_grad_(False)


def _check_finite(values: Tensor, where: str) -> None:
    if not torch.isfinite(values).all():
        raise ModelError(
            f"{where}: encoding a text in {values.dtype} gave values that are no numbers; "
            "use bfloat16 or float32, and if that does not help, fetch the file again",
            code="E_MODEL_NOT_FINITE",
        )
