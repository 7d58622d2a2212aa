"""Render characters and a scene into the model's XML; parse it, check it, flatten it."""
