"""The words the small model knows: tags, other names for them in English and Chinese, and words it ignores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from newbie_core.drawing.aliases import EXPRESSIONS as EXPRESSION_ALIASES
from newbie_core.drawing.aliases import TAGS as TAG_ALIASES
from newbie_core.nano.scenes import (
    ACCESSORIES,
    ARMS,
    BACKGROUNDS,
    EXPRESSIONS,
    EYE_COLOURS,
    FRAMING,
    GARMENT_COLOURS,
    GARMENTS,
    HAIR_COLOURS,
    HAIR_STYLES,
    POSITIONS,
)

FIELDS = (
    "gender", "appearance", "clothing", "body_type", "expression", "action", "pose", "interaction", "position",
    "scene", "general_tags", "count", "artists", "style", "background", "environment", "perspective",
    "composition", "atmosphere", "lighting", "quality", "objects", "other", "caption",
)  # fmt: skip
"""Elements of a prompt whose opening is a token; their closing says nothing new and is left out."""

MOST_CHARACTERS = 6

COUNTS = ("1girl", "1boy", "2girls", "2boys", "3girls", "3boys", "solo", "multiple_girls", "multiple_boys")

TOUCHES: dict[str, tuple[str, ...]] = {
    "neutral": ("closed_mouth",),
    "smile": ("closed_mouth",),
    "happy": ("smile", "open_mouth", "blush"),
    "laughing": ("closed_eyes", "open_mouth", "smile"),
    "angry": ("v-shaped_eyebrows", "anger_vein", "open_mouth"),
    "sad": ("frown", "closed_mouth"),
    "crying": ("tears", "open_mouth", "sad"),
    "surprised": ("wide-eyed", "open_mouth"),
    "embarrassed": ("blush", "wavy_mouth", "sweatdrop"),
    "wink": ("one_eye_closed", "smile", "open_mouth"),
    "sleepy": ("half-closed_eyes", "zzz"),
    "smug": ("smirk",),
    "scared": ("clenched_teeth", "wide-eyed"),
    "love": ("heart-shaped_pupils", "blush", "smile"),
    "confused": ("@_@", "wavy_mouth"),
}
"""Tags that often stand beside an expression and agree with it."""

QUALITY = (
    "masterpiece", "best_quality", "high_quality", "high_resolution", "highres", "absurdres", "detailed",
    "anime_style", "anime", "digital_art", "illustration", "looking_at_viewer", "standing", "cute", "beautiful",
    "slim", "indoors", "outdoors", "colorful", "simple", "fair_skin",
)  # fmt: skip
"""Known words that change nothing."""

NEGATIVE = (
    "low_quality", "worst_quality", "lowres", "blurry", "text", "watermark", "bad_hands", "bad_anatomy",
    "jpeg_artifacts", "signature", "extra_digits", "bad_quality", "ugly", "deformed",
)  # fmt: skip
"""What negative prompts are made of; alone they mean no more than an empty prompt."""

FILLERS = (
    "a", "an", "the", "with", "and", "of", "in", "on", "is", "are", "has", "have", "her", "his", "she", "he",
    "wearing", "wears", "who", "to", "by", "from", "picture", "image", "photo", "drawing", "young", "that",
    "their", "they", "there", "it", "its", "for", "feeling", "looks", "while", "doing", "please", "draw", "me",
)  # fmt: skip
"""Words of ordinary English that carry no attribute: left out of a prompt."""

MORE_ALIASES: dict[str, str] = {
    "1girl": "girls lady female_focus 女孩 少女 女生 一个女孩 1个女孩",
    "1boy": "guy boys 男孩 少年 男生 一个男孩",
    "2girls": "two_girls 两个女孩 2个女孩 双人",
    "2boys": "two_boys 两个男孩",
    "3girls": "three_girls 三个女孩",
    "solo": "alone 单人",
    "short_hair": "short bob_cut bob bob_hair very_short_hair medium_hair short-haired 短发",
    "spiky_hair": "spiky messy_hair messy 刺猬头 尖发 凌乱头发",
    "long_hair": "long very_long_hair straight_hair hime_cut long-haired 长发 直发 姬发式",
    "twintails": "pigtails low_twintails twin_tail 双马尾",
    "ponytail": "马尾 单马尾",
    "side_ponytail": "侧马尾",
    "double_bun": "hair_bun buns bun_hair 丸子头 双丸子头",
    "twin_braids": "braid braids braided_hair 麻花辫 双麻花辫 辫子",
    "drill_hair": "curly_hair curls ringlets 钻头卷 卷发",
    "neutral": "expressionless poker_face serious 无表情 面无表情 平静",
    "smile": "light_smile gentle smiles 微笑 浅笑",
    "happy": "joy grin excited optimism pride approval gratitude relief 开心 高兴 快乐 喜悦",
    "laughing": "laughs amusement excitement 大笑 笑",
    "angry": "anger annoyed annoyance disapproval disgust upset shout 生气 愤怒 发怒 怒",
    "sad": "sadness disappointment remorse 悲伤 难过 伤心",
    "crying": "grief tearful 哭泣 哭 流泪 大哭",
    "surprised": "surprise realization curiosity 惊讶 吃惊 震惊",
    "embarrassed": "embarrassment shy nervous nervousness 害羞 尴尬 羞涩",
    "wink": "眨眼 单眼闭",
    "sleepy": "tired sleeping 困 困倦 睡着",
    "smug": "smirking proud 得意 坏笑",
    "scared": "fear afraid 害怕 恐惧 惊恐",
    "love": "desire admiration caring 爱心眼 喜爱 恋爱",
    "confused": "confusion dizzy spiral_eyes 困惑 疑惑 晕",
    "blush": "full-face_blush light_blush 脸红",
    "tears": "streaming_tears 眼泪 泪水",
    "open_mouth": "张嘴",
    "closed_mouth": "闭嘴",
    "closed_eyes": "闭眼",
    "serafuku": "school_uniform uniform 水手服 校服",
    "shirt": "blouse white_collar t-shirt 衬衫 衬衣",
    "hoodie": "hoody jacket sweatshirt 卫衣 连帽衫",
    "sweater": "cardigan turtleneck pullover 毛衣",
    "dress": "sundress gown 连衣裙 裙子",
    "kimono": "yukata hanfu 和服 浴衣",
    "glasses": "round_glasses spectacles eyewear 眼镜",
    "cat_ears": "cat_ear cat_girl catgirl nekomimi 猫耳",
    "rabbit_ears": "bunny_ears rabbit_girl bunny_girl 兔耳",
    "hair_bow": "bow hair_ribbon ribbon 蝴蝶结 发带",
    "headphones": "headset earphones 耳机",
    "crown": "tiara princess 王冠 皇冠",
    "halo": "angel 光环 光圈",
    "horns": "horn demon_girl 角 恶魔角",
    "scarf": "muffler 围巾",
    "hair_flower": "flower_in_hair flower 发花 头花",
    "arms_at_sides": "arms_down 双手垂下 站立",
    "waving": "wave waves greeting 挥手 招手",
    "v": "peace peace_sign victory 比耶 剪刀手 胜利手势",
    "crossed_arms": "arms_crossed folded_arms 抱臂 双手抱胸",
    "hands_on_hips": "hand_on_hip akimbo 叉腰",
    "arms_up": "raised_arms hands_up cheering 举手 双手举起",
    "simple_background": "white_background plain_background plain 纯色背景 简单背景 白色背景 白背景",
    "sky": "blue_sky clouds 天空 蓝天",
    "night_sky": "night stars starry_sky moon 夜空 星空 夜晚",
    "sunset": "dusk evening 日落 夕阳 黄昏",
    "city_night": "city night_city cityscape neon_lights 夜景 城市 城市夜景 霓虹",
    "classroom": "school 教室 学校",
    "beach": "sea seaside ocean 海滩 沙滩 海边 大海",
    "cherry_blossoms": "sakura cherry_blossom cherry_tree 樱花 樱花树",
    "forest": "woods trees nature 森林 树林",
    "snow": "snowing winter 雪 雪景 雪地 冬天",
    "library": "bookshelf books 图书馆 书架",
    "upper_body": "bust half_body cowboy_shot close-up 半身 上半身 特写",
    "left": "left_side 左 左边 左侧",
    "right": "right_side 右 右边 右侧",
    "center": "centre middle 中 中间 中央",
    "masterpiece": "杰作 最高质量 高质量",
    "beautiful": "pretty 美丽 漂亮",
    "cute": "可爱 adorable",
}

CHINESE_COLOURS = {
    "red": "红", "orange": "橙", "blonde": "金", "yellow": "黄", "brown": "棕", "black": "黑", "white": "白",
    "pink": "粉", "purple": "紫", "blue": "蓝", "green": "绿", "aqua": "青",
}  # fmt: skip
HAIR_ALIASES = {
    "white": "silver grey gray platinum", "blonde": "golden gold yellow blond", "aqua": "teal cyan turquoise",
    "purple": "violet lavender", "blue": "light_blue dark_blue navy", "brown": "chestnut light_brown",
    "orange": "ginger", "black": "dark", "red": "crimson scarlet",
}  # fmt: skip
EYE_ALIASES = {
    "yellow": "golden gold amber orange", "aqua": "teal cyan turquoise light_blue", "purple": "violet lavender",
    "blue": "dark_blue sapphire", "green": "emerald", "red": "crimson scarlet", "brown": "hazel",
}  # fmt: skip
CLOTH_ALIASES = {
    "yellow": "golden gold", "blue": "navy dark_blue light_blue", "purple": "violet lavender", "red": "crimson",
    "black": "dark",
}  # fmt: skip


def canonical_words() -> tuple[str, ...]:
    """Every word with a token of its own, in the tokenizer's order."""
    words = [
        *COUNTS,
        *(f"{colour}_hair" for colour in HAIR_COLOURS),
        *HAIR_STYLES,
        *(f"{colour}_eyes" for colour in EYE_COLOURS),
        *EXPRESSIONS,
        *(touch for touches in TOUCHES.values() for touch in touches),
        *GARMENT_COLOURS,
        *GARMENTS,
        *ACCESSORIES[1:],
        *ARMS,
        *BACKGROUNDS,
        FRAMING,
        *POSITIONS,
        *QUALITY,
        *NEGATIVE,
    ]
    return tuple(dict.fromkeys(words))


