"""What people and tools ask kubectl about live Pipelines: wait, columns, field selectors."""

import pytest

from tests.contract.kubectl import Kubectl
from tests.real.pipelines import create_all, shell, wait_all

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]


def names(kubectl: Kubectl, kind: str, selector: str) -> set[str]:
    """The names that a field selector finds; for PipelineJobs those of their jobs."""
    path = ".metadata.name" if kind == "tpl" else ".spec.name"
    listed = kubectl.ok("get", kind, "--field-selector", selector, "-o", f"jsonpath={{.items[*]{path}}}")
    return set(listed.split())


def test_b057_one_wait_ends_in_every_outcome_and_selectors_tell_them_apart(kubectl: Kubectl) -> None:
    good = {"stages": ["s"], "jobs": [shell("fine", seconds=1), shell("allowed", exit_code=1, allowFailure=True)]}
    bad = {"stages": ["s", "t"], "jobs": [shell("broken", exit_code=4), shell("never", "t")]}
    invalid = {"stages": ["s"], "jobs": [shell("a", kind="Nope")]}
    gone = {"stages": ["s"], "jobs": [shell("waits")], "cancel": "Now"}
    create_all(kubectl, {"good": good, "bad": bad, "invalid": invalid, "gone": gone})
    kubectl.ok("wait", "tpl", "--all", "--for=condition=Finished", "--timeout=60s")
    kubectl.ok("wait", "tpl/good", "--for=condition=Succeeded", "--timeout=15s")
    kubectl.ok("wait", "tpl/bad", "tpl/invalid", "tpl/gone", "--for=condition=Succeeded=False", "--timeout=15s")
    assert "timed out" in kubectl.refused("wait", "tpl/bad", "--for=condition=Succeeded", "--timeout=1s")
    kubectl.ok("wait", "pjob", "--all", "--for=condition=Finished", "--timeout=60s")
    assert names(kubectl, "tpl", "status.state=DONE") == {"good"}
    assert names(kubectl, "tpl", "status.state=ERROR") == {"bad", "invalid"}
    assert names(kubectl, "tpl", "spec.clientId=default") == {"good", "bad", "invalid", "gone"}
    assert names(kubectl, "tpl", "status.state=CANCELLED") == {"gone"}
    assert names(kubectl, "pjob", "status.state=DONE") == {"fine"}
    assert names(kubectl, "pjob", "status.state=ERROR") == {"allowed", "broken"}
    assert names(kubectl, "pjob", "status.state=ERROR,spec.pipeline=bad,spec.stage=s") == {"broken"}
    rows = {row.split()[0]: row.split()[1:5] for row in kubectl.ok("get", "tpl", "--no-headers").splitlines()}
    assert rows["good"][:3] == ["DONE", "SucceededWithWarnings", "2/2"]
    assert rows["bad"][:3] == ["ERROR", "JobFailed", "2/2"]
    assert rows["invalid"][:2] == ["ERROR", "InvalidSpec"]


def test_wait_follows_a_running_pipeline_to_its_end(kubectl: Kubectl) -> None:
    create_all(kubectl, {"run": {"stages": ["s"], "jobs": [shell("a", seconds=10)]}})
    kubectl.ok("wait", "tpl/run", "--for=jsonpath={.status.state}=IN PROGRESS", "--timeout=60s")
    assert names(kubectl, "tpl", "status.state=IN PROGRESS") == {"run"}
    assert names(kubectl, "pjob", "status.state=IN PROGRESS") == {"a"}
    kubectl.ok("wait", "tpl/run", "--for=condition=Succeeded", "--timeout=60s")
    assert wait_all(kubectl) == {"run": "DONE"}
