"""Controllers of the in-memory cluster, where a test scripts them."""

import asyncio
from typing import Any

import msgspec
import orjson
import pytest

from task_pipeline.api.objects import DeploymentView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import CONFIG_MAPS, DEPLOYMENTS, KUBERNETES_JOBS, NAMESPACES, PIPELINES, PODS
from task_pipeline.core.workload import Phase
from task_pipeline.kinds._rollout import judge_rollout
from task_pipeline.kube.errors import Forbidden, NotFound
from tests.contract.cases import spec
from tests.fakes import FakeCluster, Rollout, fates
from tests.fakes.selectors import matcher

pytestmark = [pytest.mark.looptime]
CONTAINERS = [{"name": "web", "image": "nginx:1"}]


def deployment(**more: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": CONTAINERS}}
    return {
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **more},
    }


def rollout(cluster: FakeCluster) -> Any:
    return judge_rollout(msgspec.convert(cluster.admin.get(DEPLOYMENTS, "web"), DeploymentView), ())


async def test_a_rollout_takes_its_time() -> None:
    cluster = FakeCluster()
    cluster.deployments.rollout = lambda _: Rollout(seconds=30)
    cluster.admin.create(DEPLOYMENTS, deployment(replicas=2))
    await asyncio.sleep(29)
    assert rollout(cluster).phase is Phase.RUNNING
    await asyncio.sleep(2)
    assert rollout(cluster).phase is Phase.SUCCEEDED


async def test_a_rollout_may_get_stuck() -> None:
    cluster = FakeCluster()
    cluster.deployments.rollout = lambda _: Rollout(stuck=True)
    cluster.admin.create(DEPLOYMENTS, deployment(progressDeadlineSeconds=60))
    await asyncio.sleep(50)
    assert rollout(cluster).phase is Phase.RUNNING
    await asyncio.sleep(20)
    judged = rollout(cluster)
    assert (judged.phase, judged.reason) == (Phase.FAILED, Reason.PROGRESS_DEADLINE_EXCEEDED)


async def test_a_new_template_restarts_the_rollout() -> None:
    cluster = FakeCluster()
    cluster.admin.create(DEPLOYMENTS, deployment())
    await asyncio.sleep(5)
    cluster.deployments.rollout = lambda _: Rollout(stuck=True)
    cluster.admin.patch(
        DEPLOYMENTS, "web", {"spec": {"template": {"spec": {"containers": [CONTAINERS[0] | {"image": "n:2"}]}}}}
    )
    await asyncio.sleep(5)
    found = cluster.admin.get(DEPLOYMENTS, "web")["status"]
    assert (found["replicas"], found["updatedReplicas"], found["availableReplicas"]) == (2, 1, 1)


async def test_a_kubernetes_job_tries_again_as_often_as_it_may() -> None:
    cluster = FakeCluster()
    cluster.kubelet.fate = lambda _: fates.fails(3)
    template = {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}
    cluster.admin.create(
        KUBERNETES_JOBS, {"metadata": {"name": "j"}, "spec": {"template": template, "backoffLimit": 2}}
    )

    def failed() -> bool:
        conditions = cluster.admin.get(KUBERNETES_JOBS, "j")["status"].get("conditions", ())
        return any(condition["type"] == "Failed" for condition in conditions)

    await cluster.admin.wait_for(failed, 120)
    assert len(cluster.admin.list(PODS)) == 3


async def test_the_admin_sees_and_does_everything() -> None:
    cluster = FakeCluster()
    admin = cluster.admin
    admin.create(PIPELINES, {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": spec()})
    admin.get(PIPELINES, "p")["spec"]["priority"] = 99
    assert admin.get(PIPELINES, "p")["spec"]["priority"] == 10
    assert admin.status(PIPELINES, "p", state="IN PROGRESS")["status"]["state"] == "IN PROGRESS"
    assert [one["metadata"]["name"] for one in admin.list(PIPELINES, selector="a=b")] == ["p"]
    admin.delete(PIPELINES, "p")
    assert admin.find(PIPELINES, "p") is None
    with pytest.raises(NotFound):
        admin.get(PIPELINES, "p")
    admin.namespace("team")
    admin.quota("team", {"count/pipelines.taskpipeline.dev": 0})
    with pytest.raises(Forbidden, match="exceeded quota"):
        admin.create(PIPELINES, {"metadata": {"name": "p"}, "spec": spec()}, "team")


async def test_waiting_ends_with_the_change_or_with_the_time() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    loop.call_later(3.25, lambda: cluster.admin.create(CONFIG_MAPS, {"metadata": {"name": "a"}}))
    assert await cluster.admin.wait_for(lambda: cluster.admin.list(CONFIG_MAPS)) != []
    assert loop.time() == 3.25
    with pytest.raises(AssertionError, match="the impossible: not within 7 s"):
        await cluster.admin.wait_for(lambda: False, 7, "the impossible")
    assert loop.time() == 10.25


async def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    cluster = FakeCluster()
    cluster.admin.create(CONFIG_MAPS, {"metadata": {"name": "a"}})
    cluster.admin.create(PODS, {"metadata": {"name": "x"}, "spec": {"containers": CONTAINERS}})
    await cluster.delete(NAMESPACES, None, "default")
    await cluster.admin.wait_for(lambda: cluster.admin.find(NAMESPACES, "default") is None)
    assert cluster.admin.list(PODS) == cluster.admin.list(CONFIG_MAPS) == []


async def test_nothing_runs_after_the_end() -> None:
    cluster = FakeCluster()
    cluster.admin.create(PODS, {"metadata": {"name": "x"}, "spec": {"containers": CONTAINERS}})
    cluster.close()
    await asyncio.sleep(60)
    assert "nodeName" not in cluster.admin.get(PODS, "x")["spec"]


async def test_names_may_be_generated() -> None:
    cluster = FakeCluster()
    names = set()
    for _ in range(3):
        meta = await cluster.create(CONFIG_MAPS, "default", {"metadata": {"generateName": "a-"}})
        names.add(meta.name)
    assert len(names) == 3


async def test_the_clock_is_the_loop() -> None:
    cluster = FakeCluster()
    await asyncio.sleep(3600)
    cluster.admin.create(CONFIG_MAPS, {"metadata": {"name": "a"}})
    found = orjson.loads(await cluster.get(CONFIG_MAPS, "default", "a"))
    assert found["metadata"]["creationTimestamp"] == cluster.now().strftime("%Y-%m-%dT13:00:00Z")


def test_an_empty_selector_matches_everything() -> None:
    assert matcher(None)({})
    assert matcher("")({"a": "b"})
