"""A neutral observer: watches of its own, with times of one monotonic clock, the same for every contender.

Times are those at which this process read the event. Versions are the API server's resourceVersions: they order the
changes of all resources together, whichever watch told of them first.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench.client import Body, Client


@dataclass(slots=True)
class Sighting:
    """When an object was first seen and first seen over: monotonic seconds, and the API server's version of it.

    `kept` is what `keep` made of it when it was first seen.
    """

    seen: float
    version: int
    kept: Any = None
    ended: float | None = None
    ended_version: int | None = None


class Observer:
    """Notes when objects of one collection (an API path) appear and when they are over, by name.

    An object that is deleted before it was over counts as over then.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        over: Callable[[Body], bool],
        keep: Callable[[Body], Any] = lambda thing: None,
    ) -> None:
        self._client = client
        self._path = path
        self._over = over
        self._keep = keep
        self.sightings: dict[str, Sighting] = {}
        self.ended = 0
        self.changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch from now on."""
        version = await self._client.version(self._path)
        self._task = asyncio.create_task(self._watch(version))
        self._task.add_done_callback(lambda _: self.changed.set())

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def forget(self) -> None:
        """Drop what has been seen so far, such as the warm-up."""
        self.sightings.clear()
        self.ended = 0

    async def wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until `done()`, asked after each event; raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while not done():
                if self._task is not None and self._task.done():
                    raise RuntimeError("the observer's own watch ended") from self._task.exception()
                self.changed.clear()
                await self.changed.wait()

    async def _watch(self, version: str) -> None:
        while True:  # the API server ends every watch at some time; it resumes where it was
            async for event in self._client.watch(self._path, version):
                version = self._note(event, time.monotonic())

    def _note(self, event: Body, now: float) -> str:
        kind, thing = event["type"], event["object"]
        if kind == "ERROR":
            raise RuntimeError(f"the watch of {self._path} ended: {thing.get('message', '')}")
        meta = thing["metadata"]
        version: str = meta["resourceVersion"]
        if kind == "BOOKMARK":
            return version
        sighting = self.sightings.get(meta["name"])
        if sighting is None:
            sighting = self.sightings[meta["name"]] = Sighting(now, int(version), self._keep(thing))
        if sighting.ended is None and (kind == "DELETED" or self._over(thing)):
            sighting.ended, sighting.ended_version = now, int(version)
            self.ended += 1
        self.changed.set()
        return version
