"""The admission policies on the test cluster, and the objects that are tried on them.

They are in force only in namespaces with a label, so that no other test of the session meets them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import ROOT
from tests.real.pipelines import shell
from tests.real.users import GROUP, User, grant, rule

LABEL = "policies.test/enforced"
JOB_HASH = f"{GROUP}/job-hash"
PATIENCE = 60.0
OWN = "task-pipeline"
POD = {"containers": [{"name": "m", "image": "busybox:1.36"}]}


@contextmanager
def enforce(admin: Kubectl) -> Iterator[None]:
    """Install `manifests/policies.yaml`, bound to namespaces with the label, and remove it at the end."""
    documents = list(yaml.safe_load_all((ROOT / "manifests" / "policies.yaml").read_text()))
    for document in documents:
        if document["kind"].endswith("Binding"):
            selector = {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}
            document["spec"]["matchResources"] = {"namespaceSelector": selector}
    everything = {"apiVersion": "v1", "kind": "List", "items": documents}
    admin.ok("apply", "-f", "-", stdin=everything)
    try:
        yield
    finally:
        admin.ok("delete", "-f", "-", stdin=everything)
        admin.ok("-n", OWN, "delete", "--ignore-not-found", "pclient", "closed")


def enforced(admin: Kubectl, stranger: User) -> None:
    """Put the policies into force in the namespace of `admin`, and wait until each of them refuses something."""
    admin.ok("label", "namespace", admin.namespace, f"{LABEL}=true")
    grant(admin, stranger.name, rule("create", "", "pods"), rule("*", GROUP, "*"))
    closed = {**pipeline(shell("a")), "spec": {**pipeline(shell("a"))["spec"], "clientId": "closed"}}
    admin.ok("-n", OWN, "apply", "-f", "-", stdin=manifest("PipelineClient", "closed", {"namespaces": []}))
    for policy, probe in {
        "requester-rights": pipeline(shell("a", kind="Unknown")),
        "client-namespaces": closed,
        "pipelinejobs": pipeline_job("probe"),
        "reserved-labels": pod("probe", {JOB_HASH: "probe"}),
    }.items():
        sign = f"'{policy}.{GROUP}'"
        wait_for(lambda probe=probe, sign=sign: sign in stranger.tries(probe).err, policy, PATIENCE)  # type: ignore[misc]


def pipeline(*jobs: dict[str, Any], name: str = "p", **fields: Any) -> dict[str, Any]:
    """A Pipeline of one stage with these jobs."""
    return manifest("Pipeline", name, {"stages": ["s"], "jobs": list(jobs), **fields})


def native(name: str, kind: str, pod_spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """A job with a native spec, whose pod has these fields besides a container."""
    params: dict[str, Any] = {"spec": {"template": {"spec": {**POD, **(pod_spec or {})}}}}
    if kind == "K8S/Deployment":
        params["name"] = name
        params["spec"]["selector"] = {"matchLabels": {"app": name}}
        params["spec"]["template"]["metadata"] = {"labels": {"app": name}}
    return {**shell(name, kind=kind), "params": params}


def pipeline_job(name: str) -> dict[str, Any]:
    """A PipelineJob as the operator would make it, of a Pipeline that does not exist."""
    spec = {"pipeline": "p", "stageIndex": 0, "index": 0, "run": 1, "clientId": "default", **shell("a")}
    made = manifest("PipelineJob", name, spec)
    made["metadata"]["labels"] = {JOB_HASH: name}
    return made


def pod(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """A pod that ends at once, unless it never runs."""
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": POD}
