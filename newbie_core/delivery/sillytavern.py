"""For SillyTavern: a folder a character, with a picture a label.

::

    aria/joy.png          aria/joy-1.png, where two expressions have one label
    aria/winter/joy.png   further rows, such as outfits, are folders below

The folders go to `data/<user>/characters/`. Labels are GoEmotions' 28; `[sillytavern]` in catalog.toml says
which expression of the sheet has which, before the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from newbie_core.catalogs import LABELS
from newbie_core.delivery.fields import Described, id_parts
from newbie_core.delivery.layouts import Commission, File, Layout, Written, check, listing, only_channel
from newbie_core.delivery.names import ENDINGS
from newbie_core.errors import DeliveryError

_USUAL = {
    "joy": "happy smile smiling cheerful 开心 高兴 喜 喜悦 笑顔 笑",
    "amusement": "laugh laughing amused grin 大笑 爆笑",
    "anger": "angry mad furious 生气 愤怒 怒 怒り",
    "annoyance": "annoyed irritated pout pouting 不满 不機嫌",
    "sadness": "sad frown unhappy 悲伤 难过 哀 悲しみ",
    "grief": "crying cry tears 哭 哭泣 泣き",
    "surprise": "surprised shocked 惊讶 吃惊 驚き",
    "embarrassment": "embarrassed shy blush blushing 害羞 照れ",
    "fear": "scared afraid frightened 害怕 恐怖 怯え",
    "nervousness": "nervous anxious worried 紧张 緊張",
    "love": "in_love loving heart_eyes 爱 恋",
    "confusion": "confused puzzled 困惑",
    "curiosity": "curious thinking 好奇",
    "pride": "proud smug confident 得意 ドヤ顔",
    "disgust": "disgusted 厌恶 嫌悪",
    "disappointment": "disappointed 失望",
    "excitement": "excited 兴奋 興奮",
    "gratitude": "grateful thankful 感谢 感謝",
    "relief": "relieved 安心",
    "remorse": "guilty sorry 后悔 後悔",
    "admiration": "admiring sparkling_eyes 崇拜",
    "neutral": "normal calm default plain serious expressionless 普通 平静 无表情 無表情",
}
USUAL_LABELS: Mapping[str, str] = {
    **{name: label for label, names in _USUAL.items() for name in names.split()},
    **{label: label for label in LABELS},
}
"""Expressions as sheets name them → the label."""


def label_of(expression: str, own: Mapping[str, str]) -> str:
    """The label of an expression: as catalog.toml says, else the usual one; empty for none."""
    if expression in own:
        return own[expression]
    return USUAL_LABELS.get(expression.strip().lower().replace(" ", "_").replace("-", "_"), "")


def sillytavern_layout(work: Commission) -> Layout:
    """Pictures by character and label; labels nobody has, and expressions without a label, are told.

    Raises:
        DeliveryError: nothing has an expression with a label, names that cannot be given, or a pattern or
            several channels.
    """
    channel = only_channel(work, "sillytavern")
    ending = ENDINGS[channel.format if channel else "png"][0]
    names, kept = [], []
    used: dict[str, int] = {}
    for picture in work.pictures:
        label = label_of(picture.rows.get("expressions") or picture.fields.get("expression", ""), work.labels)
        if not label:
            continue
        base = "/".join([*_folders(picture), label])
        count = used[base] = used.get(base, -1) + 1
        names.append(f"{base}-{count}{ending}" if count else base + ending)
        kept.append(picture)
    if not kept:
        raise DeliveryError(
            f"{work.release.content.set} {work.release.ref.name}: no picture has an expression with a label; "
            'name them under [sillytavern] in catalog.toml, such as smug = "pride"',
            code="E_EXPORT_LABELS",
        )
    check(work, names, kept)
    files = [
        File(name=name, picture=picture, channel=channel) for name, picture in zip(names, kept, strict=True)
    ]

    def pages(written: Sequence[Written]) -> Iterator[tuple[str, bytes]]:
        yield "release.json", listing(work, written)

    missing, left = _missing(used), _left_out(work, kept)
    return Layout(
        files=files,
        pages=pages,
        details={"missing": missing, "left_out": left},
        notes=_notes(missing, left),
    )


def _folders(picture: Described) -> list[str]:
    """The character's folder, and one for each further row that is no expression."""
    rows = dict(picture.rows)
    rows.pop("expressions", None)
    first = rows.pop("characters", None) or picture.fields.get("character")
    folders = [*([first] if first else []), *rows.values()]
    return folders or [id_parts(picture.entry.id)[0]]


def _missing(used: Mapping[str, int]) -> dict[str, list[str]]:
    """Labels without a picture, by folder."""
    found: dict[str, set[str]] = {}
    for base in used:
        folder, _, label = base.rpartition("/")
        found.setdefault(folder, set()).add(label)
    return {folder: [label for label in LABELS if label not in have] for folder, have in found.items()}


def _left_out(work: Commission, kept: Sequence[Described]) -> list[str]:
    ids = {picture.entry.id for picture in kept}
    return [picture.entry.id for picture in work.pictures if picture.entry.id not in ids]


def _notes(missing: Mapping[str, Sequence[str]], left: Sequence[str]) -> list[str]:
    notes = [f"{folder}: no picture for {', '.join(labels)}" for folder, labels in missing.items() if labels]
    if left:
        shown = ", ".join(left[:5]) + (f" … ({len(left)} pictures)" if len(left) > 5 else "")
        notes.append(f"left out, for their expressions have no label in [sillytavern]: {shown}")
    return notes
