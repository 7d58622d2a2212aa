"""The body under the clothes: neck, torso, legs, and how arms and hands are held."""

from dataclasses import dataclass

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import draw_limb, draw_tube
from newbie_core.drawing.colours import Tone
from newbie_core.drawing.curves import Points, Spot, ellipse, flip, mirrored, smooth
from newbie_core.drawing.look import Look

# Heights in half heads below the head's centre.
SHOULDER, WAIST, HIP, KNEE, ANKLE = 1.36, 2.1, 2.55, 3.6, 4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One arm: elbow and hand relative to the body's middle line, mirrored for side -1."""

    side: int
    elbow: tuple[float, float]
    hand: tuple[float, float]
    grip: str = "rest"  # rest, open, fist, peace, point, none
    over: bool = False  # drawn over the head

    def bones(self, look: Look) -> tuple[Points, ...]:
        """The arm's middle line from shoulder to wrist; in two parts where the elbow bends sharply."""
        root = (0.6, 1.42) if look.boy else (0.47, 1.42)
        limit = look.reach - 0.08
        elbow, hand = (min(self.elbow[0], limit), self.elbow[1]), (min(self.hand[0], limit), self.hand[1])
        if _bend(root, elbow, hand) > 100:
            upper: list[Spot] = [root, _between(root, elbow, 0.5), (elbow[0], elbow[1] + 0.04)]
            lower: list[Spot] = [(elbow[0] + 0.03, elbow[1] + 0.02), _between(elbow, hand, 0.5), hand]
            return tuple(flip(smooth(part, closed=False, steps=9), self.side) for part in (upper, lower))
        # The elbow itself is cut off, so that a bent sleeve stays round.
        spots: list[Spot] = [root, _between(root, elbow, 0.72), _between(hand, elbow, 0.72), hand]
        return (flip(smooth(spots, closed=False, steps=7), self.side),)


def _bend(root: tuple[float, float], elbow: tuple[float, float], hand: tuple[float, float]) -> float:
    """How far an arm turns at the elbow, in degrees; 0 is a straight arm."""
    one = np.arctan2(elbow[1] - root[1], elbow[0] - root[0])
    other = np.arctan2(hand[1] - elbow[1], hand[0] - elbow[0])
    return float(np.degrees(abs((other - one + np.pi) % (2 * np.pi) - np.pi)))


