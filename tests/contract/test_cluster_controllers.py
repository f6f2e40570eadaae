"""What a cluster's controllers do with what the operator makes, in memory and on a real control plane.

Pods run on simulated nodes in both: they end as their `simulate.test/` annotations say.
"""

from pathlib import Path
from typing import Any

import pytest

from task_pipeline.api.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    KUBERNETES_JOBS,
    PIPELINE_JOBS,
    PIPELINES,
    PODS,
    REPLICA_SETS,
    Resource,
)
from task_pipeline.kube.cluster import Propagation
from tests.contract.worlds import World, thing, until

Raw = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture(autouse=True)
def garbage_is_collected(kubeconfig: Path | None, request: pytest.FixtureRequest) -> None:
    """A cluster whose CRDs are new does not collect what they own yet."""
    if kubeconfig is not None:
        request.getfixturevalue("collector")


def pod_spec(name: str = "main") -> Raw:
    return {"restartPolicy": "Never", "containers": [{"name": name, "image": "busybox:1"}]}


def owner(resource: Resource, name: str, uid: str, **more: Any) -> list[Raw]:
    return [{"apiVersion": resource.api_version, "kind": resource.kind, "name": name, "uid": uid, **more}]


def simulated(**annotations: str) -> dict[str, str]:
    return {f"simulate.test/{name.replace('_', '-')}": value for name, value in annotations.items()}


async def config_map(world: World, name: str, owners: list[Raw], **metadata: Any) -> None:
    body = thing(CONFIG_MAPS, name, ownerReferences=owners, **metadata)
    await world.cluster.create(CONFIG_MAPS, world.namespace, body)


async def gone(world: World, resource: Resource, name: str) -> None:
    async def is_gone() -> bool:
        return not await world.exists(resource, name)

    await until(is_gone)


async def with_condition(world: World, resource: Resource, name: str, *kinds: str) -> tuple[Raw, Raw]:
    """The object once it has one of these conditions, and the condition."""

    async def found() -> tuple[Raw, Raw] | None:
        thing = await world.get(resource, name)
        for condition in thing["status"].get("conditions", ()):
            if condition["type"] in kinds and condition["status"] == "True":
                return thing, condition
        return None

    result = await until(found)
    assert result is not None
    return result


async def test_what_is_owned_goes_with_its_owner(world: World) -> None:
    uid = await world.job("j")
    await config_map(world, "owned", owner(PIPELINE_JOBS, "j", uid, controller=True))
    await config_map(world, "free", [])
    await world.cluster.delete(PIPELINE_JOBS, world.namespace, "j")
    await gone(world, CONFIG_MAPS, "owned")
    assert await world.exists(CONFIG_MAPS, "free")


async def test_whole_trees_go(world: World) -> None:
    await world.pipeline("p")
    uid = (await world.get(PIPELINES, "p"))["metadata"]["uid"]
    job = await world.job("j", ownerReferences=owner(PIPELINES, "p", uid))
    await config_map(world, "owned", owner(PIPELINE_JOBS, "j", job))
    await world.cluster.delete(PIPELINES, world.namespace, "p")
    await gone(world, PIPELINE_JOBS, "j")
    await gone(world, CONFIG_MAPS, "owned")


async def test_what_never_had_its_owner_goes(world: World) -> None:
    await config_map(world, "orphan", owner(PIPELINE_JOBS, "none", "00000000-1111-4222-8333-444444444444"))
    await gone(world, CONFIG_MAPS, "orphan")


