"""The tags that change a drawing, by the component of the picture they choose."""

from newbie_core.drawing.colours import CLOTH, EYES, HAIR
from newbie_core.drawing.expressions import FACES, TOUCHES


def _same(*tags: str) -> dict[str, str]:
    return {tag: tag for tag in tags}


# component -> tag -> the value it chooses
CHOICES: dict[str, dict[str, str]] = {
    "gender": {"1girl": "girl", "1boy": "boy"}, "hair_colour": {f"{name}_hair": name for name in HAIR},
    "hair_tips": {
        "gradient_hair": "gradient", "streaked_hair": "streaked", "colored_inner_hair": "inner",
    },
    "eye_colour": {f"{name}_eyes": name for name in EYES}, "heterochromia": _same("heterochromia"),
    "skin": {"pale_skin": "pale", "fair_skin": "fair", "tan": "tan", "dark_skin": "dark"},
    "hair_length": {
        "very_short_hair": "very_short", "short_hair": "short", "bob_cut": "bob", "medium_hair": "medium",
        "long_hair": "long", "very_long_hair": "very_long",
    },
    "hair_style": _same(
        "twintails", "low_twintails", "ponytail", "side_ponytail", "braid", "twin_braids", "hair_bun",
        "double_bun", "hime_cut", "drill_hair", "half_updo",
    ),
    "hair_texture": {
        "straight_hair": "straight", "wavy_hair": "wavy", "curly_hair": "curly", "spiky_hair": "spiky",
        "messy_hair": "messy",
    },
    "bangs": _same(
        "blunt_bangs", "parted_bangs", "swept_bangs", "hair_over_one_eye", "crossed_bangs", "no_bangs",
    ),
    "ahoge": _same("ahoge"), "mole": {"mole_under_eye": "mole"}, "freckles": _same("freckles"),
    "ears": _same("cat_ears", "fox_ears", "rabbit_ears", "dog_ears", "pointy_ears"),
    "tail": _same("cat_tail", "fox_tail"), "horns": _same("horns"), "halo": _same("halo"),
    "wings": {"angel_wings": "angel_wings", "demon_wings": "demon_wings"},
    "arms": {
        "arms_at_sides": "sides", "waving": "waving", "hands_on_hips": "hips", "crossed_arms": "crossed",
        "v": "peace", "arms_up": "up", "hand_on_own_chest": "chest", "own_hands_together": "clasped",
        "pointing": "pointing", "arms_behind_back": "behind", "hands_in_pockets": "pockets",
        "salute": "salute", "hand_on_own_cheek": "cheek", "finger_to_mouth": "shush",
        "clenched_hand": "fist", "hand_up": "hand_up",
    },
    "held": {
        "holding_book": "book", "holding_umbrella": "umbrella", "holding_sword": "sword",
        "holding_katana": "katana", "holding_flower": "flower", "holding_cup": "cup",
        "holding_microphone": "microphone", "holding_phone": "phone", "holding_wand": "wand",
        "holding_bag": "bag", "holding_plush": "plush",
    },
    "pose": {"sitting": "sitting", "jumping": "jumping"},
    "framing": {
        "portrait": "portrait", "upper_body": "upper_body", "cowboy_shot": "cowboy_shot",
        "full_body": "full_body", "close-up": "close-up",
    },
    "background": {
        "simple_background": "simple", "white_background": "white", "gradient_background": "gradient",
        "polka_dot_background": "polka_dots", "striped_background": "stripes",
        "heart_background": "hearts",
        **{f"{name}_background": f"plain_{name}" for name in CLOTH if name not in ("white", "beige")},
        **_same(
            "sky", "cloudy_sky", "night_sky", "sunset", "city", "city_night", "classroom", "beach",
            "cherry_blossoms", "forest", "bedroom", "library", "snow", "rain", "shrine", "stage",
            "fireworks", "festival", "mountain", "flower_field", "cafe", "castle", "underwater",
            "space", "ruins", "garden",
        ),
    },
    "lighting": {
        "daylight": "day", "warm_lighting": "warm", "cold_lighting": "cold", "backlighting": "back",
        "soft_lighting": "soft", "dramatic_lighting": "dramatic", "moonlight": "moon",
        "light_rays": "rays", "neon_lights": "neon", "dim_lighting": "dim",
    },
    "style": {
        "flat_color": "flat", "sketch": "sketch", "lineart": "lineart", "monochrome": "monochrome",
        "greyscale": "greyscale", "sepia": "sepia", "pastel_colors": "pastel", "vivid_colors": "vivid",
        "watercolor_(medium)": "watercolor", "film_grain": "grain", "halftone": "halftone",
        "pixel_art": "pixel", "oil_painting_(medium)": "oil", "comic": "comic",
    },
    "air": {
        "falling_petals": "petals", "snowing": "snow", "raining": "rain", "light_particles": "particles",
        "bubbles": "bubbles", "falling_leaves": "leaves", "confetti": "confetti", "bokeh": "bokeh",
        "fog": "fog", "fireflies": "fireflies", "floating_hearts": "hearts",
    },
    "border": {"border": "border", "vignetting": "vignette"},
}  # fmt: skip

