"""A neutral observer: watches of its own, with times of one monotonic clock, for any contender."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from task_pipeline.api.resources import Resource
from task_pipeline.kube.client import HttpCluster


@dataclass
class Sighting:
    """When an object was first seen, first seen ended, and how it looked last."""

    seen: float
    ended: float | None = None
    last: dict[str, Any] = field(default_factory=dict)


class Observer:
    """Notes when objects of one resource appear and when they are over, by name."""

    def __init__(self, cluster: HttpCluster, resource: Resource, over: Callable[[dict[str, Any]], bool]) -> None:
        self._cluster = cluster
        self._resource = resource
        self._over = over
        self.sightings: dict[str, Sighting] = {}
        self.changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch from now on."""
        page = orjson.loads(await self._cluster.list(self._resource, None, limit=1, metadata_only=True))
        self._task = asyncio.create_task(self._watch(page["metadata"]["resourceVersion"]))
        self._task.add_done_callback(lambda _: self.changed.set())

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until `done()`; raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while not done():
                if self._task is not None and self._task.done():
                    raise RuntimeError("the observer's own watch ended") from self._task.exception()
                self.changed.clear()
                await self.changed.wait()

    async def _watch(self, version: str) -> None:
        while True:  # the API server ends the watch of a watcher that falls behind; it resumes where it was
            async for line in self._cluster.watch(self._resource, None, resource_version=version):
                version = self._note(orjson.loads(line), time.monotonic()) or version

    def _note(self, event: dict[str, Any], now: float) -> str | None:
        thing = event["object"]
        if event["type"] in ("ADDED", "MODIFIED"):
            sighting = self.sightings.setdefault(thing["metadata"]["name"], Sighting(now))
            sighting.last = thing
            if sighting.ended is None and self._over(thing):
                sighting.ended = now
            self.changed.set()
        version: str | None = thing["metadata"].get("resourceVersion")
        return version