async def test_one_of_two_owners_is_enough_to_stay(world: World) -> None:
    first, second = await world.job("a"), await world.job("b")
    owners = owner(PIPELINE_JOBS, "a", first) + owner(PIPELINE_JOBS, "b", second)
    await config_map(world, "shared", owners)
    await config_map(world, "single", owners[:1])
    await world.cluster.delete(PIPELINE_JOBS, world.namespace, "a")
    await gone(world, CONFIG_MAPS, "single")
    assert await world.exists(CONFIG_MAPS, "shared")


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
async def test_ways_of_deleting_an_owner(world: World, propagation: Propagation) -> None:
    uid = await world.job("j")
    owners = owner(PIPELINE_JOBS, "j", uid, blockOwnerDeletion=True)
    hold = {"finalizers": ["taskpipeline.dev/test"]} if propagation == "Foreground" else {}
    await config_map(world, "owned", owners, **hold)
    await world.cluster.delete(PIPELINE_JOBS, world.namespace, "j", propagation=propagation)
    if propagation == "Background":
        assert not await world.exists(PIPELINE_JOBS, "j")
    if propagation == "Foreground":  # the finalizer below holds it; an orphaning collector may be done already
        assert await world.exists(PIPELINE_JOBS, "j")

        async def is_marked() -> bool:
            return "deletionTimestamp" in (await world.get(CONFIG_MAPS, "owned"))["metadata"]

        await until(is_marked)
        assert await world.exists(PIPELINE_JOBS, "j")
        await world.patch(CONFIG_MAPS, "owned", {"metadata": {"finalizers": None}})
    await gone(world, PIPELINE_JOBS, "j")
    if propagation == "Orphan":
        assert "ownerReferences" not in (await world.get(CONFIG_MAPS, "owned"))["metadata"]
    else:
        await gone(world, CONFIG_MAPS, "owned")


@pytest.mark.parametrize(("code", "phase", "reason"), [("0", "Succeeded", "Completed"), ("3", "Failed", "Error")])
async def test_a_pod_ends_as_it_is_told_to(world: World, code: str, phase: str, reason: str) -> None:
    body = thing(PODS, "x", spec=pod_spec(), annotations=simulated(seconds="1", exit_code=code))
    meta = await world.cluster.create(PODS, world.namespace, body)

    async def ended() -> Raw | None:
        pod = await world.get(PODS, "x")
        return pod if pod["status"]["phase"] in ("Succeeded", "Failed") else None

    pod = await until(ended)
    assert pod is not None
    (status,) = pod["status"]["containerStatuses"]
    final = status["state"]["terminated"]
    assert (pod["status"]["phase"], final["exitCode"], final["reason"]) == (phase, int(code), reason)
    assert pod["spec"]["nodeName"]
    events = await world.events(PODS, meta.resource_version, 3)
    phases = [event["object"]["status"]["phase"] for event in events]
    assert "Running" in phases or phase in phases
    await world.cluster.delete(PODS, world.namespace, "x")
    assert not await world.exists(PODS, "x")


async def test_a_running_pod_goes_when_it_is_deleted(world: World) -> None:
    body = thing(PODS, "x", spec=pod_spec(), annotations=simulated(seconds="600"))
    await world.cluster.create(PODS, world.namespace, body)

    async def runs() -> bool:
        return bool((await world.get(PODS, "x"))["status"]["phase"] == "Running")

    await until(runs)
    version = await world.version(PODS)
    await world.cluster.delete(PODS, world.namespace, "x")
    await gone(world, PODS, "x")
    events = await world.events(PODS, version, 2)
    assert "deletionTimestamp" in events[0]["object"]["metadata"]


def kubernetes_job(name: str, annotations: dict[str, str] | None = None, **fields: Any) -> Raw:
    template = {"metadata": {"annotations": annotations or {}}, "spec": pod_spec()}
    return thing(KUBERNETES_JOBS, name, spec={"template": template, **fields})


async def test_a_kubernetes_job_completes(world: World) -> None:
    meta = await world.cluster.create(KUBERNETES_JOBS, world.namespace, kubernetes_job("j"))
    job, condition = await with_condition(world, KUBERNETES_JOBS, "j", "Complete", "Failed")
    assert condition["type"] == "Complete"
    assert (job["status"]["succeeded"], "completionTime" in job["status"]) == (1, True)
    (pod,) = (await world.page(PODS, selector="batch.kubernetes.io/job-name=j"))["items"]
    (reference,) = pod["metadata"]["ownerReferences"]
    assert (reference["uid"], reference["controller"]) == (meta.uid, True)
    await world.cluster.delete(KUBERNETES_JOBS, world.namespace, "j", propagation="Foreground")
    await gone(world, KUBERNETES_JOBS, "j")
    await gone(world, PODS, pod["metadata"]["name"])


