"""The state machine and the immutability of what has started, as the API server keeps them."""

from itertools import product
from typing import Any

import pytest

from task_pipeline.api.pipeline import PipelineStatus, StageStatus
from task_pipeline.api.pipelinejob import Attempt, Claim, PipelineJobStatus, Progress, Report, WorkloadRef
from task_pipeline.api.states import TERMINAL, State, job_may_move, pipeline_may_move
from tests.contract.cases import job, spec
from tests.contract.kubectl import Kubectl

pytestmark = pytest.mark.cluster

TIME = "2026-01-31T23:59:59.000001Z"
JOB_SPEC: dict[str, Any] = {
    "pipeline": "p",
    "name": "a",
    "stage": "s",
    "stageIndex": 0,
    "index": 0,
    "run": 1,
    "clientId": "default",
    "kind": "Shell",
    "version": "1.0.0",
    "params": {"image": "busybox", "env": {"A": "1"}},
    "timeout": 60,
}
WAY: dict[State, tuple[State, ...]] = {
    State.READY: (),
    State.IN_PROGRESS: (State.IN_PROGRESS,),
    State.DONE: (State.IN_PROGRESS, State.DONE),
    State.ERROR: (State.IN_PROGRESS, State.ERROR),
    State.CANCELLED: (State.CANCELLED,),
}
PAIRS = list(product(State, State))


def name_of(prefix: str, state: State) -> str:
    return f"{prefix}-{state.value.lower().replace(' ', '-')}"


@pytest.fixture(scope="module")
def in_every_state(kubectl: Kubectl) -> Kubectl:
    """A PipelineJob and a started Pipeline in each of the five states."""
    for state, way in WAY.items():
        kubectl.create("PipelineJob", name_of("job", state), JOB_SPEC)
        kubectl.create("Pipeline", name_of("run", state), spec())
        for step in way:
            kubectl.status(f"pjob/{name_of('job', state)}", state=step)
            kubectl.status(f"tpl/{name_of('run', state)}", state=step, run=1, startTime=TIME)
    return kubectl


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_edges_of_a_pipelinejob(in_every_state: Kubectl, old: State, new: State) -> None:
    answer = in_every_state.try_status(f"pjob/{name_of('job', old)}", state=new)
    assert (answer.code == 0) is job_may_move(old, new), answer.err
    if answer.code:
        assert "may not go from its present state" in answer.err


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_edges_of_a_pipeline(in_every_state: Kubectl, old: State, new: State) -> None:
    answer = in_every_state.try_status(f"tpl/{name_of('run', old)}", state=new)
    assert (answer.code == 0) is pipeline_may_move(old, new), answer.err


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_edges_of_a_rerun(in_every_state: Kubectl, old: State, new: State) -> None:
    answer = in_every_state.try_status(f"tpl/{name_of('run', old)}", state=new, run=2)
    assert (answer.code == 0) is pipeline_may_move(old, new, run_increased=True), answer.err


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_taking_the_status_away_is_no_way_out(in_every_state: Kubectl, state: State) -> None:
    for name in (f"pjob/{name_of('job', state)}", f"tpl/{name_of('run', state)}"):
        patch = in_every_state.merge(name, {"status": None}, "--subresource=status", "--dry-run=server")
        assert "may not go from its present state" in in_every_state.refused(*patch)


def test_the_run_never_decreases(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "second-run", spec())
    kubectl.status("tpl/second-run", run=2)
    assert "may only increase" in kubectl.try_status("tpl/second-run", run=1).err
    assert "may only increase" in kubectl.try_status("tpl/second-run", run=None).err


def test_an_invalid_spec_may_be_repaired_only_before_the_first_start(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "invalid", spec())
    kubectl.status("tpl/invalid", state="ERROR", reason="InvalidSpec")
    assert kubectl.try_status("tpl/invalid", state="READY").code == 0
    assert kubectl.try_status("tpl/invalid", state="IN PROGRESS").code != 0
    kubectl.ok(*kubectl.merge("tpl/invalid", {"spec": {"jobs": [job(version="2.0.0")]}}))
    kubectl.create("Pipeline", "invalid-later", spec())
    kubectl.status("tpl/invalid-later", state="ERROR", run=2)
    assert kubectl.try_status("tpl/invalid-later", state="READY").code != 0


@pytest.mark.parametrize(
    "change",
    [
        {"stages": ["s", "t", "u"]},
        {"stages": ["t", "s"]},
        {"jobs": [job(), job("b")]},
        {"jobs": [job(params={"image": "other"})]},
        {"jobs": [job(params={"image": "busybox", "env": {}})]},
        {"jobs": [job(timeout=5)]},
        {"clientId": "other"},
        {"clientId": None, "jobs": [job("b")]},
    ],
)
@pytest.mark.parametrize("begun", [{"startTime": TIME}, {"run": 2}])
def test_what_has_started_keeps_its_work(kubectl: Kubectl, change: Any, begun: Any) -> None:
    name = "started-" + "".join(sorted(begun)).lower()
    if kubectl.run("get", "tpl", name).code:
        kubectl.create("Pipeline", name, spec())
        kubectl.ok(*kubectl.merge(f"tpl/{name}", {"spec": change}, "--dry-run=server"))
        kubectl.status(f"tpl/{name}", **begun)
    told = kubectl.refused(*kubectl.merge(f"tpl/{name}", {"spec": change}, "--dry-run=server"))
    assert "cannot be changed after the start" in told
    for way_out in ("another name", "spec.rerun", "delete the Pipeline and create it again"):
        assert way_out in told


