"""An engine that draws like sketch and has weights and licences as a network has."""

from __future__ import annotations

from newbie_core.engines.sketch import SketchEngine
from newbie_core.plans import EngineIdentity
from newbie_core.rights import Licence


class WeightyEngine(SketchEngine):
    """Its one weight file has a licence that nobody knows."""

    def identity(self) -> EngineIdentity:
        return EngineIdentity(name="weighty", parts={"weights/own.safetensors": "ab" * 32})

    def licences(self) -> list[Licence]:
        return [
            Licence(part="engine", name="weighty", licence="MIT", commercial="yes", stated="package"),
            Licence(part="weights", name="own.safetensors", digest="ab" * 32),
        ]
