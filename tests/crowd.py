"""A queue in which a crowd waits, and what happens to such a queue, for measuring what each of that costs.

Every step leaves as many waiting as there were before, so it can be repeated.
"""

from collections.abc import Callable
from itertools import count
from random import Random

from task_pipeline.api.reasons import Reason
from task_pipeline.core.lane import Entry, Terms, Zone
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue
from task_pipeline.core.telling import Telling
from tests import make
from tests.counting import CountedKey

CLIENTS, LIMIT, WINDOW = 20, 50, 1000
FIRST, LAST = -1, 100  # before and behind all priorities that are drawn


class Crowd:
    """`waiting` jobs of 20 clients with random priorities. Every slot is taken, and the window is full.

    `key` makes their order keys; the counted ones cost more time.
    """

    def __init__(self, waiting: int, key: type[OrderKey] = CountedKey) -> None:
        self.queue = Queue(LIMIT, min(WINDOW, waiting // 2))
        self._telling = Telling(self.queue)
        self._key = key
        self._random = Random(waiting)
        self._numbers = count()
        for number in range(CLIENTS):
            self.queue.set_terms(f"client-{number:02}", Terms())
        for _ in range(waiting + LIMIT):
            self.queue.put(self._entry())
        self._running: list[str] = []
        while (entry := self.queue.next()) is not None:
            self._running.append(entry.id)
        self._waiting = [entry.id for lane in self.queue.lanes.values() for entry in lane.entries.values()]
        self._places = {name: place for place, name in enumerate(self._waiting)}

    def steps(self) -> dict[str, Callable[[], None]]:
        """What can happen, by name."""
        return {
            "put somewhere, remove": self.put,
            "put first (displaces), remove": self.displace,
            "free a slot, next, put": self.turn,
            "edit a priority": self.edit,
            "edit a client's priority": self.edit_client,
            "tell: lasting, notice": self.look,
        }

    def put(self) -> None:
        """A newcomer somewhere in the order goes again."""
        entry = self._entry()
        self.queue.put(entry)
        self.queue.remove(entry.id)

    def displace(self) -> None:
        """A newcomer before all others displaces the last in the window, and goes again."""
        entry = self._entry(FIRST)
        self.queue.put(entry)
        self.queue.remove(entry.id)

    def turn(self) -> None:
        """A slot becomes free, the next starts, and another comes to wait."""
        self.queue.free_slot(self._running.pop(0))
        started = self.queue.next()
        assert started is not None
        self._running.append(started.id)
        entry = self._entry()
        self.queue.put(entry)
        place = self._places.pop(started.id)
        self._waiting[place], self._places[entry.id] = entry.id, place

    def edit(self) -> None:
        """Somebody edits the priority of something that waits."""
        name = self._random.choice(self._waiting)
        lane = self.queue.lane_of(name)
        assert lane is not None
        old = lane.entries[name]
        key = self._key(self._random.randrange(LAST), *old.key[1:])
        self.queue.put(Entry(name, old.client, key, old.since, old.told))

    def edit_client(self) -> None:
        """Somebody edits the priority of a client whose work is all behind the window and stays there."""
        self.queue.set_terms("client-00", Terms(priority=self._random.randrange(20, 1000)))

    def overturn(self) -> int:
        """Somebody makes the last client the first, or the first the last; returns how many crossed the border."""
        lane = self.queue.lane("client-00")
        before = lane.count[Zone.ENQUEUED]
        self.queue.set_terms("client-00", Terms(priority=1000 if before else 0))
        return abs(lane.count[Zone.ENQUEUED] - before)

    def look(self) -> None:
        """The teller looks at what tells a wrong reason: as many as it looks at together, where so many wait."""
        self._telling.lasting()
        self._telling.notice()

    def _entry(self, priority: int | None = None) -> Entry:
        number, draw = next(self._numbers), self._random.randrange
        first = draw(LAST) if priority is None else priority
        key = self._key(first, draw(4), draw(LAST), make.at(number), draw(5), f"{number:036}")
        return Entry(f"{number:016x}", f"client-{draw(CLIENTS):02}", key, float(number), Reason.QUEUED.value)
