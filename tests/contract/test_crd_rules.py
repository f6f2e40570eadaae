"""What the API server refuses and keeps for us, on a real one."""

from typing import Any

import pytest

from tests.contract.cases import ACCEPTED, REFUSED, UNKNOWN_FIELDS, Raw, Refused, fresh, job, spec
from tests.contract.kubectl import Kubectl, manifest

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_the_decoder_refuses(kubectl: Kubectl, case: Refused) -> None:
    told = kubectl.refused("create", "--dry-run=server", "-f", "-", stdin=manifest("Pipeline", "x", case.spec))
    place = "spec" if "unique" in case.word else case.path
    assert place in told
    assert case.word in told


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts_what_the_decoder_accepts(kubectl: Kubectl, raw: Raw) -> None:
    kubectl.ok("create", "--dry-run=server", "-f", "-", stdin=manifest("Pipeline", "x", fresh(raw)))


@pytest.mark.parametrize(("raw", "path"), UNKNOWN_FIELDS.values(), ids=UNKNOWN_FIELDS.keys())
def test_unknown_fields_are_reported_or_at_least_never_stored(kubectl: Kubectl, raw: Raw, path: str) -> None:
    body = manifest("Pipeline", "x", raw)
    arguments = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    assert f'unknown field "{path}"' in kubectl.refused(*arguments, stdin=body)
    stored = kubectl.ok(*arguments, "--validate=ignore", stdin=body)
    assert path.rsplit(".", 1)[-1] not in stored


def test_a_duplicate_is_named(kubectl: Kubectl) -> None:
    body = manifest("Pipeline", "x", spec(job("unit"), job("unit"), stages=["s", "twice", "twice"]))
    told = kubectl.refused("create", "--dry-run=server", "-f", "-", stdin=body)
    assert "key unit already exists" in told
    assert "key twice already exists" in told


def test_the_crds_are_the_reference(kubectl: Kubectl) -> None:
    told = kubectl.ok("explain", "pipeline.spec.jobs")
    assert "Seconds an attempt may take from its launch" in told
    assert "<no description>" not in told
    for kind in ("pipeline", "pipelinejob", "pipelineclient"):
        assert "<no description>" not in kubectl.ok("explain", kind, "--recursive=false")
        assert "<no description>" not in kubectl.ok("explain", f"{kind}.status")


def test_b058_short_names_columns_and_category(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "columns", spec())
    kubectl.status("tpl/columns", state="IN PROGRESS", reason="StageRunning", stage="s", progress="0/1")
    head, row = kubectl.ok("get", "tpl", "columns").splitlines()
    assert head.split() == ["NAME", "STATE", "REASON", "STAGE", "PROGRESS", "AGE"]
    assert row.split()[:6] == ["columns", "IN", "PROGRESS", "StageRunning", "s", "0/1"]
    wide = kubectl.ok("get", "tpl", "columns", "-o", "wide").splitlines()[0].split()
    assert wide[-3:] == ["CLIENT", "PRIORITY", "STARTED"]
    assert "pipeline.taskpipeline.dev/columns" in kubectl.ok("get", "taskpipeline", "-o", "name")
    assert kubectl.run("get", "pjob").code == 0
    assert kubectl.run("get", "pclient").code == 0


def test_kubectl_get_jobs_still_means_kubernetes_jobs(kubectl: Kubectl) -> None:
    kubectl.ok("get", "jobs")
    assert kubectl.ok("explain", "jobs").splitlines()[0].split() == ["GROUP:", "batch"]


def test_a_waiting_object_has_a_status_that_nobody_wrote(kubectl: Kubectl) -> None:
    created = kubectl.create("Pipeline", "defaults", spec(job(retry_attempt=1)))
    assert created["status"] == {"observedGeneration": -1, "state": "READY"}
    assert created["spec"]["jobs"] == [job(retry_attempt=1)]
    assert created["spec"]["clientId"] == "default"


def test_the_same_manifest_applied_again_changes_nothing(kubectl: Kubectl) -> None:
    written = job(priority=10, retry_attempt=0, allow_failure=False, params={"image": "b", "env": {}, "args": []})
    body = manifest("Pipeline", "again", spec(written))
    kubectl.ok("apply", "-f", "-", stdin=body)
    first = kubectl.get("tpl", "again")
    assert "unchanged" in kubectl.ok("apply", "-f", "-", stdin=body)
    kubectl.status("tpl/again", state="IN PROGRESS", startTime="2026-01-31T23:59:59.000001Z")
    assert "unchanged" in kubectl.ok("apply", "-f", "-", stdin=body)
    assert kubectl.get("tpl", "again")["metadata"]["generation"] == first["metadata"]["generation"] == 1
    assert first["spec"]["jobs"] == [written]


