"""What a column may be called: the core columns and their names in four languages.

A header is compared by `header_key`: trimmed, NFKC, without case or invisible characters, with
spaces, hyphens and dots as underscores. "Ｅxpression 2", "expression-2" and "表情2" are one name.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "integer", "flag"]
_SEPARATORS = re.compile(r"[\s\-._‐-―]+")
_NUMBERED = re.compile(r"(.*?[^0-9_])_?([1-9])")
_ALIKE = 0.75
_LONGEST_HEADER = 100  # a longer cell names nothing, and is not looked at further


ADDED_PREFIX = "newbie:"
"""How the headings of columns begin that write-back adds: they are read as if they were not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """One column that a table may have: its name here, its other names, and what its cells are.

    An `integer` is a whole number from 0 to 2^63-1, given as "7"; a `flag` is given as "yes" or
    "no"; an `id` and a `text` are given as they stand.
    """

    name: str
    aliases: tuple[str, ...] = ()
    kind: Kind = "text"
    required: bool = False


def header_key(header: str) -> str:
    """A header as headers are compared; empty if nothing of it can be seen."""
    text = unicodedata.normalize("NFKC", header).casefold()
    seen = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return _SEPARATORS.sub("_", seen.strip().rstrip("*:").strip()).strip("_")


def added_name(header: str) -> str | None:
    """What a heading that write-back added calls its column ("status" of "newbie: status"); None for all others."""
    if len(header) > _LONGEST_HEADER or not (key := header_key(header)).startswith(ADDED_PREFIX):
        return None
    return key.removeprefix(ADDED_PREFIX).strip("_") or None


class ColumnNames:
    """The names that mean a column, of the core columns or a catalog's own."""

    def __init__(self, columns: Sequence[ColumnSpec], numbered: frozenset[str]) -> None:
        self._numbered = numbered
        self._keys: dict[str, str] = {}
        for names in ([(spec.name, ()) for spec in columns], [(spec.name, spec.aliases) for spec in columns]):
            for name, aliases in names:
                for alias in (name, *aliases):
                    key = header_key(alias)
                    self._keys.setdefault(key, name)
                    self._keys.setdefault(key.replace("_", ""), name)

    def meaning(self, header: str) -> str | None:
        """The column that a header names, "expression_2" for a numbered one; None if it is unknown."""
        if len(header) > _LONGEST_HEADER:
            return None
        key = header_key(header)
        name = self._find(key)
        if name is not None or not (suffixed := _NUMBERED.fullmatch(key)):
            return name
        name = self._find(suffixed.group(1))
        return f"{name}_{suffixed.group(2)}" if name in self._numbered else None

    def close_to(self, header: str) -> str | None:
        """The known name that an unknown header may be a slip of."""
        if len(header) > _LONGEST_HEADER:
            return None
        close = difflib.get_close_matches(header_key(header), self._keys, n=1, cutoff=_ALIKE)
        return close[0] if close else None

    def _find(self, key: str) -> str | None:
        return self._keys.get(key) or self._keys.get(key.replace("_", ""))


def base_name(name: str, numbered: frozenset[str]) -> str:
    """ "expression" for "expression_2", if that is a numbered column."""
    stem, _, suffix = name.rpartition("_")
    return stem if stem in numbered and suffix.isdigit() else name


def _spec(name: str, aliases: str, kind: Kind = "text") -> ColumnSpec:
    return ColumnSpec(name=name, aliases=tuple(alias.strip() for alias in aliases.split("|")), kind=kind)