# component -> the items it knows; each item may carry a colour of CLOTH before its name
ITEMS: dict[str, tuple[str, ...]] = {
    "garment": (
        "serafuku", "shirt", "t-shirt", "hoodie", "sweater", "turtleneck", "dress", "kimono", "maid",
        "armor", "raincoat", "track_jacket", "tank_top", "blouse", "vest",
    ),
    "outer": ("jacket", "blazer", "cardigan", "cape", "cloak", "coat"),
    "lower": ("skirt", "pleated_skirt", "long_skirt", "pants", "shorts", "hakama"), "apron": ("apron",),
    "neckwear": ("necktie", "neck_ribbon", "bowtie", "scarf", "choker", "neckerchief"),
    "legwear": ("thighhighs", "kneehighs", "socks", "pantyhose"),
    "footwear": ("shoes", "boots", "sandals", "sneakers"), "gloves": ("gloves",),
    "headwear": (
        "beret", "witch_hat", "baseball_cap", "straw_hat", "crown", "tiara", "maid_headdress",
        "santa_hat", "beanie", "helmet",
    ),
    "hairband": ("hairband",), "hair_ornament": ("hair_bow", "hair_ribbon", "hair_flower", "hairclip"),
    "eyewear": ("glasses", "round_glasses", "sunglasses"), "eyepatch": ("eyepatch",),
    "headphones": ("headphones",), "earrings": ("earrings",), "face_mask": ("mask",),
}  # fmt: skip

PATTERNS = ("plaid", "striped", "polka_dot", "frilled")  # before a garment's or lower's name

# A tag that stands for several others.
EXPANSIONS: dict[str, tuple[str, ...]] = {
    "school_uniform": ("serafuku", "dark_blue_pleated_skirt"), "sportswear": ("track_jacket", "shorts"),
    "tracksuit": ("track_jacket", "pants"), "gym_uniform": ("white_t-shirt", "red_shorts"),
    "maid_outfit": ("maid", "maid_headdress"), "armored_dress": ("armor", "long_skirt"),
    "knight": ("armor", "pants"), "miko": ("white_kimono", "red_hakama"),
    "suit": ("black_blazer", "white_shirt", "black_pants", "necktie"),
    "business_suit": ("black_blazer", "white_shirt", "black_pants", "necktie"), "2girls": ("1girl",),
    "3girls": ("1girl",), "multiple_girls": ("1girl",), "2boys": ("1boy",), "3boys": ("1boy",),
    "multiple_boys": ("1boy",), "cat_girl": ("cat_ears", "cat_tail"),
    "fox_girl": ("fox_ears", "fox_tail"), "rabbit_girl": ("rabbit_ears",),
    "catgirl": ("cat_ears", "cat_tail"), "elf": ("pointy_ears",), "angel": ("angel_wings", "halo"),
    "demon_girl": ("demon_wings", "horns"), "witch": ("witch_hat", "black_cape"),
    "idol": ("holding_microphone", "stage"), "princess": ("dress", "tiara"),
    "christmas": ("santa_hat", "snow"),
}  # fmt: skip


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Every canonical tag that changes a drawing, by component, as people would write it.

    `expression` holds whole faces and single touches; an item's colours are under `<component>_colour`.
    """
    words = {component: tuple(tags) for component, tags in CHOICES.items()}
    words["expression"] = (*FACES, *TOUCHES)
    words["outfit"] = tuple(
        tag for tag in EXPANSIONS if tag[0] not in "23" and not tag.startswith("multiple")
    )
    for component, items in ITEMS.items():
        words[component] = items
        words[f"{component}_colour"] = tuple(f"{colour}_{item}" for item in items for colour in CLOTH)
    for component in ("garment", "lower"):
        words[f"{component}_pattern"] = tuple(
            f"{how}_{item}" for item in ITEMS[component] for how in PATTERNS
        )
    return words
