"""Pods of the in-memory cluster: every fate leads to the statuses that a real node writes.

The judge of the job kinds reads them here, so that a fate means the same to the operator as to its author.
"""

import asyncio
from typing import Any

import msgspec
import pytest

from task_pipeline.api.objects import PodView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import PODS
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds._judge import judge_pod
from tests.fakes import FakeCluster, Fate, fates

pytestmark = [pytest.mark.looptime]


def pod(name: str = "x", *, inits: int = 0, containers: int = 1, **spec: Any) -> dict[str, Any]:
    made = [{"name": f"c{number}", "image": "busybox:1"} for number in range(containers)]
    more = (
        {"initContainers": [{"name": f"i{number}", "image": "busybox:1"} for number in range(inits)]} if inits else {}
    )
    return {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": made, **more, **spec}}


def seen(cluster: FakeCluster, name: str = "x") -> Observation:
    return judge_pod(msgspec.convert(cluster.admin.get(PODS, name), PodView), "c0")


async def run(fate: Fate, seconds: float, **shape: Any) -> tuple[FakeCluster, Observation]:
    """A pod with that fate, and how the operator judges it after `seconds`."""
    cluster = FakeCluster()
    cluster.kubelet.fate = lambda _: fate
    cluster.admin.create(PODS, pod(**shape))
    await asyncio.sleep(seconds)
    cluster.timers.check()
    return cluster, seen(cluster)


@pytest.mark.parametrize(
    ("fate", "phase", "reason", "code"),
    [
        (fates.succeeds(), Phase.SUCCEEDED, None, 0),
        (fates.succeeds(5), Phase.SUCCEEDED, None, 0),
        (fates.fails(3, 5, "last words"), Phase.FAILED, Reason.EXIT_CODE, 3),
        (fates.oom_killed(), Phase.FAILED, Reason.OOM_KILLED, 137),
        (fates.hangs(), Phase.RUNNING, None, None),
        (fates.no_image(), Phase.STARTING, Reason.IMAGE_PULL_FAILED, None),
        (fates.no_image("ErrImagePull"), Phase.STARTING, Reason.IMAGE_PULL_FAILED, None),
        (fates.never_starts("InvalidImageName"), Phase.STARTING, Reason.INVALID_IMAGE_NAME, None),
        (fates.never_starts("CreateContainerConfigError"), Phase.STARTING, Reason.CONFIG_ERROR, None),
        (fates.unschedulable(), Phase.STARTING, Reason.UNSCHEDULABLE, None),
        (fates.evicted(2), Phase.FAILED, Reason.EVICTED, 137),
    ],
)
async def test_what_the_operator_makes_of_a_fate(
    fate: Fate, phase: Phase, reason: Reason | None, code: int | None
) -> None:
    _, observation = await run(fate, 20)
    assert (observation.phase, observation.exit_code) == (phase, code)
    if reason is not None:
        assert observation.reason is reason
    if fate.message:
        assert fate.message in observation.message


async def test_annotations_decide_when_nobody_else_does() -> None:
    cluster = FakeCluster()
    body = pod()
    body["metadata"]["annotations"] = {"simulate.test/seconds": "30", "simulate.test/exit-code": "4"}
    cluster.admin.create(PODS, body)
    await asyncio.sleep(29)
    assert seen(cluster).phase is Phase.RUNNING
    await asyncio.sleep(2)
    assert seen(cluster).exit_code == 4


async def test_a_pod_is_told_of_step_by_step() -> None:
    cluster = FakeCluster()
    version = str(cluster.store.revision)
    cluster.kubelet.fate = lambda _: fates.succeeds(1)
    cluster.admin.create(PODS, pod())
    await asyncio.sleep(3)
    phases = [change.object["status"]["phase"] for change in cluster.store.since(PODS, int(version))]
    assert phases == ["Pending", "Pending", "Pending", "Running", "Succeeded"]
    assert cluster.admin.get(PODS, "x")["spec"]["nodeName"].startswith("node-")


async def test_a_sidecar_that_never_ends_keeps_the_pod_running() -> None:
    cluster, observation = await run(Fate(exit_code=2, seconds=1, sidecar_ends=False), 10, containers=2)
    assert cluster.admin.get(PODS, "x")["status"]["phase"] == "Running"
    assert (observation.phase, observation.exit_code) == (Phase.FAILED, 2)


async def test_an_init_container_may_fail() -> None:
    _, observation = await run(Fate(init_exit_code=5), 10, inits=1)
    assert (observation.phase, observation.reason, observation.exit_code) == (Phase.FAILED, Reason.EXIT_CODE, 5)


async def test_a_deadline_of_the_pod_itself() -> None:
    _, observation = await run(fates.hangs(), 60, activeDeadlineSeconds=30)
    assert (observation.phase, observation.reason) == (Phase.FAILED, Reason.DEADLINE_KILLED)


async def test_a_lost_node_takes_the_pod_with_it() -> None:
    cluster, observation = await run(fates.node_lost(1), 20)
    assert observation.phase is Phase.RUNNING
    version = cluster.store.revision
    await asyncio.sleep(40)
    assert cluster.admin.find(PODS, "x") is None
    failed, gone = cluster.store.since(PODS, version)
    last = judge_pod(msgspec.convert(failed.object, PodView), "c0")
    assert (last.phase, last.charged) == (Phase.FAILED, False)
    assert gone.type == "DELETED"


@pytest.mark.parametrize(("needs", "takes", "code"), [(0.0, 0.0, 143), (5.0, 5.0, 143), (100.0, 30.0, 137)])
async def test_a_deleted_pod_has_its_grace_period(needs: float, takes: float, code: int) -> None:
    cluster, _ = await run(fates.hangs(stop_seconds=needs), 10)
    version, loop = cluster.store.revision, asyncio.get_running_loop()
    began = loop.time()
    cluster.admin.delete(PODS, "x")
    await cluster.admin.wait_for(lambda: cluster.admin.find(PODS, "x") is None)
    assert loop.time() - began == pytest.approx(takes)
    marked, stopped, _ = cluster.store.since(PODS, version)
    assert marked.object["metadata"]["deletionGracePeriodSeconds"] == 30
    final = stopped.object["status"]["containerStatuses"][0]["state"]["terminated"]
    assert final["exitCode"] == code


async def test_a_pod_without_a_node_and_one_that_has_ended_go_at_once() -> None:
    cluster, _ = await run(fates.unschedulable(), 1)
    cluster.admin.delete(PODS, "x")
    assert cluster.admin.find(PODS, "x") is None
    cluster, _ = await run(fates.succeeds(), 5)
    cluster.admin.delete(PODS, "x")
    assert cluster.admin.find(PODS, "x") is None


async def test_a_test_may_end_a_pod_by_hand() -> None:
    cluster, observation = await run(fates.hangs(), 5)
    assert observation.phase is Phase.RUNNING
    cluster.kubelet.finish(cluster.admin.get(PODS, "x")["metadata"]["uid"], 6)
    assert seen(cluster).exit_code == 6


async def test_a_pod_that_was_replaced_is_left_alone() -> None:
    cluster, _ = await run(fates.fails(1, 5), 1)
    cluster.admin.delete(PODS, "x", grace=0)
    cluster.kubelet.fate = lambda _: fates.hangs()
    cluster.admin.create(PODS, pod())
    await asyncio.sleep(60)
    cluster.timers.check()
    assert seen(cluster).phase is Phase.RUNNING