CORE_COLUMNS: tuple[ColumnSpec, ...] = (
    _spec(
        "id",
        "identifier|uid|character id|编号|編號|编码|編碼|识别码|識別碼|标识|標識|标识符"
        "|角色编号|角色編號|角色id|識別子|管理番号|キャラid|キャラクターid",
        "id",
    ),
    _spec(
        "name",
        "character name|full name|display name|名称|名稱|名字|姓名|角色|角色名|角色名称|角色名稱|名前|氏名"
        "|キャラ|キャラ名|キャラクター|キャラクター名",
    ),
    _spec("gender", "sex|性别|性別"),
    _spec(
        "appearance",
        "looks|features|外貌|外观|外觀|外表|长相|長相|容貌|外見|見た目|容姿|ルックス",
    ),
    _spec(
        "clothing",
        "clothes|outfit|costume|attire|服装|服裝|衣服|衣着|衣著|穿着|穿著|衣装|服|コスチューム",
    ),
    _spec("expression", "facial expression|emotion|表情|神情|面部表情|顔の表情|エモーション"),
    _spec("action", "activity|motion|动作|動作|行为|行為|アクション|行動"),
    _spec("pose", "posture|姿势|姿勢|姿态|姿態|体势|ポーズ"),
    _spec("position", "placement|location in picture|位置|站位|画面位置|畫面位置|立ち位置|ポジション"),
    _spec("background", "backdrop|scene|背景|场景|場景|シーン|バックグラウンド"),
    _spec("style", "art style|风格|風格|画风|畫風|样式|スタイル|画風|作風"),
    _spec("seed", "random seed|种子|種子|随机种子|隨機種子|シード|シード値|乱数シード", "integer"),
    _spec(
        "count",
        "number of images|quantity|数量|數量|张数|張數|图片数量|圖片數量|枚数|生成枚数|カウント",
        "integer",
    ),
    _spec(
        "enabled",
        "active|enable|启用|啟用|是否启用|是否啟用|有效|有効|有効化",
        "flag",
    ),
    _spec(
        "negative",
        "negative prompt|negative tags|负面|負面|负面提示词|負面提示詞|反向提示词|反向提示詞|反向词"
        "|负向提示词|ネガティブ|ネガティブプロンプト|除外",
    ),
    _spec(
        "base",
        "base character|based on|inherits|基础|基礎|基础角色|基礎角色|基于|基於|ベース|ベースキャラ|継承元",
    ),
    _spec("character", "series character|danbooru character|角色标签|角色標籤|キャラタグ|キャラクタータグ"),
    _spec("body_type", "body|figure|build|physique|体型|體型|身材|体格|體格|ボディ|体つき"),
    _spec("interaction", "interactions|互动|互動|交互|相互作用|絡み|やりとり|インタラクション"),
    _spec("lighting", "光照|光线|光線|灯光|燈光|打光|照明|ライティング|光源"),
    _spec("composition", "framing|构图|構圖|構図|コンポジション"),
    _spec("caption", "description|描述|说明|說明|简介|簡介|キャプション|説明|説明文"),
    _spec("artists", "artist|painter|画师|畫師|艺术家|藝術家|画家|絵師|イラストレーター|作家|アーティスト"),
    _spec("environment", "surroundings|环境|環境|エンバイロメント|周囲"),
    _spec("perspective", "camera|camera angle|angle|视角|視角|镜头|鏡頭|透视|透視|アングル|視点|カメラ"),
    _spec("atmosphere", "mood|ambience|氛围|氛圍|气氛|氣氛|雰囲気|ムード"),
    _spec("quality", "quality tags|质量|品質|画质|畫質|质量词|クオリティ|画質"),
    _spec("objects", "object|props|items|物品|物体|物體|道具|对象|對象|小物|オブジェクト|アイテム"),
    _spec("other", "others|misc|extra tags|其他|其它|其他标签|備考タグ|その他|追加タグ"),
    _spec("width", "image width|宽|宽度|寬|寬度|幅|横幅", "integer"),
    _spec("height", "image height|高|高度|高さ|縦幅", "integer"),
    _spec("size", "image size|resolution|尺寸|大小|分辨率|解析度|サイズ|解像度"),
    _spec("steps", "sampling steps|步数|步數|采样步数|採樣步數|ステップ|ステップ数", "integer"),
    _spec("decision", "决定|決定|审核决定|審核決定|审核结果|審核結果|判定"),
    _spec(
        "decision_note",
        "decision notes|decision comment|决定备注|決定備註|决定说明|決定說明|审核意见|審核意見|決定メモ|判定メモ",
    ),
    _spec("guidance", "cfg|cfg scale|guidance scale|引导|引導|引导系数|引導係數|ガイダンス|cfgスケール"),
)
"""The columns that every catalog knows."""
