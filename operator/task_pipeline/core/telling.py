"""Which statuses give another reason for a wait than the true one, the first in order first.

Rule: a reason is told when it has lasted from one look to the next, so that what passes in a moment costs no write. Of
what is wrong only the first few are looked at, so a look costs the same however much waits.
"""

import heapq

from task_pipeline.api.reasons import Reason
from task_pipeline.core.lane import Entry, EntryId, Lane, Shelf
from task_pipeline.core.ordering import Rank
from task_pipeline.core.queue import Queue
from task_pipeline.core.waiting import is_blocked_head, reason_of, zone_reason

MOST = 200  # entries that are looked at together


class Telling:
    """The entries of `queue` that were found to tell a wrong reason."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._noticed: dict[EntryId, Reason] = {}

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
            elif reason == reason_of(self._queue, lane, entry) != entry.told:
                lasting.append((lane.across(entry), entry, reason))
            else:
                del self._noticed[entry_id]
                lane.mark(entry)
        return [(entry, reason) for _, entry, reason in sorted(lasting, key=lambda found: found[0])]

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

    def _notice_head(self) -> None:
        """The first of the order has a reason of its own, whatever the others of its shelf tell."""
        head = self._queue.head()
        lane = None if head is None else self._queue.lane_of(head.id)
        if head is not None and lane is not None and not head.noticed and is_blocked_head(self._queue, head):
            self._notice(lane, head)

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
