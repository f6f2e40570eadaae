"""The queue by example: one promise each. What holds after any history is in test_queue_model."""

import pytest

from task_pipeline.core.lane import Entry, Terms, Zone
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue
from tests import make


def key(
    *, pipeline: int = 10, stage: int = 0, job: int = 10, accepted: float = 0, place: int = 0, uid: str = "u"
) -> OrderKey:
    return OrderKey(pipeline, stage, job, make.at(accepted), place, uid)


def put(queue: Queue, name: str, client: str = "default", place: OrderKey | None = None, **fields: object) -> None:
    """Let a job, or with `jobs=n, is_pipeline=True` a Pipeline, wait."""
    known = {"since": 0.0, "told": "Queued"} | fields
    queue.put(Entry(name, client, place or key(), **known))  # type: ignore[arg-type]


def open_queue(limit: int | None = None, size: int | None = None, **clients: Terms) -> Queue:
    """A queue with clients by name and terms, `default` without any limit among them."""
    queue = Queue(limit, size)
    for name, terms in ({"default": Terms()} | clients).items():
        queue.set_terms(name, terms)
    return queue


def drain(queue: Queue) -> list[str]:
    """All jobs in the order in which they start."""
    order = []
    while (job := queue.next()) is not None:
        order.append(job.id)
    return order


def zones(queue: Queue) -> dict[str, Zone]:
    return {entry.id: entry.zone for entry in queue.order()}


def test_the_order_of_the_keys() -> None:
    """Client, pipeline, stage, job, arrival, place, UID: each decides only among equals of all before it."""
    queue = open_queue(first=Terms(priority=1))
    ranked = [
        ("first", key(pipeline=99, stage=9, job=99, accepted=9, place=9, uid="z")),
        ("default", key(pipeline=1, stage=9, job=99, accepted=9, place=9, uid="z")),
        ("default", key(stage=0, job=99, accepted=9, place=9, uid="z")),
        ("default", key(stage=1, job=1, accepted=9, place=9, uid="z")),
        ("default", key(stage=1, job=2, accepted=0, place=9, uid="z")),
        ("default", key(stage=1, job=2, accepted=1, place=0, uid="z")),
        ("default", key(stage=1, job=2, accepted=1, place=1, uid="a")),
        ("default", key(stage=1, job=2, accepted=1, place=1, uid="b")),
    ]
    for number, (client, place) in reversed(list(enumerate(ranked))):
        put(queue, str(number), client, place)
    assert drain(queue) == [str(number) for number in range(len(ranked))]


def test_B011_a_stage_outranks_the_numbers_of_its_jobs() -> None:
    queue = open_queue()
    put(queue, "p2/b", place=key(stage=1, job=1))
    put(queue, "p1/a", place=key(stage=0, job=50))
    assert drain(queue) == ["p1/a", "p2/b"]


def test_B013_equals_run_in_the_order_of_the_list_and_then_of_arrival() -> None:
    queue = open_queue()
    for number in reversed(range(20)):
        put(queue, f"j{number:02}", place=key(place=number))
        put(queue, f"p{number:02}", place=key(accepted=1 + number / 1e6))
    assert drain(queue) == [f"j{number:02}" for number in range(20)] + [f"p{number:02}" for number in range(20)]


def test_B016_size_does_not_enter_the_order() -> None:
    queue = open_queue()
    put(queue, "small", place=key(job=5, place=0))
    put(queue, "big", place=key(job=1, place=1))
    assert drain(queue) == ["big", "small"]


def test_B012_a_client_at_its_limit_delays_nobody() -> None:
    queue = open_queue(10, a=Terms(priority=1, limit=2), b=Terms(limit=2))
    for number in range(50):
        put(queue, f"a{number:02}", "a", key(place=number))
    for number in range(5):
        put(queue, f"o{number}", "default", key(pipeline=99, place=number))
    assert drain(queue) == ["a00", "a01", "o0", "o1", "o2", "o3", "o4"]
    assert queue.free_slot("a00")
    assert drain(queue) == ["a02"]


def test_B012_a_window_full_of_work_of_a_client_at_its_limit_delays_nobody() -> None:
    queue = open_queue(10, size=3, a=Terms(priority=1, limit=1))
    for number in range(6):
        put(queue, f"a{number}", "a", key(place=number))
    put(queue, "job", "default")
    put(queue, "pipeline", "default", key(accepted=1), jobs=2, is_pipeline=True)
    assert queue.next().id == "a0"  # type: ignore[union-attr]
    assert zones(queue)["job"] is Zone.OUTSIDE
    assert [queue.next().id, queue.next().id] == ["job", "pipeline"]  # type: ignore[union-attr]


