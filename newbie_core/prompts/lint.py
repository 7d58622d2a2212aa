"""Catch misspelt tags before a night is spent on them: `blue_hari` → did you mean `blue_hair`?

Only a tag one slip from a known one is reported. Tags nobody has heard of pass: models know more
than any list, and a studio has its own.
"""

from __future__ import annotations

from functools import lru_cache

from newbie_core.prompts.document import split_tags
from newbie_core.spelling import Speller

_COLOURS = """
aqua black blonde blue brown dark_blue gold gray green grey light_blue light_brown multicolored navy orange
pink platinum_blonde purple red silver teal two-tone violet white yellow
""".split()
_COLOURED = """
hair eyes dress skirt shirt jacket hoodie sweater kimono coat cardigan blazer vest bow bowtie ribbon necktie
scarf gloves socks thighhighs pantyhose shoes boots hat hairband shorts pants cape cloak apron background
theme flower hair_ribbon hair_bow bikini swimsuit leotard bodysuit footwear headwear choker umbrella lips
nails wings
""".split()
_TAGS = """
1girl 1boy 1other 2girls 2boys 3girls 3boys 4girls multiple_girls multiple_boys solo solo_focus male_focus
chibi child short_hair medium_hair long_hair very_long_hair absurdly_long_hair bob_cut pixie_cut hime_cut
twintails low_twintails short_twintails long_twintails ponytail high_ponytail low_ponytail side_ponytail
short_ponytail braid twin_braids single_braid french_braid side_braid crown_braid hair_bun double_bun
single_hair_bun drill_hair twin_drills wavy_hair curly_hair straight_hair spiky_hair messy_hair ahoge bangs
blunt_bangs parted_bangs swept_bangs sidelocks hair_over_one_eye hair_between_eyes gradient_hair
streaked_hair hair_ornament hairclip hairband hair_flower hair_ribbon hair_bow headband heterochromia
glowing_eyes slit_pupils heart-shaped_pupils pale_skin dark_skin tan freckles mole mole_under_eye scar
cat_ears fox_ears dog_ears rabbit_ears wolf_ears animal_ears cat_tail fox_tail tail horns halo wings
angel_wings pointy_ears elf fang fangs eyepatch glasses round_glasses sunglasses monocle mask earrings
necklace choker school_uniform serafuku sailor_collar pleated_skirt miniskirt long_skirt dress sundress
wedding_dress t-shirt shirt collared_shirt hoodie sweater turtleneck cardigan blazer jacket leather_jacket
coat trench_coat raincoat kimono yukata hakama maid maid_headdress apron frilled_apron armor cape cloak hood
tracksuit gym_uniform swimsuit one-piece_swimsuit pajamas suit vest tank_top crop_top overalls shorts
denim_shorts pants jeans leggings pantyhose thighhighs kneehighs knee_socks socks boots rubber_boots
high_heels loafers sneakers sandals gloves fingerless_gloves scarf necktie bowtie neck_ribbon belt backpack
bag beret baseball_cap straw_hat witch_hat top_hat crown tiara headphones hat smile light_smile grin smirk
smug laughing happy open_mouth closed_mouth :d ;d :3 :o ^_^ >_< closed_eyes half-closed_eyes one_eye_closed
wink sad crying tears teardrop frown angry annoyed pout surprised wide-eyed scared disgust embarrassed blush
full-face_blush shy nervous confused determined serious expressionless neutral sleepy tired bored worried
crazy_eyes heart_eyes sparkling_eyes empty_eyes evil_smile gentle_smile nose_blush sweatdrop anger_vein
v-shaped_eyebrows standing sitting kneeling lying walking running jumping dancing stretching arms_up arm_up
arms_at_sides crossed_arms arms_behind_back hands_on_hips hand_on_hip hands_in_pockets hand_on_own_chest
own_hands_clasped waving pointing peace_sign v salute reaching fighting_stance leaning_forward
looking_at_viewer looking_away looking_back looking_up looking_down looking_at_another facing_viewer
from_side from_behind from_above from_below holding holding_book holding_umbrella holding_sword
holding_flower holding_cup holding_phone holding_hands hugging back-to-back side-by-side face-to-face katana
sword staff wand book umbrella flower bouquet cup phone microphone guitar portrait upper_body cowboy_shot
full_body close-up wide_shot medium_shot dutch_angle depth_of_field shallow_depth_of_field blurry_background
simple_background white_background gradient_background transparent_background outdoors indoors sky blue_sky
cloudy_sky clouds night night_sky starry_sky stars moon full_moon sunset sunrise evening day rain snow
snowing forest tree cherry_blossoms petals falling_petals falling_leaves autumn_leaves flower_field grass
field mountain ocean beach lake river city cityscape city_lights neon_lights street alley rooftop classroom
library bedroom kitchen cafe shrine temple castle stage fireworks festival train_station window balcony park
garden space underwater ruins desk sunlight soft_lighting dramatic_lighting cinematic_lighting backlighting
rim_lighting dim_lighting daylight moonlight light_rays lens_flare bokeh light_particles sparkle gentle_sunlight
warm_lighting cold_lighting anime_style anime_coloring digital_art official_art flat_color cel_shading
watercolor watercolor_(medium) sketch lineart monochrome greyscale sepia pastel_colors vivid_colors
chibi_style cyberpunk_anime pixel_art oil_painting retro_artstyle masterpiece best_quality high_quality
high_resolution absurdres highres detailed extremely_detailed sharp_focus calm peaceful cheerful melancholic
mysterious romantic energetic low_quality worst_quality lowres blurry cropped text watermark signature
bad_anatomy bad_hands extra_fingers jpeg_artifacts
"""

TAG_COLUMNS = frozenset(
    """
gender appearance clothing body_type expression action pose interaction background style lighting
composition environment perspective atmosphere quality objects other negative
""".split()
)
"""The columns whose cells hold tags."""


@lru_cache(maxsize=1)
def _speller() -> Speller:
    coloured = (f"{colour}_{noun}" for colour in _COLOURS for noun in _COLOURED)
    return Speller([*_TAGS.split(), *coloured])


@lru_cache(maxsize=50_000)
def lint_tags(text: str) -> tuple[tuple[str, str], ...]:
    """The probably misspelt tags of a cell, each with the tag probably meant."""
    speller = _speller()
    found = []
    for tag in split_tags(text):
        word = tag.strip("!").lower().replace(" ", "_")
        if (meant := speller.correct(word)) is not None and not _same_word(word, meant):
            found.append((tag, meant))
    return tuple(found)


def _same_word(word: str, meant: str) -> bool:
    """Plurals, and words of their own that lie one letter from a tag, are not slips."""
    return word.rstrip("s") == meant.rstrip("s") or word in _REAL_WORDS


_REAL_WORDS = frozenset(
    """
coats hands light peach snake brown crows tower flowers shore white scales mails
""".split()
)
