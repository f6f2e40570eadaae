"""What the Cluster protocol promises about objects, on the in-memory cluster and on a real API server.

Rule: one suite, two worlds; a promise of the fake that the real server does not keep turns red here.
"""

from typing import Any

import msgspec
import pytest

from task_pipeline.api.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    PIPELINE_CLIENTS,
    PIPELINE_JOBS,
    PIPELINES,
    PODS,
    Resource,
)
from task_pipeline.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound
from tests.contract.cases import job, spec
from tests.contract.worlds import JOB_SPEC, World, thing, until
from tests.fakes import QUOTAS

TIME = "2026-01-31T23:59:59.000001Z"
POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}]}


async def test_a_new_object_gets_its_identity(world: World) -> None:
    body = thing(PIPELINES, "p", spec=spec(), labels={"a": "b"}, uid="mine", resourceVersion="")
    meta = await world.cluster.create(PIPELINES, world.namespace, body)
    assert (meta.name, meta.namespace, meta.generation, meta.labels) == ("p", world.namespace, 1, {"a": "b"})
    assert meta.uid != "mine"
    assert int(meta.resource_version) > 0
    assert meta.creation_timestamp.endswith("Z")
    found = await world.get(PIPELINES, "p")
    assert (found["kind"], found["apiVersion"]) == ("Pipeline", "taskpipeline.dev/v1alpha1")
    assert found["metadata"]["resourceVersion"] == meta.resource_version


async def test_versions_rise_over_all_resources(world: World) -> None:
    versions = []
    for resource, body in ((PIPELINES, spec()), (PIPELINE_JOBS, JOB_SPEC), (PODS, POD)):
        meta = await world.cluster.create(resource, world.namespace, thing(resource, "x", spec=body))
        versions.append(int(meta.resource_version))
    assert versions == sorted(set(versions))


async def test_a_name_can_be_taken_once(world: World) -> None:
    await world.pipeline("p")
    with pytest.raises(AlreadyExists, match='"p" already exists'):
        await world.pipeline("p")


async def test_what_is_not_there_is_not_found(world: World) -> None:
    name, cluster = world.namespace, world.cluster
    for attempt in (
        cluster.get(PIPELINES, name, "none"),
        cluster.patch_status(PIPELINES, name, "none", {"status": {"reason": "Queued"}}),
        cluster.patch(PIPELINES, name, "none", {"spec": {"suspend": True}}),
        cluster.delete(PIPELINES, name, "none"),
        cluster.create(PIPELINES, "no-such-namespace", thing(PIPELINES, "p", spec=spec())),
        cluster.patch_status(CONFIG_MAPS, name, "none", {"status": {}}),
    ):
        with pytest.raises(NotFound):
            await attempt