def _between(start: tuple[float, float], stop: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + (stop[0] - start[0]) * share, start[1] + (stop[1] - start[1]) * share


Way = tuple[tuple[float, float], tuple[float, float], str, bool]
REST: Way = ((0.78, 2.05), (0.8, 2.66), "rest", False)
# pose -> the right arm, the left arm (as seen on the picture)
POSES: dict[str, tuple[Way, Way]] = {
    "sides": (REST, REST),
    "waving": (((1.04, 1.86), (1.24, 1.02), "open", True), REST),
    "hand_up": (((0.98, 1.9), (0.98, 1.22), "open", True), REST),
    "hips": (((1.16, 2.02), (0.6, 2.3), "none", False), ((1.16, 2.02), (0.6, 2.3), "none", False)),
    "crossed": (((0.86, 2.08), (-0.3, 1.98), "none", False), ((0.86, 2.08), (-0.36, 1.86), "rest", False)),
    "peace": (((1.0, 1.95), (1.06, 1.12), "peace", True), REST),
    "up": (((1.1, 1.05), (1.26, 0.1), "open", True), ((1.1, 1.05), (1.26, 0.1), "open", True)),
    "chest": (((0.9, 2.1), (0.12, 1.76), "rest", False), REST),
    "clasped": (((0.88, 2.12), (0.1, 1.92), "fist", False), ((0.88, 2.12), (0.1, 1.92), "fist", False)),
    "pointing": (((1.02, 1.92), (1.16, 1.2), "point", True), REST),
    "behind": (((0.82, 1.98), (0.44, 2.4), "none", False), ((0.82, 1.98), (0.44, 2.4), "none", False)),
    "pockets": (((0.94, 2.02), (0.58, 2.5), "none", False), ((0.94, 2.02), (0.58, 2.5), "none", False)),
    "salute": (((1.24, 1.22), (0.94, -0.02), "salute", True), REST),
    "cheek": (((0.92, 1.9), (0.72, 0.98), "rest", True), REST),
    "shush": (((0.9, 1.95), (0.1, 1.08), "point", True), REST),
    "fist": (((1.0, 1.9), (0.96, 1.24), "fist", True), REST),
    "book": (((0.84, 2.16), (0.36, 2.12), "fist", False), ((0.84, 2.16), (0.36, 2.12), "fist", False)),
    "umbrella": (((0.92, 2.1), (0.74, 1.78), "fist", False), REST),
    "sword": (((0.96, 2.12), (0.92, 1.86), "fist", False), REST),
    "katana": (((0.96, 2.12), (0.92, 1.92), "fist", False), REST),
    "flower": (((0.86, 2.16), (0.3, 1.92), "fist", False), REST),
    "cup": (((0.92, 2.2), (0.52, 1.92), "fist", False), REST),
    "microphone": (((0.94, 2.0), (0.34, 1.32), "fist", True), REST),
    "phone": (((0.96, 2.06), (0.74, 1.62), "fist", False), REST),
    "wand": (((0.98, 2.06), (0.98, 1.58), "fist", False), REST),
    "bag": (((0.82, 2.04), (0.8, 2.4), "fist", False), REST),
    "plush": (((0.86, 2.14), (0.26, 2.16), "rest", False), ((0.86, 2.14), (0.26, 2.16), "rest", False)),
}


def arms(look: Look) -> tuple[Arm, Arm]:
    """Both arms as the tags hold them; what is held decides before a gesture."""
    right, left = POSES[look.get("held") or look.get("arms", "sides")]
    if look.get("held") and look.get("arms") in POSES and look.get("arms") != "sides":
        left = (
            POSES[look.get("arms")][1] if POSES[look.get("arms")][1] != REST else POSES[look.get("arms")][0]
        )
    return (
        Arm(side=1, elbow=right[0], hand=right[1], grip=right[2], over=right[3]),
        Arm(side=-1, elbow=left[0], hand=left[1], grip=left[2], over=left[3]),
    )


def torso(look: Look, bottom: float = HIP, *, loose: float = 0.0) -> Points:
    """The silhouette of the upper body from the neck to bottom; loose cloth stands off the waist."""
    if look.boy:
        half: list[Spot] = [
            (0.0, 1.24),
            (0.24, 1.2),
            (0.5, 1.29),
            (0.72, 1.45),
            (0.74, 1.7),
            (0.66, 2.0),
            (0.58 + loose, WAIST + 0.1),
        ]
        return smooth(mirrored([*half, (0.6 + loose, bottom, 1), (0, bottom + 0.05)]))
    half = [
        (0.0, 1.24),
        (0.2, 1.2),
        (0.42, 1.28),
        (0.6, 1.42),
        (0.61, 1.62),
        (0.56 + loose * 0.4, 1.84),
        (0.44 + loose, WAIST),
    ]
    return smooth(mirrored([*half, (0.56 + loose * 0.8, bottom, 1), (0, bottom + 0.06)]))


def draw_torso(pen: Pen, look: Look) -> None:
    """Neck and bare shoulders, with the shadow that the head throws."""
    skin = look.skin
    pen.shape(torso(look), skin.base, skin.ink)
    wide = 0.27 if look.boy else 0.21
    neck = smooth(
        [
            (-wide, 0.7, 1),
            (wide, 0.7, 1),
            (wide, 1.12),
            (wide + 0.12, 1.3, 1),
            (0, 1.62),
            (-wide - 0.12, 1.3, 1),
            (-wide, 1.12),
        ]
    )
    pen.fill(neck, skin.base)
    for side in (-1, 1):
        pen.line(flip(smooth([(wide, 0.7), (wide, 1.12), (wide + 0.12, 1.27)], closed=False), side), skin.ink)
        pen.stroke(
            flip(smooth([(0.06, 1.46), (0.2, 1.4), (0.34, 1.42)], closed=False), side),
            skin.deep,
            0.008,
            0.026,
            0.008,
        )
    with pen.clip(neck) as inner:
        inner.fill(
            smooth([(-0.5, 0.6), (0.5, 0.6), (0.4, 1.08), (0.12, 1.24), (-0.2, 1.16), (-0.45, 1.05)]),
            skin.deep,
        )


def leg(look: Look, side: int) -> Points:
    """A leg's middle line from hip to ankle."""
    pose = look.get("pose")
    if pose == "jumping":
        spots: list[Spot] = [(0.26, 2.6), (0.36, 3.3), (0.5 if side > 0 else 0.3, 3.86)]
    elif pose == "sitting":
        spots = [(0.26, 2.6), (0.36, 2.95), (0.36, 3.1), (0.35, 3.94)]
    else:
        spots = [(0.26, 2.6), (0.27, KNEE), (0.25, ANKLE)]
    return flip(smooth(spots, closed=False, steps=10), side)


LEG_WIDTHS = (0.46, 0.42, 0.32, 0.31, 0.24, 0.2)


def draw_bare_arm(pen: Pen, arm: Arm, look: Look) -> None:
    """An arm's skin, without its hand."""
    bones = arm.bones(look)
    if len(bones) == 1:
        draw_limb(pen, bones[0], (0.12, 0.28, 0.27, 0.25, 0.24, 0.22, 0.19, 0.17), look.skin)
    else:
        upper, fore = (0.12, 0.28, 0.27, 0.25, 0.25), (0.25, 0.25, 0.22, 0.19, 0.17)
        draw_tube(pen, [(bones[0], upper), (bones[1], fore)], look.skin)


def draw_hand(pen: Pen, arm: Arm, look: Look, material: Tone) -> None:
    """The hand at the end of an arm, pointing along the forearm."""
    if arm.grip == "none":
        return
    line = arm.bones(look)[-1]
    tip, back = line[-1], line[-4]
    angle = float(np.degrees(np.arctan2(tip[1] - back[1], tip[0] - back[0]))) + 90
    if arm.grip == "open":
        angle = angle * 0.5
    if arm.grip in ("peace", "point"):
        angle *= 0.25
    local = pen.moved(float(tip[0]), float(tip[1]), turn=angle, wide=arm.side)
    for grow, colour in ((LINE * 1.9, material.ink), (0.0, material.base)):
        local.fill(ellipse(0, -0.07, 0.125 + grow / 2, 0.135 + grow / 2), colour)
        for spots, width in FINGERS.get(arm.grip, FINGERS["rest"]):
            finger = smooth(spots, closed=False)
            local.stroke(finger, colour, width + grow, width + grow)
            for x, y in (finger[-1].tolist(), finger[0].tolist()):
                local.fill(ellipse(x, y, (width + grow) / 2, (width + grow) / 2, steps=12), colour)
    if arm.grip in ("fist", "peace", "point"):
        for x in (-0.045, 0.03):
            local.stroke(smooth([(x, -0.15), (x, -0.05)], closed=False), material.deep, 0.01, 0.022, 0.01)


# Fingers of a right hand pointing up, as middle lines and widths; the thumb points to the body.
FINGERS: dict[str, tuple[tuple[tuple[Spot, ...], float], ...]] = {
    "open": (
        (((-0.08, -0.13), (-0.13, -0.3)), 0.075), (((-0.02, -0.15), (-0.03, -0.35)), 0.075),
        (((0.04, -0.14), (0.07, -0.33)), 0.075), (((0.09, -0.1), (0.15, -0.25)), 0.07),
        (((-0.1, -0.04), (-0.22, -0.14)), 0.075),
    ),
    "peace": (
        (((-0.04, -0.12), (-0.11, -0.4)), 0.08), (((0.04, -0.12), (0.1, -0.4)), 0.08),
        (((-0.09, -0.04), (0.02, -0.06)), 0.075),
    ),
    "point": ((((-0.03, -0.12), (-0.04, -0.4)), 0.085), (((-0.1, -0.03), (0.0, -0.06)), 0.075)),
    "fist": ((((-0.1, -0.05), (0.0, -0.08)), 0.08),),
    "salute": (
        (((-0.06, -0.1), (-0.06, -0.24)), 0.08), (((0.0, -0.1), (0.0, -0.26)), 0.08),
        (((0.06, -0.1), (0.06, -0.23)), 0.075),
    ),
    "rest": (
        (((-0.05, -0.1), (-0.05, -0.18)), 0.1), (((0.04, -0.1), (0.04, -0.17)), 0.1),
        (((-0.1, -0.02), (-0.13, -0.1)), 0.07),
    ),
}  # fmt: skip
