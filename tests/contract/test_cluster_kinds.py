"""What the kinds launch is taken by an API server as they mean it: accepted, unchanged, and applied without a loss."""

from dataclasses import replace
from typing import Any

import pytest

from task_pipeline.api.resources import CONFIG_MAPS, DEPLOYMENTS, KUBERNETES_JOBS, PODS
from task_pipeline.core.workload import AttemptIdentity, KindDefaults, Launch, PodSecurity, is_remote_kind
from task_pipeline.kinds.registry import KINDS, check_params, parse
from task_pipeline.kube.errors import Conflict
from tests.contract.worlds import World, thing

Raw = dict[str, Any]

ATTEMPT = AttemptIdentity("", "p-a-hash", "11-22", "hash", "p", "33-44", 1, "p-a-hash-attempt")
WHOLE_POD: Raw = {
    "image": "busybox:1.36",
    "env": {
        "A": 1,
        "B": True,
        "S": {"secretKeyRef": {"name": "s", "key": "k"}},
        "F": {"fieldRef": {"fieldPath": "spec.nodeName"}},
    },
    "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c", "optional": True}}],
    "workingDir": "/w",
    "resources": {"requests": {"cpu": 0.5, "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
    "imagePullSecrets": [{"name": "pull"}],
    "imagePullPolicy": "IfNotPresent",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
    "volumes": [
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "c", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}], "defaultMode": 0o400}},
        {"name": "s", "secret": {"secretName": "s", "optional": True}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "d", "readOnly": True}},
    ],
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp", "readOnly": True}],
    "securityContext": {"runAsUser": 7, "runAsGroup": 8, "fsGroup": 9, "readOnlyRootFilesystem": True},
}
# What is applied again is read from managedFields, which only a real API server keeps.
on_a_real_server = pytest.mark.parametrize(
    "kubeconfig", [pytest.param("real", marks=pytest.mark.cluster)], indirect=True
)
LABELS: Raw = {"labels": {"team.example.com/name": "blue"}, "annotations": {"note": "any text $(X)\n"}}


def launched(world: World, kind: str, params: Raw, current: Raw | None = None) -> Launch:
    defaults = KindDefaults(pod_security=PodSecurity.RESTRICTED)
    assert check_params(kind, "1.0.0", params, defaults) == ()
    attempt = replace(ATTEMPT, namespace=world.namespace)
    job_kind = KINDS[kind]
    assert not is_remote_kind(job_kind)
    answer = job_kind.launch(parse(kind, "1.0.0", params), attempt, defaults, current)
    assert isinstance(answer, Launch)
    return answer


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("Shell", {"script": "echo $$ $(A)", **WHOLE_POD, **LABELS}),
        ("Shell", {"script": "echo ✅\n" * 20_000, **WHOLE_POD}),
        (
            "K8S/Job",
            {"containerName": "c", "args": ["$(A)"], "parallelism": 2, "completions": 3, **WHOLE_POD, **LABELS},
        ),
        ("K8S/Job", {"spec": {"template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}}, **LABELS}),
    ],
)
async def test_what_is_created_stays_as_it_was_sent(world: World, kind: str, params: Raw) -> None:
    launch = launched(world, kind, params)
    for companion in launch.companions:
        await world.cluster.create(CONFIG_MAPS, world.namespace, companion)
        found = await world.get(CONFIG_MAPS, companion["metadata"]["name"])
        assert found["data"] == companion["data"]
    metadata = dict(launch.manifest["metadata"])
    del metadata["ownerReferences"]  # the owner does not exist, so the garbage collector would take it at once
    manifest = launch.manifest | {"metadata": metadata}
    await world.cluster.create(launch.resource, world.namespace, manifest)
    found = await world.get(launch.resource, metadata["name"])
    assert lost(manifest, found) == []
    assert launch.resource in (PODS, KUBERNETES_JOBS)


def lost(sent: Any, found: Any, path: str = "") -> list[str]:
    """Where `found` lacks what was sent; quantities are left out, which the server writes its own way."""
    if isinstance(sent, dict) and isinstance(found, dict):
        return [
            place
            for key, value in sent.items()
            if key not in ("cpu", "memory", "sizeLimit")
            for place in (lost(value, found[key], f"{path}.{key}") if key in found else [f"{path}.{key}"])
        ]
    if isinstance(sent, list) and isinstance(found, list):
        pairs = zip(sent, found, strict=False)
        return [place for one, other in pairs for place in lost(one, other, path)] + [path] * (len(sent) > len(found))
    return [] if sent == found else [path]


async def rolled(world: World, params: Raw) -> Raw:
    """Apply as the operator does, with a look at what is there; the Deployment afterwards."""
    current = await world.get(DEPLOYMENTS, "web") if await world.exists(DEPLOYMENTS, "web") else None
    launch = launched(world, "K8S/Deployment", {"name": "web", **params}, current)
    return await world.apply(DEPLOYMENTS, "web", launch.manifest, force=launch.force)


def container_of(found: Raw) -> Raw:
    (only,) = found["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


@on_a_real_server
async def test_a_new_deployment_and_every_change_after_it_lose_nothing(world: World) -> None:
    ports = [{"containerPort": 80, "name": "http"}]
    pod = {key: value for key, value in WHOLE_POD.items() if key != "env"}
    first = await rolled(world, {**pod, "image": "web:1", "replicas": 3, "ports": ports, "env": {"A": 1, "B": "x"}})
    second = await rolled(world, {"image": "web:2", "env": {"B": "y"}})
    expected = {
        **container_of(first),
        "image": "web:2",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "y"}],
    }
    assert container_of(second) == expected
    for field in ("replicas", "selector"):
        assert second["spec"][field] == first["spec"][field]
    for field in ("volumes", "tolerations", "nodeSelector", "securityContext", "imagePullSecrets"):
        assert second["spec"]["template"]["spec"][field] == first["spec"]["template"]["spec"][field]
    scaled = await rolled(world, {"replicas": 0})
    assert scaled["spec"]["replicas"] == 0
    assert scaled["spec"]["template"] == second["spec"]["template"]
    again = await rolled(world, {"replicas": 0})
    assert again["metadata"]["generation"] == scaled["metadata"]["generation"]


@on_a_real_server
async def test_somebody_elses_deployment_keeps_what_is_not_named(world: World) -> None:
    labels = {"app": "web"}
    containers = [{"name": "app", "image": "web:1", "env": [{"name": "A", "value": "1"}]}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    await world.cluster.create(DEPLOYMENTS, world.namespace, thing(DEPLOYMENTS, "web") | {"spec": spec})
    with pytest.raises(Conflict):
        await rolled(world, {"image": "web:2"})
    found = await rolled(world, {"image": "web:2", "force": True})
    assert (container_of(found)["image"], container_of(found)["env"]) == ("web:2", containers[0]["env"])
    assert found["spec"]["replicas"] == 2
    found = await rolled(world, {"env": {"B": "2"}})
    assert container_of(found)["image"] == "web:2"
    assert [one["name"] for one in container_of(found)["env"]] == ["A", "B"]


@on_a_real_server
async def test_the_last_job_decides_whether_a_pipeline_takes_its_deployment_along(world: World) -> None:
    owned = await rolled(world, {"image": "web:1", "onDelete": "Remove"})
    assert [(one["kind"], one.get("controller")) for one in owned["metadata"]["ownerReferences"]] == [
        ("Pipeline", None)
    ]
    kept = await rolled(world, {"image": "web:2"})
    assert "ownerReferences" not in kept["metadata"]
