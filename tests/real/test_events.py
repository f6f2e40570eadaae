"""Kubernetes Events on the real API server, which checks every field of them, and as kubectl shows them."""

import json
from typing import Any

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.real.pipelines import create_all, shell, wait_all

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]


def told(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The operator's Events of the namespace."""
    found = json.loads(kubectl.ok("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [one for one in found if one["reportingController"] == "taskpipeline.dev/operator"]


def test_failures_and_warnings_are_events_and_success_is_none(kubectl: Kubectl) -> None:
    long_name = "a" * 100 + "." + "b" * 63
    create_all(
        kubectl,
        {
            "bad": {"stages": ["s"], "jobs": [shell("broken", exit_code=4, retryAttempt=1)]},
            "wrong": {"stages": ["s"], "jobs": [shell("a", kind="Nope")]},
            long_name: {"stages": ["s"], "jobs": [shell("a", exit_code=1, allowFailure=True)]},
            "fine": {"stages": ["s"], "jobs": [shell("a", seconds=1)]},
        },
    )
    wait_all(kubectl)
    wait_for(lambda: len(told(kubectl)) >= 6, "six Events", 20)
    found = told(kubectl)
    assert sorted((one["regarding"]["kind"], one["reason"], one["action"]) for one in found) == [
        ("Pipeline", "InvalidSpec", "End"),
        ("Pipeline", "JobFailed", "End"),
        ("Pipeline", "SucceededWithWarnings", "End"),
        ("PipelineJob", "ExitCode", "End"),
        ("PipelineJob", "ExitCode", "End"),
        ("PipelineJob", "ExitCode", "Retry"),
    ]
    assert {one["type"] for one in found} == {"Warning"}
    assert {one["metadata"]["namespace"] for one in found} == {kubectl.namespace}
    described = kubectl.ok("describe", "pipeline", "bad")
    assert "JobFailed" in described[described.index("Events:") :]
    assert kubectl.ok("describe", "pipeline", "fine").split()[-2:] == ["Events:", "<none>"]
