"""What the Cluster protocol promises about server-side apply, on the in-memory cluster and on a real API server.

The manager of `apply` is `task-pipeline`; a create is another one's, as the real client's is.
"""

from typing import Any

import pytest

from task_pipeline.api.resources import CONFIG_MAPS, DEPLOYMENTS
from task_pipeline.kube.errors import Conflict, Invalid
from tests.contract.worlds import World, thing

Raw = dict[str, Any]


def container(name: str = "web", image: str = "nginx:1", **more: Any) -> Raw:
    return {"name": name, "image": image, **more}


def deployment(*containers: Raw, **fields: Any) -> Raw:
    """A whole Deployment without its name."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers) or [container()]}}
    return {"spec": {"selector": {"matchLabels": labels}, "template": template, **fields}}


def partly(*containers: Raw, **fields: Any) -> Raw:
    """A Deployment that names some fields only."""
    spec: Raw = dict(fields)
    if containers:
        spec["template"] = {"spec": {"containers": list(containers)}}
    return {"spec": spec}


async def created(world: World, *containers: Raw, **fields: Any) -> None:
    body = thing(DEPLOYMENTS, "web") | deployment(*containers, **fields)
    await world.cluster.create(DEPLOYMENTS, world.namespace, body)


def containers_of(found: Raw) -> dict[str, Raw]:
    return {one["name"]: one for one in found["spec"]["template"]["spec"]["containers"]}


async def test_an_apply_creates_what_is_not_there(world: World) -> None:
    found = await world.apply(DEPLOYMENTS, "web", deployment(replicas=2))
    assert found["metadata"]["generation"] == 1
    assert (found["spec"]["replicas"], found["spec"]["progressDeadlineSeconds"]) == (2, 600)
    again = await world.apply(DEPLOYMENTS, "web", deployment(replicas=2))
    assert again["metadata"]["uid"] == found["metadata"]["uid"]
    assert again["metadata"]["generation"] == 1


async def test_an_incomplete_apply_creates_nothing(world: World) -> None:
    with pytest.raises(Invalid):
        await world.apply(DEPLOYMENTS, "web", partly(replicas=2))
    assert not await world.exists(DEPLOYMENTS, "web")


async def test_an_apply_changes_only_what_it_names(world: World) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await created(world, container(env=env), container("side", "busybox:1"), replicas=3)
    more = partly(container(image="nginx:1", env=[{"name": "C", "value": "3"}]))
    found = await world.apply(DEPLOYMENTS, "web", more)
    assert found["spec"]["replicas"] == 3
    containers = containers_of(found)
    assert list(containers) == ["web", "side"]
    assert {one["name"]: one["value"] for one in containers["web"]["env"]} == {"A": "1", "B": "2", "C": "3"}
    assert found["metadata"]["generation"] == 2


async def test_an_apply_is_refused_where_another_manager_owns_another_value(world: World) -> None:
    await created(world, container(env=[{"name": "A", "value": "1"}]), replicas=3)
    with pytest.raises(Conflict) as refused:
        await world.apply(DEPLOYMENTS, "web", partly(replicas=2))
    message = refused.value.message
    assert message.startswith("Apply failed with 1 conflict: conflict with")
    assert '"task-pipeline-operator" using apps/v1' in message
    assert ".spec.replicas" in message
    body = partly(container(image="nginx:2", env=[{"name": "A", "value": "2"}]), replicas=2)
    with pytest.raises(Conflict) as refused:
        await world.apply(DEPLOYMENTS, "web", body)
    assert refused.value.message.startswith("Apply failed with 3 conflicts: conflicts with")
    assert '.spec.template.spec.containers[name="web"].env[name="A"].value' in refused.value.message
    assert (await world.get(DEPLOYMENTS, "web"))["spec"]["replicas"] == 3


async def test_force_takes_the_field(world: World) -> None:
    await created(world, replicas=3)
    found = await world.apply(DEPLOYMENTS, "web", partly(replicas=2), force=True)
    assert found["spec"]["replicas"] == 2
    assert (await world.apply(DEPLOYMENTS, "web", partly(replicas=1)))["spec"]["replicas"] == 1


async def test_the_same_value_is_shared(world: World) -> None:
    await created(world, replicas=3)
    await world.apply(DEPLOYMENTS, "web", partly(replicas=3))
    found = await world.apply(DEPLOYMENTS, "web", {})
    assert found["spec"]["replicas"] == 3


async def test_what_is_no_longer_named_goes(world: World) -> None:
    await created(world)
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await world.apply(DEPLOYMENTS, "web", partly(container(env=env), container("side", "busybox:1"), minReadySeconds=5))
    found = await world.apply(DEPLOYMENTS, "web", partly(container(env=env[:1])))
    containers = containers_of(found)
    assert list(containers) == ["web"]
    assert containers["web"]["env"] == env[:1]
    assert "minReadySeconds" not in found["spec"]


async def test_owners_are_merged_by_uid(world: World) -> None:
    owners = []
    for name in ("a", "b"):
        uid = await world.job(name)
        owners.append({"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "PipelineJob", "name": name, "uid": uid})
    await world.cluster.create(CONFIG_MAPS, world.namespace, thing(CONFIG_MAPS, "m", ownerReferences=owners[:1]))
    found = await world.apply(CONFIG_MAPS, "m", {"metadata": {"name": "m", "ownerReferences": owners[1:]}})
    assert [one["name"] for one in found["metadata"]["ownerReferences"]] == ["a", "b"]


async def test_a_patch_takes_fields_from_who_applied_them(world: World) -> None:
    await world.apply(DEPLOYMENTS, "web", deployment(replicas=2))
    await world.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}})
    with pytest.raises(Conflict, match=r"\.spec\.replicas"):
        await world.apply(DEPLOYMENTS, "web", deployment(replicas=2))
    kept = await world.apply(DEPLOYMENTS, "web", deployment())
    assert kept["spec"]["replicas"] == 4
