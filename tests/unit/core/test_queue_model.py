"""The queue against the reference scheduler: after any history both have the same order, windows, reasons and slots."""

from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from task_pipeline.api.reasons import Reason
from task_pipeline.core.lane import Entry, Terms, Zone
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue
from task_pipeline.core.telling import Telling
from task_pipeline.core.waiting import reason_of
from tests import make
from tests.unit.core.reference_queue import Reference

CLIENTS = ("a", "b", "c")
NUMBERS = range(14)
numbers = st.sampled_from(NUMBERS)
places = st.tuples(st.integers(8, 10), st.integers(0, 1), st.integers(9, 10), st.integers(0, 1))
limits = st.none() | st.integers(0, 4)
terms = st.none() | st.builds(
    Terms, st.integers(8, 11), limits, st.none() | st.integers(0, 5), st.booleans(), st.none() | st.integers(0, 20)
)
TOLD = ("", Reason.QUEUED.value, Reason.RETRY_BACKOFF.value)


def entry_of(number: int, place: tuple[int, int, int, int], since: int, told: str, jobs: int, held: bool) -> Entry:
    """Jobs have even numbers, Pipelines odd ones; who belongs to which client never changes."""
    key = OrderKey(*place[:3], make.at(place[3]), number, f"uid-{number}")
    is_pipeline = number % 2 == 1
    size = jobs if is_pipeline else 1
    return Entry(f"e{number:02}", CLIENTS[number % 3], key, since, told, size, is_pipeline, held and not is_pipeline)


