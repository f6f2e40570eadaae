"""maxWaitSeconds: the bound that docs/concepts.md promises, over random loads on a queue in simulated time."""

import heapq
from dataclasses import dataclass, field, replace
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from task_pipeline.core.lane import Entry, Terms
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue

LONGEST = 10  # seconds that a job has its slot at most


@dataclass
class Load:
    """What happens: jobs by arrival, each with its client, seconds until it is known, and seconds in its slot."""

    slots: int
    clients: dict[str, Terms]
    jobs: dict[str, tuple[Entry, float, float]] = field(default_factory=dict)


@st.composite
def loads(draw: st.DrawFn) -> Load:
    limits = st.none() | st.integers(1, 4)
    load = Load(draw(st.integers(1, 4)), {})
    for client in "abc":
        waits = st.none() | st.integers(1, 15)
        load.clients[client] = Terms(draw(st.integers(8, 11)), draw(limits), draw(limits), max_wait=draw(waits))
    for number in range(draw(st.integers(1, 25))):
        client, created, late = draw(st.sampled_from("abc")), draw(st.integers(0, 30)), draw(st.sampled_from((0, 0, 9)))
        key = OrderKey(draw(st.integers(9, 11)), 0, draw(st.integers(9, 11)), "", number, "u")
        load.jobs[f"j{number}"] = (
            Entry(f"j{number}", client, key, created, "Queued"),
            late,
            draw(st.integers(1, LONGEST)),
        )
    return load


@dataclass
class Run:
    """A load on a queue. `ahead`: for each job that waited too long, all that had waited longer while it did."""

    load: Load
    queue: Queue
    events: list[tuple[float, int, str]] = field(default_factory=list)
    ahead: dict[str, set[str]] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)

    def go(self) -> None:
        """Every event at its time: ends (0), arrivals (1), and looks when something becomes overdue (2)."""
        for name, (entry, late, _) in self.load.jobs.items():
            heapq.heappush(self.events, (entry.since + late, 1, name))
        while self.events:
            now = self.events[0][0]
            while self.events and self.events[0][0] == now:
                _, what, name = heapq.heappop(self.events)
                if what == 0:
                    self.queue.free_slot(name)
                elif what == 1:
                    self.queue.put(replace(self.load.jobs[name][0]))
            self.queue.advance(now)
            self.look()
            while (job := self.queue.next()) is not None:
                self.started[job.id] = now
                heapq.heappush(self.events, (now + self.load.jobs[job.id][2], 0, job.id))
            due = self.queue.next_overdue()
            if due is not None and (due, 2, "") not in self.events:
                heapq.heappush(self.events, (due, 2, ""))

    def look(self) -> None:
        """Of what has waited too long, that goes first which has for longest; the queue is not asked about it."""
        waiting = [entry for entry in self.queue.order() if self.due(entry) <= self.queue.now]
        for entry in waiting:
            place = (self.due(entry), entry.key)
            before = {one.id for one in waiting if (self.due(one), one.key) < place}
            self.ahead.setdefault(entry.id, set()).update(before)

    def due(self, entry: Entry) -> float:
        most = self.load.clients[entry.client].max_wait
        return inf if most is None else entry.since + most


def latest_start(load: Load, entry: Entry, known: float, ahead: int) -> float:
    """The bound: when the job starts at the latest, if `ahead` jobs in all went before it."""
    terms = load.clients[entry.client]
    assert terms.max_wait is not None
    width = load.slots if terms.limit is None else min(load.slots, terms.limit)
    return max(entry.since + terms.max_wait, known) + (ahead // width + 1) * LONGEST


@given(loads())
@settings(max_examples=300, deadline=None)
def test_who_waited_too_long_starts_within_the_bound(load: Load) -> None:
    run = Run(load, Queue(load.slots, 3))
    for client, terms in load.clients.items():
        run.queue.set_terms(client, terms)
    run.go()
    assert set(run.started) == set(load.jobs)
    for name, ahead in run.ahead.items():
        entry, late, _ = load.jobs[name]
        assert run.started[name] <= latest_start(load, entry, entry.since + late, len(ahead)), (name, ahead)


def test_no_smaller_bound_would_hold() -> None:
    """Three slots, one of them for the client. One job has begun just before; two go first; each as long as may be."""
    load = Load(3, {"a": Terms(limit=1, max_wait=5)})
    for number, (since, known) in enumerate(((8.999, 8.999), (2, 9), (3, 9), (4, 9))):
        entry = Entry(f"j{number}", "a", OrderKey(10, 0, 10, "", number, "u"), since, "Queued")
        load.jobs[entry.id] = (entry, known - since, LONGEST)
    run = Run(load, Queue(load.slots))
    run.queue.set_terms("a", load.clients["a"])
    run.go()
    assert run.started["j3"] == 38.999
    assert run.ahead["j3"] == {"j1", "j2"}
    assert latest_start(load, load.jobs["j3"][0], 9, 2) == 39
