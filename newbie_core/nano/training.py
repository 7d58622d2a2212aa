"""From nothing to a checkpoint: draw, fit latents, train transformer, autoencoder and tagger, export.

Two processes share the work: this one trains the transformer, a second one the autoencoder and then the tagger. In the
end the decoder learns from latents that the transformer made.
Everything is a function of the plan and the seed; a stopped run goes on where its checkpoints are::

    OUT/run.json             the plan and the seed, fixed by the first start
    OUT/train.log            what was done when
    OUT/latents.safetensors  OUT/scenes/  OUT/transformer/  OUT/autoencoder/  OUT/tagger/  OUT/polish/
    OUT/model/               the model, as `newbie run --model OUT/model` takes it
    OUT/model/tagger.pt      the tagger; not where pictures of one's own are learnt
"""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie_core.errors import TrainingError
from newbie_core.nano.scenes import SIZES

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from newbie_core.nano.autoencoder_training import AutoencoderTraining
    from newbie_core.nano.dataset import Sample
    from newbie_core.nano.polishing import Polishing
    from newbie_core.nano.scenes import Scene
    from newbie_core.nano.tokenizer import Vocabulary
    from newbie_core.nano.transformer_training import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is drawn and learnt.

    Attributes:
        scenes: drawings for the transformer.
        steps: of the transformer.
        pictures: drawings kept as pixels, for the tagger; the autoencoder has the first `autoencoder_pictures`.
        decoder_steps, encoder_steps, tagger_steps: of the others.
        polish_scenes, polish_steps: of the decoder's last lesson; none where pictures of one's own are learnt.
    """

    scenes: int = 10_000
    steps: int = 9_000
    pictures: int = 4_000
    autoencoder_pictures: int = 3_000
    decoder_steps: int = 3_500
    encoder_steps: int = 500
    tagger_steps: int = 2_000
    polish_scenes: int = 2_000
    polish_steps: int = 5_500
    batch: int = 16


PLANS = {
    "full": Plan(),
    "long": Plan(
        scenes=12_000,
        steps=15_000,
        pictures=6_000,
        tagger_steps=3_000,
        polish_scenes=1_200,
        polish_steps=2_000,
    ),
    "tiny": Plan(
        scenes=24,
        steps=4,
        pictures=16,
        autoencoder_pictures=16,
        decoder_steps=6,
        encoder_steps=2,
        tagger_steps=3,
        polish_scenes=2,
        polish_steps=2,
        batch=4,
    ),
}
"""Two hours and a half of two cores that multiply bf16, what takes longer, and a run of a minute that shows the way."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A training run as it was first asked for."""

    out: Path
    plan: Plan
    seed: int
    device: str = "cpu"
    data: Path | None = None
    threads: int = 1


def train(task: Task, report: Report, *, stop: Callable[[], bool], minutes: float | None = None) -> bool:
    """Do what is left of a run; whether it is finished.

    Args:
        stop: asked after every step; training then keeps a checkpoint and ends.
        minutes: end likewise after so long.

    Raises:
        TrainingError: `out` holds another run, or `data` has no usable pictures.
    """
    _settle(task)
    say = _logged(task.out / "train.log", report)
    began = time.monotonic()
    ending = get_context("spawn").Event()  # for the second process
    asked_to_end = False

    def should_end() -> bool:
        nonlocal asked_to_end
        late = minutes is not None and time.monotonic() - began > minutes * 60
        asked_to_end = asked_to_end or stop() or late
        if asked_to_end:
            ending.set()
        return asked_to_end

    prepared = _prepare(task, say, should_end)
    if prepared is None:
        say(_STOPPED.format((time.monotonic() - began) / 60))
        return False
    words, samples = prepared
    side = get_context("spawn").Process(target=_side, args=(task, ending), daemon=True)
    if not should_end():  # it takes seconds to start
        side.start()
    try:
        finished = _train_transformer(
            task, words, samples, say, should_end, alone=lambda: not side.is_alive()
        )
        while side.is_alive():
            side.join(0.5)
            should_end()
        stopped = should_end()
    finally:
        ending.set()
        if side.pid is not None:
            side.join(30)
    if side.exitcode:
        raise TrainingError(
            f"the second process ended with code {side.exitcode}; see {task.out / 'train.log'}, then run again"
        )
    if finished and not stopped and task.data is None:
        finished = _polish(task, words, say, should_end)
        stopped = should_end()
    if not finished or stopped:
        say(_STOPPED.format((time.monotonic() - began) / 60))
        return False
    say("everything is trained; writing the model")
    export(task)
    say(f"finished: {task.out / 'model'}")
    return True


_STOPPED = "stopped after {:.1f} minutes; the same command goes on from here"


