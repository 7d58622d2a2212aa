"""A production line for anime character art: a spreadsheet in, an immutable, explained image set out."""
