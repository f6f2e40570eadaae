"""The same manifest, applied 50 times by each of two server-side managers in turn: no drift, no launch, no write.

Row 24 of the semantics for tools that share an object, as Argo CD and Flux do while one hands over to the other.
"""

import json
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.real import audit
from tests.real.pipelines import jobs_of, pods_of, wait_all, wait_for_status
from tests.real.test_gitops import in_git, launches, specs, writes

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

MANAGERS = ("argocd-controller", "kustomize-controller")
TIMES = 50


def apply(kubectl: Kubectl, manager: str, body: dict[str, Any]) -> str:
    """One server-side apply, without force: a conflict would be an error."""
    return kubectl.ok("apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=body)


def has_drift(kubectl: Kubectl, manager: str, body: dict[str, Any]) -> bool:
    """What the tool compares: the object with what its apply would make of it."""
    return bool(kubectl.run("diff", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=body).code)


def test_row24_two_server_side_managers_apply_it_50_times_each(installed: Cluster, kubectl: Kubectl) -> None:
    body = in_git("shared", seconds=40)
    since = audit.mark(installed.audit_log)
    for manager in MANAGERS:
        apply(kubectl, manager, body)
    wait_for_status(kubectl, "tpl/shared", state="IN PROGRESS")
    before = specs(kubectl)
    for _ in range(TIMES // 2):
        for manager in MANAGERS:
            apply(kubectl, manager, body)
    assert specs(kubectl) == before
    assert wait_all(kubectl) == {"shared": "DONE"}
    wait_for(lambda: launches(installed, kubectl, since) == 2, "one PipelineJob and one Pod")
    version = kubectl.get("tpl", "shared")["metadata"]["resourceVersion"]
    after = audit.mark(installed.audit_log)
    for _ in range(TIMES // 2):
        for manager in MANAGERS:
            assert not has_drift(kubectl, manager, body)
            apply(kubectl, manager, body)
    now = json.loads(kubectl.ok("get", "tpl", "shared", "-o", "json", "--show-managed-fields"))
    assert now["metadata"]["resourceVersion"] == version, "an apply changed something"
    assert specs(kubectl) == before
    assert writes(installed, kubectl, after) == []
    assert len(jobs_of(kubectl)) == len(pods_of(kubectl)) == 1
    fields = {one["manager"]: one for one in now["metadata"]["managedFields"] if one["operation"] == "Apply"}
    assert fields.keys() >= set(MANAGERS)
    assert fields[MANAGERS[0]]["fieldsV1"] == fields[MANAGERS[1]]["fieldsV1"]
    assert all("f:status" not in one["fieldsV1"] for one in fields.values())