def test_a_client_that_nobody_has_described_waits() -> None:
    queue = Queue()
    put(queue, "a", "unknown")
    assert queue.next() is None
    queue.set_terms("unknown", Terms())
    assert drain(queue) == ["a"]
    put(queue, "b", "unknown")
    queue.set_terms("unknown", None)
    assert drain(queue) == []


@pytest.mark.parametrize(("limit", "started"), [(None, 3), (0, 0), (2, 2)])
def test_absent_is_unlimited_and_zero_is_closed(limit: int | None, started: int) -> None:
    queue, by_client = open_queue(limit), open_queue(default=Terms(limit=limit))
    for number in range(3):
        put(queue, str(number), place=key(place=number))
        put(by_client, str(number), place=key(place=number))
    assert len(drain(queue)) == len(drain(by_client)) == started


@pytest.mark.parametrize("queue", [open_queue(size=0), open_queue(default=Terms(queue_size=0))])
def test_a_closed_queue_starts_nothing(queue: Queue) -> None:
    put(queue, "a")
    put(queue, "p", jobs=1, is_pipeline=True)
    assert queue.next() is None
    assert queue.entered() is None
    assert queue.enqueued == 0


def test_a_lower_limit_kills_nothing_and_a_higher_one_acts_at_once() -> None:
    queue = open_queue(2)
    for number in range(4):
        put(queue, str(number), place=key(place=number))
    assert drain(queue) == ["0", "1"]
    queue.set_limits(1, None)
    queue.free_slot("0")
    assert (queue.next(), queue.running) == (None, 1)
    queue.set_limits(3, None)
    assert drain(queue) == ["2", "3"]


def test_a_better_newcomer_displaces_the_worst() -> None:
    queue = open_queue(0, size=2)
    for name, number in (("b", 2), ("c", 3), ("a", 1)):
        put(queue, name, place=key(pipeline=number))
    assert zones(queue) == {"a": Zone.ENQUEUED, "b": Zone.ENQUEUED, "c": Zone.OUTSIDE}
    queue.remove("a")
    assert zones(queue) == {"b": Zone.ENQUEUED, "c": Zone.ENQUEUED}


def test_the_window_of_a_client_displaces_only_its_own() -> None:
    queue = open_queue(0, small=Terms(queue_size=1))
    put(queue, "late", "small", key(pipeline=2))
    put(queue, "other")
    put(queue, "early", "small", key(pipeline=1))
    assert zones(queue) == {"early": Zone.ENQUEUED, "other": Zone.ENQUEUED, "late": Zone.BEYOND}


def test_a_pipeline_that_does_not_fit_holds_up_those_behind_it() -> None:
    queue = open_queue(0, size=3)
    put(queue, "first", jobs=2, is_pipeline=True)
    put(queue, "large", place=key(accepted=1), jobs=2, is_pipeline=True)
    put(queue, "small", place=key(accepted=2), jobs=1, is_pipeline=True)
    assert zones(queue) == {"first": Zone.ENQUEUED, "large": Zone.OUTSIDE, "small": Zone.OUTSIDE}


def test_a_pipeline_larger_than_the_window_gets_in_when_it_is_first() -> None:
    queue = open_queue(0, size=3)
    put(queue, "large", jobs=9, is_pipeline=True)
    put(queue, "small", place=key(accepted=1))
    entry = queue.entered()
    assert entry is not None
    queue.open("large", [Entry(f"j{n}", "default", key(place=n), 0, "Queued") for n in range(9)])
    assert [one for one, zone in zones(queue).items() if zone is Zone.ENQUEUED] == ["j0", "j1", "j2"]


def test_a_pipeline_is_opened_ahead_of_its_turn_while_there_is_room() -> None:
    queue = open_queue(0, size=10)
    put(queue, "p", jobs=2, is_pipeline=True)
    assert queue.entered().id == "p"  # type: ignore[union-attr]
    queue.remove("p")
    assert queue.entered() is None


