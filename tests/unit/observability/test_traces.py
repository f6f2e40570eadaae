"""From a run to spans: what is above what, when each begins and ends, what is told of it, and what never is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from task_pipeline.api.states import State
from task_pipeline.cache.slim import slim_job, slim_pipeline
from task_pipeline.core.records import JobRecord, Kept, PipelineRecord, PipelineStatus, StageStatus
from task_pipeline.observability.trace_queue import MOST_WAITING
from task_pipeline.observability.traces import MOST_JOBS, Span, spans_of
from tests import make

DONE, ERROR, CANCELLED = State.DONE, State.ERROR, State.CANCELLED
SECRET = "hunter2"


def run(*stages: StageStatus, state: State = DONE, reason: str = "Succeeded", **status: Any) -> PipelineRecord:
    """A Pipeline at the end of a run that took a minute."""
    told: dict[str, Any] = {
        "state": state, "reason": reason, "message": SECRET, "run": 1, "stages": stages, "start_time": make.at(2),
        "completion_time": make.at(60),
    }  # fmt: skip
    record = make.pipeline(
        jobs=[make.job_spec("a", params={"script": SECRET})], status=PipelineStatus(**(told | status)),
        clientId="acme", priority=3,
    )  # fmt: skip
    return slim_pipeline(record)


def stage(name: str = "s", state: State = DONE, **counts: int) -> StageStatus:
    return StageStatus(name=name, state=state, **counts)


def ended(name: str, state: State = DONE, **fields: Any) -> JobRecord:
    """A PipelineJob as the operator remembers it when traces are on: from second 1 to 10 unless told otherwise."""
    told: dict[str, Any] = {
        "created": make.at(1), "start_time": make.at(2), "completion_time": make.at(10), "attempt": 1,
        "params": Raw(b'{"script": "hunter2"}'), "result": {"text": SECRET}, "message": SECRET, "reason": "Succeeded",
    }  # fmt: skip
    return slim_job(make.job(name, state=state, **(told | fields)), ends=True)


def by_name(spans: Sequence[Span]) -> dict[str, Span]:
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


def seconds(span: Span) -> tuple[float, float]:
    """Begin and end, counted from noon."""
    noon = int(make.NOON.timestamp())
    return span.start / 1e9 - noon, span.end / 1e9 - noon


def told(span: Span) -> dict[str, str | int]:
    """The attributes, without those that every span of the run has."""
    common = {"pipeline": "p", "namespace": "team", "client_id": "acme", "run": 1}
    own = {key.removeprefix("task_pipeline."): value for key, value in span.attributes.items()}
    assert own.items() >= common.items()
    assert all(key.startswith("task_pipeline.") for key in span.attributes)
    return {key: value for key, value in own.items() if key not in common}


def test_a_run_its_stages_and_its_jobs_are_above_each_other() -> None:
    jobs = [ended("a"), ended("b", stage="t", stage_index=1, index=1, created=make.at(10), completion_time=make.at(59))]
    spans = spans_of(run(stage("s", total=1, done=1), stage("t", total=1, done=1)), jobs)
    found = by_name(spans)
    root, first, second = found["pipeline p"], found["stage s"], found["stage t"]
    assert [span.name for span in spans] == ["pipeline p", "stage s", "job a", "stage t", "job b"]
    assert root.parent is None
    assert first.parent == second.parent == root.id
    assert (found["job a"].parent, found["job b"].parent) == (first.id, second.id)
    assert len({span.trace for span in spans}) == 1
    assert len({span.id for span in spans}) == 5
    assert [seconds(span) for span in spans] == [(1, 60), (1, 10), (1, 10), (10, 59), (10, 59)]
    assert told(root) == {"priority": 3, "state": "DONE", "reason": "Succeeded"}
    assert told(first) == {"stage": "s", "state": "DONE", "jobs": 1, "done": 1, "failed": 0, "cancelled": 0}
    assert told(found["job a"]) == {
        "stage": "s", "job": "a", "kind": "Shell", "priority": 10, "state": "DONE", "reason": "Succeeded",
        "attempts": 1,
    }  # fmt: skip
    assert found["job a"].launched == root.start + 1_000_000_000
    assert {type(value) for span in spans for value in span.attributes.values()} == {str, int}


@pytest.mark.parametrize(
    ("state", "reason", "failed"),
    [(DONE, "Succeeded", None), (ERROR, "OOMKilled", "OOMKilled"), (CANCELLED, "UserCancelled", None)],
)
def test_only_an_error_is_a_failure(state: State, reason: str, failed: str | None) -> None:
    of_run, of_stage, of_job = spans_of(
        run(stage(state=state, total=1), state=state, reason=reason), [ended("a", state, reason=reason)]
    )
    assert (of_run.failed, of_job.failed) == (failed, failed)
    assert of_stage.failed == (None if failed is None else "")
    assert told(of_run)["state"] == told(of_stage)["state"] == told(of_job)["state"] == state.value
    assert told(of_run)["reason"] == told(of_job)["reason"] == reason


def test_a_failure_that_was_allowed_is_one_of_the_job_alone() -> None:
    of_run, of_stage, of_job = spans_of(
        run(stage(total=1, failed=1), reason="SucceededWithWarnings"),
        [ended("a", ERROR, reason="ExitCode", allow_failure=True)],
    )
    assert (of_run.failed, of_stage.failed, of_job.failed) == (None, None, "ExitCode")


def test_a_job_that_was_tried_again_spans_all_attempts_and_tells_its_last_launch() -> None:
    job = ended("a", ERROR, attempt=3, start_time=make.at(40), completion_time=make.at(50), reason="ExitCode")
    span = spans_of(run(stage(total=1, failed=1), state=ERROR), [job])[-1]
    assert seconds(span) == (1, 50)
    assert told(span)["attempts"] == 3
    assert span.launched == span.end - 10_000_000_000


def test_a_job_that_was_never_launched_waited_until_it_was_cancelled() -> None:
    job = ended("a", CANCELLED, attempt=None, start_time=None, reason="FailFast")
    span = spans_of(run(stage(total=1, cancelled=1), state=ERROR), [job])[-1]
    assert seconds(span) == (1, 10)
    assert (told(span)["attempts"], span.launched, span.failed) == (0, None, None)


def test_stages_without_jobs_and_those_that_were_never_reached_take_no_time() -> None:
    stages = (stage("s"), stage("t", ERROR, total=1, failed=1), stage("u", CANCELLED, total=2, cancelled=2))
    found = by_name(spans_of(run(*stages, state=ERROR), [ended("a", ERROR, stage="t", stage_index=1)]))
    assert {name: seconds(found[f"stage {name}"]) for name in "stu"} == {"s": (1, 1), "t": (1, 10), "u": (10, 10)}
    assert told(found["stage u"])["cancelled"] == 2


def test_the_run_begins_when_the_pipeline_was_accepted_and_its_stages_when_their_jobs_were_made() -> None:
    root, of_stage, _ = spans_of(run(stage(), accepted_time=make.at(0)), [ended("a")])
    assert seconds(root) == (0, 60)
    assert seconds(of_stage) == (1, 10)
    (waited,) = spans_of(run(state=CANCELLED, reason="MaxWaitExceeded", start_time=None, accepted_time=make.at(5)), [])
    assert seconds(waited) == (5, 60)


def test_a_stage_begins_after_the_one_before_it_although_the_api_server_rounds_down() -> None:
    """A creationTimestamp has whole seconds: that of a job at 10.9 s is 10 s, before the stage of before was over."""
    jobs = [
        ended("a", completion_time=make.at(10.5)),
        ended("b", stage="t", stage_index=1, created=make.at(10), completion_time=make.at(10.9)),
    ]
    found = by_name(spans_of(run(stage("s"), stage("t")), jobs))
    assert seconds(found["stage t"]) == seconds(found["job b"]) == pytest.approx((10.5, 10.9))


def test_times_that_make_no_sense_give_spans_that_do() -> None:
    early = ended("a", created=make.at(30), completion_time=make.at(5))
    late = ended("b", index=1, completion_time=make.at(90))
    unknown = ended("c", index=2, completion_time=None)
    before = ended("d", stage="t", stage_index=1, index=3, completion_time=make.at(40))
    spans = spans_of(run(stage(), stage("t")), [early, late, unknown, before])
    root = spans[0]
    for span in spans:
        assert root.start <= span.start <= span.end <= root.end
    assert seconds(by_name(spans)["job c"]) == (1, 60)


def test_a_run_without_any_job_is_a_moment() -> None:
    (root,) = spans_of(run(state=CANCELLED, reason="UserCancelled", start_time=None), [])
    assert seconds(root) == (60, 60)
    unreadable = make.pipeline(spec=None, status=PipelineStatus(state=ERROR, completion_time=None))
    (root,) = spans_of(unreadable, [])
    assert seconds(root) == (0, 0)
    assert not {"task_pipeline.client_id", "task_pipeline.priority", "task_pipeline.reason"} & root.attributes.keys()


def test_the_same_run_has_the_same_spans_whatever_the_order() -> None:
    pipeline, jobs = run(stage()), [ended(name, index=index) for index, name in enumerate("abc")]
    assert spans_of(pipeline, jobs) == spans_of(pipeline, jobs[::-1])


def test_another_run_and_another_pipeline_have_other_ids_and_no_job_of_a_run_before() -> None:
    first, second = run(stage()), run(stage(), run=2, kept=Kept(since=1, jobs=(1,)))
    other = make.pipeline(uid="other", status=first.status)
    jobs = [ended("a"), ended("a", run=2)]
    ids = [{span.id for span in spans_of(pipeline, jobs)} for pipeline in (first, second)]
    ids.append({span.id for span in spans_of(other, [])})
    assert [len(some) for some in ids] == [3, 3, 2]
    assert len(set().union(*ids)) == 8
    assert len({spans_of(pipeline, [])[0].trace for pipeline in (first, second, other)}) == 3
    assert [told(span)["job"] for span in spans_of(first, jobs) if span.name.startswith("job")] == ["a"]


def test_ids_are_those_of_before() -> None:
    """Another version of the operator has to give the same ids: a run may be told by both."""
    root, of_stage, job = spans_of(run(stage()), [ended("a")])
    assert [f"{root.trace:032x}", *(f"{span.id:016x}" for span in (root, of_stage, job))] == [
        "27b441118f72f1b84322aeeba6685229", "19e4f715ebfc84fe", "447f17d284f6be37", "d6e62403de4b2934",
    ]  # fmt: skip


def test_of_too_many_jobs_the_failed_ones_and_the_first_are_told() -> None:
    jobs = [ended(f"j{index}", ERROR if index >= 1990 else DONE, index=index) for index in range(2000)]
    spans = spans_of(run(stage(total=2000, done=1990, failed=10), state=ERROR), jobs[::-1])
    names = [span.name for span in spans]
    assert len(spans) == MOST_JOBS + 2
    assert names[2:] == [f"job j{index}" for index in (*range(MOST_JOBS - 10), *range(1990, 2000))]
    assert told(spans[0])["jobs_left_out"] == 2000 - MOST_JOBS
    assert "jobs_left_out" not in told(spans_of(run(stage()), jobs[:MOST_JOBS])[0])


def test_the_bounds_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    assert f"at most {1 + 64 + MOST_JOBS:,} spans: the run, its stages, and {MOST_JOBS:,} jobs" in page
    assert f"at most {MOST_WAITING:,} jobs' worth" in page


def test_a_stage_spans_the_jobs_that_are_left_out_as_well() -> None:
    jobs = [ended(f"j{index}", index=index) for index in range(MOST_JOBS)]
    jobs.append(ended("last", index=MOST_JOBS, completion_time=make.at(55)))
    _, of_stage, *rest = spans_of(run(stage()), jobs)
    assert len(rest) == MOST_JOBS
    assert seconds(of_stage) == (1, 55)


def test_nothing_of_params_results_and_messages_is_told() -> None:
    whole = make.job("a", state=ERROR, params=Raw(b'{"script": "hunter2"}'), message=SECRET, result=SECRET)
    pipeline = run(stage(), state=ERROR, failed_jobs=("a",))
    for job in (whole, ended("a")):
        assert SECRET not in msgspec.json.encode(spans_of(pipeline, [job])).decode()
