"""On a real node a pod ends some time after its container, and a Kubernetes Job after its pod.

What a job has launched stays to be read, also when it is not quite over at the moment at which the job is.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import KUBERNETES_JOBS, PODS
from tests.scenario.world import NAMESPACE, World, shell

pytestmark = [pytest.mark.looptime]


def ended(pod: dict[str, Any], code: int) -> dict[str, Any]:
    """The statuses of the containers once `main` has ended; the phase follows later."""
    times = {"startedAt": "2026-01-31T00:00:00Z", "finishedAt": "2026-01-31T00:00:01Z"}
    state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times}}
    return {"containerStatuses": [{**pod["status"]["containerStatuses"][0], "state": state}]}


async def main_ends(world: World, code: int = 0) -> str:
    """The main container of the newest pod ends, but not its pod; returns the pod's name."""
    pod = max(world.pods(), key=lambda one: int(one["metadata"]["resourceVersion"]))
    name: str = pod["metadata"]["name"]
    world.cluster.admin.status(PODS, name, **ended(pod, code))
    return name


@pytest.mark.parametrize("code", [0, 3])
async def test_a_pod_whose_container_has_ended_is_left_alone(code: int) -> None:
    world = World()
    await world.start()
    world.submit("p", shell("a", seconds=60))
    await asyncio.sleep(5)
    name = await main_ends(world, code)
    await world.until_final("p", seconds=20)
    await asyncio.sleep(10)
    assert [pod["metadata"]["name"] for pod in world.pods()] == [name]
    await world.kill()  # and one that was not there when it ended does not know less
    await world.start()
    await asyncio.sleep(10)
    assert [pod["metadata"]["name"] for pod in world.pods()] == [name]
    await world.stop()


async def test_the_pod_of_a_failed_attempt_is_left_alone_while_the_next_one_runs() -> None:
    world = World()
    await world.start()
    world.submit("p", shell("a", seconds=60, retryAttempt=1))
    await asyncio.sleep(5)
    name = await main_ends(world, 3)
    await asyncio.sleep(20)
    assert name in {pod["metadata"]["name"] for pod in world.pods()}
    assert len(world.pods()) == 2
    await world.stop()


async def test_a_kubernetes_job_whose_pod_has_ended_is_left_alone() -> None:
    world = World()
    await world.start()
    params = {"image": "busybox:1.36", "command": ["true"]}
    world.submit("p", {"name": "a", "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": params})
    await world.until_final("p")
    await asyncio.sleep(30)
    [job] = world.cluster.admin.list(KUBERNETES_JOBS, NAMESPACE)
    assert [one["type"] for one in job["status"]["conditions"] if one["status"] == "True"][-1] == "Complete"
    assert len(world.pods()) == 1
    await world.stop()
