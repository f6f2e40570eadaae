"""A lane: one client's waiting work in its order, its slots and its own window.

Everything is found by its first or last member, and put or moved in O(log n), however much waits.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from math import inf

from task_pipeline.core.ordering import OrderKey, Rank
from task_pipeline.core.ranking import Backwards, Ranking

EntryId = str


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client is granted. Numbers are of jobs: None is unlimited, 0 is closed. `max_wait` is in seconds."""

    priority: int = 10
    limit: int | None = None
    queue_size: int | None = None
    suspended: bool = False
    max_wait: float | None = None


class Zone(IntEnum):
    """Where an entry waits."""

    ENQUEUED = 0  # inside both windows
    OUTSIDE = 1  # inside its client's window, outside the one of the whole queue
    BEYOND = 2  # outside its client's window
    HELD = 3  # its Pipeline is suspended: it may not start and takes no room


@dataclass(slots=True)
class Entry:
    """Something that waits: a job, or a whole Pipeline whose first stage has not been divided yet.

    `since`: seconds of the epoch from which its wait counts; `told`: the reason that its status gives ("" for none);
    `jobs`: how many it is (1 for a job). The last three fields belong to the queue.
    """

    id: EntryId
    client: str
    key: OrderKey
    since: float
    told: str
    jobs: int = 1
    is_pipeline: bool = False
    held: bool = False
    zone: Zone = field(default=Zone.BEYOND, compare=False)
    overdue: float | None = field(default=None, compare=False)  # since then it goes first
    noticed: bool = field(default=False, compare=False)  # its reason is about to be told

    @property
    def rank(self) -> Rank:
        """Its place in its lane."""
        return Rank(1, 0.0, self.key) if self.overdue is None else Rank(0, self.overdue, self.key)

    def waits_like(self, other: "Entry") -> bool:
        """Whether the two differ at most in what has been told."""
        return self == replace(other, told=self.told)


Shelf = tuple[Zone, str, bool]  # zone, told, noticed


