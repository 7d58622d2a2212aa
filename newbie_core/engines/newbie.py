"""The newbie engine: NewBie-image-Exp0.1, in any layout and on any of its memory plans.

One picture is one pair of prompts at one size, from its own seed: what else a run holds, in which order, and
whether it was interrupted, changes no pixel. Texts of a chunk are encoded once each, before the first picture.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.digests import digest_value
from newbie_core.engines.licences import RELEASED_DIM, RELEASED_LAYERS, engine_licence, weights_licence
from newbie_core.errors import EngineChoiceError, PictureError
from newbie_core.plans import Capabilities, EngineIdentity, Job
from newbie_core.rights import Licence
from newbie_core.spelling import nearest

if TYPE_CHECKING:
    from PIL.Image import Image

    from newbie_core.model.adapters import Adapter
    from newbie_core.model.conditioning import Conditioning
    from newbie_core.model.sampling import OnStep, Solver
    from newbie_core.model.stages import PeakMemory
    from newbie_core.model.text_to_image import NewBieImagePipeline, Recipe

MODEL_VARIABLE = "NEWBIE_MODEL"
"""Environment variable: the model where no option names one."""

MODEL_FOLDER = "models"
"""The folder looked for when nothing names a model."""

NANO = "nano"
"""Names the small demonstration model that comes with the package."""

NANO_FOLDER = Path(__file__).resolve().parents[1] / "nano" / "model"

_NANO_SAYS = "nano, the small demonstration model of this package: one drawing style, about 200 words, not NewBie's weights"

ALGORITHM = "1"
"""Raised when a change of ours to the network or the samplers changes pixels."""

_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "tokenizers", "sentencepiece")

OPTIONS: Mapping[str, str | int | bool] = {
    "model": "",
    "revision": "",
    "transformer": "",
    "text_encoder": "",
    "clip_model": "",
    "vae": "",
    "adapters": "",
    "dtype": "auto",
    "attention": "auto",
    "storage": "full",
    "tiling": False,
    "solver": "",
    "shift": "",
    "cfg_trunc": "1",
    "renorm": "0",
    "allow_cut": False,
    "allow_pickle": False,
    "device": "",
    "plan": "auto",
    "text_cache_mb": 256,
}
"""Every option with its default; docs/model.md says what each does."""


def default_model(given: str = "") -> str:
    """The model to use: what is given, else $NEWBIE_MODEL, else ./models, else the small one of this package.

    "nano" names that one outright.
    """
    found = given or os.environ.get(MODEL_VARIABLE, "")
    if not found and Path(MODEL_FOLDER).is_dir():
        found = MODEL_FOLDER
    return str(NANO_FOLDER) if found in ("", NANO) else found


def spoken_model(source: str) -> str:
    """A model as people are told of it: its source, and of the package's own what it is."""
    return _NANO_SAYS if source == str(NANO_FOLDER) else source


