"""The names the same tensors go by in each layout, as tables, read in both directions.

Canonical names (see `part.py`) stand in the middle. Into them lead recipes, which know a tensor's shape without
reading it; `apply` carries them out on a state dictionary held in memory. Out of them lead, for writers:

- transformer: `to_port`, `to_prefixed`
- Gemma: `to_multimodal_gemma` (Google's files and the hub), `to_comfyui_gemma`
- Jina: `to_hub_jina` (adapter unmerged), `to_comfyui_jina`
- autoencoder: `to_bfl_vae` (Black Forest Labs' names)
- all four in one file: `to_all_in_one`

Sources of the tables: the Diffusers port's conversion (pull request 12803), jina-embeddings-v3's remote code,
ComfyUI's model detection, and diffusers' `convert_ldm_vae_checkpoint`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from newbie_core.errors import ModelError
from newbie_core.model.config import Shape, TransformerConfig

State = Mapping[str, Tensor]
ShapeMap = Mapping[str, Shape]
Rows = tuple[tuple[str, str], ...]

UNUSED_NORM = "norm_final.weight"
"""In upstream's transformer files, never applied; the port drops it."""

TOKENIZER_KEY = "spiece_model"
"""Where ComfyUI's text encoder files keep the SentencePiece model, as bytes."""


