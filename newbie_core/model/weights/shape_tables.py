"""Every tensor each part must have, and its shape, from the part's sizes alone.

Names are canonical (`part.py`). The released transformer's table has 535 tensors, 3,486,636,096 numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from newbie_core.model.config import (
    SINUSOID_WIDTH,
    AutoencoderConfig,
    GemmaConfig,
    JinaConfig,
    Shape,
    TransformerConfig,
)

Table = dict[str, Shape]


def _linear(name: str, rows: int, columns: int, *, bias: bool = True) -> Table:
    table: Table = {f"{name}.weight": (rows, columns)}
    if bias:
        table[f"{name}.bias"] = (rows,)
    return table


def _norm(name: str, width: int) -> Table:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def expected_transformer_shapes(config: TransformerConfig) -> Table:
    """Upstream's state dictionary for `config`, the unused `norm_final.weight` included."""
    dim, wide = config.dim, config.conditioning_dim
    table: Table = {
        **_linear("x_embedder", dim, config.patch_width),
        **_linear("t_embedder.mlp.0", wide, SINUSOID_WIDTH),
        **_linear("t_embedder.mlp.2", wide, wide),
        "cap_embedder.0.weight": (config.cap_feat_dim,),
        **_linear("cap_embedder.1", dim, config.cap_feat_dim),
        "clip_text_pooled_proj.0.weight": (config.clip_text_dim,),
        **_linear("clip_text_pooled_proj.1", config.clip_text_dim, config.clip_text_dim),
        **_linear("time_text_embed.1", wide, wide + config.clip_text_dim),
        "norm_final.weight": (dim,),
        **_linear("final_layer.linear", config.patch_width, dim),
        **_linear("final_layer.adaLN_modulation.1", dim, wide),
    }
    stacks = (
        ("noise_refiner", config.n_refiner_layers, True),
        ("context_refiner", config.n_refiner_layers, False),
        ("layers", config.n_layers, True),
    )
    for stack, depth, modulated in stacks:
        for index in range(depth):
            table |= _transformer_block(f"{stack}.{index}", config, modulated=modulated)
    return table


def _transformer_block(name: str, config: TransformerConfig, *, modulated: bool) -> Table:
    dim, hidden, head = config.dim, config.hidden_dim, config.head_dim
    block: Table = {
        f"{name}.attention.qkv.weight": (dim + 2 * config.kv_heads * head, dim),
        f"{name}.attention.out.weight": (dim, dim),
        f"{name}.attention.q_norm.weight": (head,),
        f"{name}.attention.k_norm.weight": (head,),
        f"{name}.feed_forward.w1.weight": (hidden, dim),
        f"{name}.feed_forward.w2.weight": (dim, hidden),
        f"{name}.feed_forward.w3.weight": (hidden, dim),
    }
    for norm in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
        block[f"{name}.{norm}.weight"] = (dim,)
    if modulated:
        block |= _linear(f"{name}.adaLN_modulation.1", 4 * dim, config.conditioning_dim)
    return block


def expected_gemma_shapes(config: GemmaConfig) -> Table:
    """Gemma 3's text model for `config`, last layer and final norm included."""
    width, hidden, head = config.hidden_size, config.intermediate_size, config.head_dim
    queries, pairs = config.num_attention_heads * head, config.num_key_value_heads * head
    table: Table = {"embed_tokens.weight": (config.vocab_size, width), "norm.weight": (width,)}
    for index in range(config.num_hidden_layers):
        name = f"layers.{index}"
        table |= {
            f"{name}.self_attn.q_proj.weight": (queries, width),
            f"{name}.self_attn.k_proj.weight": (pairs, width),
            f"{name}.self_attn.v_proj.weight": (pairs, width),
            f"{name}.self_attn.o_proj.weight": (width, queries),
            f"{name}.self_attn.q_norm.weight": (head,),
            f"{name}.self_attn.k_norm.weight": (head,),
            f"{name}.mlp.gate_proj.weight": (hidden, width),
            f"{name}.mlp.up_proj.weight": (hidden, width),
            f"{name}.mlp.down_proj.weight": (width, hidden),
        }
        for place in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
            table[f"{name}.{place}_layernorm.weight"] = (width,)
    return table


def expected_jina_shapes(config: JinaConfig) -> Table:
    """transformers' JinaEmbeddingsV3Model, without its pooler, for `config`."""
    width, hidden = config.hidden_size, config.intermediate_size
    table: Table = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.token_type_embeddings.weight": (1, width),
        **_norm("embeddings.LayerNorm", width),
    }
    for index in range(config.num_hidden_layers):
        name = f"layers.{index}"
        for part in "qkvo":
            table |= _linear(f"{name}.self_attn.{part}_proj", width, width)
        table |= _linear(f"{name}.mlp.fc1", hidden, width) | _linear(f"{name}.mlp.fc2", width, hidden)
        table |= _norm(f"{name}.post_attention_layernorm", width)
        table |= _norm(f"{name}.post_mlp_layernorm", width)
    return table


def expected_autoencoder_shapes(config: AutoencoderConfig) -> Table:
    """diffusers' AutoencoderKL without quantisation convolutions, encoder and decoder, for `config`."""
    widths, depth = config.block_out_channels, config.layers_per_block
    last = len(widths) - 1
    table: Table = {
        **_conv("encoder.conv_in", widths[0], 3),
        **_conv("encoder.conv_out", 2 * config.latent_channels, widths[-1]),
        **_norm("encoder.conv_norm_out", widths[-1]),
        **_conv("decoder.conv_in", widths[-1], config.latent_channels),
        **_conv("decoder.conv_out", 3, widths[0]),
        **_norm("decoder.conv_norm_out", widths[0]),
    }
    for half in ("encoder", "decoder"):
        table |= _middle(f"{half}.mid_block", widths[-1])
    for index, (before, after) in enumerate(_steps(widths)):
        table |= _stage(f"encoder.down_blocks.{index}", before, after, depth)
        if index < last:
            table |= _conv(f"encoder.down_blocks.{index}.downsamplers.0.conv", after, after)
    for index, (before, after) in enumerate(_steps(widths[::-1])):
        # A decoder's block has one more layer than an encoder's.
        table |= _stage(f"decoder.up_blocks.{index}", before, after, depth + 1)
        if index < last:
            table |= _conv(f"decoder.up_blocks.{index}.upsamplers.0.conv", after, after)
    return table


def _steps(widths: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    return zip((widths[0], *widths), widths, strict=False)


def _conv(name: str, out: int, into: int, side: int = 3) -> Table:
    return {f"{name}.weight": (out, into, side, side), f"{name}.bias": (out,)}


def _stage(name: str, before: int, after: int, depth: int) -> Table:
    table: Table = {}
    for index in range(depth):
        table |= _resnet(f"{name}.resnets.{index}", before if index == 0 else after, after)
    return table


def _resnet(name: str, before: int, after: int) -> Table:
    table = _norm(f"{name}.norm1", before) | _conv(f"{name}.conv1", after, before)
    table |= _norm(f"{name}.norm2", after) | _conv(f"{name}.conv2", after, after)
    if before != after:
        table |= _conv(f"{name}.conv_shortcut", after, before, side=1)
    return table


def _middle(name: str, width: int) -> Table:
    table = _resnet(f"{name}.resnets.0", width, width) | _resnet(f"{name}.resnets.1", width, width)
    table |= _norm(f"{name}.attentions.0.group_norm", width)
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        table |= _linear(f"{name}.attentions.0.{part}", width, width)
    return table
