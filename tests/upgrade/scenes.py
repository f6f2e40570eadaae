"""What is in the cluster when another version takes over: one scene for each kind of unfinished business.

A scene is made by the whole operator on the in-memory cluster, in virtual time, and is then cut off as by a crash.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from task_pipeline.api.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    KUBERNETES_JOBS,
    PIPELINE_CLIENTS,
    PIPELINE_JOBS,
    PIPELINES,
    PODS,
    REPLICA_SETS,
    Resource,
)
from task_pipeline.kube.errors import Unreachable
from tests.fakes import on
from tests.fakes.deployments import Rollout
from tests.fakes.fates import Fate
from tests.scenario.worker_server import Server, offered, work
from tests.scenario.world import World, shell

RECORDED = (
    PIPELINE_CLIENTS,
    PIPELINES,
    PIPELINE_JOBS,
    PODS,
    KUBERNETES_JOBS,
    DEPLOYMENTS,
    REPLICA_SETS,
    CONFIG_MAPS,
)
BY_KIND: Mapping[str, Resource] = {resource.kind: resource for resource in RECORDED}
LONG = {"simulate.test/seconds": "5000"}

Scene = Callable[[World], Awaitable[None]]


def kube(kind: str, **params: Any) -> dict[str, Any]:
    """A job of the kind K8S/Job or K8S/Deployment."""
    return {
        "name": "a",
        "stage": "s",
        "kind": kind,
        "version": "1.0.0",
        "params": {"image": "busybox:1.36", **params},
    }


async def running(world: World) -> None:
    """A pod runs, a stage is still to come."""
    world.submit("p", shell("a", seconds=5000), shell("b", "t"))
    await asyncio.sleep(20)


async def waiting(world: World) -> None:
    """One runs, and a Pipeline waits because of a limit."""
    world.submit("p", shell("a", seconds=5000), clientId="narrow")
    await asyncio.sleep(2)
    world.submit("q", shell("a", seconds=5000), clientId="narrow")
    await asyncio.sleep(20)


async def between_stages(world: World) -> None:
    """The first stage is done, the second runs, the third is to come."""
    world.submit("p", shell("a"), shell("b", "t", seconds=5000), shell("c", "u"))
    await asyncio.sleep(20)


async def retrying(world: World) -> None:
    """The first attempt has failed, the second has not begun."""
    world.submit("p", shell("a", exit_code=1, retryAttempt=3))
    await world.cluster.admin.wait_for(
        lambda: "a" in world.states("p") and world.job("p", "a")["reason"] == "RetryBackoff", 60
    )


async def finished(world: World) -> None:
    """One has succeeded, one has failed, one was never valid."""
    world.submit("p", shell("a"), shell("b", "t"))
    world.submit("failed", shell("a", exit_code=1))
    world.submit("wrong", {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"})
    await asyncio.sleep(60)


async def cancelled(world: World) -> None:
    """Cancelled while it ran, and over."""
    world.submit("p", shell("a", seconds=5000), shell("b", "t"))
    await asyncio.sleep(10)
    world.edit("p", cancel="Now")
    await world.until_final("p")
    await asyncio.sleep(20)


async def cancelling(world: World) -> None:
    """Cancelled while it ran; its pod has not ended yet."""
    world.cluster.kubelet.fate = lambda pod: Fate(seconds=5000, stop_seconds=20)
    world.submit("p", shell("a", seconds=5000), shell("b", "t"))
    await asyncio.sleep(10)
    world.edit("p", cancel="Now")
    await world.cluster.admin.wait_for(lambda: "deletionTimestamp" in world.pods()[0]["metadata"], 60)


async def suspended(world: World) -> None:
    """Suspended after its first stage."""
    world.submit("p", shell("a", seconds=5), shell("b", "t"))
    await asyncio.sleep(3)
    world.edit("p", suspend=True)
    await asyncio.sleep(20)


async def worker_claimed(world: World) -> None:
    """A worker holds the job and has told of its progress."""
    world.submit("p", work())
    await offered(world)
    server = Server(world)
    server.claim()
    await asyncio.sleep(10)
    server.progress(1, 40)
    await asyncio.sleep(2)


async def deployment_rolling(world: World) -> None:
    """A Deployment is being rolled out."""
    world.cluster.deployments.rollout = lambda deployment: Rollout(seconds=5000)
    world.submit("p", kube("K8S/Deployment", name="web"))
    await asyncio.sleep(10)


async def kubernetes_job(world: World) -> None:
    """A Kubernetes Job runs."""
    world.submit("p", kube("K8S/Job", annotations=LONG))
    await asyncio.sleep(20)


async def unclaimed(world: World) -> None:
    """A pod was created, and the operator ended before it wrote that."""
    world.cluster.fault(on("patch_status", PIPELINE_JOBS), before=Unreachable("cut"), times=None)
    world.submit("p", shell("a", seconds=5000), shell("b", "t"))
    await asyncio.sleep(10)


SCENES: Mapping[str, Scene] = {
    scene.__name__.replace("_", "-"): scene
    for scene in (
        running,
        waiting,
        between_stages,
        retrying,
        finished,
        cancelled,
        cancelling,
        suspended,
        worker_claimed,
        deployment_rolling,
        kubernetes_job,
        unclaimed,
    )
}


async def play(name: str) -> tuple[float, list[dict[str, Any]]]:
    """Play a scene: the seconds after which it was cut off, and all objects as they were then, owners first."""
    world = World()
    world.client("narrow", maxRunningJobs=1)
    await world.start()
    await SCENES[name](world)
    moment = world.now
    await world.kill()
    found = [
        {"apiVersion": resource.api_version, "kind": resource.kind} | thing
        for resource in RECORDED
        for thing in world.cluster.admin.list(resource)
    ]
    world.cluster.close()
    return moment, found
