"""K8S/Job: both forms, and how Job and pods are judged together."""

from copy import deepcopy
from typing import Any

import pytest

from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds.k8s_job import KubernetesJobKind
from tests.unit.kinds.builders import ATTEMPT, DEFAULTS, IMAGE, condition, faults, job, launch, pod, state

KIND = KubernetesJobKind()
TRACKING = {"app.kubernetes.io/managed-by": "task-pipeline", "taskpipeline.dev/job-hash": ATTEMPT.job_hash}


def native(**spec: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "m", "image": IMAGE}]}}, **spec}


class TestShortForm:
    def test_is_one_try_of_one_pod(self) -> None:
        spec = launch("K8S/Job", {"image": IMAGE, "labels": {"a": "b"}, "annotations": {"c": "d"}}).manifest["spec"]
        assert spec["backoffLimit"] == 0
        assert set(spec) == {"backoffLimit", "template"}
        template = spec["template"]
        assert template["metadata"] == {"labels": {"a": "b", **TRACKING}, "annotations": {"c": "d"}}
        assert template["spec"]["restartPolicy"] == "Never"
        assert template["spec"]["containers"][0]["name"] == "main"
        assert template["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False

    def test_passes_its_own_fields_on(self) -> None:
        params = {"image": IMAGE, "containerName": "x", "parallelism": 3, "completions": 6, "command": ["a"]}
        spec = launch("K8S/Job", params).manifest["spec"]
        assert (spec["parallelism"], spec["completions"]) == (3, 6)
        assert spec["template"]["spec"]["containers"][0]["name"] == "x"

    def test_needs_an_image(self) -> None:
        assert "unless spec is given" in faults("K8S/Job", {"command": ["x"]})["params.image"]

    @pytest.mark.parametrize(("field", "value"), [("parallelism", 0), ("completions", True), ("parallelism", "2")])
    def test_refuses_wrong_numbers(self, field: str, value: object) -> None:
        assert list(faults("K8S/Job", {"image": IMAGE, field: value})) == [f"params.{field}"]


class TestNativeForm:
    def test_b025_one_try_unless_the_user_says_otherwise(self) -> None:
        given_spec = native()
        before = deepcopy(given_spec)
        made = launch("K8S/Job", {"spec": given_spec, "labels": {"kueue.x-k8s.io/queue-name": "q"}}).manifest
        assert made["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "q", **TRACKING}
        assert made["spec"]["backoffLimit"] == 0
        assert made["spec"]["template"]["spec"]["restartPolicy"] == "Never"
        assert made["spec"]["template"]["metadata"]["labels"] == TRACKING
        assert made["spec"]["template"]["spec"]["containers"] == [{"name": "m", "image": IMAGE}]
        assert given_spec == before

    def test_b026_null_is_not_saying_otherwise(self) -> None:
        spec = native(backoffLimit=None, backoffLimitPerIndex=None, selector=None, ttlSecondsAfterFinished=None)
        spec["template"] |= {"metadata": None}
        spec["template"]["spec"]["restartPolicy"] = None
        made = launch("K8S/Job", {"spec": spec}).manifest["spec"]
        assert made["backoffLimit"] == 0
        assert made["template"]["spec"]["restartPolicy"] == "Never"
        assert made["template"]["metadata"]["labels"] == TRACKING

    def test_the_user_says_otherwise(self) -> None:
        policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
        spec = native(backoffLimit=3, podFailurePolicy=policy, suspend=True)
        spec["template"]["spec"]["restartPolicy"] = "OnFailure"
        spec["template"]["metadata"] = {"labels": {"a": "b"}, "annotations": {}}
        made = launch("K8S/Job", {"spec": spec}).manifest["spec"]
        assert (made["backoffLimit"], made["podFailurePolicy"], made["suspend"]) == (3, policy, True)
        assert made["template"]["spec"]["restartPolicy"] == "OnFailure"
        assert made["template"]["metadata"]["labels"] == {"a": "b", **TRACKING}

    def test_limits_per_index_are_not_undercut(self) -> None:
        made = launch("K8S/Job", {"spec": native(backoffLimitPerIndex=1, completionMode="Indexed")}).manifest
        assert "backoffLimit" not in made["spec"]

    @pytest.mark.parametrize(
        ("spec", "path"),
        [
            (native(ttlSecondsAfterFinished=5), "spec.ttlSecondsAfterFinished"),
            (native(selector={}), "spec.selector"),
            (native(manualSelector=True), "spec.manualSelector"),
            ({"backoffLimit": 1}, "spec.template.spec"),
            ({"template": []}, "spec.template.spec"),
            ({"template": {"spec": None}}, "spec.template.spec"),
            ({"template": {"spec": {"containers": []}}}, "spec.template.spec.containers"),
            (native(template={"spec": {"containers": [{}]}, "metadata": []}), "spec.template.metadata"),
            (native(template={"spec": {"containers": [{}]}, "metadata": {"labels": []}}), ""),
            (
                native(template={"spec": {"containers": [{}]}, "metadata": {"labels": [1]}}),
                "spec.template.metadata.labels",
            ),
            (
                native(template={"spec": {"containers": [{}]}, "metadata": {"labels": {"taskpipeline.dev/a": ""}}}),
                "spec.template.metadata.labels[taskpipeline.dev/a]",
            ),
            ({}, "spec"),
            ("x", "spec"),
        ],
    )
    def test_refuses_what_it_must_know(self, spec: object, path: str) -> None:
        assert list(faults("K8S/Job", {"spec": spec})) == ([f"params.{path}"] if path else [])

    def test_refuses_both_forms_in_one(self) -> None:
        found = faults("K8S/Job", {"spec": native(), "image": IMAGE, "containerName": "m", "env": None})
        assert "containerName, image" in found["params.spec"]


def judged(*conditions: dict[str, Any], pods: Any = (), **more: Any) -> Observation:
    return KIND.observe(job(*conditions, **more), pods)


COMPLETE = condition("Complete")
FAILED = condition("Failed", reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
EXIT_3 = pod(state("m", code=3, message="bad input"), phase="Failed", name="a")
EVICTED = pod(state("m", code=143), phase="Failed", reason="Evicted", name="b", created="2026-01-01T00:00:05Z")
GOOD = pod(state("m", code=0), phase="Succeeded")


class TestObserve:
    def test_b043_complete_is_done_whatever_was_seen(self) -> None:
        seen = judged(COMPLETE, completionTime="2026-01-01T00:00:09Z")
        assert (seen.phase, seen.completion_time) == (Phase.SUCCEEDED, "2026-01-01T00:00:09Z")
        assert seen.start_time == "2026-01-01T00:00:01Z"
        assert judged(COMPLETE, pods=[GOOD]).node == "node-1"

    @pytest.mark.parametrize("spec", [None, {}, {"parallelism": 1}])
    def test_success_of_the_only_pod_comes_first(self, spec: dict[str, int] | None) -> None:
        assert judged(pods=[EXIT_3, GOOD], spec=spec).phase is Phase.SUCCEEDED

    @pytest.mark.parametrize("spec", [{"completions": 2, "parallelism": 1}, {"parallelism": 2}])
    def test_one_pod_of_several_is_not_the_job(self, spec: dict[str, int]) -> None:
        assert judged(pods=[GOOD], spec=spec).phase is Phase.RUNNING

    def test_b040_a_sidecar_keeps_the_job_open(self) -> None:
        view = pod(state("m", code=0), state("proxy", running=True))
        assert judged(pods=[view]).phase is Phase.RUNNING

    def test_all_containers_ended_well(self) -> None:
        assert judged(pods=[pod(state("m", code=0), state("n", code=0))]).phase is Phase.SUCCEEDED

    def test_failed_with_the_pods_own_end(self) -> None:
        seen = judged(FAILED, pods=[EXIT_3])
        assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, Reason.EXIT_CODE, 3)
        assert seen.message == "exit code 3: bad input"

    def test_a_failed_pod_alone_is_not_the_end(self) -> None:
        assert judged(pods=[EXIT_3]).phase is Phase.RUNNING

    def test_b044_init_container(self) -> None:
        view = pod(state("m", waiting="PodInitializing"), phase="Failed", inits=(state("prep", code=1),))
        seen = judged(FAILED, pods=[view])
        assert (seen.exit_code, seen.message) == (1, "init container prep: exit code 1")

    def test_the_guilty_container_is_named_first(self) -> None:
        view = pod(
            state("a", code=0), state("b", code=1), state("c", code=137, reason="OOMKilled"), phase="Failed", name="a"
        )
        assert judged(FAILED, pods=[view]).reason is Reason.OOM_KILLED

    def test_an_eviction_is_given_back(self) -> None:
        seen = judged(FAILED, pods=[EVICTED])
        assert (seen.reason, seen.charged) == (Reason.EVICTED, False)

    def test_own_faults_go_before_evictions(self) -> None:
        seen = judged(FAILED, pods=[EVICTED, EXIT_3])
        assert (seen.reason, seen.charged) == (Reason.EXIT_CODE, True)
        assert seen.message.endswith("(Job: BackoffLimitExceeded)")

    def test_failed_without_any_pod(self) -> None:
        seen = judged(FAILED)
        assert (seen.reason, seen.message) == (
            Reason.FAILED,
            "BackoffLimitExceeded: Job has reached the specified backoff limit",
        )

    def test_deadline(self) -> None:
        seen = judged(condition("Failed", reason="DeadlineExceeded", message="too long"), pods=[EXIT_3])
        assert (seen.reason, seen.message) == (Reason.DEADLINE_KILLED, "DeadlineExceeded: too long")

    def test_false_conditions_say_nothing(self) -> None:
        assert judged(condition("Complete", "False"), condition("Failed", "False")).phase is Phase.STARTING

    def test_suspended_by_someone_else(self) -> None:
        seen = judged(condition("Suspended"), spec={"suspend": True})
        assert (seen.phase, seen.reason) == (Phase.SUSPENDED, Reason.EXTERNALLY_QUEUED)
        assert judged(FAILED, spec={"suspend": True}).phase is Phase.FAILED

    def test_starting_tells_why(self) -> None:
        waits = pod(state("m", waiting="ErrImagePull", message="404"), phase="Pending")
        never = pod(state("m", waiting="InvalidImageName", message="bad"), phase="Pending")
        assert judged().message.startswith("the Job has no pod yet; the events of the Job tell")
        assert judged(pods=[waits]).reason is Reason.IMAGE_PULL_FAILED
        assert judged(pods=[never, waits]).permanent

    def test_b096_running_names_the_dead_helper(self) -> None:
        view = pod(state("m", running=True), state("db", code=137, reason="OOMKilled"))
        assert "container db ended: OOMKilled" in judged(pods=[view]).message

    def test_b104_a_replaced_pod_does_not_end_the_job(self) -> None:
        again = pod(state("m", running=True), name="c", created="2026-01-01T00:01:00Z")
        seen = judged(pods=[again, EVICTED])
        assert seen.phase is Phase.RUNNING
        assert "Evicted" in seen.message


def test_it_takes_the_attempts_name() -> None:
    assert KIND.launch(KIND.versions["1.0.0"](image=IMAGE), ATTEMPT, DEFAULTS, None) is not None
    assert KIND.workload_name(KIND.versions["1.0.0"](), ATTEMPT) == ATTEMPT.workload
