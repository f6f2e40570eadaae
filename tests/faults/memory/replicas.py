"""Two replicas on one cluster, their election included, and handovers at every write.

Rule: a process that is paused does nothing. What it was about to send when it was paused has passed the gate, and is
sent when it goes on; whatever it wants to send after that meets the gate as it is then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES, Resource
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.controller.runtime import Runtime
from task_pipeline.entrypoints.takeover import look_again
from task_pipeline.kube.cluster import Body
from task_pipeline.kube.errors import NotFound
from task_pipeline.kube.informer import Informer
from task_pipeline.leadership.elector import Elector
from task_pipeline.leadership.elector import Replica as Candidate
from task_pipeline.leadership.gate import Gate, GatedCluster
from task_pipeline.leadership.lease import LEASE_NAME, LEASES, Found
from task_pipeline.leadership.record import Record, Timing, wire
from task_pipeline.settings import Settings
from tests.fakes import FakeCluster
from tests.fakes.registry import Target
from tests.fakes.store import Object, copied
from tests.faults.history import History
from tests.faults.memory.script import Script
from tests.faults.memory.wire import Wire

OWN = "task-pipeline"
EXIT = 0.02  # seconds from the moment at which a process knows that it has lost the Lease to its end


class Replica:
    """One process: `start`, and then `kill`, `terminate`, or `pause` and `resume`. It ends by itself on a lost Lease.

    `ended` is called with its name when it has ended by itself.
    """

    def __init__(self, name: str, fake: FakeCluster, script: Script, history: History, settings: Settings) -> None:
        self.name = name
        self.wire = Wire(fake, script, history, name)
        self.settings = settings
        self.alive = False
        self.working = asyncio.Event()
        self.ended: Callable[[str], None] = lambda name: None
        self._gate = Gate(asyncio.get_running_loop().time)
        self._elected = asyncio.Event()
        gated = _Frozen(self.wire, GatedCluster(self.wire, self._gate))
        self.runtime = Runtime(gated, settings, now=fake.now)
        candidate = Candidate(name, self._elected.set)
        self._elector = Elector(_Leases(fake, self.wire), self._gate, candidate, Timing(), fake.now)
        self._tasks: list[asyncio.Task[Any]] = []
        self._end: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """List everything, stand by, and work when it is its turn."""
        self.alive = True
        informers: list[Informer[Any]] = [
            Informer(self.wire, PIPELINE_CLIENTS, PipelineClientView, self.runtime.clients),
            Informer(self.wire, PIPELINES, PipelineView, self.runtime.pipelines),
        ]
        self._tasks = [asyncio.create_task(informer.run()) for informer in informers]
        for informer in informers:
            await informer.synced.wait()
        await self.runtime.sync()
        self.runtime.stand_by()
        self._tasks += [asyncio.create_task(self._lead()), asyncio.create_task(self._work())]

    async def kill(self) -> None:
        """End as SIGKILL does."""
        self.alive = False
        await self.runtime.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def terminate(self) -> None:
        """End as SIGTERM does: what is in flight ends, then the Lease is given back."""
        self.alive = False
        await self.runtime.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._elector.release()

    async def _lead(self) -> None:
        """Take part in the election; a process that has lost the Lease ends, as soon as it runs at all."""
        await self._elector.run()
        await self.wire.awake()
        await asyncio.sleep(EXIT)
        self._end = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        if self.alive:
            await self.kill()
            self.ended(self.name)

    async def _work(self) -> None:
        await self._elected.wait()
        await look_again(self.wire, self.settings, self.runtime)
        self.runtime.start()
        self.working.set()


class _Frozen:
    """What the program calls: while the process is paused, nothing that it has not begun is begun."""

    def __init__(self, wire_of: Wire, cluster: GatedCluster) -> None:
        self._wire, self._cluster = wire_of, cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        await self._wire.awake()
        return await self._cluster.create(resource, namespace, body)

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        await self._wire.awake()
        return await self._cluster.patch_status(resource, namespace, name, body)

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        await self._wire.awake()
        return await self._cluster.patch(resource, namespace, name, body)

    async def apply(self, *place: Any, **how: Any) -> bytes:
        await self._wire.awake()
        return await self._cluster.apply(*place, **how)

    async def delete(self, *place: Any, **how: Any) -> None:
        await self._wire.awake()
        await self._cluster.delete(*place, **how)


class _Leases:
    """The Lease as a process reaches it: not while it is paused."""

    def __init__(self, fake: FakeCluster, wire_of: Wire) -> None:
        self._registry = fake.registry
        self._wire = wire_of
        self._target = Target(LEASES, OWN, LEASE_NAME)

    async def read(self) -> Found | None:
        await self._wire.awake()
        with suppress(NotFound):
            return _found(self._registry.existing(self._target))
        return None

    async def create(self, record: Record) -> Found:
        await self._wire.awake()
        body = {"metadata": {"name": LEASE_NAME}, "spec": wire(record)}
        return _found(self._registry.create(LEASES, OWN, body))

    async def replace(self, known: Found, record: Record) -> Found:
        await self._wire.awake()

        def edit(old: Object) -> Object:
            return {**old, "metadata": copied(known.metadata), "spec": wire(record)}

        return _found(self._registry.update(self._target, edit))


def _found(thing: Object) -> Found:
    return Found(msgspec.convert(thing["spec"], Record), copied(thing["metadata"]))