class Lane:
    """One client. Closed until its terms are known."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.terms: Terms | None = None
        self.running = 0
        self.entries: dict[EntryId, Entry] = {}
        self.count = dict.fromkeys(Zone, 0)  # jobs by zone
        self.shelves: dict[Shelf, Ranking[Rank]] = {}
        self._last: dict[Zone, Ranking[Backwards]] = {Zone.ENQUEUED: Ranking(), Zone.OUTSIDE: Ranking()}
        self._aging: Ranking[tuple[float]] = Ranking()
        self._overdue: Ranking[tuple[float]] = Ranking()

    @property
    def shut(self) -> bool:
        """Whether nothing of this client starts, however little runs."""
        terms = self.terms
        return terms is None or terms.suspended or terms.limit == 0 or terms.queue_size == 0

    @property
    def at_limit(self) -> bool:
        """Whether as many jobs run as may."""
        return self.terms is not None and self.terms.limit is not None and self.running >= self.terms.limit

    @property
    def may_start(self) -> bool:
        """Whether a job of this client may start now as far as the client is concerned."""
        return not self.shut and not self.at_limit

    @property
    def enqueued(self) -> int:
        """Jobs inside both windows."""
        return self.count[Zone.ENQUEUED]

    def add(self, entry: Entry, zone: Zone) -> None:
        """Take an entry in."""
        entry.zone = zone
        self.entries[entry.id] = entry
        self.count[zone] += entry.jobs
        self._shelf(entry).put(entry.id, entry.rank)
        if zone in self._last:
            self._last[zone].put(entry.id, Backwards(entry.rank))
        if zone is not Zone.HELD:
            (self._aging if entry.overdue is None else self._overdue).put(entry.id, (entry.since,))

    def take(self, entry_id: EntryId) -> Entry:
        """Take an entry out; raises KeyError for what is not here."""
        entry = self.entries.pop(entry_id)
        self.count[entry.zone] -= entry.jobs
        self._unshelve(entry)
        if entry.zone in self._last:
            self._last[entry.zone].remove(entry.id)
        self._aging.remove(entry.id)
        self._overdue.remove(entry.id)
        return entry

    def move(self, entry: Entry, zone: Zone) -> None:
        """Move an entry to another zone, where it has another reason to wait."""
        self.take(entry.id).noticed = False
        self.add(entry, zone)

    def mark(self, entry: Entry, *, noticed: bool = False, told: str | None = None) -> None:
        """Change what is known of an entry's reason."""
        self._unshelve(entry)
        entry.noticed = noticed
        entry.told = entry.told if told is None else told
        self._shelf(entry).put(entry.id, entry.rank)

    def across(self, entry: Entry) -> Rank:
        """The place of an entry of this lane among those of all lanes; the last without terms."""
        rank = entry.rank
        return rank if rank.band == 0 else rank._replace(by=inf if self.terms is None else self.terms.priority)

    def best(self, zone: Zone) -> Entry | None:
        """The first entry of a zone."""
        found = [shelf.first() for (of, _, _), shelf in self.shelves.items() if of is zone]
        entries = [self.entries[entry_id] for entry_id in found if entry_id is not None]
        return min(entries, key=lambda entry: entry.rank, default=None)

    def worst(self, zone: Zone) -> Entry | None:
        """The last entry of a zone that has a window before it (ENQUEUED or OUTSIDE)."""
        found = self._last[zone].first()
        return None if found is None else self.entries[found]

    def first(self) -> Entry | None:
        """The entry whose turn is next in this lane."""
        return self.best(Zone.ENQUEUED) or self.best(Zone.OUTSIDE)

    def oldest(self) -> float | None:
        """Since when the entry that has waited longest waits (seconds of the epoch)."""
        firsts = [(ages, ages.first()) for ages in (self._aging, self._overdue)]
        return min((ages.rank(one)[0] for ages, one in firsts if one is not None), default=None)

    def next_overdue(self) -> float | None:
        """When the next entry will have waited too long (seconds of the epoch); None when none ever will."""
        one = self._aging.first()
        if one is None or self.terms is None or self.terms.max_wait is None:
            return None
        return self._aging.rank(one)[0] + self.terms.max_wait

    def next_to_age(self) -> Entry:
        """The entry that `next_overdue` is about."""
        one = self._aging.first()
        assert one is not None
        return self.entries[one]

    def rejuvenate(self) -> list[Entry]:
        """Take out all entries that count as overdue, to be put in again."""
        return [self.take(one) for one in list(self.entries) if self.entries[one].overdue is not None]

    def _shelf(self, entry: Entry) -> Ranking[Rank]:
        return self.shelves.setdefault((entry.zone, entry.told, entry.noticed), Ranking())

    def _unshelve(self, entry: Entry) -> None:
        name = (entry.zone, entry.told, entry.noticed)
        shelf = self.shelves[name]
        shelf.remove(entry.id)
        if not len(shelf):
            del self.shelves[name]

    # The client's own window: ENQUEUED and OUTSIDE are inside it (see core.window).

    @property
    def inside(self) -> int:
        return self.count[Zone.ENQUEUED] + self.count[Zone.OUTSIDE]

    def best_outside(self) -> tuple[Rank, int] | None:
        best = self.best(Zone.BEYOND)
        return None if best is None else (best.rank, best.jobs)

    def worst_inside(self) -> tuple[Rank, int] | None:
        worst = self._worst_inside()
        return None if worst is None else (worst.rank, worst.jobs)

    def admit(self) -> None:
        best = self.best(Zone.BEYOND)
        assert best is not None
        self.move(best, Zone.OUTSIDE)

    def expel(self) -> None:
        worst = self._worst_inside()
        assert worst is not None
        self.move(worst, Zone.BEYOND)

    def _worst_inside(self) -> Entry | None:
        return self.worst(Zone.OUTSIDE) or self.worst(Zone.ENQUEUED)
