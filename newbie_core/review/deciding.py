"""Take decisions about pictures: each is about the very pixels somebody looked at, or it is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from newbie_core.errors import DamageError, MissingError, ReleaseError
from newbie_core.plans import ladder
from newbie_core.releases import PROPOSAL, Content, Shelf, read_proposal
from newbie_core.review.candidates import open_candidates
from newbie_core.review.decisions import About, Decision, DecisionKind, DecisionLog, about_entry
from newbie_core.review.standing import Standing, standing_of
from newbie_core.spelling import nearest

REROLL_COUNT = 4
REROLL_LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks to be decided about one picture.

    Attributes:
        version: the release they looked at, or "proposal"; None for what there is to look at now.
        key: the content key of what they saw; None where they did not say.
        pixels: the pixels' digest of what they saw; None where they did not say.
        number: of a reroll, how many candidates; of a choice, which of them.
        where: where the request stands, such as `decisions.json, entry 3`.
    """

    id: str
    decision: DecisionKind
    version: str | None = None
    note: str = ""
    key: str | None = None
    pixels: str | None = None
    by: str
    at: str
    number: int = REROLL_COUNT
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was not taken, and why."""

    id: str
    decision: str
    code: str
    reason: str
    where: str = ""

    def record(self) -> dict[str, str]:
        """The refusal as programs read it."""
        return {
            "id": self.id,
            "decision": self.decision,
            "code": self.code,
            "reason": self.reason,
            "where": self.where,
        }

    def __str__(self) -> str:
        return f"{f'{self.where}: ' if self.where else ''}{self.decision} {self.id}: {self.reason}"


@dataclass(slots=True, kw_only=True)
class Taken:
    """What came of requests; `already` are those that changed nothing, for they stood already."""

    decisions: list[Decision] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    already: list[Request] = field(default_factory=list)


class _Refused(Exception):
    """Ends one request; the others go on."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _refusal(request: Request, error: _Refused | ReleaseError) -> Refusal:
    return Refusal(
        id=request.id, decision=request.decision, code=error.code, reason=str(error), where=request.where
    )


