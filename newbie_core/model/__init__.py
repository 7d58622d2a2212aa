"""The NewBie network: text and a seed in, a picture out.

Importing this package is cheap; torch is imported with the first name taken from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from newbie_core.model.text_to_image import NewBieImagePipeline
    from newbie_core.model.transformer import NextDiT

__all__ = ["NewBieImagePipeline", "NextDiT"]

_PLACES = {
    "NewBieImagePipeline": "newbie_core.model.text_to_image",
    "NextDiT": "newbie_core.model.transformer",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
