"""Tiny checkpoints in every layout, written once a session, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from newbie_core.model.text_to_image import NewBieImagePipeline
from newbie_core.model.tiny import tiny_sizes, write_tiny
from newbie_core.model.transformer import NextDiT
from newbie_core.model.weights.layouts import open_part
from newbie_core.model.weights.loading import load_into
from newbie_core.model.weights.part import ModelFiles

TinyCheckpoint = Callable[..., Path]
MakeTransformer = Callable[[], NextDiT]
MakePipeline = Callable[..., NewBieImagePipeline]


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> TinyCheckpoint:
    """The tiny model in a layout; nobody may write to it."""
    written: dict[tuple[str, bool], Path] = {}

    def checkpoint(layout: Any = "hub", *, pickled: bool = False) -> Path:
        if (layout, pickled) not in written:
            folder = tmp_path_factory.mktemp(f"tiny-{layout}")
            written[layout, pickled] = write_tiny(folder, layout=layout, pickled=pickled)
        return written[layout, pickled]

    return checkpoint


@pytest.fixture
def make_transformer(tiny_checkpoint: TinyCheckpoint) -> MakeTransformer:
    """Makes the tiny model's transformer, each time anew and with the same weights."""
    part = open_part(tiny_checkpoint() / "transformer")

    def make() -> NextDiT:
        with torch.device("meta"):
            model = NextDiT(**asdict(tiny_sizes().transformer))
        load_into(model, part)
        return model.eval()

    return make


@pytest.fixture
def transformer(make_transformer: MakeTransformer) -> NextDiT:
    """The tiny model's transformer."""
    return make_transformer()


@pytest.fixture
def make_pipeline(tiny_checkpoint: TinyCheckpoint) -> MakePipeline:
    """Opens a pipeline over the tiny model, on the CPU unless told; keywords are `from_pretrained`'s."""

    def make(**options: Any) -> NewBieImagePipeline:
        pipeline = NewBieImagePipeline.from_pretrained(tiny_checkpoint(), **{"device": "cpu"} | options)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return make


@pytest.fixture
def tiny_files(make_pipeline: MakePipeline) -> ModelFiles:
    """The tiny model, opened."""
    return make_pipeline().files
