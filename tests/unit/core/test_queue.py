"""The queue against a naive twin: after any history both name the same job."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue
from tests import make


def key(
    *, pipeline: int = 10, stage: int = 0, job: int = 10, accepted: float = 0, place: int = 0, uid: str = "u"
) -> OrderKey:
    return OrderKey(pipeline, stage, job, make.at(accepted), place, uid)


def open_queue(limit: int | None = None, **clients: int) -> Queue:
    """A queue with clients by name and priority, `default` among them."""
    queue = Queue(limit)
    for name, priority in ({"default": 10} | clients).items():
        queue.set_client(name, priority=priority, limit=None, suspended=False)
    return queue


def drain(queue: Queue) -> list[str]:
    """All jobs in the order in which they start."""
    order = []
    while (job := queue.next()) is not None:
        order.append(job)
    return order


@dataclass
class Naive:
    """The same promises, kept by sorting everything each time."""

    limit: int | None = None
    clients: dict[str, tuple[int, int | None, bool]] = field(default_factory=dict)
    jobs: dict[str, tuple[str, OrderKey]] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)

    def next(self) -> str | None:
        if self.limit is not None and len(self.slots) >= self.limit:
            return None
        used = list(self.slots.values())
        ranked = []
        for job, (client, order) in self.jobs.items():
            priority, limit, suspended = self.clients.get(client, (10, None, True))
            if not suspended and (limit is None or used.count(client) < limit):
                ranked.append((priority, order, job, client))
        if not ranked:
            return None
        _, _, job, client = min(ranked)
        del self.jobs[job]
        self.slots[job] = client
        return job


CLIENTS = ("a", "b", "c")
jobs = st.integers(0, 11).map(lambda number: f"j{number:02}")
orders = st.builds(
    lambda *numbers: numbers, st.integers(8, 10), st.integers(0, 1), st.integers(9, 10), st.integers(0, 1)
)
limits = st.none() | st.integers(0, 3)


class AgainstNaive(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue, self.naive = Queue(), Naive()

    @rule(job=jobs, order=orders)
    def put(self, job: str, order: tuple[int, int, int, int]) -> None:
        if job not in self.naive.slots:
            client = CLIENTS[int(job[1:]) % 3]
            place = OrderKey(*order[:3], make.at(order[3]), int(job[1:]), job)
            self.queue.put(job, client, place)
            self.naive.jobs[job] = (client, place)

    @rule(job=jobs)
    def remove(self, job: str) -> None:
        self.queue.remove(job)
        self.naive.jobs.pop(job, None)

    @rule(job=jobs)
    def take(self, job: str) -> None:
        client = CLIENTS[int(job[1:]) % 3]
        self.queue.take_slot(job, client)
        self.naive.jobs.pop(job, None)
        self.naive.slots.setdefault(job, client)

    @rule(job=jobs)
    def free(self, job: str) -> None:
        assert self.queue.free_slot(job) == (self.naive.slots.pop(job, None) is not None)

    @rule(client=st.sampled_from(CLIENTS), priority=st.integers(8, 11), limit=limits, suspended=st.booleans())
    def edit_client(self, client: str, priority: int, limit: int | None, suspended: bool) -> None:
        self.queue.set_client(client, priority=priority, limit=limit, suspended=suspended)
        self.naive.clients[client] = (priority, limit, suspended)

    @rule(limit=limits)
    def edit_limit(self, limit: int | None) -> None:
        self.queue.limit = self.naive.limit = limit

    @rule()
    def launch(self) -> None:
        assert self.queue.next() == self.naive.next()

    @invariant()
    def same_counts(self) -> None:
        assert len(self.queue) == len(self.naive.jobs)
        assert self.queue.running == len(self.naive.slots)
        used = list(self.naive.slots.values())
        assert all(self.queue.running_of(client) == used.count(client) for client in CLIENTS)


AgainstNaive.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAgainstNaive = AgainstNaive.TestCase


def test_the_order_of_the_keys() -> None:
    """Client, pipeline, stage, job, arrival, place, UID: each decides only among equals of all before it."""
    queue = open_queue(first=1)
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
        queue.put(str(number), client, place)
    assert drain(queue) == [str(number) for number in range(len(ranked))]


def test_B011_a_stage_outranks_the_numbers_of_its_jobs() -> None:
    queue = open_queue()
    queue.put("p2/b", "default", key(stage=1, job=1))
    queue.put("p1/a", "default", key(stage=0, job=50))
    assert drain(queue) == ["p1/a", "p2/b"]


def test_B013_equals_run_in_the_order_of_the_list_and_then_of_arrival() -> None:
    queue = open_queue()
    entries = [(f"p{pipeline}/j{place}", key(accepted=pipeline / 1e6, place=place, uid=f"{9 - place}"))
               for pipeline in range(3) for place in range(20)]  # fmt: skip
    for job, order in reversed(entries):
        queue.put(job, "default", order)
    assert drain(queue) == [job for job, _ in entries]


def test_B013_the_order_is_the_same_after_a_restart() -> None:
    entries = [(f"j{number}", key(uid=f"u{number}")) for number in range(20)]
    first, again = open_queue(), open_queue()
    for job, order in entries:
        first.put(job, "default", order)
    for job, order in reversed(entries):
        again.put(job, "default", order)
    assert drain(first) == drain(again)


def test_B016_nothing_but_the_documented_keys_is_in_the_order() -> None:
    assert OrderKey._fields == ("pipeline_priority", "stage_index", "priority", "accepted", "place", "uid")
    queue = open_queue()
    queue.put("small", "default", key(job=5, place=0))
    queue.put("big", "default", key(job=1, place=1))
    assert drain(queue) == ["big", "small"]


def test_a_client_at_its_limit_delays_nobody() -> None:
    queue = open_queue(4, other=10)
    queue.set_client("default", priority=1, limit=1, suspended=False)
    for number in range(5):
        queue.put(f"d{number}", "default", key(place=number))
    queue.put("o", "other", key(pipeline=99))
    assert drain(queue) == ["d0", "o"]
    assert queue.free_slot("d0")
    assert drain(queue) == ["d1"]


def test_a_client_that_nobody_has_described_waits() -> None:
    queue = Queue()
    queue.put("a", "unknown", key())
    assert queue.next() is None
    queue.set_client("unknown", priority=10, limit=None, suspended=False)
    assert queue.next() == "a"


@pytest.mark.parametrize(("limit", "started"), [(None, 3), (0, 0), (2, 2)])
def test_absent_is_unlimited_and_zero_is_closed(limit: int | None, started: int) -> None:
    queue, by_client = open_queue(limit), open_queue()
    by_client.set_client("default", priority=10, limit=limit, suspended=False)
    for number in range(3):
        queue.put(str(number), "default", key(place=number))
        by_client.put(str(number), "default", key(place=number))
    assert len(drain(queue)) == len(drain(by_client)) == started


def test_a_lower_limit_kills_nothing_and_a_higher_one_acts_at_once() -> None:
    queue = open_queue(2)
    for number in range(4):
        queue.put(str(number), "default", key(place=number))
    assert drain(queue) == ["0", "1"]
    queue.limit = 1
    queue.free_slot("0")
    assert (queue.next(), queue.running) == (None, 1)
    queue.limit = 3
    assert drain(queue) == ["2", "3"]


def test_a_job_that_changes_its_client_leaves_the_old_one() -> None:
    queue = open_queue(other=1)
    queue.put("a", "default", key())
    queue.put("a", "other", key())
    assert drain(queue) == ["a"]
    assert (queue.running_of("other"), queue.running_of("default")) == (1, 0)


def test_a_slot_is_counted_once_however_often_it_is_taken() -> None:
    queue = open_queue()
    queue.put("a", "default", key())
    assert "a" in queue
    for _ in range(3):
        queue.take_slot("a", "default")
    assert (queue.running, queue.running_of("default"), len(queue)) == (1, 1, 0)
    assert queue.has_slot("a")
    assert [queue.free_slot("a"), queue.free_slot("a")] == [True, False]
    assert (queue.running, queue.running_of("default"), queue.running_of("nobody")) == (0, 0, 0)
