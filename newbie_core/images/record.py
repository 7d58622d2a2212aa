"""The record a picture carries inside: how it was made, for people, for other tools and for us.

A private file carries three texts, a public one the last two with less in them::

    parameters           AUTOMATIC1111 infotext, so that other tools can show and reuse the prompt
    newbie_assets        our record: canonical JSON with the exact XML prompt
    XML:com.adobe.xmp    IPTC's DigitalSourceType: made by a trained model

A public file names the software, the content key and the source type: no prompt, no negative, no
seed, no model.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

import orjson

from newbie_core.digests import canonical_json
from newbie_core.images.chunks import XMP_KEYWORD, is_png, read_text
from newbie_core.images.errors import ImageError
from newbie_core.images.infotext import infotext

Profile = Literal["private", "public"]

RECORD_KEYWORD = "newbie_assets"
INFOTEXT_KEYWORD = "parameters"
"""webui's. Never "prompt": readers take that one for a ComfyUI graph."""

RECORD_FORMAT = 1

TRAINED, DRAWN = "trainedAlgorithmicMedia", "algorithmicMedia"
"""IPTC NewsCodes, digital source types: made by a trained model; by an algorithm without training data."""
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@functools.cache
def software() -> str:
    """ "newbie-assets 0.1.0", by the installed version; "newbie-assets" where it runs uninstalled."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"newbie-assets {version('newbie-assets')}"
    except PackageNotFoundError:
        return "newbie-assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRecord:
    """How one picture was made, as far as its file tells.

    Attributes:
        prompt: the exact XML.
        flat: the prompt as other tools show it, without XML.
        guidance: the scale as short text, "4.5".
        engine: the engine's name; `fingerprint` is the digest of all that identifies it.
        model: a name, never a path.
        key: the content key of the picture's job.
        source_type: IPTC's word for how such pictures come about: `TRAINED` or `DRAWN`.
    """

    prompt: str
    flat: str
    negative: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: str
    sampler: str
    engine: str
    fingerprint: str
    model: str
    key: str
    source_type: str = TRAINED
    software: str = field(default_factory=software)


def embed(record: PictureRecord, *, profile: Profile) -> dict[str, str]:
    """The texts to write into a picture's file, by keyword, in their order."""
    if profile == "public":
        return {
            RECORD_KEYWORD: _json({"format": RECORD_FORMAT, "key": record.key, "software": record.software}),
            XMP_KEYWORD: _xmp(record.software, record.source_type),
        }
    values = {item.name: getattr(record, item.name) for item in fields(record)}
    return {
        INFOTEXT_KEYWORD: infotext(record.flat, record.negative, _parameters(record)),
        RECORD_KEYWORD: _json({"format": RECORD_FORMAT, **values}),
        XMP_KEYWORD: _xmp(record.software, record.source_type),
    }


def read_record(data: bytes) -> dict[str, Any] | None:
    """Our JSON record in an image file's bytes; None where there is none.

    Raises `ImageError` for a damaged PNG and for a record that is not ours to read.
    """
    text = read_text(data).get(RECORD_KEYWORD) if is_png(data) else None
    if text is None:
        return None
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ImageError(f'the PNG text "{RECORD_KEYWORD}" is not JSON: {error}') from error
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        raise ImageError(f'the PNG text "{RECORD_KEYWORD}" is not a record of format {RECORD_FORMAT}')
    return record


def public_texts(data: bytes) -> dict[str, str]:
    """The public texts of one of our files: software, content key and source type, nothing else.

    Raises `ImageError` where the file carries no record of ours.
    """
    record = read_record(data)
    if record is None:
        raise ImageError("the picture carries no record of this production line, so nothing says what may go")
    return {
        RECORD_KEYWORD: _json(
            {"format": RECORD_FORMAT, "key": record["key"], "software": record["software"]}
        ),
        XMP_KEYWORD: _xmp(record["software"], record.get("source_type", TRAINED)),
    }


def _parameters(record: PictureRecord) -> Mapping[str, str]:
    """The infotext's last line in webui's order, our own keys at its end.

    RNG is said because readers take a missing one for GPU noise.
    """
    return MappingProxyType(
        {
            "Steps": str(record.steps),
            "Sampler": record.sampler,
            "CFG scale": record.guidance,
            "Seed": str(record.seed),
            "Size": f"{record.width}x{record.height}",
            "Model": record.model,
            "RNG": "CPU",
            "Version": record.software,
            "Backend": record.engine,
            "Fingerprint": record.fingerprint,
            "Content key": record.key,
        }
    )


def _json(value: dict[str, Any]) -> str:
    return canonical_json(value).decode("utf-8")


def _xmp(creator_tool: str, source_type: str) -> str:
    """The smallest XMP packet that declares a picture as a model's work."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmp:CreatorTool="{_attribute(creator_tool)}"'
        f' Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPES}{_attribute(source_type)}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def _attribute(text: str) -> str:
    """`text` inside an XML attribute's double quotes; xml.sax would take 30 ms to import."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
