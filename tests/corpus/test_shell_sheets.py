"""Tables A, B, C and D of the bad-input corpus through the real shell, each case by its name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from newbie_core.prompts.document import escape_xml
from newbie_core.prompts.rendering import tag_text
from tests.corpus.shell import SETTINGS, Finished, Trial, has_release
from tests.sheets.corpus import CASES, SECRET, Case

# What differs from reading the sheet alone: catalog.toml allows more rows than the reader does by itself.
WORDS = {
    "A03-far-cell": ("XFD1048576", "200000 x 256", "Ctrl+End", '"rows"', "[limits]", "catalog.toml"),
    "A07-million-full-rows": ("200,000", '"rows"', "[limits]", "catalog.toml"),
}
# A row with nothing but its id is a sound row of a sheet, and no picture by itself.
REJECTED_AS_PICTURES = {"C12-short-row": ("aria",)}


@dataclass(frozen=True, kw_only=True)
class SheetTrial(Trial):
    """A case of the sheets' corpus as the workbook of a catalog folder."""

    case: Case


def sheet_trial(case: Case) -> SheetTrial:
    """`case` with the settings it asks for."""
    settings = f'merged = "{case.merged}"\n'
    if case.encoding is not None:
        settings += f'encoding = "{case.encoding}"\n'
    return SheetTrial(name=case.name, prepare=case.build, settings=settings + SETTINGS, case=case)


TRIALS = {name: sheet_trial(case) for name, case in CASES.items()}


def expected_exit(case: Case) -> int:
    """2 for an unusable file, 3 for rejected rows beside good ones, 0 else."""
    if case.outcome == "refused" or (case.outcome == "rejects" and not case.good):
        return 2
    return 3 if case.outcome == "rejects" or case.name in REJECTED_AS_PICTURES else 0


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS.keys())
def test_case_is_handled(trial: SheetTrial, finished: Finished) -> None:
    case, ran = trial.case, finished.ran
    assert ran.exit_code == expected_exit(case), ran.said
    codes = [fault["code"] for fault in ran.faults]
    for code in case.expected_codes:
        assert codes.count(code) >= case.expected_codes.count(code), ran.said
    for word in WORDS.get(case.name, case.words):
        assert any(word in f"{fault['message']}; {fault['fix']}" for fault in ran.faults), (word, ran.said)
    if case.at is not None:
        places = [(fault["row"], fault["column"]) for fault in ran.report["rejected"]]
        assert case.at in places, ran.said
    for fault in ran.report["rejected"]:
        assert fault["file"], fault
        assert fault["file"] in finished.before or f"catalog/{fault['file']}" in finished.before, fault
        assert fault["fix"], fault
        assert fault["severity"] == "file" or (fault["sheet"] and fault["row"]), fault
    assert finished.released() == {*case.good} - {*REJECTED_AS_PICTURES.get(case.name, ())}, ran.said
    for column, text in case.values.items():
        shown = text if column == "name" else tag_text(text)
        assert escape_xml(shown) in finished.prompt(case.good[-1])
    assert finished.after == finished.before
    assert SECRET not in ran.said


@pytest.mark.parametrize(
    "trial", [trial for trial in TRIALS.values() if expected_exit(trial.case) == 2], ids=lambda t: t.name
)
def test_an_unusable_file_publishes_nothing_and_says_so(trial: SheetTrial, finished: Finished) -> None:
    report = finished.ran.report
    assert not has_release(finished.folder)
    assert report["error"]["exit_code"] == 2
    assert report["error"]["code"] in trial.case.expected_codes
    for fault in report["rejected"]:
        assert fault["message"] in report["error"]["message"]
    assert report["error"]["message"] in finished.ran.told
