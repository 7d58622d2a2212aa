"""Carrying out jobs: order, failures, resuming, stopping."""

import threading

import orjson
import pytest
from PIL import Image

from newbie_core.engines.sketch import SketchEngine
from newbie_core.errors import EngineError, PictureError, StoreError
from newbie_core.generation import Failed, Made, generate, recall_made
from newbie_core.images import decode, pixel_digest, read_record
from newbie_core.store import Store
from tests.generation.building import make_job

JOBS = [make_job(f"p{number}", seed=number) for number in range(6)]


class ScriptedEngine(SketchEngine):
    """Sketches, but gives or raises something else for the ids it is told of."""

    def __init__(self, **instead):
        super().__init__()
        self._instead = instead
        self.asked: list[str] = []

    def pictures(self, jobs):
        for job, picture in zip(jobs, super().pictures(jobs), strict=True):
            self.asked.append(job.id)
            other = self._instead.get(job.id, picture)
            if isinstance(other, BaseException) and not isinstance(other, PictureError):
                raise other
            yield other


class FullStore(Store):
    """A store whose disk is full after so many pictures."""

    def __init__(self, driver, room: int):
        super().__init__(driver)
        self._left = room

    def commit(self, pictures):
        self._left -= len(pictures)
        if self._left < 0:
            raise StoreError("no room left")
        return super().commit(pictures)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


def made_ids(outcomes) -> list[str]:
    return [outcome.job.id for outcome in outcomes if isinstance(outcome, Made)]


def pixels(outcomes) -> dict[str, str]:
    return {outcome.job.id: outcome.pixels for outcome in outcomes if isinstance(outcome, Made)}


def test_every_job_gives_a_picture_that_is_in_the_store(store):
    outcomes = generate(JOBS, engine=SketchEngine(), store=store)
    assert made_ids(outcomes) == [job.id for job in JOBS]
    for outcome in outcomes:
        image = decode(store.get(outcome.object))
        assert image.size == (64, 64)
        assert pixel_digest(image) == outcome.pixels
        assert outcome.size == len(store.get(outcome.object))
        assert outcome.seconds > 0


def test_a_picture_carries_its_record(store):
    (outcome,) = generate(JOBS[:1], engine=SketchEngine(), store=store)
    record = read_record(store.get(outcome.object))
    assert (record["prompt"], record["seed"], record["key"]) == (JOBS[0].prompt, 0, JOBS[0].key)
    assert (record["engine"], record["guidance"], record["source_type"]) == (
        "sketch",
        "4.5",
        "algorithmicMedia",
    )


def test_the_order_of_jobs_does_not_matter_to_their_bytes(tmp_path):
    with (
        Store.open(tmp_path / "a", durable=False) as first,
        Store.open(tmp_path / "b", durable=False) as second,
    ):
        forward = generate(JOBS, engine=SketchEngine(), store=first)
        backward = generate(JOBS[::-1], engine=SketchEngine(), store=second)
        alone = generate(JOBS[3:4], engine=SketchEngine(), store=second)
    assert {o.job.id: o.object for o in forward} == {o.job.id: o.object for o in backward}
    assert alone[0].object == forward[3].object


def test_no_jobs_are_carried_out_at_once(store):
    assert generate([], engine=SketchEngine(), store=store) == []


def test_one_failing_picture_does_not_stop_the_others(store):
    engine = ScriptedEngine(p2=PictureError("out of paint"))
    outcomes = generate(JOBS, engine=engine, store=store)
    assert made_ids(outcomes) == ["p0", "p1", "p3", "p4", "p5"]
    assert [(o.job.id, o.reason) for o in outcomes if isinstance(o, Failed)] == [("p2", "out of paint")]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.new("RGB", (64, 64)), "the picture is one colour, (0, 0, 0)"),
        (Image.new("RGB", (64, 64), (200, 10, 10)), "the picture is one colour"),
        (Image.new("RGB", (64, 56), "red"), "the picture is 64x56, not 64x64"),
        (Image.new("L", (64, 64)), 'the picture is of mode "L", not "RGB"'),
    ],
)
def test_what_is_no_usable_picture_fails_that_picture(store, image, said):
    outcomes = generate(JOBS[:2], engine=ScriptedEngine(p0=image), store=store)
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert failed.job.id == "p0"
    assert failed.reason.startswith("the engine gave no usable picture: ")
    assert said in failed.reason
    assert made_ids(outcomes) == ["p1"]
    assert store.recall(JOBS[0].key) is None


def test_an_engine_that_breaks_is_an_error_and_what_was_made_is_kept(store):
    engine = ScriptedEngine(p3=EngineError("the device is gone"))
    with pytest.raises(EngineError, match="the device is gone"):
        generate(JOBS, engine=engine, store=store)
    assert [recall_made(store, job.key) is not None for job in JOBS] == [True] * 3 + [False] * 3


def test_a_store_that_cannot_be_written_is_an_error_and_what_was_written_is_kept(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as opened:
        store = FullStore(opened.driver, room=3)
        jobs = [make_job(f"q{number}", seed=number) for number in range(40)]
        with pytest.raises(StoreError, match="no room left"):
            generate(jobs, engine=SketchEngine(), store=store)
        kept = [job for job in jobs if recall_made(store, job.key)]
        assert len(kept) <= 3


def test_outcomes_are_told_one_by_one_once_they_are_durable(store):
    told = []

    def tell(outcome):
        told.append((outcome.job.id, store.has(outcome.object)))

    generate(JOBS, engine=SketchEngine(), store=store, on_outcome=tell)
    assert told == [(job.id, True) for job in JOBS]


def test_a_stop_waits_for_the_picture_in_hand_and_keeps_what_was_made(store):
    stop = threading.Event()

    class StoppedEngine(ScriptedEngine):
        """Is asked to stop while it draws the third picture."""

        def pictures(self, jobs):
            for picture in super().pictures(jobs):
                if len(self.asked) == 3:
                    stop.set()
                yield picture

    engine = StoppedEngine()
    outcomes = generate(JOBS, engine=engine, store=store, stop=stop)
    assert made_ids(outcomes) == ["p0", "p1", "p2"]
    assert engine.asked == ["p0", "p1", "p2"]
    assert all(recall_made(store, job.key) for job in JOBS[:3])


def test_a_made_picture_is_recalled_while_its_object_is_there(store):
    (outcome,) = generate(JOBS[:1], engine=SketchEngine(), store=store)
    record = recall_made(store, JOBS[0].key)
    assert (record["object"], record["pixels"], record["size"]) == (
        outcome.object,
        outcome.pixels,
        outcome.size,
    )
    assert orjson.loads(store.get(record["environment"])) == SketchEngine().environment()
    store.quarantine(f"objects/{outcome.object[:2]}/{outcome.object[2:]}")
    assert recall_made(store, JOBS[0].key) is None
    assert recall_made(store, JOBS[1].key) is None


def test_many_more_pictures_than_are_in_flight_at_once_are_all_made(store):
    jobs = [make_job(f"m{number}", seed=number) for number in range(40)]
    assert len(made_ids(generate(jobs, engine=SketchEngine(), store=store))) == 40
