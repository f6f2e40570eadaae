"""An onlooker: two watches of its own, on PipelineJobs and on pods, and from them who held a slot when.

Its word is the API server's: changes are ordered by resourceVersion, which counts for all resources together, so the
order is the one in which they happened, whichever watch told of them first. A job holds a slot while it is IN PROGRESS
or a pod of it lives.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from task_pipeline.api.resources import PIPELINE_JOBS, PODS, Resource
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from task_pipeline.kube.errors import Gone, KubeError
from tests.background import Background
from tests.cluster.polling import wait_for

LIVE = ("Pending", "Running")
FINAL = ("DONE", "ERROR", "CANCELLED")
SECONDS = 15.0
CLOSING_SECONDS = 0.05  # a connection that is given up is let go of in the next turns of its loop


class Change(NamedTuple):
    """What became of a PipelineJob, or of a pod of it, at `version`; heard of at `moment` (monotonic seconds).

    `state` is the state or the phase, empty once it is gone; `name` is of the object, `job` of the PipelineJob.
    """

    version: int
    moment: float
    is_pod: bool
    name: str
    job: str
    state: str
    is_new: bool


async def stop_watching(tasks: Iterable[asyncio.Task[None]], cluster: HttpCluster | None) -> None:
    """End the watches of a loop, and their connection."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
    if cluster is not None:
        await cluster.close()
        await asyncio.sleep(CLOSING_SECONDS)


class Onlooker(Background):
    """Watches one namespace, or all of them, from `with` on; `jobs` has the spec of every PipelineJob by name."""

    def __init__(self, kubeconfig: Path, namespace: str | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._heard: list[Change] = []
        super().__init__(SECONDS)
        self._tasks: list[asyncio.Task[None]] = []
        self._cluster: HttpCluster | None = None
        self.jobs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, str] = {}
        self.launched = 0

    @property
    def changes(self) -> list[Change]:
        """All that has been heard, in the order in which it happened."""
        return sorted(self._heard)

    @property
    def launches(self) -> list[Change]:
        """The pods in the order of their creation."""
        return [change for change in self.changes if change.is_pod and change.is_new]

    def wait(self, what: str, met: Callable[[Self], bool], seconds: float = 180.0) -> None:
        """Wait until `met`; raises TimeoutError naming `what`, and whatever has ended a watch."""

        def ask() -> bool:
            for task in self._tasks:
                if task.done():
                    raise RuntimeError("the onlooker's own watch has ended") from task.exception()
            return met(self)

        wait_for(ask, what, seconds)

    def wait_until_final(self, jobs: int, seconds: float = 180.0) -> None:
        """Wait until so many PipelineJobs have been seen, and all of them have ended."""
        self.wait(
            f"the end of {jobs} jobs",
            lambda seen: len(seen.states) >= jobs and all(state in FINAL for state in list(seen.states.values())),
            seconds,
        )

    async def _start(self) -> None:
        connection = await connect(self._kubeconfig)
        connection.user_agent = "onlooker"
        self._cluster = HttpCluster(connection)
        for resource in (PIPELINE_JOBS, PODS):
            page = await self._cluster.list(resource, self._namespace, limit=1, metadata_only=True)
            version = orjson.loads(page)["metadata"]["resourceVersion"]
            self._tasks.append(self._loop.create_task(self._watch(self._cluster, resource, version)))

    async def _stop(self) -> None:
        await stop_watching(self._tasks, self._cluster)

    async def _watch(self, cluster: HttpCluster, resource: Resource, version: str) -> None:
        while True:
            try:
                async for line in cluster.watch(resource, self._namespace, resource_version=version):
                    version = self._hear(resource, orjson.loads(line), time.monotonic())
            except Gone:
                raise
            except KubeError:  # the API server was away for a moment: go on where we were
                await asyncio.sleep(0.1)

    def _hear(self, resource: Resource, event: dict[str, Any], moment: float) -> str:
        thing, kind = event["object"], event["type"]
        if kind == "ERROR":
            raise Gone(thing.get("code", 410), thing.get("reason", ""), thing.get("message", ""))
        meta = thing["metadata"]
        version = str(meta["resourceVersion"])
        if kind != "BOOKMARK":
            change = _change(resource is PODS, kind, thing, moment)
            if change is not None:
                self._heard.append(change)
                self.launched += change.is_pod and change.is_new
                if not change.is_pod:
                    self.jobs[change.job] = thing["spec"]
                    self.states[change.job] = change.state
        return version


def _change(is_pod: bool, kind: str, thing: dict[str, Any], moment: float) -> Change | None:
    """What an event says; None for a pod that belongs to no PipelineJob."""
    meta, status = thing["metadata"], thing.get("status", {})
    name, version = meta["name"], int(meta["resourceVersion"])
    owners = [owner["name"] for owner in meta.get("ownerReferences", ()) if owner["kind"] == "PipelineJob"]
    if is_pod and not owners:
        return None
    state = "" if kind == "DELETED" else status.get("phase", "Pending") if is_pod else status.get("state", "READY")
    return Change(version, moment, is_pod, name, owners[0] if is_pod else name, state, kind == "ADDED")


def holders(changes: Iterable[Change]) -> Iterator[tuple[Change, set[str]]]:
    """Every change, and the jobs that hold a slot after it. The set is the same one each time."""
    holding: set[str] = set()
    reasons: dict[str, set[str]] = {}  # why a job holds its slot: its own name, or those of its pods
    for change in changes:
        why = reasons.setdefault(change.job, set())
        if change.state in LIVE or change.state == "IN PROGRESS":
            why.add(f"{change.is_pod}{change.name}")
        else:
            why.discard(f"{change.is_pod}{change.name}")
        (holding.add if why else holding.discard)(change.job)
        yield change, holding


def peak(changes: Iterable[Change], counts: Callable[[str], bool] = lambda job: True) -> int:
    """How many slots were held at once, at most, by the jobs that count."""
    return max((sum(map(counts, holding)) for _, holding in holders(changes)), default=0)
