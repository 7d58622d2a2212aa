"""One whole figure, drawn from the back to the front."""

from newbie_core.drawing.accessories import draw_behind, draw_face_wear, draw_head_wear, draw_neck_wear
from newbie_core.drawing.body import Arm, arms, draw_bare_arm, draw_hand, draw_torso
from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.clothes import TUCKED, draw_garment
from newbie_core.drawing.dresses import draw_apron
from newbie_core.drawing.eyes import draw_eyes
from newbie_core.drawing.face import draw_brows, draw_face, draw_mouth, draw_nose, draw_tears
from newbie_core.drawing.fringe import draw_fringe_shadow
from newbie_core.drawing.hair import draw_back_hair, draw_front_hair
from newbie_core.drawing.look import Look
from newbie_core.drawing.lower import draw_legs, draw_lower
from newbie_core.drawing.marks import draw_mark
from newbie_core.drawing.outerwear import draw_cape_back, draw_outer, draw_sleeve
from newbie_core.drawing.props import draw_prop, draw_prop_behind

NECK_Y = 1.05


def draw_figure(pen: Pen, look: Look, *, bottom: float) -> None:
    """Draw a figure; what lies below `bottom` (in half heads) is out of the picture and skipped."""
    tilt = look.wobble("tilt", 3.0)
    head = pen.moved(0, NECK_Y, turn=tilt).moved(0, -NECK_Y)
    draw_prop_behind(pen, look)
    draw_behind(pen, look)
    draw_cape_back(pen, look)
    draw_back_hair(head, look)
    if bottom > 1.05:
        _draw_body(pen, look, bottom)
    _draw_head(head, look)
    if bottom > 0.9:
        for arm in arms(look):
            if arm.over:
                _draw_arm(pen, look, arm)
    draw_mark(head, look)


def _draw_body(pen: Pen, look: Look, bottom: float) -> None:
    behind = look.get("arms") == "behind" and not look.get("held")
    both = arms(look)
    draw_torso(pen, look)
    if bottom > 2.8:
        draw_legs(pen, look)
    if behind:
        for arm in both:
            draw_sleeve(pen, look, arm)
    if look.garment in TUCKED:
        draw_garment(pen, look)
        draw_lower(pen, look)
    else:
        draw_lower(pen, look)
        draw_garment(pen, look)
    if look.get("apron"):
        draw_apron(pen, look, look.cloth("apron"))
    caped = look.get("outer") in ("cape", "cloak")
    if not caped:
        draw_outer(pen, look)
    draw_neck_wear(pen, look)
    resting = [arm for arm in both if not arm.over and not behind]
    for arm in resting:
        if arm.grip in ("rest", "none"):
            _draw_arm(pen, look, arm)
    if caped:
        draw_outer(pen, look)
    draw_prop(pen, look)
    for arm in resting:
        if arm.grip not in ("rest", "none"):
            _draw_arm(pen, look, arm)


def _draw_arm(pen: Pen, look: Look, arm: Arm) -> None:
    material = look.cloth("gloves") if look.get("gloves") else look.skin
    draw_bare_arm(pen, arm, look)
    if look.get("held") != "microphone" or not arm.over:
        draw_hand(pen, arm, look, material)
        draw_sleeve(pen, look, arm)
        return
    draw_sleeve(pen, look, arm)
    draw_prop(pen, look)
    draw_hand(pen, arm, look, material)


def _draw_head(pen: Pen, look: Look) -> None:
    draw_face(pen, look)
    draw_fringe_shadow(pen, look)
    draw_nose(pen, look)
    draw_eyes(pen, look)
    draw_mouth(pen, look)
    draw_front_hair(pen, look)
    draw_tears(pen, look)
    draw_brows(pen, look)
    draw_face_wear(pen, look)
    draw_head_wear(pen, look)