def colour_names(noun: Literal["hair", "eyes"]) -> tuple[str, ...]:
    """The English names of the colours of hair or eyes, spelled."""
    colours, others = (HAIR_COLOURS, HAIR_ALIASES) if noun == "hair" else (EYE_COLOURS, EYE_ALIASES)
    names = (name for colour in colours for name in (colour, *others.get(colour, "").split()))
    return tuple(dict.fromkeys(spelled(name) for name in names))


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Other name → the word it stands for; an own word is never an alias."""
    known = set(canonical_words())
    found: dict[str, str] = {}
    for word, others in _alias_groups():
        for other in others.split():
            usable = _WORD.fullmatch(other) and not set(spelled(other).split()) & {*FILLERS}
            if usable and other not in known and word in known:
                found.setdefault(other, word)
    return found


def _alias_groups() -> Iterator[tuple[str, str]]:
    yield from MORE_ALIASES.items()
    for colour in HAIR_COLOURS:
        names = [colour, *HAIR_ALIASES.get(colour, "").split()]
        english = (f"{name}_{noun}" for name in names for noun in ("hair", "haired", "hairs"))
        yield f"{colour}_hair", " ".join((*english, _chinese(colour, ("发", "色头发", "头发", "毛"))))
    for colour in EYE_COLOURS:
        names = [colour, *EYE_ALIASES.get(colour, "").split()]
        english = (f"{name}_{noun}" for name in names for noun in ("eyes", "eye", "eyed"))
        yield f"{colour}_eyes", " ".join((*english, _chinese(colour, ("眼", "瞳", "色眼睛", "眼睛", "色瞳"))))
    for colour in GARMENT_COLOURS:
        yield colour, f"{CLOTH_ALIASES.get(colour, '')} {_chinese(colour, ('色',))}"
    for item, others in (("hair_bow", ("bow", "ribbon")), ("hair_flower", ("flower",))):
        for colour in (*HAIR_COLOURS, "yellow", "grey"):
            yield item, " ".join(f"{colour}_hair_{other}" for other in others)
    yield from ((word, names) for word, names in (TAG_ALIASES | EXPRESSION_ALIASES).items())


def _chinese(colour: str, endings: tuple[str, ...]) -> str:
    signs = [CHINESE_COLOURS[colour]]
    if colour == "white":
        signs.append("银")
    return " ".join(f"{sign}{ending}" for sign in signs for ending in endings)


_WORD = re.compile(r"[\w-]+")
_PLAIN = re.compile(r"[\s_]+")


def spelled(word: str) -> str:
    """A word as the tokenizer sees it: lower case, spaces for underscores."""
    return _PLAIN.sub(" ", word.lower()).strip()