def test_what_is_held_takes_no_room_and_does_not_start() -> None:
    queue = open_queue(size=1)
    put(queue, "held", place=key(pipeline=1), held=True)
    put(queue, "next")
    assert zones(queue) == {"held": Zone.HELD, "next": Zone.ENQUEUED}
    assert drain(queue) == ["next"]


def test_a_suspended_client_takes_only_room_that_is_left() -> None:
    queue = open_queue(0, size=1, quiet=Terms(priority=1, suspended=True))
    put(queue, "quiet", "quiet")
    put(queue, "next")
    assert zones(queue) == {"quiet": Zone.OUTSIDE, "next": Zone.ENQUEUED}
    queue.set_terms("quiet", Terms(priority=1))
    assert zones(queue) == {"quiet": Zone.ENQUEUED, "next": Zone.OUTSIDE}
    queue.set_terms("quiet", Terms(priority=1, limit=0))
    queue.set_limits(0, 2)
    assert zones(queue) == {"quiet": Zone.ENQUEUED, "next": Zone.ENQUEUED}


def test_a_new_priority_of_a_client_moves_all_its_work() -> None:
    queue = open_queue(0, size=2, a=Terms(priority=1), b=Terms(priority=2))
    for number in range(2):
        put(queue, f"a{number}", "a", key(place=number))
        put(queue, f"b{number}", "b", key(place=number))
    queue.set_terms("a", Terms(priority=3))
    assert zones(queue) == {"b0": Zone.ENQUEUED, "b1": Zone.ENQUEUED, "a0": Zone.OUTSIDE, "a1": Zone.OUTSIDE}


def test_a_job_that_changes_its_client_leaves_the_old_one() -> None:
    queue = open_queue(other=Terms(priority=1))
    put(queue, "a")
    put(queue, "a", "other")
    assert drain(queue) == ["a"]
    assert (queue.lane("other").running, queue.lane("default").running) == (1, 0)


def test_a_slot_is_counted_once_however_often_it_is_taken() -> None:
    queue = open_queue()
    put(queue, "a")
    assert "a" in queue
    for _ in range(3):
        queue.take_slot("a", "default")
    assert (queue.running, queue.lane("default").running, len(queue)) == (1, 1, 0)
    assert queue.has_slot("a")
    assert [queue.free_slot("a"), queue.free_slot("a")] == [True, False]
    assert (queue.running, queue.lane("default").running) == (0, 0)


class TestTooLong:
    """maxWaitSeconds: who waited longer goes to the front."""

    def test_goes_before_better_priorities_and_the_longest_overdue_first(self) -> None:
        queue = open_queue(patient=Terms(priority=99, max_wait=10))
        put(queue, "best", place=key(pipeline=0), since=0)
        put(queue, "second", "patient", key(pipeline=1), since=5)
        put(queue, "first", "patient", key(pipeline=2), since=1)
        put(queue, "third", "patient", key(pipeline=0), since=20)
        assert queue.next_overdue() == 11
        queue.advance(15)
        assert [entry.id for entry in queue.order()] == ["first", "second", "best", "third"]
        assert queue.next_overdue() == 30

    def test_counts_for_what_comes_late_too(self) -> None:
        queue = open_queue(patient=Terms(priority=99, max_wait=10))
        queue.advance(100)
        put(queue, "best", place=key(pipeline=0))
        put(queue, "old", "patient", since=3)
        assert drain(queue) == ["old", "best"]

    def test_is_taken_back_when_the_client_loses_the_right(self) -> None:
        queue = open_queue(patient=Terms(priority=99, max_wait=10))
        put(queue, "best", place=key(pipeline=0))
        put(queue, "old", "patient")
        queue.advance(10)
        queue.set_terms("patient", Terms(priority=99, max_wait=60))
        assert drain(queue) == ["best", "old"]

    def test_ends_the_move_of_the_border_though_the_client_is_suspended(self) -> None:
        queue = open_queue(size=1, quiet=Terms(suspended=True, max_wait=10))
        put(queue, "old", "quiet", since=5)
        queue.advance(20)
        put(queue, "new", "quiet", since=14)
        assert zones(queue) == {"old": Zone.ENQUEUED, "new": Zone.OUTSIDE}

    def test_breaks_no_limit(self) -> None:
        queue = open_queue(2, patient=Terms(limit=1, max_wait=1))
        for number in range(3):
            put(queue, f"old{number}", "patient", key(place=number))
        put(queue, "other", since=50)
        queue.advance(60)
        assert drain(queue) == ["old0", "other"]
