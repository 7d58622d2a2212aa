"""What is in force: the decisions about a set, taken one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from newbie_core.plans import Directions, Pin, SeedRule
from newbie_core.review.decisions import Decision


@dataclass(slots=True, kw_only=True)
class Standing:
    """What is in force, by picture id.

    A rejection stays until somebody clears the picture, or approves, pins or chooses that very seed after all.

    Attributes:
        pinned: the decision that pinned it.
        rejected: the seeds that are not used again, each with the decision that rejected it.
        approved: the pixels that were approved.
        chosen: the decision that chose a candidate; its seed is used.
        open: the last reroll, until somebody chooses, approves or pins a picture.
    """

    pinned: dict[str, Decision] = field(default_factory=dict)
    rejected: dict[str, dict[int, Decision]] = field(default_factory=dict)
    approved: dict[str, set[str]] = field(default_factory=dict)
    chosen: dict[str, Decision] = field(default_factory=dict)
    open: dict[str, Decision] = field(default_factory=dict)
    last: dict[str, Decision] = field(default_factory=dict)

    def take(self, decision: Decision) -> None:
        """Let the next decision count."""
        picture_id, about = decision.id, decision.about
        self.last[picture_id] = decision
        if decision.decision in ("approve", "pin", "choose"):
            self.open.pop(picture_id, None)
            self.rejected.get(picture_id, {}).pop(about.seed, None)
        match decision.decision:
            case "approve":
                self.approved.setdefault(picture_id, set()).add(about.pixels)
            case "pin":
                self.pinned[picture_id] = decision
            case "unpin":
                self.pinned.pop(picture_id, None)
            case "choose":
                self.chosen[picture_id] = decision
                self.approved.setdefault(picture_id, set()).add(about.pixels)
            case "reject" | "reroll":
                self._reject(decision)
            case "clear":
                self._forget(picture_id)

    def _forget(self, picture_id: str) -> None:
        self.pinned.pop(picture_id, None)
        self.rejected.pop(picture_id, None)
        self.approved.pop(picture_id, None)
        self.chosen.pop(picture_id, None)
        self.open.pop(picture_id, None)

    def _reject(self, decision: Decision) -> None:
        picture_id, about = decision.id, decision.about
        self.rejected.setdefault(picture_id, {})[about.seed] = decision
        self.approved.get(picture_id, set()).discard(about.pixels)
        chosen = self.chosen.get(picture_id)
        if chosen is not None and chosen.about.seed == about.seed:
            del self.chosen[picture_id]
        if decision.decision == "reroll":
            self.open[picture_id] = decision

    def is_approved(self, picture_id: str, pixels: str) -> bool:
        """Whether somebody approved, chose or pinned exactly these pixels."""
        pin = self.pinned.get(picture_id)
        return pixels in self.approved.get(picture_id, ()) or (pin is not None and pin.about.pixels == pixels)

    def directions(self, *, without: Iterable[str] = ()) -> Directions:
        """What planning obeys.

        Args:
            without: pinned ids whose pictures are lost; they are planned as their sheet asks.
        """
        lost = frozenset(without)
        pins = {i: pin_of(decision) for i, decision in self.pinned.items() if i not in lost}
        seeds = {}
        for picture_id in {*self.rejected, *self.chosen}:
            rejected = self.rejected.get(picture_id, {})
            chosen = self.chosen.get(picture_id)
            last = chosen or next(reversed(rejected.values()), None)
            if last is not None:
                seeds[picture_id] = SeedRule(
                    rejected=frozenset(rejected), chosen=chosen.about.seed if chosen else None, why=_why(last)
                )
        return Directions(pins=pins, seeds=seeds)


def standing_of(decisions: Iterable[Decision]) -> Standing:
    """What is in force after `decisions`, oldest first."""
    standing = Standing()
    for decision in decisions:
        standing.take(decision)
    return standing


def pin_of(decision: Decision) -> Pin:
    """A pin as planning obeys it."""
    about = decision.about
    return Pin(
        key=about.key,
        prompt=about.prompt,
        seed=about.seed,
        width=about.width,
        height=about.height,
        recipe=about.recipe,
        why=_why(decision),
    )


def _why(decision: Decision) -> str:
    return f'{decision} ("{decision.note}")' if decision.note else str(decision)
