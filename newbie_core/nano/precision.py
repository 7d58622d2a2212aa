"""Where matrices are multiplied in bf16: on devices that do it in hardware, and nowhere else."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager

import torch


def multiplies_bf16(device: torch.device) -> bool:
    """Whether bf16 pays on the device. An x86 CPU without such instructions imitates them, up to three times slower."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return True
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def precision(device: torch.device) -> AbstractContextManager[object]:
    """A context for training steps: bf16 where matrices are multiplied, or float32 throughout where bf16 does not pay."""
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bf16(device))
