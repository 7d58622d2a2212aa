"""What can be said to `newbie export`."""

from __future__ import annotations

import argparse
from pathlib import Path

KINDS = ("folder", "zip", "renpy", "sillytavern", "datapackage")

_EXAMPLES = """\
examples:
  newbie export cast.xlsx --to cast.zip --profile public
  newbie export cast.xlsx@r000012 --to out --pattern "{character}/{expression}.png" --only 'aria/*'
  newbie export catalogs/brand --to shop --channel avatar --channel merch --commercial
  newbie export cast.xlsx --to game --as renpy
  newbie export cast.xlsx --to press --channel avatar --sign studio.pem --key studio.key
"""


def add_export(export: argparse.ArgumentParser) -> None:
    """The options of `newbie export`."""
    export.formatter_class = argparse.RawDescriptionHelpFormatter
    export.epilog = _EXAMPLES
    for action in export._actions:
        if action.dest == "catalog":
            action.help = (
                "a folder, an .xlsx or a .csv file, or a set's name; @VERSION behind it names a version"
            )
    export.add_argument(
        "--to", type=Path, required=True, metavar="PLACE", help="a new folder, or a new .zip file"
    )
    export.add_argument(
        "--as", dest="kind", choices=KINDS, help="what to make (default: a zip file for .zip, else a folder)"
    )
    export.add_argument("--release", metavar="NAME", help="a version (default: the one that counts)")
    export.add_argument(
        "--profile", choices=("private", "public"), default="private", help="public leaves prompts out"
    )
    export.add_argument("--only", action="append", default=[], metavar="GLOB", help="picture ids to copy")
    export.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="NAME",
        help="a form of the pictures: avatar, poster, merch, or one of catalog.toml; may be repeated",
    )
    export.add_argument(
        "--commercial", action="store_true", help="refuse pictures that are not cleared for commercial use"
    )
    export.add_argument(
        "--pattern", metavar="TEXT", help='names of the files, such as "{character}/{expression}.png"'
    )
    export.add_argument(
        "--sign",
        type=Path,
        metavar="CERT",
        help="sign the pictures (C2PA Content Credentials) with this certificate chain, a PEM file; needs --key",
    )
    export.add_argument("--key", type=Path, metavar="KEY", help="the certificate's private key, a PEM file")
    export.add_argument(
        "--timestamp", metavar="URL", help="the time stamp authority (RFC 3161) that each signature asks"
    )