@pytest.mark.parametrize(
    ("resource", "name", "body", "metadata", "path"),
    [
        (PODS, "x", {"containers": []}, {}, "spec.containers"),
        (PODS, "x", {"containers": [{"name": "a"}]}, {}, "spec.containers[0].image"),
        (PODS, "Not_a_name", POD, {}, "metadata.name"),
        (PODS, "x", POD, {"labels": {"a": "x" * 64}}, "metadata.labels"),
        (PODS, "x", POD, {"labels": {"a": "b/c"}}, "metadata.labels"),
        (PIPELINES, "x", spec(stages=[]), {}, "spec.stages"),
        (PIPELINES, "x", spec(job(stage="zz")), {}, "spec.jobs"),
        (PIPELINES, "x", spec(job(), job()), {}, "spec.jobs"),
        (PIPELINES, "x", spec(priority="high"), {}, "spec.priority"),
        (PIPELINE_JOBS, "x", {**JOB_SPEC, "stage": None}, {}, "spec.stage"),
        (PIPELINE_CLIENTS, "x", {}, {}, "spec.namespaces"),
    ],
)
async def test_what_breaks_the_schema_is_invalid(
    world: World, resource: Resource, name: str, body: Any, metadata: Any, path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await world.cluster.create(resource, world.namespace, thing(resource, name, spec=body, **metadata))
    assert refused.value.status == 422
    assert path in refused.value.message


async def test_our_kinds_get_their_defaults(world: World) -> None:
    body = thing(PIPELINES, "p", spec=spec()) | {"status": {"state": "DONE"}}
    body["spec"]["unknown"] = 1
    await world.cluster.create(PIPELINES, world.namespace, body)
    found = await world.get(PIPELINES, "p")
    assert found["status"] == {"observedGeneration": -1, "state": "READY"}
    assert {key: found["spec"][key] for key in ("clientId", "priority", "suspend", "failFast", "ttlPolicy")} == {
        "clientId": "default",
        "priority": 10,
        "suspend": False,
        "failFast": False,
        "ttlPolicy": "Slim",
    }
    assert "unknown" not in found["spec"]
    assert found["spec"]["jobs"] == [job()]
    await world.job("j")
    found = await world.get(PIPELINE_JOBS, "j")
    assert found["status"] == {"state": "READY", "reason": "Queued"}
    assert (found["spec"]["priority"], found["spec"]["retryAttempt"]) == (10, 0)
    client = thing(PIPELINE_CLIENTS, "c", spec={"namespaces": ["*"]})
    await world.cluster.create(PIPELINE_CLIENTS, world.namespace, client)
    assert "status" not in await world.get(PIPELINE_CLIENTS, "c")


async def test_the_status_is_written_apart_from_the_rest(world: World) -> None:
    await world.pipeline("p")
    before = await world.get(PIPELINES, "p")
    body = {
        "spec": {"priority": 1},
        "metadata": {"labels": {"a": "b"}},
        "status": {"state": "IN PROGRESS", "run": 1},
    }
    meta = await world.cluster.patch_status(PIPELINES, world.namespace, "p", body)
    after = await world.get(PIPELINES, "p")
    assert after["spec"] == before["spec"]
    assert after["status"] == {"observedGeneration": -1, "state": "IN PROGRESS", "run": 1}
    assert (meta.generation, meta.resource_version) == (1, after["metadata"]["resourceVersion"])
    assert int(meta.resource_version) > int(before["metadata"]["resourceVersion"])
    patched = await world.patch(PIPELINES, "p", {"spec": {"priority": 3}, "status": {"state": "DONE"}})
    assert (patched["spec"]["priority"], patched["metadata"]["generation"]) == (3, 2)
    assert patched["status"] == after["status"]


async def test_only_changes_of_the_spec_count_as_a_generation(world: World) -> None:
    await world.pipeline("p")
    labelled = await world.patch(PIPELINES, "p", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    assert (labelled["metadata"]["generation"], labelled["metadata"]["labels"]) == (1, {"a": "b"})
    await world.cluster.create(CONFIG_MAPS, world.namespace, thing(CONFIG_MAPS, "m") | {"data": {"a": "b"}})
    changed = await world.patch(CONFIG_MAPS, "m", {"data": {"a": "c"}})
    assert "generation" not in changed["metadata"]


async def test_a_write_that_changes_nothing_is_none(world: World) -> None:
    await world.pipeline("p")
    status = {"status": {"message": "m"}}
    first = await world.cluster.patch_status(PIPELINES, world.namespace, "p", status)
    again = await world.cluster.patch_status(PIPELINES, world.namespace, "p", status)
    assert again.resource_version == first.resource_version
    same = await world.patch(PIPELINES, "p", {"spec": {"priority": 10}})
    assert same["metadata"]["resourceVersion"] == first.resource_version


async def test_a_write_may_insist_on_a_version(world: World) -> None:
    await world.job("j")
    old = (await world.get(PIPELINE_JOBS, "j"))["metadata"]["resourceVersion"]

    def body(version: str, message: str) -> Any:
        return {"metadata": {"resourceVersion": version}, "status": {"message": message}}

    meta = await world.cluster.patch_status(PIPELINE_JOBS, world.namespace, "j", body(old, "a"))
    with pytest.raises(Conflict, match="the object has been modified"):
        await world.cluster.patch_status(PIPELINE_JOBS, world.namespace, "j", body(old, "b"))
    with pytest.raises(Conflict):
        await world.patch(PIPELINE_JOBS, "j", {"metadata": {"resourceVersion": old}, "spec": {"priority": 1}})
    await world.cluster.patch_status(PIPELINE_JOBS, world.namespace, "j", body(meta.resource_version, "c"))
    assert (await world.get(PIPELINE_JOBS, "j"))["status"]["message"] == "c"


async def test_a_merge_patch_takes_away_what_is_null(world: World) -> None:
    await world.pipeline("p", labels={"a": "1", "b": "2"})
    await world.patch(PIPELINES, "p", {"metadata": {"labels": {"a": None}}, "spec": {"priority": None}})
    found = await world.get(PIPELINES, "p")
    assert found["metadata"]["labels"] == {"b": "2"}
    assert found["spec"]["priority"] == 10
    for message in ("m", None):
        body = {"status": {"message": message, "stage": "s"}}
        await world.cluster.patch_status(PIPELINES, world.namespace, "p", body)
    assert (await world.get(PIPELINES, "p"))["status"] == {"observedGeneration": -1, "state": "READY", "stage": "s"}


async def test_a_null_in_a_built_in_kind_says_nothing(world: World) -> None:
    body = thing(PODS, "x", spec={**POD, "nodeSelector": None, "restartPolicy": None}, labels=None)
    await world.cluster.create(PODS, world.namespace, body)
    found = await world.get(PODS, "x")
    assert "nodeSelector" not in found["spec"]
    assert "labels" not in found["metadata"]
    assert found["spec"]["restartPolicy"] == "Always"


async def test_a_json_patch_tests_and_replaces(world: World) -> None:
    await world.cluster.create(CONFIG_MAPS, world.namespace, thing(CONFIG_MAPS, "m") | {"data": {"a": "b"}})
    change = {"op": "replace", "path": "/data/a", "value": "c"}
    result = await world.patch(CONFIG_MAPS, "m", [{"op": "test", "path": "/data/a", "value": "b"}, change])
    assert result["data"] == {"a": "c"}
    for wrong in (
        [{"op": "test", "path": "/data/a", "value": "b"}, change],
        [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}, change],
        [{"op": "replace", "path": "/data/none/deeper", "value": "c"}],
    ):
        with pytest.raises(Invalid):
            await world.patch(CONFIG_MAPS, "m", wrong)


async def test_a_delete_may_insist_on_the_very_object(world: World) -> None:
    uid = await world.job("j")
    with pytest.raises(Conflict, match="UID"):
        await world.cluster.delete(PIPELINE_JOBS, world.namespace, "j", uid="another")
    await world.cluster.delete(PIPELINE_JOBS, world.namespace, "j", uid=uid)
    assert not await world.exists(PIPELINE_JOBS, "j")
    assert await world.job("j") != uid


async def test_a_delete_may_insist_on_the_object_as_it_was_read(world: World) -> None:
    await world.job("j")
    read = msgspec.json.decode(await world.cluster.get(PIPELINE_JOBS, world.namespace, "j"))["metadata"]
    await world.cluster.patch_status(PIPELINE_JOBS, world.namespace, "j", {"status": {"state": "IN PROGRESS"}})
    exact = {"uid": read["uid"], "resource_version": read["resourceVersion"]}
    with pytest.raises(Conflict, match="ResourceVersion"):
        await world.cluster.delete(PIPELINE_JOBS, world.namespace, "j", **exact)
    assert await world.exists(PIPELINE_JOBS, "j")


async def test_states_move_along_the_table_only(world: World) -> None:
    for make, resource in ((world.job, PIPELINE_JOBS), (world.pipeline, PIPELINES)):
        await make("x")
        with pytest.raises(Invalid, match="may not go from its present state") as refused:
            await world.cluster.patch_status(resource, world.namespace, "x", {"status": {"state": "DONE"}})
        assert "status.state" in refused.value.message
        for state in ("IN PROGRESS", "IN PROGRESS", "DONE"):
            await world.cluster.patch_status(resource, world.namespace, "x", {"status": {"state": state}})
        with pytest.raises(Invalid):
            await world.cluster.patch_status(resource, world.namespace, "x", {"status": {"state": "ERROR"}})
        with pytest.raises(Invalid):
            await world.cluster.patch_status(resource, world.namespace, "x", {"status": {"state": "BUSY"}})


async def test_a_finished_pipeline_runs_again_with_a_higher_run(world: World) -> None:
    await world.pipeline("p")
    for state in ("IN PROGRESS", "DONE"):
        await world.cluster.patch_status(PIPELINES, world.namespace, "p", {"status": {"state": state, "run": 1}})
    with pytest.raises(Invalid):
        await world.cluster.patch_status(PIPELINES, world.namespace, "p", {"status": {"state": "READY"}})
    await world.cluster.patch_status(PIPELINES, world.namespace, "p", {"status": {"state": "READY", "run": 2}})
    with pytest.raises(Invalid, match="may only increase"):
        await world.cluster.patch_status(PIPELINES, world.namespace, "p", {"status": {"run": 1}})


async def test_what_is_fixed_stays(world: World) -> None:
    await world.job("j")
    with pytest.raises(Invalid, match=r"spec\.params of a PipelineJob cannot be changed"):
        await world.patch(PIPELINE_JOBS, "j", {"spec": {"params": {"image": "other"}}})
    assert (await world.patch(PIPELINE_JOBS, "j", {"spec": {"cancel": "Now"}}))["spec"]["cancel"] == "Now"
    await world.pipeline("p")
    await world.patch(PIPELINES, "p", {"spec": {"stages": ["s", "t", "u"]}})
    await world.cluster.patch_status(PIPELINES, world.namespace, "p", {"status": {"startTime": TIME}})
    with pytest.raises(Invalid, match="cannot be changed after the start"):
        await world.patch(PIPELINES, "p", {"spec": {"stages": ["s", "t"]}})
    await world.patch(PIPELINES, "p", {"spec": {"suspend": True}})


async def test_a_finalizer_holds_an_object_back(world: World) -> None:
    hold = ["taskpipeline.dev/test"]
    await world.pipeline("p", finalizers=hold)
    version = await world.version(PIPELINES)
    await world.cluster.delete(PIPELINES, world.namespace, "p")
    marked = (await world.get(PIPELINES, "p"))["metadata"]
    assert "deletionTimestamp" in marked
    assert marked["generation"] == 2
    await world.cluster.delete(PIPELINES, world.namespace, "p")
    await world.patch(PIPELINES, "p", {"metadata": {"finalizers": None}})
    assert not await world.exists(PIPELINES, "p")
    events = await world.events(PIPELINES, version, 2)
    assert [event["type"] for event in events] == ["MODIFIED", "DELETED"]


async def test_a_quota_refuses_what_is_too_much(world: World) -> None:
    quota = thing(QUOTAS, "few", spec={"hard": {"count/pipelinejobs.taskpipeline.dev": "1", "pods": "0"}})
    await world.cluster.create(QUOTAS, world.namespace, quota)

    async def refusal() -> Forbidden | None:
        try:
            await world.cluster.create(PODS, world.namespace, thing(PODS, "x", spec=POD))
        except Forbidden as error:
            return error if "status unknown" not in error.message else None
        await world.cluster.delete(PODS, world.namespace, "x")
        return None

    refused = await until(refusal)
    assert refused is not None
    assert refused.is_quota
    assert 'pods "x" is forbidden: exceeded quota: few' in refused.message


async def test_a_namespace_that_is_to_go_takes_nothing_more(world: World) -> None:
    await world.pipeline("p", finalizers=["taskpipeline.dev/test"])
    await world.cluster.delete(NAMESPACES, None, world.namespace)
    with pytest.raises(Forbidden) as refused:
        await world.pipeline("q")
    assert refused.value.is_terminating
    assert not refused.value.is_quota

    async def is_marked() -> bool:
        return "deletionTimestamp" in (await world.get(PIPELINES, "p"))["metadata"]

    await until(is_marked)
    await world.patch(PIPELINES, "p", {"metadata": {"finalizers": []}})

    async def is_gone() -> bool:
        try:
            await world.cluster.get(NAMESPACES, None, world.namespace)
        except NotFound:
            return True
        return False

    await until(is_gone)


async def test_refusals_are_errors_of_one_tree(world: World) -> None:
    with pytest.raises(KubeError) as refused:
        await world.cluster.get(PODS, world.namespace, "none")
    assert isinstance(refused.value, NotFound)
    assert (refused.value.status, refused.value.reason) == (404, "NotFound")
    assert refused.value.message == 'pods "none" not found'
    with pytest.raises(NotFound) as ours:
        await world.cluster.get(PIPELINES, world.namespace, "none")
    assert ours.value.message == 'pipelines.taskpipeline.dev "none" not found'
