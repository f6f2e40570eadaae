"""Whatever name is allowed can be launched, and be selected afterwards. Field cases B087 and B088."""

import json
from typing import Any

import pytest

from tests.contract.kubectl import Kubectl, manifest
from tests.real.pipelines import create_all, jobs_of, pods_of, shell, wait_all

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

LONG_JOB = "end-to-end-checkout-with-three-domain-secure-and-saved-cards-v2"
LABEL_LENGTH = 63


def kubernetes_job(name: str, stage: str) -> dict[str, Any]:
    """A K8S/Job in its native form."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", "true"]}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    return {"name": name, "stage": stage, "kind": "K8S/Job", "version": "1.0.0", "params": {"spec": spec}}


def selected(kubectl: Kubectl, kind: str, selector: str) -> list[dict[str, Any]]:
    """What `kubectl get -l` finds."""
    items: list[dict[str, Any]] = json.loads(kubectl.ok("get", kind, "-l", selector, "-o", "json"))["items"]
    return items


@pytest.mark.parametrize(
    "name",
    [
        "release-candidate-2031-04-17-payment-gateway-hotfix-for-eu-west1",
        "v1.2.3-rc.1",
        ".".join(["a" * 62] * 4) + "bb",
        "1.2",
    ],
    ids=["64 characters", "dots", "253 with dots", "digits and a dot"],
)
def test_b087_names_of_any_length_run(kubectl: Kubectl, name: str) -> None:
    jobs = [shell(LONG_JOB, "x" * 63), shell("._-" + "1" * 60, "x" * 63), kubernetes_job("J" * 63, "x" * 63)]
    create_all(kubectl, {name: {"stages": ["x" * 63], "jobs": jobs}})
    assert wait_all(kubectl) == {name: "DONE"}
    made = jobs_of(kubectl)
    assert {(one["spec"]["pipeline"], one["spec"]["name"]) for one in made} == {(name, one["name"]) for one in jobs}
    assert all(len(one["metadata"]["name"]) <= 52 for one in made)
    labels = [value for one in (*made, *pods_of(kubectl)) for value in one["metadata"]["labels"].values()]
    assert max(map(len, labels)) <= LABEL_LENGTH


def test_b087_a_name_that_is_too_long_is_refused_with_the_limit(kubectl: Kubectl) -> None:
    for spec, place in (
        ({"stages": ["x" * 64], "jobs": [shell("a", "x" * 64)]}, "spec.stages[0]"),
        ({"stages": ["s"], "jobs": [shell("x" * 64)]}, "spec.jobs[0].name"),
    ):
        told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "long", spec))
        assert place in told
        assert "63" in told
    body = manifest("Pipeline", "x" * 254, {"stages": ["s"], "jobs": [shell("a")]})
    assert "253" in kubectl.refused("create", "-f", "-", stdin=body)


def test_b088_free_stage_names_run_and_can_be_selected(kubectl: Kubectl) -> None:
    stages = ["Build & Test", "Ünit", "1st", "a/b: {c}"]
    jobs = [one for stage in stages for one in (shell(f"shell-{stages.index(stage)}", stage),
            kubernetes_job(f"job-{stages.index(stage)}", stage))]  # fmt: skip
    create_all(kubectl, {"labels": {"stages": stages, "jobs": jobs}})
    assert wait_all(kubectl) == {"labels": "DONE"}
    uid = kubectl.get("tpl", "labels")["metadata"]["uid"]
    children = selected(kubectl, "pjob", f"taskpipeline.dev/pipeline-uid={uid}")
    assert {(one["spec"]["stage"], one["spec"]["name"]) for one in children} == {
        (one["stage"], one["name"]) for one in jobs
    }
    for child in children:
        by_hash = f"taskpipeline.dev/job-hash={child['metadata']['labels']['taskpipeline.dev/job-hash']}"
        assert [one["metadata"]["name"] for one in selected(kubectl, "pjob", by_hash)] == [child["metadata"]["name"]]
        pods = selected(kubectl, "pods", by_hash)
        assert len(pods) == 1
        workload = child["status"]["workload"]
        owner = pods[0]["metadata"]["ownerReferences"][0]
        assert workload["name"] in (pods[0]["metadata"]["name"], owner["name"])
    by_stage = f"spec.stage={stages[1]},status.state=DONE"
    assert len(kubectl.ok("get", "pjob", "--field-selector", by_stage, "-o", "name").split()) == 2


@pytest.mark.parametrize(
    ("change", "place", "advice"),
    [
        ({"jobs": [shell("deploy/eu")]}, "spec.jobs[0].name", "A-Z a-z 0-9 . _ -"),
        ({"clientId": "team/a"}, "spec.clientId", "team-a"),
    ],
)
def test_b088_what_cannot_be_launched_is_refused_at_the_door(
    kubectl: Kubectl, change: Any, place: str, advice: str
) -> None:
    spec = {"stages": ["s"], "jobs": [shell("a")]} | change
    told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "labels", spec))
    assert place in told
    assert advice in told
