"""Contact sheets and the visual changelog; people's decisions as data.

Nothing is imported here: drawing costs Pillow, which planning does without.
"""
