"""One run: a catalog to a release, in steps that a shell or a flow calls one after the other.

`opening.open_run` opens one, and shows the steps. A run holds its set's lock from start to end. Everything made
is in the store at once, so a run that is cut off loses the pictures in hand and no more.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newbie_core.digests import digest_bytes
from newbie_core.errors import DamageError, MissingError
from newbie_core.generation import Engine, Failed, Made, Outcome, licences_of, recall_made
from newbie_core.images import software
from newbie_core.plans import Item, Job
from newbie_core.production.approval import undecided
from newbie_core.production.canary import USUAL_GOLDENS, CanaryReport, check_canary, read_book, where_now
from newbie_core.production.draft import Draft
from newbie_core.production.hands import Hands
from newbie_core.production.history import measure
from newbie_core.production.hooks import tell_report
from newbie_core.production.morning import Morning, make_page
from newbie_core.production.options import RunOptions
from newbie_core.production.report import RunReport
from newbie_core.production.rerolls import keep_made
from newbie_core.releases import (
    PROPOSAL,
    Content,
    Entry,
    Place,
    Release,
    ReleaseRef,
    Shelf,
    build_content,
    build_view,
    changes_page,
    encode_tables,
    explain,
    mend_views,
    propose,
    publish,
    read_rights,
    rebuild_view,
    rejects_csv,
    view_folder,
    withdraw,
)
from newbie_core.releases.manifest import content_digest, decode_manifest
from newbie_core.review.decisions import DecisionLog
from newbie_core.review.release_sheet import release_sheet
from newbie_core.review.standing import standing_of
from newbie_core.rights import stated
from newbie_core.sheets.workbook import collecting_paused
from newbie_core.store import Store

CHUNK = 64
"""Pictures a chunk: one Prefect task run, one pass over the engine."""


class Run:
    """A run under way; made by `opening.open_run`."""

    def __init__(
        self,
        *,
        store: Store,
        root: Path,
        shelf: Shelf,
        draft: Draft,
        engine: Engine,
        hands: Hands,
        options: RunOptions,
        redraft: Callable[[], Draft],
        on_outcome: Callable[[Outcome], None] | None,
        stop: threading.Event,
    ) -> None:
        self._store = store
        self._options = options
        self._take(draft)
        self.run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._root = root
        self._shelf = shelf
        self._engine = engine
        self._hands = hands
        self._canary: CanaryReport | None = None
        self._redraft = redraft
        self._on_outcome = on_outcome
        self._stop = stop
        self._outcomes: list[Outcome] = []
        self._undecided: list[str] = []
        self._proposal: Path | None = None
        self.report: RunReport | None = None
        self._is_told = False
        self._started = time.monotonic()
        self._started_at = datetime.now(UTC)

    def _take(self, draft: Draft) -> None:
        """Go by this draft."""
        self._draft = draft
        self.plan = draft.plan
        asked = {item.key for item in draft.plan.items}
        further = {item.key: item for item in draft.candidates if item.key not in asked}
        further = {key: item for key, item in further.items() if recall_made(self._store, key) is None}
        self._candidates = frozenset(further)
        self.pending: list[Item] = [*draft.pending, *further.values()][: self._options.limit]
        made_later = {item.key for item in draft.pending} - {item.key for item in self.pending}
        self.waiting = len(made_later)

    def canary(self) -> CanaryReport | None:
        """Make the golden pictures again and compare them; None when nobody asked or nothing is to be made.

        A drift nobody decided about is looked at again whatever there is to make.
        """
        settings = self.plan.catalog.settings.canary
        is_waiting = read_book(self._store, self._shelf.set).drift is not None
        wanted = settings.pictures
        if wanted is None:
            wanted = self._options.canary or (USUAL_GOLDENS if is_waiting else 0)
        if not wanted or not (self.pending or is_waiting):
            return None
        self._canary = check_canary(
            self._store,
            self._shelf.set,
            where=where_now(self.plan.engine, self._engine.environment()),
            jobs=self._spread,
            render=self._hands.render,
            wanted=wanted,
            accept=settings.accept,
        )
        if self._canary.settled:
            self._take(self._redraft())
        return self._canary

    def _spread(self, count: int) -> Sequence[Job]:
        """So many of the plan's pictures, spread over it; pinned ones are of other nights."""
        items = list({item.key: item for item in self.plan.items if item.pin is None}.values())
        step = max(1, len(items) // count)
        return self.plan.jobs(items[::step][:count])

    def chunks(self) -> Iterator[range]:
        """The pending pictures in chunks, by position: one task each."""
        size = CHUNK * getattr(self._hands, "size", 1)
        for start in range(0, len(self.pending), size):
            yield range(start, min(start + size, len(self.pending)))

    def make(self, chunk: range) -> tuple[int, int]:
        """Make the pictures of a chunk; how many were made and how many failed."""
        items = [self.pending[at] for at in chunk]
        outcomes = self._hands.make(self.plan.jobs(items), stop=self._stop, on_outcome=self._on_outcome)
        self._outcomes.extend(replace(outcome, job=replace(outcome.job, prompt="")) for outcome in outcomes)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        if failures:
            self._journal(
                {"event": "failed", "pictures": {failed.job.id: failed.reason for failed in failures}}
            )
        return len(outcomes) - len(failures), len(failures)

    def check(self) -> int:
        """Read back what was made; how many pictures are whole.

        Raises:
            DamageError: one is not what was written; nothing is published, and the next run makes it again.
        """
        made = {outcome.object for outcome in self._outcomes if isinstance(outcome, Made)}
        bad = {digest: problem for digest in made if (problem := self._store.check(digest, quick=False))}
        if bad:
            digest, problem = next(iter(bad.items()))
            raise DamageError(
                f"{len(bad)} of {len(made)} pictures are not what was written (object {digest} is {problem}); "
                "check the disk, then run again"
            )
        return len(made)

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._stop.is_set()

    @collecting_paused()
    def publish(self) -> RunReport:
        """Publish what the plan and the made pictures give, unless it is what counts already.

        Nobody is told yet: `make_page` and `tell` follow.
        """
        outcomes = [outcome for outcome in self._outcomes if outcome.job.key not in self._candidates]
        made = [outcome for outcome in outcomes if isinstance(outcome, Made)]
        failed = [(outcome.job.id, outcome.reason) for outcome in outcomes if isinstance(outcome, Failed)]
        keep_made(self._draft, store=self._store, root=self._root, set_name=self._shelf.set)
        places = dict(self._draft.places)
        for picture in made:
            places[picture.job.key] = Place(object=picture.object, size=picture.size, pixels=picture.pixels)
        parent = self._draft.parent
        content = build_content(self.plan, places, parent, self._all_failed(failed, places))
        digest = self._digest_of(content)
        ref, is_new = self._publish_content(content, digest, parent, made)
        notes = list(self._draft.notes)
        if ref is not None and content.entries and ref.digest != digest and self._proposal is None:
            notes.append(
                f"this content was rolled back from and is not published again; {ref.name} still counts. "
                "Change the sheet, or use --republish"
            )
        view = self._view(ref, is_new)
        self._journal(
            {
                "event": "end",
                "release": ref.name if ref else None,
                "manifest": ref.manifest if ref else None,
                "digest": ref.digest if ref else None,
                "made": len(made),
                "failed": len(failed),
            }
        )
        self.report = RunReport(
            catalog=self.plan.catalog.name,
            release=ref.name if ref else None,
            digest=ref.digest if ref else None,
            is_new=is_new,
            generated=len(made),
            reused=len(self.plan.items) - len(made) - len(failed) - self.waiting,
            removed=len(self.plan.remove),
            held=len(self.plan.held),
            waiting=self.waiting,
            failed=failed,
            faults=self.plan.faults,
            seconds=time.monotonic() - self._started,
            view=view,
            notes=(*notes, *(self._canary.sentences() if self._canary else ()), *self._hands.remarks()),
            usage=self._hands.usage(),
            undecided=self._undecided,
            proposal=self._proposal,
            canary=self._canary.record() if self._canary else None,
        )
        return self.report

    def make_page(self) -> Morning | None:
        """The page of what was published or proposed, if the options ask for it; a page that fails is told."""
        report = self.report
        if report is None or not self._options.page or not (folder := report.proposal or report.view):
            return None
        version = PROPOSAL if report.proposal else str(report.release)
        page = make_page(self._shelf, version, folder)
        notes = (*report.notes, f"there is no page: {page.error}") if page.error else report.notes
        self.report = replace(report, page=page, notes=notes)
        return page

    def tell(self) -> RunReport:
        """Tell the set's hooks, once, what was published; the report, with what could not be told."""
        if self.report is None:
            raise RuntimeError("nothing is published yet: call publish() first")
        if not self._is_told:
            self._is_told = True
            self.report = tell_report(self.plan.catalog.settings.hook, self.report)
        return self.report

    def _all_failed(self, failed: Sequence[tuple[str, str]], places: Mapping[str, Place | Entry]) -> set[str]:
        """What failed tonight, and what failed before and was not tried tonight or not selected."""
        parent = self._draft.parent
        before = parent.content.failed if parent else ()
        waiting = {item.picture.id for item in self.plan.items if item.key not in places}
        selects = self._options.plan.selects
        return {
            *(picture_id for picture_id, _ in failed),
            *(picture_id for picture_id in before if picture_id in waiting or not selects(picture_id)),
        }

    def _publish_content(
        self, content: Content, digest: str, parent: Release | None, made: Sequence[Made]
    ) -> tuple[ReleaseRef | None, bool]:
        current = self._shelf.current()
        if not content.entries and not self._options.plan.allow_empty and not self.plan.retired:
            return current, False
        if current is not None and current.digest == digest and self._heal(content, current):
            withdraw(self._shelf, self._root)
            return current, False
        if current is not None and not self._options.republish and self._was_rolled_back(digest):
            return current, False
        pages = {
            "changes.md": changes_page(content, self.plan, parent),
            "contact-sheet.png": self._sheet(content),
        }
        if rejected := self.plan.rejected():
            pages["rejects.csv"] = rejects_csv(rejected)
        if self._is_held_back(content, parent):
            self._proposal = propose(
                self._shelf, self._root, content, pages, explain(self.plan, parent, content)
            )
            return current, False
        attestation = self._attestation(made) | {"rights": self._rights(content, parent)}
        ref = publish(self._shelf, content, self.plan, parent=parent, attestation=attestation, pages=pages)
        withdraw(self._shelf, self._root)
        return ref, True

    def _is_held_back(self, content: Content, parent: Release | None) -> bool:
        """Whether approval is required and lacks, or the canary drifted and nobody decided.

        What was decided about pictures while they were made counts too.
        """
        is_drifting = self._canary is not None and self._canary.waiting
        if not (self._options.require_approval or self.plan.catalog.settings.release.require_approval):
            return is_drifting
        decisions, _ = DecisionLog(self._store, self._shelf.set).read()
        self._undecided = undecided(content, parent, standing_of(decisions))
        return is_drifting or bool(self._undecided)

    def _was_rolled_back(self, digest: str) -> bool:
        latest = self._shelf.latest()
        if latest is None:
            return False
        return any(ref.digest == digest and ref.number > latest.ref.number for ref in self._shelf.refs())

    def _digest_of(self, content: Content) -> str:
        """The content's release digest; what did not change is not encoded again."""
        parent = self._draft.parent
        return parent.ref.digest if parent and content == parent.content else content_digest(content)

    def _heal(self, content: Content, ref: ReleaseRef) -> bool:
        """Write again what of the release can be told from the plan; False when that does not make it whole.

        A release stays unreadable when its manifest is lost, or when a lost picture was made again with
        other bytes (the same pixels by another PNG encoder): then the content gets a new number.
        """
        try:
            manifest = decode_manifest(self._store.get(ref.manifest))
        except (DamageError, MissingError):
            return False
        problems = self._store.check_changed(manifest.parts().values())
        parent = self._draft.parent
        if not problems and parent is not None and parent.ref == ref and content == parent.content:
            return True
        known = {digest_bytes(data): data for data in (content.encode(), content.encode_objects())}
        known |= {digest_bytes(data): data for data in encode_tables(self.plan, content).values()}
        self._store.put_many([known[digest] for digest in problems if digest in known])
        for part, digest in manifest.parts().items():
            if digest in problems and digest not in known:
                self._draft.notes.append(
                    f"the {part} of {ref.name} is {problems[digest]} and cannot be made again; "
                    "its pictures are whole. Restore it from a copy of the store"
                )
        self._draft.damaged |= bool(problems)
        return manifest.objects in known

    def _sheet(self, content: Content) -> bytes:
        badges = {i.picture.id: "new" for i in self.plan.of("add")} if self._draft.parent else {}
        badges |= {item.picture.id: "changed" for item in self.plan.of("change")}
        notes = dict.fromkeys(self.plan.held, "held") | dict.fromkeys(content.failed, "failed")
        order = [item.picture.id for item in self.plan.items]
        return release_sheet(self._store, content, order=order, badges=badges, notes=notes)

    def _view(self, ref: ReleaseRef | None, is_new: bool) -> Path | None:
        if ref is None:
            return None
        folder = view_folder(self._root, ref.set, ref.name)
        if is_new:
            release = self._shelf.read(ref)
            build_view(self._store, folder, release.content.entries, release.manifest.pages)
        elif self._draft.damaged or not folder.exists():
            rebuild_view(self._shelf, self._root, ref)
        if self._draft.damaged:
            mend_views(self._shelf, self._root)
        return folder

    def _attestation(self, made: Sequence[Made]) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "run": self.run_id,
            "software": software(),
            "started": self._started_at.isoformat(timespec="seconds"),
            "ended": now.isoformat(timespec="seconds"),
            "seconds": f"{time.monotonic() - self._started:.3f}",
            "generated": len(made),
            "environment": dict(self._engine.environment()),
            "usage": {name: str(value) for name, value in self._hands.usage().items()},
            "remarks": list(self._hands.remarks()),
            "timings": measure(made, self.plan.engine.fingerprint),
            "files": dict(self.plan.catalog.files),
            "tables": list(self.plan.catalog.table_order()),
            "rejected": [fault.record() for fault in self.plan.rejected()],
        }

    def _rights(self, content: Content, parent: Release | None) -> dict[str, list[dict[str, str]]]:
        """The licences behind the content's pictures, by the fingerprint of what made them.

        Those of pictures kept from before are what the parent tells of them.
        """
        fingerprint = self.plan.engine.fingerprint
        before = read_rights(self._shelf, parent) if parent else {}
        licences = stated(licences_of(self._engine), self.plan.catalog.settings.rights)
        known = {**before, fingerprint: licences}
        used = {recipe.engine for recipe in content.recipes.values()}
        return {name: [licence.record() for licence in known[name]] for name in sorted(used & known.keys())}

    def _journal(self, record: dict[str, Any]) -> None:
        self._store.journal(self.run_id).append(
            {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "set": self.plan.catalog.name,
                **record,
            }
        )
