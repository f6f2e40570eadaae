"""Replicas of the operator on one in-memory cluster, in virtual time: the election, the gate, and everything behind it.

Each has watches of its own, through a door that a test can make deaf: what comes from it then comes late, or never.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES, Resource
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.controller.runtime import Runtime
from task_pipeline.entrypoints.takeover import look_again
from task_pipeline.kube.informer import Informer
from task_pipeline.leadership.elector import Elector, Replica
from task_pipeline.leadership.gate import Gate, GatedCluster
from task_pipeline.leadership.lease import LEASE_NAME, LEASES, Found
from task_pipeline.leadership.record import Record, Timing, wire
from task_pipeline.settings import Settings
from tests.fakes import FakeCluster
from tests.fakes.registry import Target
from tests.fakes.store import Object, copied

OWN = "task-pipeline"


class Leases:
    """The Lease of the in-memory cluster, outside of its journal and its faults."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._registry = cluster.registry
        self._target = Target(LEASES, OWN, LEASE_NAME)

    async def read(self) -> Found | None:
        with suppress(Exception):
            return _found(self._registry.existing(self._target))
        return None

    async def create(self, record: Record) -> Found:
        body = {"metadata": {"name": LEASE_NAME}, "spec": wire(record)}
        return _found(self._registry.create(LEASES, OWN, body))

    async def replace(self, known: Found, record: Record) -> Found:
        def edit(old: Object) -> Object:
            return {**old, "metadata": copied(known.metadata), "spec": wire(record)}

        return _found(self._registry.update(self._target, edit))


class Door:
    """The cluster as one replica sees it. While it is deaf, nothing that a watch brings comes through."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._hears = asyncio.Event()
        self._hears.set()

    def deafen(self, deaf: bool = True) -> None:
        """Let nothing of the watches through from now on; with False, let all of it."""
        if deaf:
            self._hears.clear()
        else:
            self._hears.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def watch(self, resource: Resource, namespace: str | None, **query: Any) -> AsyncIterator[bytes]:
        async for line in self._cluster.watch(resource, namespace, **query):
            await self._hears.wait()
            yield line


class Operator:
    """One replica, from its start to its end."""

    def __init__(self, cluster: FakeCluster, name: str, **settings: Any) -> None:
        self.name = name
        self.door = Door(cluster)
        self.settings = Settings(**({"retry_backoff": 1.0, "retry_backoff_jitter": 0.0} | settings))
        self.gate = Gate(asyncio.get_running_loop().time)
        self.runtime = Runtime(GatedCluster(self.door, self.gate), self.settings, now=cluster.now)
        self.elected = asyncio.Event()
        self.working = asyncio.Event()
        self.news: int | None = None
        self._elector = Elector(Leases(cluster), self.gate, Replica(name, self.elected.set), Timing(), cluster.now)
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """List everything, stand by, and work when it is this replica's turn."""
        views: tuple[tuple[Resource, Any, Any], ...] = (
            (PIPELINE_CLIENTS, PipelineClientView, self.runtime.clients),
            (PIPELINES, PipelineView, self.runtime.pipelines),
        )
        informers = [Informer(self.door, *one) for one in views]
        self._tasks = [asyncio.create_task(informer.run()) for informer in informers]
        for informer in informers:
            await informer.synced.wait()
        await self.runtime.sync()
        self.runtime.stand_by()
        self._tasks += [asyncio.create_task(self._elector.run()), asyncio.create_task(self._work())]

    async def _work(self) -> None:
        await self.elected.wait()
        self.news = await look_again(self.door, self.settings, self.runtime)
        self.runtime.start()
        self.working.set()

    def stall(self) -> None:
        """Let the election take this replica for dead while everything else goes on: the gate closes, no more."""
        self.gate.close()
        for task in self._tasks[-2:]:
            task.cancel()

    async def stop(self) -> None:
        """End as SIGTERM does."""
        await self.runtime.stop()
        await self._end()
        await self._elector.release()

    async def kill(self) -> None:
        """End as a crash does."""
        self.gate.close()
        await self.runtime.kill()
        await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _found(thing: Object) -> Found:
    return Found(msgspec.convert(thing["spec"], Record), copied(thing["metadata"]))
