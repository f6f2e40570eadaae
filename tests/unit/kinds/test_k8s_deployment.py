"""K8S/Deployment: what is applied to a new and to an existing one, and when its rollout is over."""

from copy import deepcopy
from typing import Any

import pytest

from task_pipeline.api.objects import DeploymentView, PodView
from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import KindDefaults, Phase, PodSecurity, Refusal
from task_pipeline.kinds.k8s_deployment import DeploymentKind
from task_pipeline.kinds.registry import parse
from tests.unit.kinds.builders import ATTEMPT, DEFAULTS, condition, deployment, faults, launch, pod, state

KIND = DeploymentKind()
OURS = "task-pipeline"


def live(*names: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": name, "image": f"{name}:1"} for name in names or ("app",)]
    return {"metadata": {"name": "shop"}, "spec": {"template": {"spec": {"containers": containers}}, **spec}}


def refused(params: dict[str, Any], current: dict[str, Any] | None) -> Refusal:
    params = {"name": "shop", **params}
    assert faults("K8S/Deployment", params) == {}
    answer = KIND.launch(parse("K8S/Deployment", "1.0.0", params), ATTEMPT, DEFAULTS, current)
    assert isinstance(answer, Refusal), answer
    return answer


def applied(params: dict[str, Any], current: dict[str, Any] | None = None) -> dict[str, Any]:
    return launch("K8S/Deployment", {"name": "shop", **params}, current=current).manifest


NATIVE = {
    "replicas": 1,
    "selector": {"matchLabels": {"app": "shop"}},
    "template": {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1.26", "args": ["$(A)"]}]},
    },
}


class TestNew:
    def test_is_whole(self) -> None:
        made = launch(
            "K8S/Deployment",
            {
                "name": "web.shop",
                "image": "web:1",
                "replicas": 0,
                "progressDeadlineSeconds": 60,
                "ports": [{"containerPort": 8080, "name": "http"}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
            },
            KindDefaults(pod_security=PodSecurity.RESTRICTED),
        )
        assert made.apply
        assert not made.force
        assert made.companions == ()
        assert made.manifest["metadata"] == {
            "name": "web.shop",
            "namespace": "shop",
            "labels": {"taskpipeline.dev/job-hash": ATTEMPT.job_hash},
            "annotations": {"taskpipeline.dev/attempt": "2"},
        }
        spec = made.manifest["spec"]
        labels = {"app.kubernetes.io/name": "web.shop"}
        assert spec["selector"] == {"matchLabels": labels}
        assert spec["template"]["metadata"] == {"labels": labels}
        assert (spec["replicas"], spec["progressDeadlineSeconds"]) == (0, 60)
        (container,) = spec["template"]["spec"]["containers"]
        assert container["name"] == "web-shop"
        assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
        assert container["readinessProbe"] == {"httpGet": {"path": "/", "port": 8080}}
        assert container["securityContext"]["runAsNonRoot"] is True

    def test_names_its_container(self) -> None:
        spec = applied({"image": "x", "containerName": "c"})["spec"]
        assert "replicas" not in spec
        assert spec["template"]["spec"]["containers"][0]["name"] == "c"

    def test_needs_an_image(self) -> None:
        answer = refused({"replicas": 2}, None)
        assert (answer.reason, "give image" in answer.message) == (Reason.INVALID_SPEC, True)

    def test_needs_a_name_that_fits_into_a_label(self) -> None:
        answer = refused({"name": "n" * 64, "image": "x"}, None)
        assert "63 characters" in answer.message
        assert applied({"name": "n" * 64, "image": "x"}, live())["metadata"]["name"] == "n" * 64


class TestExisting:
    def test_only_what_is_named_is_applied(self) -> None:
        params = {"image": "app:2", "env": {"A": "$x"}, "securityContext": {"runAsUser": 5, "fsGroup": 6}}
        assert applied(params, live())["spec"] == {
            "template": {
                "spec": {
                    "securityContext": {"fsGroup": 6},
                    "containers": [
                        {
                            "name": "app",
                            "image": "app:2",
                            "env": [{"name": "A", "value": "$$x"}],
                            "securityContext": {"runAsUser": 5},
                        }
                    ],
                }
            }
        }

    def test_replicas_alone_touch_no_container(self) -> None:
        assert applied({"replicas": 0}, live("a", "b"))["spec"] == {"replicas": 0}
        assert applied({}, live("a", "b"))["spec"] == {}

    def test_what_was_applied_before_is_applied_again(self) -> None:
        """Otherwise the API server would take the selector and the replicas away."""
        first = applied({"image": "web:1", "replicas": 3})
        current = deepcopy(first)
        container: dict[str, Any] = {
            ".": {},
            **{f"f:{name}": {} for name in current["spec"]["template"]["spec"]["containers"][0]},
        }
        current["metadata"]["managedFields"] = [
            {
                "manager": OURS,
                "operation": "Apply",
                "fieldsV1": {
                    "f:spec": {
                        "f:replicas": {},
                        "f:selector": {},
                        "f:template": {
                            "f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}},
                            "f:spec": {
                                "f:enableServiceLinks": {},
                                "f:automountServiceAccountToken": {},
                                "f:containers": {'k:{"name":"shop"}': container},
                            },
                        },
                    }
                },
            }
        ]
        again = applied({"image": "web:2"}, current)
        expected = deepcopy(first)
        expected["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
        assert again == expected

    def test_containers_are_named_by_the_user_or_by_being_alone(self) -> None:
        made = applied({"image": "b:2", "containerName": "b"}, live("a", "b"))
        assert made["spec"]["template"]["spec"]["containers"] == [{"name": "b", "image": "b:2"}]

    @pytest.mark.parametrize(("params", "names"), [({"containerName": "c"}, ("a",)), ({}, ("a", "b"))])
    def test_unknown_containers_are_refused_with_those_there(
        self, params: dict[str, Any], names: tuple[str, ...]
    ) -> None:
        answer = refused({"image": "x", **params}, live(*names))
        assert answer.reason is Reason.INVALID_SPEC
        assert ", ".join(names) in answer.message

    @pytest.mark.parametrize("params", [{"image": "x"}, {"spec": NATIVE}])
    def test_paused_is_refused(self, params: dict[str, Any]) -> None:
        answer = refused(params, live(paused=True))
        assert (answer.reason, "kubectl rollout resume" in answer.message) == (Reason.CONFLICT, True)

    def test_paused_may_be_resumed_by_a_native_spec(self) -> None:
        assert applied({"spec": {**NATIVE, "paused": False}}, live(paused=True))["spec"]["paused"] is False


class TestNativeForm:
    @pytest.mark.parametrize("current", [None, live()])
    def test_is_passed_on_as_written(self, current: dict[str, Any] | None) -> None:
        made = applied({"spec": NATIVE}, current)
        assert made["spec"] == NATIVE
        assert made["spec"] is not NATIVE

    def test_refuses_what_would_never_end(self) -> None:
        found = faults("K8S/Deployment", {"name": "shop", "spec": {"paused": True}})
        assert set(found) == {"params.spec.paused", "params.spec.template.spec"}

    def test_refuses_both_forms_in_one(self) -> None:
        found = faults("K8S/Deployment", {"name": "shop", "spec": NATIVE, "replicas": 2, "force": True})
        assert "replicas" in found["params.spec"]


def test_force_is_passed_on() -> None:
    assert launch("K8S/Deployment", {"name": "shop", "image": "x", "force": True}).force


@pytest.mark.parametrize(("policy", "wanted"), [("Keep", False), ("Rollback", True)])
def test_rollback_is_the_users_choice(policy: str, wanted: bool) -> None:
    params = parse("K8S/Deployment", "1.0.0", {"name": "shop", "image": "x", "onFailure": policy})
    assert KIND.rollback_on_failure(params) is wanted


def test_removal_is_left_to_garbage_collection() -> None:
    owners = applied({"image": "x", "onDelete": "Remove"})["metadata"]["ownerReferences"]
    assert owners == [{"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline", "name": "web", "uid": "2222"}]


DEADLINE = condition("Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet has timed out progressing.")
STUCK = pod(state("web", waiting="ErrImagePull", message="no such tag"), phase="Pending", name="shop-1")
ROLLOUT: dict[str, tuple[DeploymentView, Phase, str]] = {
    "done": (deployment(), Phase.SUCCEEDED, ""),
    "scaled to nothing": (deployment(wanted=0, counts=(0, 0, 0)), Phase.SUCCEEDED, ""),
    "B049 old pods terminate": (deployment(terminating=2), Phase.SUCCEEDED, "2 old pods still terminate"),
    "B047 not seen yet": (deployment(DEADLINE, observed=3), Phase.RUNNING, "waiting for the Deployment controller"),
    "B048 deadline of the generation before": (deployment(DEADLINE, generation=5), Phase.RUNNING, "waiting"),
    "an old pod is left": (deployment(counts=(3, 2, 2)), Phase.RUNNING, "2 of 2 updated, 2 available, 3 in all"),
    "old ones are available": (deployment(counts=(2, 1, 2)), Phase.RUNNING, "1 of 2 updated"),
    "not available": (deployment(counts=(2, 2, 1)), Phase.RUNNING, "2 of 2 updated, 1 available"),
    "too many": (deployment(wanted=1), Phase.RUNNING, "2 of 1 updated"),
    "paused meanwhile": (deployment(counts=(2, 0, 2), paused=True), Phase.RUNNING, "the Deployment is paused"),
    "B050 quota": (
        deployment(condition("ReplicaFailure", reason="FailedCreate", message="exceeded quota"), wanted=3),
        Phase.RUNNING,
        "2 of 3 updated, 2 available, 2 in all: exceeded quota",
    ),
    "progresses": (
        deployment(
            condition("Progressing", reason="ReplicaSetUpdated"), condition("ReplicaFailure", "False"), wanted=3
        ),
        Phase.RUNNING,
        "2 of 3 updated",
    ),
    "failed": (deployment(DEADLINE, counts=(3, 1, 2)), Phase.FAILED, "ReplicaSet has timed out progressing."),
}


@pytest.mark.parametrize("case", ROLLOUT.values(), ids=ROLLOUT.keys())
def test_rollout(case: tuple[DeploymentView, Phase, str]) -> None:
    view, phase, message = case
    seen = KIND.observe(view, ())
    assert seen.phase is phase
    assert seen.message.startswith(message)
    assert (seen.reason is Reason.PROGRESS_DEADLINE_EXCEEDED) is (phase is Phase.FAILED)
    assert seen.charged


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (STUCK, "pod shop-1: ErrImagePull: no such tag"),
        (pod(state("web", waiting="CrashLoopBackOff", message="back-off"), phase="Pending"), "CrashLoopBackOff"),
        (pod(state("web", code=1), phase="Failed"), "exit code 1"),
        (pod(phase="Pending"), ""),
        (pod(state("web", running=True)), ""),
    ],
)
def test_b047_the_message_holds_what_is_wrong_with_a_pod(view: PodView, text: str) -> None:
    failed = KIND.observe(deployment(DEADLINE, counts=(3, 1, 2)), [view]).message
    assert text in failed
    assert failed.startswith("ReplicaSet has timed out progressing.")
    assert ("pod " in failed) is bool(text)
    assert text in KIND.observe(deployment(counts=(3, 1, 2)), [view]).message
