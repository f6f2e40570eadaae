"""The queue: what runs next and why the rest waits, in O(log n) per change and per decision.

Every client has a lane; the lanes whose turn it may be are ranked by their first entries. A client that may start
nothing now is not among them, so it never delays another. Slots are counted by job, so taking one twice takes one.

QUEUE_SIZE is a window over the whole order: what is inside is enqueued. It says which Pipelines are divided ahead of
their turn and which jobs are told that the queue is full. It never keeps a slot empty: when all that is enqueued is
held up by its clients' limits, the first outside that may start passes through.

The structure is in memory only. It is rebuilt from the objects at start, and the order that comes out is the same.
"""

from collections.abc import Iterable, Iterator

from task_pipeline.core.lane import Entry, EntryId, Lane, Terms, Zone
from task_pipeline.core.ordering import Rank
from task_pipeline.core.ranking import Backwards, Ranking
from task_pipeline.core.window import slide


class Queue:
    """All that waits, in order, and the slots in use.

    `limit` caps the jobs that run, `size` those that are enqueued: None is unlimited, 0 is closed.
    """

    def __init__(self, limit: int | None = None, size: int | None = None) -> None:
        self.limit, self.size = limit, size
        self.now = 0.0
        self.lanes: dict[str, Lane] = {}
        self._lane_of: dict[EntryId, Lane] = {}
        self._slots: dict[EntryId, str] = {}
        self._border = _Border(self.lanes)
        self._turns: Ranking[Rank] = Ranking()  # lanes that may start something, by their first entries
        self._ages: Ranking[tuple[float]] = Ranking()  # lanes by when an entry will have waited too long

    def __len__(self) -> int:
        return len(self._lane_of)

    def __contains__(self, entry_id: EntryId) -> bool:
        return entry_id in self._lane_of

    @property
    def running(self) -> int:
        """Slots in use."""
        return len(self._slots)

    @property
    def slots(self) -> frozenset[EntryId]:
        """The jobs that have a slot."""
        return frozenset(self._slots)

    @property
    def enqueued(self) -> int:
        """Jobs inside the window."""
        return self._border.inside

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return self.limit is not None and len(self._slots) >= self.limit

    def lane(self, client: str) -> Lane:
        """The lane of a client, an empty one if nothing is known of it; do not change it."""
        return self.lanes.get(client) or Lane(client)

    def lane_of(self, entry_id: EntryId) -> Lane | None:
        """The lane in which an entry waits; None when it does not."""
        return self._lane_of.get(entry_id)

    def advance(self, now: float) -> None:
        """The time is `now` (seconds of the epoch): what has waited too long goes to the front."""
        self.now = now
        while (due := self.next_overdue()) is not None and due <= now:
            lane = self.lanes[self._ages.first() or ""]
            entry = lane.take(lane.next_to_age().id)
            self._place(lane, entry)
            self._settle(lane)

    def next_overdue(self) -> float | None:
        """When `advance` will have something to do next (seconds of the epoch); None: never."""
        client = self._ages.first()
        return None if client is None else self._ages.rank(client)[0]

    def set_limits(self, limit: int | None, size: int | None) -> None:
        """Take over other limits; they count from the next decision on."""
        self.limit, self.size = limit, size
        slide(self._border, size)
        self._rank_all()

    def set_terms(self, client: str, terms: Terms | None) -> None:
        """Take over a client's terms (None: there is no such client); they count from the next decision on."""
        lane = self._lane(client)
        before, lane.terms = lane.terms, terms
        if before is not None and (terms is None or terms.max_wait != before.max_wait):
            for entry in lane.rejuvenate():
                self._place(lane, entry)
        self._settle(lane)
        self.advance(self.now)

    def put(self, entry: Entry) -> None:
        """Let `entry` wait at its place; one that is here already moves to its new one."""
        lane = self._lane_of.get(entry.id)
        known = None if lane is None else lane.entries[entry.id]
        if known == entry:
            return
        if lane is not None and known is not None and known.waits_like(entry):
            lane.mark(known, told=entry.told)
            return
        if lane is not None and lane.client != entry.client:
            self.remove(entry.id)
        elif lane is not None:
            lane.take(entry.id)
        self._settle(self._enter(entry))

    def remove(self, entry_id: EntryId) -> None:
        """The entry does not wait any more; unknown ones are fine."""
        lane = self._lane_of.pop(entry_id, None)
        if lane is not None:
            lane.take(entry_id)
            self._settle(lane)

    def open(self, pipeline: EntryId, jobs: Iterable[Entry]) -> None:
        """Put the first jobs of a Pipeline, all of its client, into its place."""
        lane = self._lane_of.pop(pipeline)
        lane.take(pipeline)
        for job in jobs:
            self._enter(job)
        self._settle(lane)

    def take_slot(self, job: EntryId, client: str) -> None:
        """Count `job` as running (again is fine) and take it out of the order."""
        self.remove(job)
        if job not in self._slots:
            self._slots[job] = client
            lane = self._lane(client)
            lane.running += 1
            self._rank(lane)

    def free_slot(self, job: EntryId) -> bool:
        """The job runs no more; returns whether it had a slot."""
        client = self._slots.pop(job, None)
        if client is None:
            return False
        lane = self.lanes[client]
        lane.running -= 1
        self._rank(lane)
        return True

    def has_slot(self, job: EntryId) -> bool:
        """Whether the job is counted as running."""
        return job in self._slots

    def client_of_slot(self, job: EntryId) -> str | None:
        """The client that the job's slot is counted for; None without a slot."""
        return self._slots.get(job)

    def next(self) -> Entry | None:
        """What comes next and may start now; None when there is nothing.

        A job has been given its slot by this call. A Pipeline is to be opened or removed before the next call.
        """
        head = None if self.full or self.size == 0 else self.head()
        if head is not None and not head.is_pipeline:
            self.take_slot(head.id, head.client)
        return head

    def entered(self) -> Entry | None:
        """A Pipeline that has come into the window. It is to be opened or removed before the next call."""
        return self._border.pipeline()

    def head(self) -> Entry | None:
        """The first entry of the order that is held up by nothing but the number of slots."""
        client = self._turns.first()
        return None if client is None else self.lanes[client].first()

    def order(self) -> Iterator[Entry]:
        """Everything that waits, in order. O(n log n): for people, not for decisions."""
        ranked = [(lane.across(entry), entry) for lane in self.lanes.values() for entry in lane.entries.values()]
        return (entry for _, entry in sorted(ranked, key=lambda pair: pair[0]))

    def _lane(self, client: str) -> Lane:
        return self.lanes.setdefault(client, Lane(client))

    def _enter(self, entry: Entry) -> Lane:
        lane = self._lane(entry.client)
        self._lane_of[entry.id] = lane
        self._place(lane, entry)
        return lane

    def _place(self, lane: Lane, entry: Entry) -> None:
        """Put an entry behind its lane's window; `_settle` lets it in if that is its place."""
        most = None if lane.terms is None or entry.held else lane.terms.max_wait
        due = None if most is None else entry.since + most
        entry.overdue = due if due is not None and due <= self.now else None
        entry.noticed = False
        lane.add(entry, Zone.HELD if entry.held else Zone.BEYOND)

    def _settle(self, lane: Lane) -> None:
        """Move the borders of both windows to where they belong after a change in `lane`."""
        slide(lane, None if lane.terms is None else lane.terms.queue_size)
        self._border.update(lane)
        slide(self._border, self.size)
        self._rank(lane)

    def _rank(self, lane: Lane) -> None:
        """Update what is known of a lane from outside. Its first entry is the same on either side of the border."""
        first = lane.first() if lane.may_start else None
        if first is None:
            self._turns.remove(lane.client)
        else:
            self._turns.put(lane.client, lane.across(first))
        due = lane.next_overdue()
        if due is None:
            self._ages.remove(lane.client)
        else:
            self._ages.put(lane.client, (due,))
        if lane.terms is None and not lane.entries and not lane.running:
            self.lanes.pop(lane.client, None)
            self._border.forget(lane.client)

    def _rank_all(self) -> None:
        for lane in list(self.lanes.values()):
            self._rank(lane)