class NewbieEngine:
    """The network behind the engine protocol."""

    def __init__(self, **options: str | int | bool) -> None:
        from newbie_core.engines import check_options

        check_options("newbie", options, OPTIONS)
        self._options = {**OPTIONS, **options}
        self._pipeline = self._open()
        self._identity: EngineIdentity | None = None
        self._memory: PeakMemory | None = None
        self._largest = (0, 0)
        self._remarks: dict[str, None] = {}
        self._unknown: dict[str, dict[str, None]] = {}  # word -> jobs it stood in

    def identity(self) -> EngineIdentity:
        """Digests of every file, sizes, dtype, kernel, solver and adapters; not where files lie or what runs them."""
        if self._identity is None:  # weight files may take minutes to read
            self._identity = self._identify()
        return self._identity

    def capabilities(self) -> Capabilities:
        """Sides in steps of 16, as far as the positions the model was trained on."""
        sizes = self._pipeline.stages.sizes.transformer
        step = 8 * sizes.patch_size
        return Capabilities(
            size_step=step,
            smallest_side=4 * step,
            largest_side=min(sizes.axes_lens[1:]) * step,
            trained=True,
            options=OPTIONS,
            sizes=sizes.trained_sizes,
        )

    def usual_size(self) -> tuple[int, int]:
        """Width and height of a picture when nothing names them."""
        return next(iter(self.capabilities().sizes), (1024, 1024))

    def environment(self) -> Mapping[str, str]:
        """Library versions, device, memory plan, where the model came from and its revision."""
        import torch

        hosting, files = self._pipeline.hosting, self._pipeline.files
        found = {
            "python": platform.python_version(),
            **{name: _version(name) for name in _LIBRARIES},
            "machine": platform.machine(),
            "system": platform.system(),
            "device": str(hosting.device),
            "plan": hosting.plan,
            "threads": str(torch.get_num_threads()),
            "layout": files.layout,
            "revision": files.revision,
        }
        if hosting.device.type == "cuda":
            found["gpu"] = torch.cuda.get_device_name(hosting.device)
            found["cuda"] = str(torch.version.cuda)
            found["cudnn"] = str(torch.backends.cudnn.version())
        return found

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image | PictureError]:
        """One picture a job, in order; a prompt that is too long or a picture that is no picture fails alone."""
        self._watch_memory()
        texts = [text for job in jobs for text in (job.prompt, job.negative)]
        encoded = self._pipeline.stages.encode(texts, allow_cut=bool(self._options["allow_cut"]))
        for job in jobs:
            try:
                yield self._picture(job, encoded)
            except PictureError as error:
                yield error

    def picture(self, job: Job, *, on_step: OnStep | None = None) -> Image:
        """One picture, watched step by step.

        Raises:
            PictureError: it cannot be made.
        """
        allow_cut = bool(self._options["allow_cut"])
        encoded = self._pipeline.stages.encode((job.prompt, job.negative), allow_cut=allow_cut)
        return self._picture(job, encoded, on_step=on_step)

    @property
    def pipeline(self) -> NewBieImagePipeline:
        """The network itself."""
        return self._pipeline

    def _picture(
        self,
        job: Job,
        encoded: Mapping[str, Conditioning | PictureError],
        *,
        on_step: OnStep | None = None,
    ) -> Image:
        positive = _usable(encoded[job.prompt], "prompt")
        negative = _usable(encoded[job.negative], "negative prompt")
        self._remark(job, "prompt", positive)
        self._remark(job, "negative prompt", negative)
        recipe = self._recipe(job)
        problem = self.capabilities().size_problem(job.width, job.height)
        if problem:
            raise PictureError(problem, code="E_PICTURE_SIZE")
        self._pipeline.check(recipe)
        self._largest = max(self._largest, (job.width, job.height), key=prod)
        return self._pipeline.decode(
            self._pipeline.denoise(positive, negative, recipe, job.seed, on_step=on_step)
        )

    def licences(self) -> Sequence[Licence]:
        """Of the engine, of each weight file by where it comes from, and of each adapter, which nobody knows."""
        parts, sizes = self.identity().parts, self._pipeline.stages.sizes.transformer
        released = (sizes.dim, sizes.n_layers) == (RELEASED_DIM, RELEASED_LAYERS)
        return [
            engine_licence("newbie"),
            *(
                weights_licence(
                    part,
                    path.name,
                    parts[f"{part}/{path.name}"],
                    shipped=path.resolve().is_relative_to(NANO_FOLDER),
                    released=released,
                )
                for part, found in self._pipeline.files.parts.items()
                for path in found.files
            ),
            *(
                Licence(part="adapter", name=adapter.file.name, digest=adapter.digest)
                for adapter, _ in self._adapters
            ),
        ]

    def usage(self) -> Mapping[str, int]:
        """Peak memory, measured and as it was predicted for the largest picture, and texts encoded."""
        if self._memory is None:
            return {}
        width, height = self._largest
        return {
            "peak_bytes": self._memory.read(),
            "predicted_peak_bytes": self._pipeline.forecast(width, height).peak,
            "texts_encoded": self._pipeline.stages.texts.encodings_run,
        }

    def remarks(self) -> Sequence[str]:
        """That the small model made them; prompts that were cut, and what they lost; words the model does not know."""
        source = self._pipeline.files.source
        by = [f"made by {spoken_model(source)}; --model names another"] if source == str(NANO_FOLDER) else []
        return [
            *(by if self._largest[0] else ()),
            *self._remarks,
            *(self._unknown_word(word, list(ids)) for word, ids in self._unknown.items()),
        ]

    def _unknown_word(self, word: str, ids: Sequence[str]) -> str:
        near = nearest(word.replace("_", " "), self._pipeline.stages.texts.known_words())
        hint = f'; did you mean "{near.replace(" ", "_")}"?' if near else ""
        places = ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1:,} more"
        return f'the model does not know "{word}" and passed over it ({places}){hint}'

    def close(self) -> None:
        """Free the weights."""
        self._pipeline.close()

    def _remark(self, job: Job, side: str, found: Conditioning) -> None:
        tokens = found.tokens
        if not tokens.fits:
            lost = ", ".join(tokens.cut) or "white space"
            counts = f"{tokens.gemma} tokens for Gemma (limit {tokens.gemma_limit}), {tokens.jina} for Jina"
            self._remarks[f"{job.id}: its {side} was cut, {counts}; it lost {lost}"] = None
        for word in tokens.unknown if side == "prompt" else ():
            self._unknown.setdefault(word, {})[job.id] = None

    def _watch_memory(self) -> None:
        from newbie_core.model.stages import PeakMemory

        if self._memory is None:
            self._memory = PeakMemory(self._pipeline.hosting.device)

    def _recipe(self, job: Job) -> Recipe:
        from newbie_core.model.text_to_image import Recipe

        return Recipe(
            width=job.width,
            height=job.height,
            steps=job.steps,
            guidance=float(job.guidance),
            solver=self._solver,
            shift=self._shift,
            cfg_trunc=self._number("cfg_trunc"),
            renorm=self._number("renorm"),
        )

    def _open(self) -> NewBieImagePipeline:
        from newbie_core.model.adapters import read_adapter
        from newbie_core.model.sampling import SOLVERS
        from newbie_core.model.text_to_image import NewBieImagePipeline

        text = {name: str(value) for name, value in self._options.items()}
        if text["solver"] and text["solver"] not in SOLVERS:
            raise EngineChoiceError(
                f'engine "newbie" has no solver "{text["solver"]}"; known: {", ".join(SOLVERS)}',
                code="E_ENGINE_OPTION",
            )
        self._adapters: list[tuple[Adapter, float]] = [
            (read_adapter(path, alpha=alpha), strength)
            for path, strength, alpha in parse_adapters(text["adapters"])
        ]
        pipeline = NewBieImagePipeline.from_pretrained(
            default_model(text["model"]),
            revision=text["revision"] or None,
            device=text["device"] or None,
            dtype=text["dtype"],
            plan=text["plan"],
            attention=text["attention"],  # type: ignore[arg-type]  # checked there
            storage=text["storage"],  # type: ignore[arg-type]
            vae_tiling=bool(self._options["tiling"]),
            adapters=self._adapters,
            allow_pickle=bool(self._options["allow_pickle"]),
            text_cache=self._whole("text_cache_mb") * 1024**2,
            transformer=text["transformer"] or None,
            text_encoder=text["text_encoder"] or None,
            clip_model=text["clip_model"] or None,
            vae=text["vae"] or None,
        )
        self._solver: Solver = text["solver"] or pipeline.default_solver
        self._shift = self._number("shift") if text["shift"] else pipeline.default_shift
        return pipeline

    def _identify(self) -> EngineIdentity:
        from newbie_core.model.weights.digests import model_digests

        pipeline = self._pipeline
        hosting, sizes = pipeline.hosting, pipeline.stages.sizes
        parts = {
            "algorithm": ALGORITHM,
            "model": _model_name(sizes.transformer.dim, sizes.transformer.n_layers),
            "sizes": digest_value(_plain(asdict(sizes))),
            "dtype": str(hosting.dtype).removeprefix("torch."),
            "kernel": hosting.kernel.name,
            "device": hosting.device.type,
            "storage": hosting.storage,
            "tiling": "yes" if hosting.tiling else "no",
            "sampler": self._solver,
            "shift": repr(self._shift),
            "cfg_trunc": repr(self._number("cfg_trunc")),
            "renorm": repr(self._number("renorm")),
            "too long": "cut" if self._options["allow_cut"] else "refused",
            **model_digests(pipeline.files),
        }
        for index, (adapter, strength) in enumerate(self._adapters, start=1):
            parts[f"adapter {index}"] = f"{adapter.file.name} {strength!r} {adapter.digest}"
        return EngineIdentity(name="newbie", parts=parts)

    def _number(self, name: str) -> float:
        try:
            number = float(self._options[name])
        except ValueError:
            number = float("nan")
        if not number >= 0:
            raise EngineChoiceError(
                f'engine "newbie", option "{name}": "{self._options[name]}" is not a number from 0 up',
                code="E_ENGINE_OPTION",
            )
        return number

    def _whole(self, name: str) -> int:
        return int(self._number(name))


