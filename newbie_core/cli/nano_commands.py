"""`newbie nano`: train the small model anew or on pictures of one's own, and measure it."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie_core.cli.output import print_json, result, say
from newbie_core.errors import TrainingError

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

_KINDS = ("one", "two", "two_ordered", "two_shuffled", "three", "short", "held_out")


def add_nano(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `nano` with its verbs."""
    text = "train and measure the small model that comes with this package"
    verbs = commands.add_parser(
        "nano", help=text, description=text[0].upper() + text[1:] + "."
    ).add_subparsers(dest="verb", required=True, metavar="VERB")
    train = verbs.add_parser("train", help="from nothing to weights; run again to go on after a stop")
    train.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on with"
    )
    train.add_argument(
        "--data", type=Path, metavar="FOLDER", help="pictures with .txt captions (default: drawings)"
    )
    train.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda (default: cpu)")
    train.add_argument("--minutes", type=float, metavar="N", help="stop after so long; run again to go on")
    train.add_argument(
        "--plan",
        choices=("full", "long", "tiny"),
        default="full",
        help="long: two thirds more steps; tiny: a minute, to see that it runs (default: full)",
    )
    train.add_argument(
        "--steps", type=int, metavar="N", help="steps of the transformer, instead of the plan's"
    )
    train.add_argument("--seed", type=int, default=1, metavar="N", help="decides everything (default: 1)")
    evaluate = verbs.add_parser("evaluate", help="count how often pictures show what the prompt says")
    evaluate.add_argument(
        "model",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="a model's or a training's folder (default: the package's)",
    )
    evaluate.add_argument(
        "--tagger", type=Path, metavar="FILE", help="the judge (default: DIR/tagger.pt, else ours)"
    )
    evaluate.add_argument(
        "--count", type=int, default=400, metavar="N", help="pictures of each kind (default: 400)"
    )
    evaluate.add_argument(
        "--kinds", default=",".join(_KINDS), metavar="LIST", help="of: " + ", ".join(_KINDS)
    )
    evaluate.add_argument("--seed", type=int, default=1, metavar="N", help="other prompts (default: 1)")
    evaluate.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    evaluate.add_argument(
        "--out",
        type=Path,
        default=Path("evaluation"),
        metavar="DIR",
        help="where the page with the table and pictures goes (default: evaluation)",
    )
    for verb in (train, evaluate):
        verb.add_argument("--json", action="store_true", help="print one JSON object")


def nano(given: argparse.Namespace, stop: StopSignals) -> int:
    """Carry out `train` or `evaluate`."""
    return _train(given, stop) if given.verb == "train" else _evaluate(given)


def _train(given: argparse.Namespace, stop: StopSignals) -> int:
    from newbie_core.nano.training import PLANS, Task, train

    plan = PLANS[given.plan]
    if given.steps is not None:
        if given.steps < 1:
            raise TrainingError(f"--steps {given.steps}: at least 1 is needed")
        plan = replace(plan, steps=given.steps)
    _check_device(given.device)
    task = Task(out=given.out, plan=plan, seed=given.seed, device=given.device, data=given.data)
    with stop.after_picture():
        finished = train(task, say, stop=stop.event.is_set, minutes=given.minutes)
    model = given.out / "model"
    if given.json:
        print_json({"finished": finished, "model": str(model) if finished else None})
    elif finished:
        result(
            f"{model}: `newbie run CATALOG --model {model}` uses it, `newbie nano evaluate {model}` measures it"
        )
    return stop.exit_code if stop.event.is_set() and not finished else 0


def _check_device(name: str) -> None:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f'--device "{name}" is not a device; write cpu or cuda') from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError(f'--device "{name}": torch finds no such device here; write cpu')


def _evaluate(given: argparse.Namespace) -> int:
    from newbie_core.engines.newbie import NANO_FOLDER
    from newbie_core.nano.evaluation import drawn_standards, evaluate, table, validate_judge
    from newbie_core.nano.evaluation_page import prepare_page, write_page

    counts = _counts(given)
    folder = _model_folder(given.model or NANO_FOLDER)
    tagger = given.tagger or next(
        (file for file in (folder / "tagger.pt", NANO_FOLDER / "tagger.pt") if file.is_file()), None
    )
    if tagger is None:
        raise TrainingError(f"{folder}: no tagger.pt to judge with; name one with --tagger")
    pictures = prepare_page(given.out)
    say("checking the judge on drawings")
    workers, drawings = given.workers or os.cpu_count() or 1, max(20, given.count)
    judge = validate_judge(tagger, drawings, seed=given.seed, workers=workers, report=say)
    standards = drawn_standards(tagger, list(counts), drawings, seed=given.seed, workers=workers, report=say)
    results, verdicts = evaluate(
        folder,
        tagger,
        counts=counts,
        seed=given.seed,
        workers=workers,
        report=say,
        keep=pictures,
        standards=standards,
    )
    write_page(given.out, results, verdicts, judge)
    say(f"{given.out / 'index.html'}: the table with pictures")
    if given.json:
        print_json(_record(judge, results))
    else:
        result("judge on drawings: " + ", ".join(f"{name} {rate}" for name, rate in judge.items()))
        result(table(results))
    return 0


def _model_folder(folder: Path) -> Path:
    """The model of a finished training, or the folder itself."""
    if not (folder / "run.json").is_file():
        return folder
    if not (folder / "model" / "model_index.json").is_file():
        raise TrainingError(
            f"{folder}: this training is not finished; `newbie nano train --out {folder}` goes on with it"
        )
    return folder / "model"


def _counts(given: argparse.Namespace) -> dict[Any, int]:
    kinds = [name.strip() for name in given.kinds.split(",") if name.strip()]
    for name in kinds:
        if name not in _KINDS:
            raise TrainingError(f'--kinds: there is no "{name}"; known: {", ".join(_KINDS)}')
    if given.count < 1:
        raise TrainingError(f"--count {given.count}: at least 1 is needed")
    return dict.fromkeys(kinds, given.count)


def _record(judge: Any, results: Any) -> dict[str, Any]:
    def rates(table: Any) -> dict[str, Any]:
        return {
            name: {"right": rate.right, "of": rate.of, "share": rate.share, "interval": list(rate.interval)}
            for name, rate in table.items()
        }

    return {"judge": rates(judge), "results": {each.kind: rates(each.rates) for each in results}}
