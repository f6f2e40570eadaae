"""What is measured, the same for every contender.

W1: one job at a time; its time from the create request to the end that a watcher sees, less the time in which its pod
lived. W2: Pipelines of 4 stages with 5 jobs, submitted at once; jobs per second. Pods end at once (simulated nodes).
"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Any

from task_pipeline.api.resources import PIPELINES, PODS
from task_pipeline.kube.client import HttpCluster
from tests.bench.observer import Observer

NAMESPACE = "default"
SUBMITTERS = 16
PATIENCE = 300.0
FINAL = ("DONE", "ERROR", "CANCELLED")


@dataclass(frozen=True)
class Latency:
    """Milliseconds over the pod's own time."""

    p50: float
    p99: float
    runs: int


@dataclass(frozen=True)
class Throughput:
    """Jobs per second, and how many there were."""

    per_second: float
    jobs: int


def pipeline(name: str, stages: int, jobs: int) -> dict[str, Any]:
    """A Pipeline of Shell jobs."""
    names = [f"s{number}" for number in range(stages)]
    params = {"image": "busybox:1.36", "script": "true"}
    return {
        "apiVersion": "taskpipeline.dev/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "stages": names,
            "jobs": [
                {"name": f"{stage}-{number}", "stage": stage, "kind": "Shell", "version": "1.0.0", "params": params}
                for stage in names
                for number in range(jobs)
            ],
        },
    }


def pod(name: str) -> dict[str, Any]:
    """A bare pod such as a Shell job launches."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["/bin/sh", "-c", "true"]}
    spec = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


class Stand:
    """One cluster with its observers; an async context manager."""

    def __init__(self, cluster: HttpCluster) -> None:
        self.cluster = cluster
        self.runs = Observer(cluster, PIPELINES, lambda thing: thing.get("status", {}).get("state") in FINAL)
        self.pods = Observer(cluster, PODS, lambda thing: thing["status"].get("phase") in ("Succeeded", "Failed"))

    async def __aenter__(self) -> "Stand":
        await self.runs.start()
        await self.pods.start()
        await asyncio.sleep(0.5)  # the watches are open; nothing is measured yet
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runs.stop()
        await self.pods.stop()

    async def w1(self, runs: int, tag: str) -> Latency:
        """One job at a time, `runs` times."""
        overheads = []
        for number in range(runs):
            name = f"w1-{tag}-{number}"
            began = time.monotonic()
            await self.cluster.create(PIPELINES, NAMESPACE, pipeline(name, 1, 1))
            ended = await self._end(self.runs, [name]) - began
            own = next(seen for each, seen in self.pods.sightings.items() if each.startswith(f"{name}-"))
            overheads.append(1000 * (ended - ((own.ended or own.seen) - own.seen)))
            await asyncio.sleep(0.05)  # what trails the end belongs to no run
        overheads.sort()
        return Latency(statistics.median(overheads), overheads[int(0.99 * (len(overheads) - 1))], runs)

    async def w2(self, pipelines: int, tag: str) -> Throughput:
        """`pipelines` of 20 jobs each, at once."""
        manifests = [pipeline(f"w2-{tag}-{number}", 4, 5) for number in range(pipelines)]
        return await self._throughput(PIPELINES, self.runs, manifests, 20 * pipelines)

    async def raw_pods(self, pods: int, tag: str) -> Throughput:
        """The physical bound: as many bare pods by script."""
        return await self._throughput(PODS, self.pods, [pod(f"raw-{tag}-{number}") for number in range(pods)], pods)

    async def _throughput(self, resource: Any, observer: Observer, manifests: list[Any], jobs: int) -> Throughput:
        window = asyncio.Semaphore(SUBMITTERS)

        async def submit(manifest: dict[str, Any]) -> None:
            async with window:
                await self.cluster.create(resource, NAMESPACE, manifest)

        began = time.monotonic()
        await asyncio.gather(*(submit(manifest) for manifest in manifests))
        ended = await self._end(observer, [manifest["metadata"]["name"] for manifest in manifests])
        return Throughput(jobs / (ended - began), jobs)

    async def _end(self, observer: Observer, names: list[str]) -> float:
        """When the last of `names` ended, on the observer's clock."""
        sightings = observer.sightings
        await observer.wait(lambda: all(name in sightings and sightings[name].ended for name in names), PATIENCE)
        return max(sightings[name].ended or 0.0 for name in names)
