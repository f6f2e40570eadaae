"""One cluster with its observers and one contender: submits work, and tells what became of it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from tests.bench.client import CONNECTIONS, Body, Client
from tests.bench.contenders.base import NAMESPACE, Contender, Work
from tests.bench.figures import Pod, Run
from tests.bench.observer import Observer, Sighting

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
PATIENCE = 1200.0
SETTLE_SECONDS = 0.5


def pod_over(pod: Body) -> bool:
    """Whether a pod has ended."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


class Stand:
    """Watches from `async with` on: the pods, the contender's top objects, and its objects of one job each."""

    def __init__(self, client: Client, contender: Contender) -> None:
        self.client = client
        self.contender = contender
        self._observers: dict[str, Observer] = {}
        self.pods = self._observer(PODS, pod_over)
        self.tops = self._observer(contender.path, contender.over)
        self.units = self._observer(contender.unit_path, contender.over)
        self.sent: dict[str, float] = {}
        self._parts: dict[str, list[str]] = {}
        self._jobs = 0
        self._window = asyncio.Semaphore(CONNECTIONS)

    async def __aenter__(self) -> "Stand":
        for observer in self._observers.values():
            await observer.start()
        await asyncio.sleep(SETTLE_SECONDS)  # the watches are open; nothing is measured yet
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for observer in self._observers.values():
            await observer.stop()

    def forget(self) -> None:
        """Drop what has been seen so far."""
        for observer in self._observers.values():
            observer.forget()
        self._jobs = 0

    async def submit(self, works: Iterable[Work]) -> None:
        """Send the requests of all works, as many at a time as the client has connections."""
        await asyncio.gather(*(self._submit(work) for work in works))

    async def wait_over(self, works: Sequence[Work], seconds: float = PATIENCE) -> None:
        """Wait until all objects of all works are over, and all pods that were submitted since `forget`."""
        parts = [part for work in works for part in self._parts[work.name]]
        await self.tops.wait(lambda: self.tops.ended >= len(parts) and all(map(self._is_over, parts)), seconds)
        await self.pods.wait(lambda: self.pods.ended >= self._jobs, seconds)

    def runs(self, works: Sequence[Work]) -> list[Run]:
        """What became of works that are over. Raises RuntimeError when pods are missing or too many."""
        pods = self.pods_by_work()
        runs = []
        for work in works:
            done = max(_ended(self.tops.sightings[part]) for part in self._parts[work.name])
            runs.append(Run(work.name, self.sent[work.name], done, tuple(pods[work.name])))
            if len(runs[-1].pods) != work.stages * work.jobs:
                raise RuntimeError(f"{work.name}: {len(runs[-1].pods)} pods seen, not {work.stages * work.jobs}")
        return runs

    def pods_by_work(self) -> dict[str, list[Pod]]:
        """All pods of the benchmark that have ended, by the name of their work."""
        pods = defaultdict(list)
        for sighting in self.pods.sightings.values():
            if sighting.kept is not None and sighting.ended is not None:
                work, stage, job = sighting.kept
                pods[work].append(Pod(work, stage, job, sighting.seen, sighting.ended))
        return pods

    async def _submit(self, work: Work) -> None:
        manifests = self.contender.manifests(work)
        self._parts[work.name] = [manifest["metadata"]["name"] for manifest in manifests]
        self._jobs += work.stages * work.jobs
        async with self._window:
            self.sent[work.name] = time.monotonic()
            await asyncio.gather(*(self.client.send("POST", self.contender.path, one) for one in manifests))

    def _observer(self, path: str, over: Callable[[Body], bool]) -> Observer:
        if path not in self._observers:
            self._observers[path] = Observer(self.client, path, over, self.contender.place)
        return self._observers[path]

    def _is_over(self, part: str) -> bool:
        sighting = self.tops.sightings.get(part)
        return sighting is not None and sighting.ended is not None


def _ended(sighting: Sighting) -> float:
    assert sighting.ended is not None
    return sighting.ended
