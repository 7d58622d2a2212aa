"""A release as a data frame, for notebooks and for whoever counts pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newbie_core.releases.shelf import Release
from newbie_core.releases.views import picture_paths

if TYPE_CHECKING:
    from pandas import DataFrame


def to_frame(release: Release) -> DataFrame:
    """One row a picture, indexed by id: key, pixels, seed, size, recipe, and its file in the view."""
    import pandas as pd

    content = release.content
    paths = picture_paths(entry.id for entry in content.entries)
    rows = []
    for entry in content.entries:
        recipe = content.recipes[entry.recipe]
        rows.append(
            {
                "id": entry.id,
                "file": f"pictures/{paths[entry.id]}",
                "key": entry.key,
                "pixels": entry.pixels,
                "object": entry.object,
                "bytes": entry.size,
                "seed": entry.seed,
                "width": entry.width,
                "height": entry.height,
                "steps": recipe.steps,
                "guidance": float(recipe.guidance),
                "negative": recipe.negative,
                "held": entry.id in content.held,
            }
        )
    return pd.DataFrame(rows).set_index("id") if rows else pd.DataFrame(rows)
