"""What each cell of a scene shows, and heads that ask the transformer halfway for it.

An attribute is a few words of a prompt and a few cells of a picture. The error of the velocity alone says little about
which words belong to which cells, above all while there is almost only noise: thousands of steps pass before the colour of
eyes is learnt at all. So linear heads on the features of a layer halfway name the attributes of the character whose cell it
is, and their error is added. What the heads can read, the later layers can paint. The checkpoint has no trace of them.

Sources: Lee et al., "Deeply-Supervised Nets", arXiv 1409.5185; Yu et al., "Representation Alignment for Generation", arXiv
2410.06940, which aligns features of a diffusion transformer with another network's; here the drawing itself tells.
"""

from __future__ import annotations

from math import ceil, floor

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newbie_core.nano.judging import CELL
from newbie_core.nano.scenes import ATTRIBUTES, BACKGROUNDS, HEAD, UNIT, Box, Character, Scene, choices_of

ASKED = (*ATTRIBUTES, "background")
"""What the heads name."""

NOT_ASKED = -1
"""In a cell that does not show an attribute."""

LATE = 1.2
"""An answer at time t counts `LATE - t`: late, a picture tells what its prompt says."""

EARLY = 0.3
"""Before this time what the heads read is counted: it is then read from the prompt, not from the picture."""

HALF = 1.2
"""Half of a character's width in half heads: two who stand side by side share no cell."""

CROWN, CHIN, WAIST = -1.75, 1.0, 2.65
"""Heights from the middle of a head, in half heads: over what is worn on it, under the chin, and where a character ends."""

FACE_HALF, FACE_TOP, FACE_END = 0.7, -0.5, 0.8
"""The part of a face that changes with its expression, likewise."""

_HEAD_SHOWS = ("hair_colour", "accessory")
_FACE_SHOWS = ("eye_colour", "expression")
_BODY_SHOWS = ("garment", "garment_colour", "arms")


def values_of(name: str) -> tuple[str, ...]:
    """All values of something asked."""
    return BACKGROUNDS if name == "background" else choices_of(name)


def cell_labels(scene: Scene) -> Tensor:
    """For everything asked and each cell the number of its value: `[9, H/16, W/16]` int64, or `NOT_ASKED`."""
    labels = torch.full((len(ASKED), scene.height // CELL, scene.width // CELL), NOT_ASKED)
    background = labels[ASKED.index("background")]
    background[:] = BACKGROUNDS.index(scene.background)
    for each in scene.characters:
        head, body, whole, face = _parts(each)
        background[_cells(face, scene)] = NOT_ASKED
        for names, box in (
            (_HEAD_SHOWS, head),
            (("hair_style",), whole),
            (_FACE_SHOWS, face),
            (_BODY_SHOWS, body),
        ):
            for name in names:
                value = choices_of(name).index(getattr(each, name))
                labels[ASKED.index(name)][_cells(box, scene)] = value
    return labels


def _parts(character: Character) -> tuple[Box, Box, Box, Box]:
    """Head, body, both, and the face, in pixels."""
    left, right = character.x - HALF * UNIT, character.x + HALF * UNIT
    crown, chin, waist = (HEAD + height * UNIT for height in (CROWN, CHIN, WAIST))
    return (
        (left, crown, right, chin),
        (left, chin, right, waist),
        (left, crown, right, waist),
        (
            character.x - FACE_HALF * UNIT,
            HEAD + FACE_TOP * UNIT,
            character.x + FACE_HALF * UNIT,
            HEAD + FACE_END * UNIT,
        ),
    )


def _cells(box: Box, scene: Scene) -> tuple[slice, slice]:
    """Rows and columns of all cells that a box touches."""
    rows, columns = scene.height // CELL, scene.width // CELL
    left, top, right, bottom = (each / CELL for each in box)
    return (
        slice(max(0, floor(top)), min(rows, ceil(bottom))),
        slice(max(0, floor(left)), min(columns, ceil(right))),
    )


class AttributeHeads(nn.Module):
    """Linear heads on features of image tokens; used in training only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [len(values_of(name)) for name in ASKED]
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, sum(self.sizes))
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)

    def forward(self, features: Tensor, labels: Tensor, times: Tensor) -> tuple[Tensor, float | None]:
        """The heads' error, and the share of early answers that is right.

        Args:
            features: `[B, N, width]` of image tokens, row by row.
            labels: `[B, 9, N]`, of `cell_labels`.
            times: `[B]`.

        Returns:
            Cross entropy, a mean over what is asked; and a share from 0 to 1, none where no time is early.
        """
        losses, right = [], []
        early = (times < EARLY)[:, None]
        for name, logits in enumerate(self.heads(self.norm(features)).split(self.sizes, dim=-1)):
            wanted = labels[:, name]
            asked = wanted != NOT_ASKED
            error = F.cross_entropy(
                logits.float().transpose(1, 2), wanted, ignore_index=NOT_ASKED, reduction="none"
            )
            losses.append((error * (LATE - times)[:, None]).sum() / asked.sum().clamp(min=1))
            counted = asked & early
            if counted.any():
                right.append(float((logits.argmax(dim=-1) == wanted)[counted].float().mean()))
        return torch.stack(losses).mean(), sum(right) / len(right) if right else None
