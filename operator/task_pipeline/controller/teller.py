"""The teller: lets waiting work say why it waits, within a budget, without delaying a launch.

Every `LOOK` seconds it looks at what tells a wrong reason; what does so for two looks is told, the first in order
first. Nothing is looked at while nothing changes.
"""

import asyncio
from collections.abc import Callable

from task_pipeline.core.lane import Entry, EntryId
from task_pipeline.core.queue import Queue
from task_pipeline.core.telling import Telling
from task_pipeline.core.waiting import Wait, wait_for

LOOK = 0.7  # seconds; a reason is told within two looks
WRITES_PER_SECOND = 20.0
AT_ONCE = int(WRITES_PER_SECOND * LOOK)


class Teller:
    """Grants writes of reasons. `clock` is monotonic seconds; `wake` makes the owner of an entry write.

    A job's write is paid for when it is granted. A Pipeline's reason may follow from its jobs' as well, so whoever
    writes it pays (`spend`).
    """

    def __init__(self, queue: Queue, clock: Callable[[], float], wake: Callable[[Entry], bool]) -> None:
        self._queue = queue
        self._telling = Telling(queue)
        self._clock = clock
        self._wake = wake
        self._granted: dict[EntryId, Wait] = {}
        self._tried: set[EntryId] = set()  # granted earlier, and still not written
        self._left = WRITES_PER_SECOND
        self._filled = clock()
        self._timer: asyncio.TimerHandle | None = None

    def plan(self) -> None:
        """Something has changed, and all that follows from it has been done: look soon."""
        self._telling.settled()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def granted(self, entry_id: EntryId) -> Wait | None:
        """What may be written about an entry now, once; None: nothing."""
        return self._granted.pop(entry_id, None)

    def spend(self) -> bool:
        """Take one write from the budget; False when it is used up."""
        now = self._clock()
        self._left = min(WRITES_PER_SECOND, self._left + (now - self._filled) * WRITES_PER_SECOND)
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _look(self) -> None:
        self._timer = None
        self._granted.clear()
        lasting = self._telling.lasting()
        self._tried.intersection_update(entry.id for entry, _ in lasting)
        lasting.sort(key=lambda found: found[0].id in self._tried)  # whose write fails keeps nobody else from telling
        for entry, reason in lasting:
            if len(self._granted) == AT_ONCE:
                break
            if not self._wake(entry):
                continue
            if not entry.is_pipeline and not self.spend():
                break
            self._granted[entry.id] = wait_for(self._queue, entry.client, reason)
            self._tried.add(entry.id)
        self._telling.notice()
        if self._telling.pending:
            self.plan()