def _usable(found: Conditioning | PictureError, side: str) -> Conditioning:
    if isinstance(found, PictureError):
        raise PictureError(f"{side}: {found}", code=found.code)
    return found


def parse_adapters(text: str) -> list[tuple[str, float, float | None]]:
    """Adapters as options spell them: paths separated by commas, each with `=STRENGTH` or `=STRENGTH:ALPHA` behind it.

    Strength is 1 when it is left out; alpha is only for files that do not hold theirs.

    Raises:
        EngineChoiceError: a strength or alpha that is no number.
    """
    chosen = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        path, mark, numbers = entry.rpartition("=")
        if not mark:
            path, numbers = entry, "1"
        strength, _, alpha = numbers.partition(":")
        try:
            chosen.append((path, float(strength), float(alpha) if alpha else None))
        except ValueError:
            raise EngineChoiceError(
                f'adapter "{entry}": "{numbers}" is not a strength such as 0.8, or 0.8:16 with an alpha',
                code="E_ENGINE_OPTION",
            ) from None
    return chosen


def _model_name(dim: int, layers: int) -> str:
    """What pictures call their model: from its sizes, so that a folder's name changes nothing."""
    return (
        "NewBie-image-Exp0.1"
        if (dim, layers) == (RELEASED_DIM, RELEASED_LAYERS)
        else f"NextDiT {dim}x{layers}"
    )


def _plain(value: object) -> object:
    """Tuples as lists and floats as text, as canonical JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return repr(value) if isinstance(value, float) else value


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
