"""Run a flow from a terminal: the result on stdout, the true exit code."""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from newbie_core.errors import NewbieError


def run_here(flow: Flow[Any, Any]) -> int:
    """Run `flow` in this process with `--catalog`, `--store`, `--engine` … from the command line; the exit code.

    Heartbeats are for workers: a run at a terminal is watched by its person, and each costs a second.
    """
    given = _arguments(flow)
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            result = flow(**given)
    except NewbieError as error:
        print(f"{flow.name}: {error}")
        return error.exit_code
    reports = result if isinstance(result, list) else [result]
    for report in reports:
        _tell(report)
    return max((report["exit_code"] for report in reports), default=0)


def _arguments(flow: Flow[Any, Any]) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{flow.name.replace('-', '_')}", description=flow.description
    )
    for name, parameter in inspect.signature(flow.fn).parameters.items():
        flag = "--" + name.replace("_", "-")
        default = os.environ.get("NEWBIE_STORE", parameter.default) if name == "store" else parameter.default
        if parameter.default is False:
            parser.add_argument(flag, action="store_true")
        elif name == "only":
            parser.add_argument(flag, action="append")
        else:
            parser.add_argument(flag, default=default, type=int if name == "limit" else str)
    return vars(parser.parse_args())


def _tell(report: Mapping[str, Any]) -> None:
    news = "published" if report["new"] else "nothing new;"
    counts = f"{report['generated']} generated, {report['reused']} reused, {report['removed']} removed"
    print(f"{report['catalog']}: {news} {report['release']} ({counts}; {report['seconds']:.1f} s)")
    for fault in report["rejected"]:
        print(f"  rejected: {fault['file']} row {fault['row']}: {fault['message']}")
    if report["view"]:
        view = Path(report["view"])
        print(f"  pictures      {view / 'pictures'}")
        print(f"  contact sheet {view / 'contact-sheet.png'}")
