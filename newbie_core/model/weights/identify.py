"""Which parts of the model a file holds, told by its keys and never by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from newbie_core.errors import ModelError
from newbie_core.model.config import PartName
from newbie_core.model.weights.refusals import refuse_relatives, refuse_strangers
from newbie_core.model.weights.renames import TOKENIZER_KEY
from newbie_core.model.weights.stored import Stored

Form = Literal["upstream", "port", "gemma", "jina", "diffusers-vae", "bfl-vae"]
"""How a part's tensors are named once the prefix is gone."""

_WRAPPERS = r"(?P<prefix>(?:(?:model\.diffusion_model|diffusion_model|transformer|module)\.)*)"
_STACKS = r"(?:layers|noise_refiner|context_refiner)\.\d+\."
_GEMMA_HOME = r"(?P<home>(?:text_encoders\.gemma[^.]*\.(?:transformer\.)?)?)"
_JINA_HOME = r"(?P<home>(?:text_encoders\.jina[^.]*\.(?:transformer\.)?)?)"

SIGNS: tuple[tuple[Form, PartName, re.Pattern[str]], ...] = (
    ("upstream", "transformer", re.compile(_WRAPPERS + _STACKS + r"attention\.qkv\.weight")),
    ("port", "transformer", re.compile(_WRAPPERS + _STACKS + r"attn\.to_q\.weight")),
    (
        "gemma",
        "text_encoder",
        re.compile(
            rf"(?P<prefix>{_GEMMA_HOME}(?:language_model\.model\.|model\.language_model\.|language_model\.|model\.)?)"
            r"layers\.\d+\.pre_feedforward_layernorm\.weight"
        ),
    ),
    (
        "jina",
        "clip_model",
        re.compile(
            rf"(?P<prefix>{_JINA_HOME}(?:text_model\.transformer\.roberta\.|roberta\.|model\.)?)"
            r"(?:encoder\.layers\.\d+\.mixer\.Wqkv\..+|layers\.\d+\.post_mlp_layernorm\.weight)"
        ),
    ),
    (
        "diffusers-vae",
        "vae",
        re.compile(r"(?P<prefix>(?:vae\.|first_stage_model\.)?)(?:encoder|decoder)\.mid_block\..+"),
    ),
    (
        "bfl-vae",
        "vae",
        re.compile(r"(?P<prefix>(?:vae\.|first_stage_model\.)?)(?:encoder|decoder)\.mid\..+"),
    ),
)

# Pictures' side of the multimodal encoders, and heads nobody here computes.
_BESIDE = re.compile(
    r"(?:text_encoders\.[^.]+\.(?:transformer\.)?)?(?:model\.|language_model\.|text_model\.transformer\.roberta\.)?"
    r"(?:vision_tower\.|vision_model\.|multi_modal_projector\.|lm_head\.|pooler\.|logit_scale$).*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A part found in a file.

    Attributes:
        prefix: what stands before the part's own names.
        keys: own name → stored name.
        tokenizer_key: the stored name of a SentencePiece model, or none.
    """

    part: PartName
    form: Form
    prefix: str
    keys: Mapping[str, str]
    tokenizer_key: str | None = None


def claims(stored: Stored) -> tuple[Claim, ...]:
    """The parts in `stored`, each tensor claimed by the part with the longest fitting prefix.

    Raises:
        ModelError: nothing of this model is in it, something else is, or tensors belong to no part.
    """
    refuse_strangers(stored)
    found = _signs(stored)
    if not found:
        some = ", ".join(list(stored.tensors)[:3]) or "no tensors at all"
        raise ModelError(
            f"{stored.where}: no part of NewBie-image-Exp0.1 is in it; it holds {some}",
            code="E_MODEL_UNKNOWN",
        )
    keys: dict[PartName, dict[str, str]] = {part: {} for part in found}
    tokenizers: dict[PartName, str] = {}
    extra: list[str] = []
    encoders: dict[PartName, Sign] = {
        part: sign for part, sign in found.items() if part in ("text_encoder", "clip_model")
    }
    for key in stored.tensors:
        if encoders and key.rsplit(".", 1)[-1] == TOKENIZER_KEY:
            tokenizers[_tokenizer_owner(key, encoders)] = key
        elif encoders and _BESIDE.fullmatch(key):
            continue
        elif owners := [part for part, (_, prefix, _) in found.items() if key.startswith(prefix)]:
            owner = max(owners, key=lambda part: len(found[part][1]))
            keys[owner][key.removeprefix(found[owner][1])] = key
        else:
            extra.append(key)
    if extra:
        raise ModelError(
            f"{stored.where}: {len(extra)} tensors belong to none of {', '.join(found)}: {', '.join(extra[:10])}; "
            "expected only the model's own",
            code="E_MODEL_EXTRA_KEYS",
        )
    result = tuple(
        Claim(part=part, form=form, prefix=prefix, keys=keys[part], tokenizer_key=tokenizers.get(part))
        for part, (form, prefix, _) in found.items()
    )
    for claim in result:
        _check_kin(stored, claim)
    return result


Sign = tuple[Form, str, str]
"""Form, prefix, and the part of the prefix that tells a part's home in a file of several."""


def _signs(stored: Stored) -> dict[PartName, Sign]:
    found: dict[PartName, Sign] = {}
    for key in stored.tensors:
        for form, part, pattern in SIGNS:
            if (match := pattern.fullmatch(key)) is None:
                continue
            sign = (form, match["prefix"], match.groupdict().get("home", ""))
            if found.setdefault(part, sign) != sign:
                raise ModelError(
                    f'{stored.where}: two of the same part ({part}): names start with "{found[part][1]}" and with '
                    f'"{sign[1]}", or are of two layouts; expected one',
                    code="E_MODEL_AMBIGUOUS",
                )
    return found


def _tokenizer_owner(key: str, encoders: Mapping[PartName, Sign]) -> PartName:
    def nearness(part: PartName) -> int:
        home = encoders[part][2].removesuffix("transformer.")
        return len(home) if key.startswith(home) else -1

    return max(encoders, key=nearness)


def _check_kin(stored: Stored, claim: Claim) -> None:
    """Refuse near relatives of a part that share its names."""
    if claim.part == "transformer":
        out = next(
            (key for key in claim.keys if key.endswith((".attention.out.weight", ".attn.to_out.0.weight"))),
            "",
        )
        shape = stored.tensors[claim.keys[out]].shape if out else ()
        pooled = any("clip_text_pooled_proj." in key for key in claim.keys)
        refuse_relatives(str(stored.where), dim=shape[0] if shape else 0, pooled=pooled)
    elif claim.part == "text_encoder" and not any(key.endswith(".q_norm.weight") for key in claim.keys):
        raise ModelError(
            f"{stored.where}: a Gemma 2 (its queries have no norm), as Lumina-Image-2.0 uses it; expected Gemma 3 4B",
            code="E_MODEL_GEMMA2",
        )
    elif claim.part == "vae" and any("quant_conv." in key for key in claim.keys):
        raise ModelError(
            f"{stored.where}: a Stable Diffusion autoencoder (it has quantisation convolutions); "
            "expected FLUX.1's, ae.safetensors",
            code="E_MODEL_SD",
        )