def test_the_longest_names_are_stored_and_can_be_selected(kubectl: Kubectl) -> None:
    name = ".".join(["release-candidate-2031-04-17-payment-gateway-hotfix-for-eu-west1"[:63]] * 4)[:253].rstrip("-.")
    kubectl.create("Pipeline", name, spec(job("x" * 63, stage="Build & Test"), stages=["Build & Test"]))
    place = {"pipeline": name, "stageIndex": 0, "index": 0, "run": 1, "clientId": "default"}
    kubectl.create("PipelineJob", "long", place | job("x" * 63, stage="Build & Test"))
    found = kubectl.ok("get", "pjob", "--field-selector", f"spec.pipeline={name}", "-o", "name")
    assert found.split() == ["pipelinejob.taskpipeline.dev/long"]
    found = kubectl.ok("get", "pjob", "--field-selector", "spec.stage=Build & Test", "-o", "name")
    assert found.split() == ["pipelinejob.taskpipeline.dev/long"]


def test_field_selectors(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "selected", spec(clientId="acme"))
    kubectl.create("Pipeline", "other", spec(clientId="acme"))
    kubectl.status("tpl/selected", state="CANCELLED")
    names = kubectl.ok("get", "tpl", "--field-selector", "status.state=CANCELLED,spec.clientId=acme", "-o", "name")
    assert names.split() == ["pipeline.taskpipeline.dev/selected"]


def test_kubectl_wait_reads_the_conditions(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "awaited", spec())
    told = kubectl.refused("wait", "--for=condition=Finished", "--timeout=1s", "tpl/awaited")
    assert "timed out" in told
    conditions = [condition("Finished", "True"), condition("Succeeded", "False")]
    kubectl.status("tpl/awaited", state="IN PROGRESS")
    kubectl.status("tpl/awaited", state="ERROR", conditions=conditions)
    kubectl.ok("wait", "--for=condition=Finished", "--timeout=5s", "tpl/awaited")
    kubectl.ok("wait", "--for=condition=Succeeded=False", "--timeout=5s", "tpl/awaited")


def test_a_condition_stands_once(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "conditions", spec())
    twice = kubectl.try_status("tpl/conditions", conditions=[condition("Ready", "True")] * 2)
    assert "Duplicate value" in twice.err


def test_2000_jobs_are_stored_and_their_status_can_be_written(kubectl: Kubectl) -> None:
    script = {"image": "busybox:1.36", "script": "x" * 350}
    jobs = [job(f"job-{number:04}", stage=f"s{number % 64}", params=script) for number in range(2001)]
    stages = [f"s{number}" for number in range(64)]
    kubectl.create("Pipeline", "large", spec(*jobs[:2000], stages=stages))
    kubectl.status("tpl/large", state="IN PROGRESS", startTime="2026-01-31T23:59:59.000001Z")
    kubectl.ok(*kubectl.merge("tpl/large", {"spec": {"priority": 1}}))
    more = manifest("Pipeline", "larger", spec(*jobs, stages=stages))
    assert "at most 2000" in kubectl.refused("create", "-f", "-", stdin=more)


def test_a_client_is_stored_and_checked(kubectl: Kubectl) -> None:
    credential = {"secretRef": {"name": "acme-1"}, "notAfter": "2026-01-31T23:59:59Z"}
    created = kubectl.create("PipelineClient", "acme", {"namespaces": ["*"], "credentials": [credential]})
    assert created["spec"]["priority"] == 10
    for wrong, word in (
        ({}, "namespaces"),
        ({"namespaces": ["Team A"]}, "name of a namespace"),
        ({"namespaces": ["a", "a"]}, "Duplicate"),
        ({"namespaces": ["a"], "maxRunningJobs": -1}, "maxRunningJobs"),
        ({"namespaces": ["a"], "allowedKinds": ["/"]}, "K8S/Job"),
    ):
        body = manifest("PipelineClient", "x", wrong)
        assert word in kubectl.refused("create", "--dry-run=server", "-f", "-", stdin=body)


def condition(kind: str, status: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": "Test",
        "message": "",
        "lastTransitionTime": "2026-01-31T23:59:59.000001Z",
        "observedGeneration": 1,
    }


def test_a_pipelinejob_waits_without_a_write(kubectl: Kubectl) -> None:
    place = {"pipeline": "p", "stageIndex": 0, "index": 0, "run": 1, "clientId": "default"}
    created = kubectl.create("PipelineJob", "waiting", place | job())
    assert created["status"] == {"state": "READY", "reason": "Queued"}