def export(task: Task) -> None:
    """Write OUT/model from finished checkpoints, with the plan, the seed and the log of the training."""
    import torch

    from newbie_core.nano.export import export_model
    from newbie_core.nano.judging import tag_list
    from newbie_core.nano.tagger_training import TaggerTraining
    from newbie_core.nano.transformer_training import TransformerTraining
    from newbie_core.taggers.deepdanbooru import save_tagger

    words = _words(task)
    transformer = TransformerTraining(
        task.out / "transformer", words, _schedule(task), seed=task.seed, compiled=False
    )
    transformer.average.copy_to(transformer.network)
    autoencoder = _autoencoder(task).finished() if task.data else _polishing(task).finished()
    folder = task.out / "model"
    export_model(folder, transformer.network, autoencoder, words, sizes=SIZES)
    if task.data is None:
        tagger = TaggerTraining(task.out / "tagger", seed=task.seed, steps=task.plan.tagger_steps)
        save_tagger(folder / "tagger.pt", tagger.finished(), tag_list(), dtype=torch.float16)
    for name, kept in (("run.json", "training.json"), ("train.log", "training.log")):
        shutil.copyfile(task.out / name, folder / kept)


def _autoencoder(task: Task, *, device: str = "cpu") -> AutoencoderTraining:
    """The autoencoder's training as it stands."""
    from newbie_core.nano.autoencoder_training import AutoencoderTraining
    from newbie_core.nano.latents import LatentBasis

    return AutoencoderTraining(
        task.out / "autoencoder",
        LatentBasis.load(task.out / "latents.safetensors"),
        seed=task.seed,
        decoder_steps=task.plan.decoder_steps,
        encoder_steps=task.plan.encoder_steps,
        device=device,
    )


def _polishing(task: Task, *, device: str = "cpu") -> Polishing:
    """The decoder's last lesson as it stands."""
    from newbie_core.nano.polishing import Polishing

    module = _autoencoder(task).finished()
    return Polishing(task.out / "polish", module, seed=task.seed, steps=task.plan.polish_steps, device=device)


def _polish(task: Task, words: Vocabulary, say: Report, stop: Callable[[], bool]) -> bool:
    """Let the decoder learn from latents that the transformer makes; whether it is done."""
    import torch

    from newbie_core.nano.batches import Writer
    from newbie_core.nano.latents import LatentBasis
    from newbie_core.nano.polishing import load_lessons, make_lessons
    from newbie_core.nano.transformer_training import TransformerTraining

    torch.set_num_threads(cores_at_hand())
    polishing = _polishing(task, device=task.device)
    if polishing.step >= polishing.steps:
        return True
    trained = TransformerTraining(
        task.out / "transformer",
        words,
        _schedule(task),
        seed=task.seed,
        device=task.device,
        compiled=False,
    )
    trained.average.copy_to(trained.network)
    lessons = task.out / "polish"
    made = make_lessons(
        lessons,
        trained.network,
        Writer(words),
        LatentBasis.load(task.out / "latents.safetensors"),
        seed=task.seed,
        scenes=task.plan.polish_scenes,
        report=say,
        stop=stop,
    )
    if made:
        polishing.run(load_lessons(lessons), say, stop=stop)
    return polishing.step >= polishing.steps


def _settle(task: Task) -> None:
    """Keep what is asked for, or refuse to mix it with what was asked for before."""
    task.out.mkdir(parents=True, exist_ok=True)
    file = task.out / "run.json"
    data = None if task.data is None else str(task.data.resolve())
    wanted = {"plan": asdict(task.plan), "seed": task.seed, "data": data}
    if file.exists():
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise TrainingError(f"{file}: not JSON: {error}; take another --out folder") from error
        if known != wanted:
            raise TrainingError(
                f"{task.out}: holds another run ({_differences(known, wanted)}); give the arguments, and the release, "
                "it began with to go on with it, or another --out folder"
            )
    elif any(task.out.iterdir()):
        raise TrainingError(f"{task.out}: is not empty and holds no training run; give another --out folder")
    else:
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        partial.replace(file)


def _differences(known: object, wanted: dict[str, Any]) -> str:
    """Every setting of two runs that is not the same."""
    if not isinstance(known, dict) or not isinstance(known.get("plan"), dict):
        return "unreadable"
    there, here = ({**run, **run["plan"], "data": run.get("data") or "drawn"} for run in (known, wanted))
    names = [name for name in {**here, **there} if name != "plan" and there.get(name) != here.get(name)]
    return ", ".join(
        f"{name} {there.get(name, 'unknown')} instead of {here.get(name, 'none')}" for name in names
    )


