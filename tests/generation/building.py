"""Jobs made by hand."""

from __future__ import annotations

from newbie_core.digests import digest_value
from newbie_core.plans import Job


def make_job(
    id: str = "aria",
    *,
    seed: int = 1,
    width: int = 64,
    height: int = 64,
    appearance: str = "silver_hair, long_hair, blue_eyes",
    expression: str = "smile",
    background: str = "classroom",
    prompt: str = "",
) -> Job:
    """A job for one girl; its key is of all that decides its pixels."""
    prompt = prompt or (
        f"<character_1>\n<gender>1girl</gender>\n<appearance>{appearance}</appearance>\n"
        f"<expression>{expression}</expression>\n</character_1>\n\n"
        f"<general_tags>\n<background>{background}</background>\n</general_tags>\n"
    )
    return Job(
        id=id,
        key=digest_value([prompt, seed, width, height]),
        prompt=prompt,
        negative="",
        seed=seed,
        width=width,
        height=height,
        steps=28,
        guidance="4.5",
    )
