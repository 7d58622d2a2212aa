"""Small trained changes to the transformer's weights: LoRA and LoKr, read from any form in use and added.

    adapter = read_adapter("loras/miko")            # a trainer's folder, or one .safetensors file
    adapted = AdaptedWeights(transformer)
    adapted.apply([(adapter, 0.8)])                 # W + 0.8 · delta; the originals are kept
    adapted.restore()                               # the original bits

The sum runs in the order the adapters are given. Another order is the same sum with another rounding, so the
order belongs to the identity of whatever draws with it.
"""

from __future__ import annotations

from newbie_core.model.adapters.adapter import Adapter, LokrFactors, LoraFactors
from newbie_core.model.adapters.applying import AdaptedWeights, deltas
from newbie_core.model.adapters.reading import read_adapter

__all__ = ["AdaptedWeights", "Adapter", "LokrFactors", "LoraFactors", "deltas", "read_adapter"]