class Desk:
    """Where decisions about one set are taken, one after the other."""

    def __init__(self, shelf: Shelf) -> None:
        self.log = DecisionLog(shelf.store, shelf.set)
        decisions, self.notes = self.log.read()
        self.standing: Standing = standing_of(decisions)
        self._shelf = shelf
        self._known: dict[str, Mapping[str, About]] = {}
        current = shelf.current()
        self._current = current.name if current else None
        try:
            self._content_of(PROPOSAL)
        except ReleaseError as error:
            self._known[PROPOSAL] = {}
            self.notes = [*self.notes, f"{error}; the next run makes it again"]

    def ids(self, version: str | None) -> list[str]:
        """The pictures there are to decide about: of a version, or of what counts now and what is decided.

        Raises:
            ReleaseError: there is no such version.
        """
        if version is not None:
            return list(self._content_of(version))
        now = self._content_of(self._current) if self._current else {}
        standing = self.standing
        return sorted({*now, *self._content_of(PROPOSAL), *standing.pinned, *standing.rejected})

    def decide(self, requests: Iterable[Request], *, keep: bool = True) -> Taken:
        """Take every request that can be taken, and write them down together unless `keep` is False."""
        taken = Taken()
        for request in requests:
            try:
                decision = self._decision(request)
            except (_Refused, ReleaseError) as refused:
                taken.refused.append(_refusal(request, refused))
                continue
            if decision is None:
                taken.already.append(request)
                continue
            self.standing.take(decision)
            taken.decisions.append(decision)
        if keep:
            self.log.append(taken.decisions)
        return taken

    def _decision(self, request: Request) -> Decision | None:
        version, about = self._about(request)
        for what, asked, found in (
            ("pixels", request.pixels, about.pixels),
            ("key", request.key, about.key),
        ):
            if asked is not None and asked != found:
                raise _Refused(
                    "E_DECISION_CHANGED",
                    f"{version} shows {what} {found[:10]}, not the {asked[:10]} this was decided about; "
                    "look at it again",
                )
        self._check(request, version, about)
        if self._stands(request.decision, request.id, about):
            return None
        return Decision(
            set=self._shelf.set,
            id=request.id,
            version=version,
            decision=request.decision,
            note=request.note,
            by=request.by,
            at=request.at,
            about=about,
            seeds=self._candidates(request, about) if request.decision == "reroll" else (),
        )

    def _about(self, request: Request) -> tuple[str, About]:
        """The version and the picture that are meant."""
        if request.decision == "choose":
            return self._found_candidate(request)
        if request.decision not in ("unpin", "clear"):
            return self._found(request)
        version, about = self._found_standing(request)
        if request.decision == "clear" and self._in(
            request.version or self._usual_version(request), request.id
        ):
            return self._found(request)
        return version, about

    def _found(self, request: Request) -> tuple[str, About]:
        """The picture that is meant, in the version that is meant, if it is still what there is to see."""
        version = request.version or self._usual_version(request)
        about = self._in(version, request.id)
        if about is None:
            near = nearest(request.id, self._content_of(version))
            hint = f'did you mean "{near}"?' if near else "`newbie show CATALOG --json` lists the ids"
            raise _Refused("E_DECISION_PICTURE", f"{version} has no such picture; {hint}")
        now = [(name, self._in(name, request.id)) for name in (PROPOSAL, self._current) if name]
        seen = [(name, found) for name, found in now if found is not None]
        if all(found.pixels != about.pixels for _, found in seen):
            shown = " and ".join(f"{name} shows other pixels" for name, _ in seen) or "it is gone"
            raise _Refused(
                "E_DECISION_CHANGED",
                f"changed since {version}: {shown} now; look at it there, and decide again",
            )
        return version, about

    def _found_standing(self, request: Request) -> tuple[str, About]:
        """The picture a decision to be taken back was about."""
        standing = self.standing
        if request.decision == "unpin":
            if (pin := standing.pinned.get(request.id)) is None:
                raise _Refused(
                    "E_DECISION_UNPINNED", "is not pinned; `newbie decisions CATALOG` lists what is"
                )
            return pin.version, pin.about
        last = standing.last.get(request.id)
        if last is None or last.decision == "clear":
            raise _Refused("E_DECISION_NONE", "nothing is decided about it; there is nothing to take back")
        return last.version, last.about

    def _found_candidate(self, request: Request) -> tuple[str, About]:
        """The candidate that is chosen, with the version whose picture it takes the place of."""
        found = open_candidates(self._shelf.store, self._shelf.set, self.standing)
        listed = [candidate for candidate in found if candidate.id == request.id]
        choice = self.standing.chosen.get(request.id)
        if not listed and choice is not None and request.pixels == choice.about.pixels:
            return choice.version, choice.about
        if not listed:
            raise _Refused(
                "E_DECISION_CANDIDATE", "has no open reroll; `newbie decide CATALOG reroll ID` opens one"
            )
        meant = next((c for c in listed if c.number == request.number), None)
        if meant is None or meant.about is None:
            numbers = ", ".join(str(c.number) for c in listed if c.about)
            raise _Refused(
                "E_DECISION_CANDIDATE",
                f"candidate {request.number} is not there; "
                + (f"there are {numbers}" if numbers else "none is made yet; `newbie run` makes them"),
            )
        return self.standing.open[request.id].version, meant.about

    def _usual_version(self, request: Request) -> str:
        if request.decision != "pin" and self._in(PROPOSAL, request.id) is not None:
            return PROPOSAL
        if self._current is None:
            raise _Refused("E_DECISION_VERSION", "the set has no release yet; `newbie run` makes one")
        return self._current

    def _check(self, request: Request, version: str, about: About) -> None:
        if request.decision == "pin" and version == PROPOSAL:
            raise _Refused(
                "E_DECISION_VERSION", "only released pictures are pinned; approve it, run, then pin it"
            )
        pin = self.standing.pinned.get(request.id)
        if request.decision in ("reject", "reroll") and pin is not None and pin.about.seed == about.seed:
            raise _Refused("E_DECISION_PINNED", f"is {pin}; unpin it first")

    def _stands(self, decision: DecisionKind, picture_id: str, about: About) -> bool:
        """Whether the decision would change nothing."""
        standing = self.standing
        is_rejected = about.seed in standing.rejected.get(picture_id, ())
        match decision:
            case "approve":
                return about.pixels in standing.approved.get(picture_id, ()) and not is_rejected
            case "reject":
                return is_rejected
            case "pin":
                pin = standing.pinned.get(picture_id)
                return pin is not None and pin.about == about and not is_rejected
            case "choose":
                choice = standing.chosen.get(picture_id)
                return choice is not None and choice.about == about and picture_id not in standing.open
            case _:
                return False

    def _candidates(self, request: Request, about: About) -> tuple[int, ...]:
        """The next seeds of the picture's ladder, that of the rejected picture left out."""
        rejected = {*self.standing.rejected.get(request.id, ()), about.seed}
        return tuple(islice(ladder(self._shelf.set, request.id, about.seed, rejected), request.number))

    def _in(self, version: str, picture_id: str) -> About | None:
        return self._content_of(version).get(picture_id)

    def _content_of(self, version: str) -> Mapping[str, About]:
        """The pictures of a version, by id."""
        if version not in self._known:
            try:
                content = self._read(version)
            except (DamageError, MissingError) as error:
                raise ReleaseError(f"{version} cannot be read: {error}", code="E_DECISION_VERSION") from None
            entries = content.entries if content else ()
            recipes = content.recipes if content else {}
            self._known[version] = {e.id: about_entry(e, recipes[e.recipe]) for e in entries}
        return self._known[version]

    def _read(self, version: str) -> Content | None:
        if version == PROPOSAL:
            proposal = read_proposal(self._shelf)
            return proposal.content if proposal else None
        return self._shelf.read(self._shelf.ref(version)).content