def _as_stored(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one canonical tensor is made from stored ones.

    Attributes:
        keys: names of the stored tensors, in the order `make` takes them.
        shape: of what `make` returns.
    """

    name: str
    keys: tuple[str, ...]
    shape: Shape
    make: Callable[..., Tensor] = _as_stored


def apply(recipes: Iterable[Recipe], state: State) -> dict[str, Tensor]:
    """The canonical state dictionary made from `state` by `recipes`."""
    return {recipe.name: recipe.make(*(state[key] for key in recipe.keys)) for recipe in recipes}


def plain_recipes(shapes: ShapeMap) -> list[Recipe]:
    """For tensors stored under their canonical names."""
    return [Recipe(name=key, keys=(key,), shape=shape) for key, shape in shapes.items()]


def _renamed(name: str, rows: Rows) -> str:
    for old, new in rows:
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def _reverse(rows: Rows) -> Rows:
    return tuple((new, old) for old, new in rows)


# The transformer: upstream's names, and the Diffusers port's.

PORT_ROWS: Rows = (
    ("t_embedder.mlp.0.", "time_caption_embed.timestep_embedder.linear_1."),
    ("t_embedder.mlp.2.", "time_caption_embed.timestep_embedder.linear_2."),
    ("cap_embedder.", "time_caption_embed.caption_embedder."),
    ("clip_text_pooled_proj.", "time_caption_embed.clip_text_pooled_proj."),
    ("time_text_embed.", "time_caption_embed.time_text_embed."),
    ("final_layer.linear.", "norm_out.linear_2."),
    ("final_layer.adaLN_modulation.1.", "norm_out.linear_1."),
)
PORT_BLOCK_ROWS: Rows = (
    ("attention.out.", "attn.to_out.0."),
    ("attention.q_norm.", "attn.norm_q."),
    ("attention.k_norm.", "attn.norm_k."),
    ("feed_forward.w1.", "feed_forward.linear_1."),
    ("feed_forward.w2.", "feed_forward.linear_2."),
    ("feed_forward.w3.", "feed_forward.linear_3."),
    ("attention_norm2.", "norm2."),
)
PORT_MODULATED_ROWS: Rows = (("attention_norm1.", "norm1.norm."), ("adaLN_modulation.1.", "norm1.linear."))
PORT_UNMODULATED_ROWS: Rows = (("attention_norm1.", "norm1."),)

QKV = "attention.qkv.weight"
PORT_QKV = ("attn.to_q.weight", "attn.to_k.weight", "attn.to_v.weight")
_BLOCK = re.compile(r"((layers|noise_refiner|context_refiner)\.\d+\.)(.+)", re.DOTALL)


def _port_rows(kind: str) -> Rows:
    own = PORT_UNMODULATED_ROWS if kind == "context_refiner" else PORT_MODULATED_ROWS
    return PORT_BLOCK_ROWS + own


def port_name(name: str) -> str:
    """The port's name of an upstream tensor other than a qkv projection."""
    if block := _BLOCK.fullmatch(name):
        return block[1] + _renamed(block[3], _port_rows(block[2]))
    return _renamed(name, PORT_ROWS)


def upstream_name(name: str) -> str:
    """Upstream's name of a port tensor other than a query, key or value projection."""
    if block := _BLOCK.fullmatch(name):
        return block[1] + _renamed(block[3], _reverse(_port_rows(block[2])))
    return _renamed(name, _reverse(PORT_ROWS))


def port_recipes(shapes: ShapeMap) -> list[Recipe]:
    """From the port's names: queries, keys and values are joined, in this order of rows."""
    recipes = []
    for key, shape in shapes.items():
        block = _BLOCK.fullmatch(key)
        if block and block[3] in PORT_QKV:
            keys = tuple(block[1] + part for part in PORT_QKV)
            whole = all(other in shapes and shapes[other][1:] == shape[1:] for other in keys)
            if whole and shape:
                if block[3] == PORT_QKV[0]:
                    joined = (sum(shapes[other][0] for other in keys), *shape[1:])
                    recipes.append(Recipe(name=block[1] + QKV, keys=keys, shape=joined, make=_join))
                continue
        recipes.append(Recipe(name=upstream_name(key), keys=(key,), shape=shape))
    return recipes


def _join(*parts: Tensor) -> Tensor:
    return torch.cat(parts)


def to_port(state: State, config: TransformerConfig) -> dict[str, Tensor]:
    """The port's layout of a canonical transformer; the unused norm is dropped, as the port drops it."""
    kv = config.kv_heads * config.head_dim
    sizes = (config.n_heads * config.head_dim, kv, kv)
    port: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.endswith(QKV):
            stem = name.removesuffix(QKV)
            for part, rows in zip(PORT_QKV, tensor.split(sizes), strict=True):
                port[stem + part] = rows.clone()
        elif name != UNUSED_NORM:
            port[port_name(name)] = tensor
    return port


def to_prefixed(state: State, prefix: str = "model.diffusion_model.") -> dict[str, Tensor]:
    """The same tensors, each name with `prefix`: ComfyUI's diffusion models, wrapped training checkpoints."""
    return {prefix + name: tensor for name, tensor in state.items()}


# Gemma: one set of names, many prefixes.


def to_multimodal_gemma(state: State) -> dict[str, Tensor]:
    """Google's layout of a canonical Gemma, as `save_pretrained` of the multimodal model writes it."""
    return to_prefixed(state, "language_model.model.")


def _with_tokenizer(state: dict[str, Tensor], spiece: bytes | None) -> dict[str, Tensor]:
    if spiece is not None:
        state[TOKENIZER_KEY] = torch.frombuffer(bytearray(spiece), dtype=torch.uint8)
    return state


def to_comfyui_gemma(state: State, spiece: bytes | None = None) -> dict[str, Tensor]:
    """ComfyUI's layout of a canonical Gemma, with its SentencePiece model where given."""
    return _with_tokenizer(to_prefixed(state, "model."), spiece)


# Jina: transformers' names are canonical; remote code's are stored, mostly with an adapter beside the weights.

JINA_ROWS: Rows = (("embeddings.LayerNorm.", "emb_ln."),)
JINA_LAYER_ROWS: Rows = (
    ("self_attn.o_proj.", "mixer.out_proj."),
    ("post_attention_layernorm.", "norm1."),
    ("post_mlp_layernorm.", "norm2."),
)
JINA_QKV = ("self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj.")
JINA_HUB_PREFIX = "text_model.transformer.roberta."
_WQKV = "mixer.Wqkv."
_ORIGINAL = ".parametrizations.weight.original"
_FACTORS = (".parametrizations.weight.0.lora_A", ".parametrizations.weight.0.lora_B")
_JINA_STORED_LAYER = re.compile(r"encoder\.(layers\.\d+\.)(.+)", re.DOTALL)
_JINA_LAYER = re.compile(r"(layers\.\d+\.)(.+)", re.DOTALL)
_JINA_ADAPTED = re.compile(
    r"(embeddings\.(?:word|token_type)_embeddings|encoder\.layers\.\d+\."
    r"(?:mixer\.Wqkv|mixer\.out_proj|mlp\.fc1|mlp\.fc2))\.weight"
)


def jina_recipes(shapes: ShapeMap, where: str) -> list[Recipe]:
    """From remote code's names, the adapter merged where one is stored; canonical names pass.

    Raises:
        ModelError: an adapter's factors do not fit their weight; `where` names the file in the text.
    """
    recipes: list[Recipe] = []
    used: set[str] = set()
    for key, shape in shapes.items():
        if key.endswith(_ORIGINAL):
            module = key.removesuffix(_ORIGINAL)
            keys = (key, *(module + factor for factor in _FACTORS))
            if all(factor in shapes for factor in keys):
                _check_factors(module, *(shapes[factor] for factor in keys), where=where)
                merge = _merge_embedding if module.startswith("embeddings.") else _merge_linear
                recipes += _jina_named(module + ".weight", keys, shape, merge)
                used.update(keys)
    for key, shape in shapes.items():
        if key not in used:
            recipes += _jina_named(key, (key,), shape, _as_stored)
    return recipes


def _jina_named(
    name: str, keys: tuple[str, ...], shape: Shape, make: Callable[..., Tensor]
) -> Iterable[Recipe]:
    layer = _JINA_STORED_LAYER.fullmatch(name)
    if layer is None:
        yield Recipe(name=_renamed(name, _reverse(JINA_ROWS)), keys=keys, shape=shape, make=make)
    elif layer[2].startswith(_WQKV) and shape and shape[0] % 3 == 0:
        for index, part in enumerate(JINA_QKV):
            yield Recipe(
                name=layer[1] + part + layer[2].removeprefix(_WQKV),
                keys=keys,
                shape=(shape[0] // 3, *shape[1:]),
                make=_third(index, make),
            )
    else:
        renamed = layer[1] + _renamed(layer[2], _reverse(JINA_LAYER_ROWS))
        yield Recipe(name=renamed, keys=keys, shape=shape, make=make)


def _third(index: int, make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def take(*stored: Tensor) -> Tensor:
        return make(*stored).chunk(3)[index].clone()

    return take


def _check_factors(module: str, weight: Shape, a: Shape, b: Shape, *, where: str) -> None:
    one = len(weight) == 2 and len(a) == len(b) == 3 and a[0] == b[0] == 1
    if one and module.startswith("embeddings."):
        fits = a[2] == b[1] and (a[1], b[2]) == weight
    else:
        fits = one and a[1] == b[2] and (b[1], a[2]) == weight
    if not fits:
        raise ModelError(
            f"{where}: the adapter of {module} has factors {list(a)} and {list(b)}, which do not make its weight "
            f"{list(weight)}; expected one adapter, as jinaai/jina-clip-v2 has it",
            code="E_MODEL_SHAPES",
        )


def _merge_linear(original: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _merged(original, b[0], a[0])


def _merge_embedding(original: Tensor, a: Tensor, b: Tensor) -> Tensor:
    # An embedding's factors are stored transposed: A has a row for every token.
    return _merged(original, a[0], b[0])


def _merged(original: Tensor, left: Tensor, right: Tensor) -> Tensor:
    # Scale alpha/rank is 1 in this model. Adding a product of zero would still turn -0.0 into 0.0.
    if not (left.any() and right.any()):
        return original
    return (original.float() + left.float() @ right.float()).to(original.dtype)


def _jina_stored_names(state: State) -> dict[str, Tensor]:
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer = _JINA_LAYER.fullmatch(name)
        if layer is None:
            stored[_renamed(name, JINA_ROWS)] = tensor
        elif layer[2].startswith(JINA_QKV[0]):
            kind = layer[2].removeprefix(JINA_QKV[0])
            stored[f"encoder.{layer[1]}{_WQKV}{kind}"] = torch.cat(
                [state[layer[1] + part + kind] for part in JINA_QKV]
            )
        elif not layer[2].startswith(JINA_QKV[1:]):
            stored[f"encoder.{layer[1]}{_renamed(layer[2], JINA_LAYER_ROWS)}"] = tensor
    return stored


def to_comfyui_jina(state: State, spiece: bytes | None = None) -> dict[str, Tensor]:
    """ComfyUI's layout of a canonical Jina: merged, with its SentencePiece model where given."""
    return _with_tokenizer(to_prefixed(_jina_stored_names(state), "model."), spiece)


def to_hub_jina(
    state: State, *, rank: int = 4, factors: Mapping[str, tuple[Tensor, Tensor]] | None = None
) -> dict[str, Tensor]:
    """The hub's layout of a canonical Jina: its weights as originals, an adapter beside each.

    Args:
        factors: lora_A and lora_B by stored module name ("encoder.layers.0.mixer.Wqkv"), without the leading axis:
            (rank, in) and (out, rank) for a linear, (rows, rank) and (rank, width) for an embedding. Modules not
            named get lora_A of ones and lora_B of zeros, so that merging gives the weight back, bit for bit.
    """
    hub: dict[str, Tensor] = {}
    for name, tensor in _jina_stored_names(state).items():
        adapted = _JINA_ADAPTED.fullmatch(name)
        if adapted is None:
            hub[name] = tensor
            continue
        a, b = (factors or {}).get(adapted[1], (None, None))
        if a is None or b is None:
            rows, width = tensor.shape
            embedding = name.startswith("embeddings.")
            a = tensor.new_ones((rows, rank) if embedding else (rank, width))
            b = tensor.new_zeros((rank, width) if embedding else (rows, rank))
        hub[adapted[1] + _ORIGINAL] = tensor
        hub[adapted[1] + _FACTORS[0]] = a[None]
        hub[adapted[1] + _FACTORS[1]] = b[None]
    return to_prefixed(hub, JINA_HUB_PREFIX)


# The autoencoder: diffusers' names are canonical; Black Forest Labs number the up blocks from the picture.

VAE_PATTERNS: Rows = (
    (r"(encoder)\.down_blocks\.(\d+)\.resnets\.(\d+)\.(.+)", r"\1.down.\2.block.\3.\4"),
    (r"(encoder)\.down_blocks\.(\d+)\.downsamplers\.0\.(.+)", r"\1.down.\2.downsample.\3"),
    (r"(decoder)\.up_blocks\.(\d+)\.resnets\.(\d+)\.(.+)", r"\1.up.\2.block.\3.\4"),
    (r"(decoder)\.up_blocks\.(\d+)\.upsamplers\.0\.(.+)", r"\1.up.\2.upsample.\3"),
    (r"(encoder|decoder)\.conv_norm_out\.(.+)", r"\1.norm_out.\2"),
)
"""Diffusers' names and the labs', up blocks still numbered diffusers' way."""

BFL_PATTERNS: Rows = (
    (r"(encoder)\.down\.(\d+)\.block\.(\d+)\.(.+)", r"\1.down_blocks.\2.resnets.\3.\4"),
    (r"(encoder)\.down\.(\d+)\.downsample\.(.+)", r"\1.down_blocks.\2.downsamplers.0.\3"),
    (r"(decoder)\.up\.(\d+)\.block\.(\d+)\.(.+)", r"\1.up_blocks.\2.resnets.\3.\4"),
    (r"(decoder)\.up\.(\d+)\.upsample\.(.+)", r"\1.up_blocks.\2.upsamplers.0.\3"),
    (r"(encoder|decoder)\.norm_out\.(.+)", r"\1.conv_norm_out.\2"),
)
"""The same, read the other way."""

VAE_MIDDLE: Rows = (
    ("mid_block.resnets.0.", "mid.block_1."),
    ("mid_block.resnets.1.", "mid.block_2."),
    ("mid_block.attentions.0.group_norm.", "mid.attn_1.norm."),
    ("mid_block.attentions.0.to_q.", "mid.attn_1.q."),
    ("mid_block.attentions.0.to_k.", "mid.attn_1.k."),
    ("mid_block.attentions.0.to_v.", "mid.attn_1.v."),
    ("mid_block.attentions.0.to_out.0.", "mid.attn_1.proj_out."),
)
_ATTENTION = re.compile(r"(?:encoder|decoder)\.mid\.attn_1\.(?:q|k|v|proj_out)\.weight")
_UP = re.compile(r"(decoder\.up(?:_blocks)?\.)(\d+)(\..+)")


def _by_pattern(name: str, patterns: Rows, middle: Rows) -> str:
    for pattern, replacement in patterns:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    half, dot, rest = name.partition(".")
    return half + dot + _renamed(rest, middle)


def _reverse_up(name: str, last: int) -> str:
    if up := _UP.fullmatch(name):
        return f"{up[1]}{last - int(up[2])}{up[3]}"
    return name


def _last_up(names: Iterable[str]) -> int:
    return max((int(up[2]) for name in names if (up := _UP.fullmatch(name))), default=0)


def bfl_recipes(shapes: ShapeMap) -> list[Recipe]:
    """From Black Forest Labs' names; attention's 1×1 convolutions become linear layers."""
    last = _last_up(shapes)
    recipes = []
    for key, shape in shapes.items():
        name = _by_pattern(_reverse_up(key, last), BFL_PATTERNS, _reverse(VAE_MIDDLE))
        name = name.replace(".nin_shortcut.", ".conv_shortcut.")
        if _ATTENTION.fullmatch(key) and shape[2:] == (1, 1):
            recipes.append(Recipe(name=name, keys=(key,), shape=shape[:2], make=_flat))
        else:
            recipes.append(Recipe(name=name, keys=(key,), shape=shape))
    return recipes


def _flat(weight: Tensor) -> Tensor:
    return weight[:, :, 0, 0]


def to_bfl_vae(state: State) -> dict[str, Tensor]:
    """Black Forest Labs' layout of a canonical autoencoder."""
    last = _last_up(state)
    labs: dict[str, Tensor] = {}
    for name, tensor in state.items():
        key = _by_pattern(_reverse_up(name, last), VAE_PATTERNS, VAE_MIDDLE)
        key = key.replace(".conv_shortcut.", ".nin_shortcut.")
        labs[key] = tensor[:, :, None, None] if _ATTENTION.fullmatch(key) else tensor
    return labs


def to_all_in_one(
    *, transformer: State, gemma: State, jina: State, vae: State, spiece: tuple[bytes, bytes] | None = None
) -> dict[str, Tensor]:
    """Four canonical parts in one dictionary, as community files hold them; `spiece` is Gemma's and Jina's."""
    gemma_spiece, jina_spiece = spiece or (None, None)
    return {
        **to_prefixed(transformer),
        **to_prefixed(to_comfyui_gemma(gemma, gemma_spiece), "text_encoders.gemma3.transformer."),
        **to_prefixed(to_comfyui_jina(jina, jina_spiece), "text_encoders.jina_clip."),
        **to_prefixed(to_bfl_vae(vae), "vae."),
    }
