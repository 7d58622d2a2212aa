"""Publish, verify, compare and roll back versions of a set."""

from newbie_core.releases.collect import Collection, collect
from newbie_core.releases.compare import Difference, compare, compare_contents
from newbie_core.releases.frame import to_frame
from newbie_core.releases.licences import read_attestation, read_rights
from newbie_core.releases.manifest import Content, Entry, Manifest
from newbie_core.releases.proposals import PROPOSAL, Proposal, propose, read_proposal, withdraw
from newbie_core.releases.publish import Place, build_content, changes_page, encode_tables, explain, publish
from newbie_core.releases.shelf import Latest, Release, ReleaseRef, Shelf, sets
from newbie_core.releases.verify import Damage, Verification, repair, verify
from newbie_core.releases.views import (
    CANDIDATES,
    build_view,
    mend_views,
    picture_path,
    picture_paths,
    rebuild_view,
    rejects_csv,
    sweep_views,
    view_folder,
)

__all__ = [
    "CANDIDATES",
    "PROPOSAL",
    "Collection",
    "Content",
    "Damage",
    "Difference",
    "Entry",
    "Latest",
    "Manifest",
    "Place",
    "Proposal",
    "Release",
    "ReleaseRef",
    "Shelf",
    "Verification",
    "build_content",
    "build_view",
    "changes_page",
    "collect",
    "compare",
    "compare_contents",
    "encode_tables",
    "explain",
    "mend_views",
    "picture_path",
    "picture_paths",
    "propose",
    "publish",
    "read_attestation",
    "read_proposal",
    "read_rights",
    "rebuild_view",
    "rejects_csv",
    "repair",
    "sets",
    "sweep_views",
    "to_frame",
    "verify",
    "view_folder",
    "withdraw",
]