async def test_a_kubernetes_job_fails_for_good(world: World) -> None:
    body = kubernetes_job("j", simulated(exit_code="3"), backoffLimit=0)
    await world.cluster.create(KUBERNETES_JOBS, world.namespace, body)
    job, condition = await with_condition(world, KUBERNETES_JOBS, "j", "Complete", "Failed")
    assert (condition["type"], condition["reason"]) == ("Failed", "BackoffLimitExceeded")
    assert (job["status"]["failed"], "completionTime" in job["status"]) == (1, False)


async def test_a_kubernetes_job_runs_out_of_time(world: World) -> None:
    body = kubernetes_job("j", simulated(seconds="600"), activeDeadlineSeconds=1)
    await world.cluster.create(KUBERNETES_JOBS, world.namespace, body)
    _, condition = await with_condition(world, KUBERNETES_JOBS, "j", "Complete", "Failed")
    assert (condition["type"], condition["reason"]) == ("Failed", "DeadlineExceeded")


async def test_a_pod_that_is_taken_from_a_kubernetes_job_has_failed(world: World) -> None:
    body = kubernetes_job("j", simulated(seconds="600"), backoffLimit=0)
    await world.cluster.create(KUBERNETES_JOBS, world.namespace, body)

    async def running() -> str | None:
        pods = (await world.page(PODS))["items"]
        return str(pods[0]["metadata"]["name"]) if pods and pods[0]["status"]["phase"] == "Running" else None

    name = await until(running)
    assert name is not None
    await world.cluster.delete(PODS, world.namespace, name)
    job, condition = await with_condition(world, KUBERNETES_JOBS, "j", "Complete", "Failed")
    assert (condition["reason"], job["status"]["failed"]) == ("BackoffLimitExceeded", 1)


async def test_several_pods_of_a_kubernetes_job(world: World) -> None:
    body = kubernetes_job("j", completions=3, parallelism=2)
    await world.cluster.create(KUBERNETES_JOBS, world.namespace, body)
    job, _ = await with_condition(world, KUBERNETES_JOBS, "j", "Complete")
    assert job["status"]["succeeded"] == 3
    assert len((await world.page(PODS, selector="job-name=j"))["items"]) == 3


async def test_a_suspended_kubernetes_job_waits(world: World) -> None:
    await world.cluster.create(KUBERNETES_JOBS, world.namespace, kubernetes_job("j", suspend=True))
    await with_condition(world, KUBERNETES_JOBS, "j", "Suspended")
    assert (await world.page(PODS))["items"] == []
    await world.patch(KUBERNETES_JOBS, "j", {"spec": {"suspend": False}})
    await with_condition(world, KUBERNETES_JOBS, "j", "Complete")


async def rolled_out(world: World, generation: int) -> Raw:
    async def done() -> Raw | None:
        found = await world.get(DEPLOYMENTS, "web")
        status = found["status"]
        counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
        observed = status.get("observedGeneration", 0) >= generation
        return found if observed and counts == {found["spec"]["replicas"]} else None

    result = await until(done)
    assert result is not None
    return result


async def test_a_deployment_rolls_out_and_keeps_its_revisions(world: World) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    await world.cluster.create(DEPLOYMENTS, world.namespace, thing(DEPLOYMENTS, "web", spec=spec))
    first = await rolled_out(world, 1)
    assert first["metadata"]["annotations"][REVISION] == "1"
    assert first["metadata"]["generation"] == 1
    conditions = {one["type"]: one["reason"] for one in first["status"]["conditions"]}
    assert conditions["Progressing"] == "NewReplicaSetAvailable"
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:2"}
    changed = await world.patch(DEPLOYMENTS, "web", [image])
    assert changed["metadata"]["generation"] == 2
    second = await rolled_out(world, 2)
    assert second["metadata"]["annotations"][REVISION] == "2"
    sets = (await world.page(REPLICA_SETS))["items"]
    assert sorted(one["metadata"]["annotations"][REVISION] for one in sets) == ["1", "2"]
    assert {one["metadata"]["ownerReferences"][0]["uid"] for one in sets} == {first["metadata"]["uid"]}
    assert all("pod-template-hash" in one["spec"]["template"]["metadata"]["labels"] for one in sets)
