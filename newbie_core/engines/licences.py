"""What the engines know of licences: their own, the shipped model's, and those of the released model's parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from newbie_core.rights import ENGINE_PART, Commercial, Licence

OWN_LICENCE = "MIT"
"""Of this package, its drawings and the small model that comes with it."""

RELEASED_DIM, RELEASED_LAYERS = 2304, 36
"""Width and depth of NewBie-image-Exp0.1; weights of these sizes are it, or were trained from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A licence and what it allows."""

    licence: str
    commercial: Commercial
    source: str


RELEASED: Mapping[str, Terms] = {
    "transformer": Terms(
        licence="NewBie-NC-1.0",
        commercial="no",
        source="https://huggingface.co/NewBie-AI/NewBie-image-Exp0.1",
    ),
    "text_encoder": Terms(
        licence="LicenseRef-Gemma", commercial="unknown", source="https://ai.google.dev/gemma/terms"
    ),
    "clip_model": Terms(
        licence="CC-BY-NC-4.0", commercial="no", source="https://huggingface.co/jinaai/jina-clip-v2"
    ),
    "vae": Terms(
        licence="LicenseRef-FLUX",
        commercial="unknown",
        source="https://huggingface.co/black-forest-labs",
    ),
}
"""The parts the released model is made of. Gemma's terms forbid some uses, and the autoencoder was published
under two licences, so a person has to state these."""


def own_licence(part: str, name: str, digest: str = "") -> Licence:
    """Of what comes with this package."""
    return Licence(
        part=part,
        name=name,
        digest=digest,
        licence=OWN_LICENCE,
        commercial="yes",
        source="newbie-assets",
        stated="package",
    )


def engine_licence(name: str) -> Licence:
    """Of an engine of this package."""
    return own_licence(ENGINE_PART, name)


def weights_licence(part: str, name: str, digest: str, *, shipped: bool, released: bool) -> Licence:
    """Of one weight file.

    Args:
        shipped: it lies in this package.
        released: the transformer has the released model's sizes.
    """
    if shipped:
        return own_licence(part, name, digest)
    terms = RELEASED.get(part) if released else None
    if terms is None:
        return Licence(part=part, name=name, digest=digest)
    return Licence(
        part=part,
        name=name,
        digest=digest,
        licence=terms.licence,
        commercial=terms.commercial,
        source=terms.source,
        stated="package",
    )