class _Border:
    """The window of the whole queue (see core.window): lanes by their last entries inside and their first outside."""

    def __init__(self, lanes: dict[str, Lane]) -> None:
        self.inside = 0
        self._lanes = lanes
        self._inside_of: dict[str, int] = {}
        self._first: Ranking[Rank] = Ranking()
        self._last: Ranking[Backwards] = Ranking()
        self._pipelines: dict[EntryId, Lane] = {}

    def update(self, lane: Lane) -> None:
        """Something in `lane` has changed."""
        first, last = lane.best(Zone.OUTSIDE), lane.worst(Zone.ENQUEUED)
        if first is None:
            self._first.remove(lane.client)
        else:
            self._first.put(lane.client, _rank(lane, first))
        if last is None:
            self._last.remove(lane.client)
        else:
            self._last.put(lane.client, Backwards(_rank(lane, last)))
        now = lane.count[Zone.ENQUEUED]
        self.inside += now - self._inside_of.get(lane.client, 0)
        self._inside_of[lane.client] = now

    def forget(self, client: str) -> None:
        """The client's lane is gone, and was empty."""
        self._inside_of.pop(client, None)

    def pipeline(self) -> Entry | None:
        """One of the Pipelines that are inside."""
        while self._pipelines:
            entry_id, lane = next(iter(self._pipelines.items()))
            entry = lane.entries.get(entry_id)
            if entry is not None and entry.zone is Zone.ENQUEUED:
                return entry
            del self._pipelines[entry_id]
        return None

    def best_outside(self) -> tuple[Rank, int] | None:
        client = self._first.first()
        if client is None:
            return None
        lane = self._lanes[client]
        best = lane.best(Zone.OUTSIDE)
        assert best is not None
        return _rank(lane, best), best.jobs

    def worst_inside(self) -> tuple[Rank, int] | None:
        client = self._last.first()
        if client is None:
            return None
        lane = self._lanes[client]
        worst = lane.worst(Zone.ENQUEUED)
        assert worst is not None
        return _rank(lane, worst), worst.jobs

    def admit(self) -> None:
        lane = self._lanes[self._first.first() or ""]
        best = lane.best(Zone.OUTSIDE)
        assert best is not None
        lane.move(best, Zone.ENQUEUED)
        if best.is_pipeline:
            self._pipelines[best.id] = lane
        self.update(lane)

    def expel(self) -> None:
        lane = self._lanes[self._last.first() or ""]
        worst = lane.worst(Zone.ENQUEUED)
        assert worst is not None
        lane.move(worst, Zone.OUTSIDE)
        self.update(lane)


def _rank(lane: Lane, entry: Entry) -> Rank:
    """The place of an entry in the window: what is not going to start takes only room that nobody else wants."""
    rank = lane.across(entry)
    return rank._replace(band=rank.band + 2) if lane.shut else rank
