"""What the pipeline's call gives, as diffusers' pipelines do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers.pipelines.pipeline_utils import ImagePipelineOutput


class Pictures(ImagePipelineOutput):
    """`.images`, and `.save` for the usual single one."""

    def save(self, path: str | Path, **options: Any) -> None:
        """Write the first picture, as PIL's `Image.save` does."""
        self.images[0].save(path, **options)