def _prepare(task: Task, say: Report, stop: Callable[[], bool]) -> tuple[Vocabulary, list[Sample]] | None:
    """The vocabulary, and every sample for the transformer; None where it was stopped before all were there."""
    from newbie_core.nano.dataset import SHARD, draw_shards, drawn_basis, load_shard

    basis_file = task.out / "latents.safetensors"
    if task.data is not None:
        from newbie_core.nano.folder import folder_basis, folder_samples, read_folder

        content = read_folder(task.data)
        for fault in content.faults:
            say(f"skipped: {fault}")
        say(f"{task.data}: {len(content.pictures):,} pictures, {len(content.faults):,} skipped")
        basis = folder_basis(content)
        basis.save(basis_file)
        return _words(task), folder_samples(content, basis, say)
    drawn_basis(basis_file, seed=task.seed, scenes=task.plan.scenes)
    shards = -(-task.plan.scenes // SHARD)
    drawn = draw_shards(
        task.out / "scenes",
        basis_file,
        seed=task.seed,
        scenes=task.plan.scenes,
        workers=os.cpu_count() or 1,
        report=say,
        stop=stop,
    )
    if not drawn:
        return None
    samples = [sample for number in range(shards) for sample in load_shard(task.out / "scenes", number)]
    return _words(task), samples[: task.plan.scenes]


def _words(task: Task) -> Vocabulary:
    from newbie_core.nano.tokenizer import vocabulary

    if task.data is None:
        return vocabulary()
    from newbie_core.nano.folder import caption_words, read_folder

    return vocabulary(caption_words(read_folder(task.data)))


def _schedule(task: Task) -> Schedule:
    from newbie_core.nano.transformer_training import Schedule

    return Schedule(steps=task.plan.steps, batch=task.plan.batch)


def _train_transformer(
    task: Task,
    words: Vocabulary,
    samples: Sequence[Sample],
    say: Report,
    stop: Callable[[], bool],
    *,
    alone: Callable[[], bool],
) -> bool:
    """Train to the end or until `stop`; whether it is the end. Once `alone`, it goes on with the other core too."""
    import torch

    from newbie_core.nano.transformer_training import TransformerTraining

    long = task.plan.steps > 200
    while True:
        wide = alone()
        torch.set_num_threads(cores_at_hand() if wide else task.threads)
        torch._dynamo.reset()  # programs are compiled for so many threads
        run = TransformerTraining(
            task.out / "transformer",
            words,
            _schedule(task),
            seed=task.seed,
            device=task.device,
            compiled=long,
        )
        run.run(samples, say, stop=stop if wide or not long else lambda: stop() or alone())
        if stop() or run.step >= run.schedule.steps:
            return run.step >= run.schedule.steps
        say("the other parts are trained; the transformer goes on with all cores")


def cores_at_hand() -> int:
    """Processor cores that this process may use, at most four: more do not pay for so small a network."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, usable))


def _side(task: Task, ending: Event) -> None:
    """The second process: autoencoder, then tagger."""
    import torch

    from newbie_core.nano.progress import left_to_the_parent

    torch.set_num_threads(task.threads)
    say = _logged(task.out / "train.log", print)
    left_to_the_parent()
    _end_with_parent(ending)
    drawn = _pixels(task, ending.is_set)
    if drawn is None:
        return
    scenes, pictures = drawn
    autoencoder = _autoencoder(task, device=task.device)
    shown = [_bytes(picture) for picture in pictures[: task.plan.autoencoder_pictures]]
    autoencoder.run(shown, say, stop=ending.is_set)
    if task.data is None and not ending.is_set():
        from newbie_core.nano.tagger_training import TaggerTraining

        tagger = TaggerTraining(
            task.out / "tagger", seed=task.seed, steps=task.plan.tagger_steps, device=task.device
        )
        tagger.run(list(zip(scenes, pictures, strict=True)), say, stop=ending.is_set)


def _end_with_parent(ending: Event) -> None:
    """Let this process stop when the one that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        ending.set()

    threading.Thread(target=watch, daemon=True).start()


def _pixels(task: Task, stop: Callable[[], bool]) -> tuple[list[Scene], list[Image]] | None:
    """Scenes and their drawings, or none and the user's pictures; None where it was stopped meanwhile."""
    import numpy as np
    import torch
    from PIL.Image import fromarray
    from safetensors.torch import load_file, save_file

    from newbie_core.nano.scenes import draw_scene, touched_scene

    if task.data is not None:
        from newbie_core.nano.folder import open_pictures, read_folder

        return [], list(open_pictures(read_folder(task.data), limit=task.plan.pictures))
    dice = (random.Random(f"{task.seed}:judge:{number}") for number in range(task.plan.pictures))
    scenes = [touched_scene(each) for each in dice]
    kept = task.out / "pictures.safetensors"
    if kept.exists():
        stored = load_file(kept)
        return scenes, [fromarray(stored[str(number)].numpy()) for number in range(len(scenes))]
    pictures: list[Image] = []
    for scene in scenes:
        if stop():
            return None
        pictures.append(draw_scene(scene))
    partial = kept.with_suffix(".part")
    save_file(
        {str(number): torch.from_numpy(np.array(each)) for number, each in enumerate(pictures)}, partial
    )
    partial.replace(kept)
    return scenes, pictures


def _bytes(picture: Image) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _logged(file: Path, report: Report) -> Report:
    """Reports that are also kept, with the time."""

    def say(text: str) -> None:
        with file.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        report(text)

    return say
