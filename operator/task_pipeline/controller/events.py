"""Writes Kubernetes Events, beside everything else and at nobody's cost.

Rule: an Event is never needed. It is handed over after the status has been written, waits in a queue with a bound, is
sent within a budget of its own, one at a time, and is dropped when anything about that fails. What was told within the
last minutes is not told again.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import datetime

from task_pipeline.api.resources import EVENTS
from task_pipeline.core.events import Event, body_of, event_of
from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import AlreadyExists

log = logging.getLogger(__name__)

WRITES_PER_SECOND = 5.0
BURST = 20.0
QUEUED = 1000  # Events that wait to be sent; more are dropped
SAME_SECONDS = 600.0  # an Event that says the same again within this time is not written
REMEMBERED = 10_000  # Events that are known to have been told
SEND_SECONDS = 5.0


class EventWriter:
    """`tell` after every status write; `run` sends. `clock` is monotonic seconds, `now` the time of day.

    `written`, `dropped` (the queue was full) and `failed` count Events.
    """

    def __init__(self, cluster: Cluster, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self.written = self.dropped = self.failed = 0
        self._cluster = cluster
        self._now = now
        self._clock = clock
        self._instance = f"task-pipeline-{socket.gethostname()}"
        self._queue: asyncio.Queue[tuple[Event, datetime]] = asyncio.Queue(QUEUED)
        self._told: dict[tuple[str, str, str], float] = {}  # when, the oldest first
        self._left = BURST
        self._filled = clock()

    def tell(self, before: JobRecord | PipelineRecord, after: JobRecord | PipelineRecord) -> None:
        """Note the change of an object, which has been written, if it is worth an Event."""
        event = event_of(before, after)
        if event is None or self._was_told(event):
            return
        if self._queue.full():
            self.dropped += 1
            return
        self._remember(event)
        self._queue.put_nowait((event, self._now()))

    async def run(self) -> None:
        """Send what has been told, for ever."""
        while True:
            event, moment = await self._queue.get()
            await self._turn()
            await self._send(event, moment)

    def _was_told(self, event: Event) -> bool:
        told = self._told.get(event.key)
        return told is not None and self._clock() - told < SAME_SECONDS

    def _remember(self, event: Event) -> None:
        self._told.pop(event.key, None)
        self._told[event.key] = self._clock()
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _turn(self) -> None:
        """Wait until the budget has room for one write, and take it."""
        clock = self._clock()
        self._left = min(BURST, self._left + (clock - self._filled) * WRITES_PER_SECOND) - 1
        self._filled = clock
        if self._left < 0:
            await asyncio.sleep(-self._left / WRITES_PER_SECOND)

    async def _send(self, event: Event, moment: datetime) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._cluster.create(EVENTS, event.namespace, body_of(event, self._instance, moment))
            self.written += 1
        except AlreadyExists:  # told before a restart
            return
        except Exception as error:  # whatever it is, it must not end the operator
            self.failed += 1
            if self.failed == 1:
                log.debug("Kubernetes Events cannot be written, and are left out: %s", error)
