"""Draw a character from its tags with Pillow: previews, tests, training data."""

from newbie_core.drawing.scene import DRAWING_VERSION, Figure, Setting, Spot, draw
from newbie_core.drawing.tags import Understood, understand
from newbie_core.drawing.words import vocabulary

__all__ = ["DRAWING_VERSION", "Figure", "Setting", "Spot", "Understood", "draw", "understand", "vocabulary"]