class AgainstTheReference(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue, self.reference = Queue(), Reference()
        self.telling = Telling(self.queue)
        self.seen: dict[str, Reason] = {}

    @rule(number=numbers, place=places, since=st.integers(0, 40), told=st.sampled_from(TOLD), jobs=st.integers(1, 4),
          held=st.sampled_from([False, False, True]))  # fmt: skip
    def submit(
        self, number: int, place: tuple[int, int, int, int], since: int, told: str, jobs: int, held: bool
    ) -> None:
        entry = entry_of(number, place, since, told, jobs, held)
        if entry.id not in self.reference.slots:
            self.queue.put(replace(entry))
            self.reference.waiting[entry.id] = entry

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        self.queue.remove(f"e{number:02}")
        self.reference.waiting.pop(f"e{number:02}", None)

    @rule(number=st.sampled_from(NUMBERS[::2]))
    def run_before_the_restart(self, number: int) -> None:
        job, client = f"e{number:02}", CLIENTS[number % 3]
        self.queue.take_slot(job, client)
        self.reference.waiting.pop(job, None)
        self.reference.slots.setdefault(job, client)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from([*self.reference.slots, "nobody"]))
        assert self.queue.free_slot(job) == (self.reference.slots.pop(job, None) is not None)

    @rule(client=st.sampled_from(CLIENTS), granted=terms)
    def edit_client(self, client: str, granted: Terms | None) -> None:
        self.queue.set_terms(client, granted)
        self.reference.terms[client] = granted

    @rule(limit=limits, size=st.none() | st.integers(0, 8))
    def edit_limits(self, limit: int | None, size: int | None) -> None:
        self.queue.set_limits(limit, size)
        self.reference.limit, self.reference.size = limit, size

    @rule(seconds=st.integers(0, 15))
    def wait(self, seconds: int) -> None:
        self.reference.now += seconds
        self.queue.advance(self.reference.now)

    @rule(jobs=st.integers(1, 3))
    def launch(self, jobs: int) -> None:
        expected, found = self.reference.next(), self.queue.next()
        assert (found and found.id) == (expected and expected.id)
        if expected is None:
            return
        del self.reference.waiting[expected.id]
        if expected.is_pipeline:
            self.open(expected, jobs)
        else:
            self.reference.slots[expected.id] = expected.client

    @rule(jobs=st.integers(1, 3))
    def divide_ahead(self, jobs: int) -> None:
        inside = {one for one, zone in self.reference.zones().items() if zone is Zone.ENQUEUED}
        pipelines = {one for one in inside if self.reference.waiting[one].is_pipeline}
        found = self.queue.entered()
        assert (found is None) == (not pipelines)
        if found is not None:
            assert found.id in pipelines
            self.open(self.reference.waiting.pop(found.id), jobs)

    def open(self, pipeline: Entry, jobs: int) -> None:
        """Even numbers of jobs that are free stand for the Pipeline's own."""
        base = int(pipeline.id[1:])
        of_client = [number for number in NUMBERS[::2] if number % 3 == base % 3]
        free = [number for number in of_client if f"e{number:02}" not in self.reference.waiting | self.reference.slots]
        place = (pipeline.key.pipeline_priority, pipeline.key.stage_index, pipeline.key.priority, 0)
        made = [entry_of(number, place, int(pipeline.since), "Queued", 1, False) for number in free[:jobs]]
        self.queue.open(pipeline.id, [replace(one) for one in made])
        self.reference.waiting |= {one.id: one for one in made}

    @rule()
    def tell(self) -> None:
        """What has been wrong for two looks and all the time between them, and nothing else, is told."""
        truth = self.reasons()
        wrong = {one for one, reason in truth.items() if self.reference.waiting[one].told != reason}
        lasting = self.telling.lasting()
        told = [entry.id for entry, _ in lasting]
        assert told == [one.id for one in self.reference.order() if one.id in told]
        for entry, reason in lasting:
            assert (truth[entry.id], self.seen.get(entry.id)) == (reason, reason)
            self.queue.put(replace(entry, told=reason.value))
            self.reference.waiting[entry.id].told = reason.value
        self.telling.notice()
        assert {one for one in wrong.difference(told) if not self.is_noticed(one)} == set()
        self.seen = truth

    def is_noticed(self, one: str) -> bool:
        lane = self.queue.lane_of(one)
        assert lane is not None
        return lane.entries[one].noticed

    def reasons(self) -> dict[str, Reason]:
        """Why everything waits, by the rules of docs/reasons.md."""
        zones, head = self.reference.zones(), self.reference.head()
        reasons = {}
        for one in self.reference.waiting.values():
            granted, zone = self.reference.terms.get(one.client), zones[one.id]
            if one.held:
                reason = Reason.SUSPENDED
            elif granted is None or granted.suspended:
                reason = Reason.CLIENT_SUSPENDED
            elif granted.limit == 0:
                reason = Reason.CLIENT_LIMIT
            elif zone in (Zone.BEYOND, Zone.OUTSIDE):
                reason = Reason.CLIENT_QUEUE_FULL if zone is Zone.BEYOND else Reason.QUEUE_FULL
            elif self.reference.at_limit(one.client):
                reason = Reason.CLIENT_LIMIT
            else:
                blocked = self.reference.full() and head is one
                reason = Reason.GLOBAL_LIMIT if blocked else Reason.QUEUED
            reasons[one.id] = reason
        return reasons

    @invariant()
    def same_order_and_windows(self) -> None:
        assert [one.id for one in self.queue.order()] == [one.id for one in self.reference.order()]
        zones = self.reference.zones()
        assert {one.id: one.zone for one in self.queue.order()} == zones
        inside = [self.reference.waiting[one].jobs for one, zone in zones.items() if zone is Zone.ENQUEUED]
        assert self.queue.enqueued == sum(inside)

    @invariant()
    def same_reasons(self) -> None:
        found = {}
        for one in self.queue.order():
            lane = self.queue.lane_of(one.id)
            assert lane is not None
            found[one.id] = reason_of(self.queue, lane, one)
        truth = self.reasons()
        assert found == truth
        self.telling.settled()
        self.seen = {one: reason for one, reason in self.seen.items() if truth.get(one) == reason}

    @invariant()
    def same_counts(self) -> None:
        assert len(self.queue) == len(self.reference.waiting)
        assert self.queue.slots == set(self.reference.slots)
        used = Counter(self.reference.slots.values())
        assert all(self.queue.lane(client).running == used[client] for client in CLIENTS)
        ages = {client: [one.since for one in self.reference.waiting.values() if one.client == client and not one.held]
                for client in CLIENTS}  # fmt: skip
        assert all(self.queue.lane(client).oldest() == min(found, default=None) for client, found in ages.items())


AgainstTheReference.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestAgainstTheReference = AgainstTheReference.TestCase
