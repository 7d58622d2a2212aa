"""Sizes follow from one another as upstream derives them, and impossible ones are refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from newbie_core.model.config import AutoencoderConfig, GemmaConfig, JinaConfig, TransformerConfig


def test_the_defaults_are_the_released_model() -> None:
    config = TransformerConfig()
    assert (config.dim, config.n_layers, config.n_refiner_layers) == (2304, 36, 2)
    assert (config.n_heads, config.kv_heads, config.head_dim) == (24, 8, 96)
    assert (config.hidden_dim, config.conditioning_dim, config.patch_width) == (9216, 1024, 64)
    assert (config.axes_dims, config.axes_lens) == ((32, 32, 32), (1024, 512, 512))
    assert (config.norm_eps, config.qk_eps) == (1e-5, 1e-6)
    assert (config.cap_feat_dim, config.clip_text_dim) == (2560, 1024)


def test_the_other_parts_defaults_are_the_published_ones() -> None:
    autoencoder, gemma, jina = AutoencoderConfig(), GemmaConfig(), JinaConfig()
    assert (autoencoder.scaling_factor, autoencoder.shift_factor) == (0.3611, 0.1159)
    assert (gemma.hidden_size, gemma.num_hidden_layers, gemma.vocab_size) == (2560, 34, 262208)
    assert (jina.hidden_size, jina.num_hidden_layers, jina.vocab_size) == (1024, 24, 250002)


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ({}, 256),
        ({"multiple_of": 100}, 300),
        ({"ffn_dim_multiplier": 0.5}, 128),
        ({"ffn_dim_multiplier": 0.7, "multiple_of": 8}, 184),
        ({"ffn_dim": 77, "ffn_dim_multiplier": 0.5}, 77),
    ],
)
def test_the_feed_forward_is_four_times_as_wide_then_scaled_then_rounded_up(
    values: dict[str, Any], width: int
) -> None:
    options = {"multiple_of": 64} | values
    config = TransformerConfig(dim=64, n_heads=4, n_kv_heads=2, axes_dims=(4, 6, 6), **options)
    assert config.hidden_dim == width


def test_without_a_number_of_key_heads_there_are_as_many_as_query_heads() -> None:
    assert TransformerConfig(n_kv_heads=None).kv_heads == 24


def test_the_conditioning_is_as_wide_as_the_network_up_to_1024() -> None:
    narrow = TransformerConfig(dim=96, n_heads=4, n_kv_heads=2, axes_dims=(8, 8, 8))
    assert narrow.conditioning_dim == 96
    assert TransformerConfig().conditioning_dim == 1024


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"n_heads": 23}, "not a multiple of n_heads 23"),
        ({"axes_dims": (32, 32, 16)}, "do not sum to the head's width 96"),
        ({"axes_dims": (33, 31, 32)}, "must be even"),
        ({"n_kv_heads": 7}, "not a multiple of n_kv_heads 7"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TransformerConfig(**values)


def test_upstreams_names_are_taken_and_others_left_out() -> None:
    found = TransformerConfig.from_mapping(
        {
            "dim": 48,
            "n_heads": 2,
            "n_kv_heads": None,
            "axes_dims": [8, 8, 8],
            "qk_norm": True,
            "clip_img_dim": 3,
        }
    )
    assert (found.dim, found.kv_heads, found.axes_dims) == (48, 2, (8, 8, 8))
    assert found.n_layers == 36


def test_sizes_are_told_without_torch() -> None:
    code = "import sys, newbie_core.model.config, newbie_core.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