def test_the_rest_of_a_started_pipeline_stays_editable(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "editable", spec())
    kubectl.status("tpl/editable", state="IN PROGRESS", startTime=TIME)
    change = {
        "priority": 1,
        "suspend": True,
        "cancel": "Now",
        "failFast": True,
        "timeout": 5,
        "ttlSecondsAfterFinished": 0,
        "ttlPolicy": "Delete",
        "rerun": {"id": "2"},
    }
    kubectl.ok(*kubectl.merge("tpl/editable", {"spec": change}))
    assert kubectl.get("tpl", "editable")["spec"]["rerun"] == {"id": "2", "scope": "Failed"}


CHANGES: dict[str, Any] = {
    "pipeline": "q",
    "name": "b",
    "stage": "t",
    "stageIndex": 1,
    "index": 1,
    "run": 2,
    "clientId": "other",
    "kind": "HTTP",
    "version": "1.0.1",
    "params": {"env": {"A": "2"}},
    "retryAttempt": 1,
    "allowFailure": True,
    "timeout": 61,
    "startTimeout": 1,
    "queueTimeout": 1,
}


@pytest.mark.parametrize(("field", "value"), [*CHANGES.items(), ("timeout", None), ("params", {"new": 1})])
def test_a_pipelinejob_keeps_its_spec(in_every_state: Kubectl, field: str, value: Any) -> None:
    name = f"pjob/{name_of('job', State.READY)}"
    told = in_every_state.refused(*in_every_state.merge(name, {"spec": {field: value}}, "--dry-run=server"))
    assert f"spec.{field} of a PipelineJob cannot be changed" in told


def test_priorities_and_cancel_of_a_pipelinejob_may_be_edited(in_every_state: Kubectl) -> None:
    name = f"pjob/{name_of('job', State.READY)}"
    for change in ({"priority": 1}, {"pipelinePriority": 2}, {"cancel": "Drain"}, {"cancel": "Now"}):
        in_every_state.ok(*in_every_state.merge(name, {"spec": change}, "--dry-run=server"))


def test_a_spec_is_judged_whatever_status_comes_with_it(kubectl: Kubectl) -> None:
    kubectl.create("PipelineJob", "both", JOB_SPEC)
    kubectl.create("Pipeline", "both", spec())
    kubectl.status("tpl/both", state="IN PROGRESS", startTime=TIME, progress="0/1")
    other = {"state": "DONE", "reason": "Other", "progress": "1/1"}
    changes: dict[str, Any] = {"pjob/both": {"stage": "t"}, "tpl/both": {"jobs": [job("b")]}}
    for name, change in changes.items():
        before = kubectl.get(*name.split("/"))
        told = kubectl.refused(*kubectl.merge(name, {"spec": change, "status": other}))
        assert "cannot be changed" in told
        kubectl.ok(*kubectl.merge(name, {"spec": change, "status": {"message": "new"}}, "--subresource=status"))
        after = kubectl.get(*name.split("/"))
        assert after["spec"] == before["spec"]
        assert after["status"] == before["status"] | {"message": "new"}


def test_a_job_is_not_given_a_stage_that_does_not_exist_whatever_status_comes_with_it(kubectl: Kubectl) -> None:
    kubectl.create("Pipeline", "stray", spec())
    change = {"spec": {"jobs": [job(stage="none")]}, "status": {"state": "CANCELLED", "progress": "1/1"}}
    assert "not in spec.stages" in kubectl.refused(*kubectl.merge("tpl/stray", change))


def condition(kind: str) -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": "Test", "lastTransitionTime": TIME}


def test_nothing_that_the_operator_writes_is_pruned(kubectl: Kubectl) -> None:
    """Every field of the status models, filled, comes back as it was written."""
    pipeline = PipelineStatus.model_validate(
        {
            "observedGeneration": 1,
            "reason": "StageRunning",
            "message": "stage s, 0 of 1 jobs done",
            "run": 1,
            "stage": "s",
            "stages": [StageStatus(name="s", state=State.READY, total=1, waiting=1).to_dict()],
            "progress": "0/1",
            "warnings": 1,
            "failedJobs": ["a"],
            "acceptedTime": TIME,
            "startTime": TIME,
            "completionTime": TIME,
            "divided": 0,
            "rerunId": "1",
            "kept": {"since": 1, "jobs": [1]},
            "cleanupTime": TIME,
            "conditions": [condition("Ready") | {"message": "m", "observedGeneration": 1}],
        }
    )
    workload = WorkloadRef(kind="Pod", name="p", uid="u")
    attempt = Attempt(
        attempt=1,
        outcome="Failed",
        reason="ExitCode",
        message="m",
        exit_code=3,
        charged=True,
        workload=workload,
        node="n",
        start_time=TIME,
        completion_time=TIME,
    )
    pipelinejob = PipelineJobStatus(
        message="m",
        attempt=1,
        attempts=(attempt,),
        workload=workload,
        next_attempt_time=TIME,
        start_time=TIME,
        completion_time=TIME,
        progress=Progress(percent=50, message="half", time=TIME),
        result={"any": [1, None, {"x": "y"}]},
        claim=Claim(attempt=1, worker="w", claim_time=TIME, lease_until=TIME, id="c"),
        report=Report(attempt=1, outcome="Failed", reason="Failed", message="m", exit_code=1, time=TIME),
    )
    for kind, raw, status in (
        ("Pipeline", spec(), pipeline),
        ("PipelineJob", JOB_SPEC, pipelinejob),
    ):
        filled = status.to_dict()
        assert set(filled) == {field.serialization_alias for field in type(status).model_fields.values()}, (
            "fill in the new field here"
        )
        kubectl.create(kind, "filled", raw)
        kubectl.status(f"{kind.lower()}/filled", **filled)
        assert kubectl.get(kind, "filled")["status"] == filled
