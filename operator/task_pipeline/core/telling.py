"""Which statuses give another reason for a wait than the true one, the first in order first.

Rule: a reason is told when it has lasted from one look to the next, with no other in between, so that what passes in a
moment costs no write. Of what is wrong only the first few are looked at, so a look costs the same however much waits.
"""

import heapq

from task_pipeline.api.reasons import Reason
from task_pipeline.core.lane import Entry, EntryId, Lane, Shelf, Zone
from task_pipeline.core.ordering import Rank
from task_pipeline.core.queue import Queue
from task_pipeline.core.waiting import is_blocked_head, reason_of, zone_reason

MOST = 200  # entries that are looked at together


class Telling:
    """The entries of `queue` that were found to tell a wrong reason."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._noticed: dict[EntryId, Reason] = {}
        self._steady: dict[tuple[str, Zone], Reason] = {}  # zones of those noticed whose reason has not changed since
        self._head: EntryId | None = None  # the one noticed as the first of the order

    @property
    def pending(self) -> bool:
        """Whether something that was noticed is to be told. The first of the order is noticed without that as well."""
        found = ((self._queue.lane_of(one), one, reason) for one, reason in self._noticed.items())
        return any(lane is not None and lane.entries[one].told != reason for lane, one, reason in found)

    def lasting(self) -> list[tuple[Entry, Reason]]:
        """Those noticed earlier whose true reason has been the same since, in order; the others are forgotten."""
        lasting: list[tuple[Rank, Entry, Reason]] = []
        for entry_id, reason in list(self._noticed.items()):
            lane = self._queue.lane_of(entry_id)
            entry = None if lane is None else lane.entries[entry_id]
            if lane is None or entry is None or not entry.noticed:
                del self._noticed[entry_id]
            elif self._is_steady(lane, entry) and reason == reason_of(self._queue, lane, entry) != entry.told:
                lasting.append((lane.across(entry), entry, reason))
            else:
                del self._noticed[entry_id]
                lane.mark(entry)
        return [(entry, reason) for _, entry, reason in sorted(lasting, key=lambda found: found[0])]

    def settled(self) -> None:
        """To be called when all that follows from a change has been done: what has another reason now does not last."""
        for place, reason in list(self._steady.items()):
            lane = self._queue.lanes.get(place[0])
            if lane is None or zone_reason(lane, place[1]) is not reason:
                del self._steady[place]
        head = self._queue.head() if self._queue.full else None
        first = None if head is None else head.id
        if self._head not in (None, first):
            self._forget(self._head)
            self._head = None
        if self._noticed.get(first or "", Reason.GLOBAL_LIMIT) is not Reason.GLOBAL_LIMIT:
            self._forget(first)

    def notice(self) -> None:
        """Look for more that tell a wrong reason."""
        self._notice_head()
        wrong = [
            (_first_of(lane, shelf), lane.client, shelf)
            for lane in self._queue.lanes.values()
            for shelf in lane.shelves
            if _is_wrong(lane, shelf)
        ]
        heapq.heapify(wrong)
        while wrong and len(self._noticed) < MOST:
            _, client, shelf = heapq.heappop(wrong)
            lane = self._queue.lanes[client]
            self._notice(lane, _first(lane, shelf))
            if shelf in lane.shelves:
                heapq.heappush(wrong, (_first_of(lane, shelf), client, shelf))

        found = ((self._queue.lane_of(one), one) for one in self._noticed)
        places = {(lane.client, lane.entries[one].zone): lane for lane, one in found if lane is not None}
        self._steady = {place: zone_reason(lane, place[1]) for place, lane in places.items()}

    def _is_steady(self, lane: Lane, entry: Entry) -> bool:
        return (lane.client, entry.zone) in self._steady

    def _forget(self, one: EntryId | None) -> None:
        lane = self._queue.lane_of(one or "")
        if self._noticed.pop(one or "", None) is not None and lane is not None:
            lane.mark(lane.entries[one or ""])

    def _notice_head(self) -> None:
        """The first of the order has a reason of its own, whatever the others of its shelf tell."""
        head = self._queue.head()
        lane = None if head is None else self._queue.lane_of(head.id)
        if head is not None and lane is not None and not head.noticed and is_blocked_head(self._queue, head):
            self._notice(lane, head)
            self._head = head.id

    def _notice(self, lane: Lane, entry: Entry) -> None:
        self._noticed[entry.id] = reason_of(self._queue, lane, entry)
        lane.mark(entry, noticed=True)


def _is_wrong(lane: Lane, shelf: Shelf) -> bool:
    zone, told, noticed = shelf
    return not noticed and zone_reason(lane, zone) != told


def _first(lane: Lane, shelf: Shelf) -> Entry:
    found = lane.shelves[shelf].first()
    assert found is not None  # empty shelves are taken down
    return lane.entries[found]


def _first_of(lane: Lane, shelf: Shelf) -> Rank:
    return lane.across(_first(lane, shelf))
