"""The candidates of open rerolls that a run made: written down, so that they are shown and kept."""

from __future__ import annotations

from pathlib import Path

from newbie_core.generation import recall_made
from newbie_core.production.draft import Draft
from newbie_core.review.candidates import keep_candidates, open_candidates, show_candidates
from newbie_core.review.decisions import About
from newbie_core.store import Store


def keep_made(draft: Draft, *, store: Store, root: Path, set_name: str) -> None:
    """Write down the candidates that are made, and show them under their names."""
    made = []
    for item in draft.candidates:
        record, picture = recall_made(store, item.key), item.picture
        if record is not None:
            about = About(
                key=item.key,
                pixels=record["pixels"],
                seed=picture.seed,
                object=record["object"],
                size=record["size"],
                prompt=item.prompt,
                width=picture.width,
                height=picture.height,
                recipe=draft.plan.recipe(picture),
            )
            made.append((picture.id, about))
    if made:
        with store.deciding(set_name):
            keep_candidates(store.candidates(set_name), made)
    listed = open_candidates(store, set_name, draft.standing) if made else ()
    show_candidates(store, root, set_name, listed)
