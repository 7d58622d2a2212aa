"""A release as a data frame."""

from newbie_core.releases import ReleaseRef, to_frame
from newbie_core.releases.manifest import Manifest
from newbie_core.releases.shelf import Release
from tests.releases.building import make_content, make_entry


def make_release(*ids: str) -> Release:
    content = make_content(*(make_entry(id) for id in ids))
    manifest = Manifest(
        set="cast",
        content="c",
        objects="o",
        explanation="e",
        attestation="a",
        tables={},
        pages={},
        parent=None,
    )
    return Release(
        ref=ReleaseRef(set="cast", name="r000001", manifest="m", digest="c"),
        manifest=manifest,
        content=content,
    )


def test_a_frame_has_one_row_a_picture_with_its_file():
    frame = to_frame(make_release("007", "NA"))
    assert list(frame.index) == ["007", "NA"]
    assert frame.loc["007", "file"] == "pictures/007.png"
    assert set(frame.columns) >= {"key", "pixels", "seed", "width", "height", "steps", "guidance", "held"}


def test_an_empty_release_gives_an_empty_frame():
    assert to_frame(make_release()).empty
