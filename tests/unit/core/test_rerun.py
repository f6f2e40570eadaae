"""Whether there is another run, and what it takes over: tables on records alone."""

from typing import Any

import pytest
from msgspec.structs import replace

from task_pipeline.api.states import State
from task_pipeline.core.records import Condition, JobRecord, Kept, PipelineRecord, PipelineStatus, StageStatus
from task_pipeline.core.rerun import ALL_DONE, REMOVED, answer, kept_names, unasked, wish
from task_pipeline.core.rollup import tally_of
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State
JOBS = (make.job_spec("a"), make.job_spec("b"), make.job_spec("c", "t"))
ENDED = PipelineStatus(
    state=ERROR,
    reason="JobFailed",
    message="failed in stage s: b",
    observed_generation=1,
    stages=(StageStatus(name="s", state=ERROR, total=2, done=1, failed=1), StageStatus(name="t", state=CANCELLED)),
    accepted_time=make.at(-9),
    start_time=make.at(0),
    completion_time=make.at(5),
)


SAID = (Condition(type="Succeeded", status="False", reason="JobFailed", message="failed in stage s: b"),)


def finished(rerun: dict[str, Any] | None, *, status: PipelineStatus = ENDED, **spec: Any) -> PipelineRecord:
    """A Pipeline whose first run failed."""
    return make.pipeline(jobs=JOBS, status=status, rerun=rerun, **spec)


def ran(*states: State, run: int = 1) -> list[JobRecord]:
    """Jobs a, b and c in these states."""
    return [
        make.job(name, stage_index=index, state=state, run=run, uid=f"{name}{run}")
        for (name, index), state in zip((("a", 0), ("b", 0), ("c", 1)), states, strict=False)
    ]


def told(pipeline: PipelineRecord, *jobs: JobRecord) -> PipelineStatus:
    rerun = wish(pipeline)
    assert rerun is not None
    return answer(pipeline, rerun, tally_of(jobs), make.at(20))


class TestWish:
    def test_a_new_id_is_a_wish_and_the_one_that_was_answered_is_none(self) -> None:
        assert wish(finished(None)) is None
        assert wish(finished({"id": "1"})) is not None
        assert wish(finished({"id": "1"}, status=replace(ENDED, rerun_id="1"))) is None
        assert wish(finished({"id": "2"}, status=replace(ENDED, rerun_id="1"))) is not None

    def test_what_was_never_valid_cannot_run_again(self) -> None:
        invalid = PipelineStatus(state=ERROR, reason="InvalidSpec", observed_generation=1)
        assert wish(finished({"id": "1"}, status=invalid)) is None
        assert wish(finished({"id": "1"}, status=replace(invalid, run=2))) is not None

    def test_a_spec_that_cannot_be_decoded_wishes_nothing(self) -> None:
        assert wish(make.pipeline(spec=None, fault="bad", status=ENDED)) is None


class TestAnswer:
    def test_failed_begins_a_run_that_keeps_what_is_done(self) -> None:
        status = told(finished({"id": "1"}), *ran(DONE, ERROR))
        assert (status.run, status.state, status.reason, status.rerun_id) == (2, READY, "Queued", "1")
        assert status.kept == Kept(since=1, jobs=(1, 0))
        assert (status.accepted_time, status.start_time, status.completion_time) == (make.at(20), None, None)
        assert {one.type: one.status for one in status.conditions}["Finished"] == "False"

    def test_all_keeps_nothing(self) -> None:
        status = told(finished({"id": "1", "scope": "All"}, status=replace(ENDED, kept=Kept(since=1, jobs=(1, 0)))))
        assert (status.run, status.kept) == (2, None)

    def test_the_memory_goes_back_to_the_last_run_of_all(self) -> None:
        status = replace(ENDED, run=4, kept=Kept(since=2, jobs=(1, 0)))
        tally = tally_of(ran(ERROR, run=4)).with_kept([tally_of(ran(DONE, run=2))], Kept(since=2, jobs=(1, 0)))
        pipeline = finished({"id": "1"}, status=status)
        rerun = wish(pipeline)
        assert rerun is not None
        assert answer(pipeline, rerun, tally, make.at(20)).kept == Kept(since=2, jobs=(1, 0))

    def test_it_waits_for_the_cancel_to_go(self) -> None:
        pipeline = finished({"id": "1"}, cancel="Now")
        status = told(pipeline, *ran(DONE, ERROR))
        assert status == replace(ENDED, message="rerun 1 waits until spec.cancel is removed")
        assert told(replace(pipeline, status=status), *ran(DONE, ERROR)) == status

    @pytest.mark.parametrize(
        ("status", "jobs"),
        [
            pytest.param(ENDED, ran(ERROR), id="a done job is gone"),
            pytest.param(ENDED, [], id="all are gone"),
            pytest.param(replace(ENDED, cleanup_time=make.at(9)), ran(DONE, ERROR), id="they are about to go"),
        ],
    )
    def test_failed_is_refused_when_nobody_knows_what_is_done(
        self, status: PipelineStatus, jobs: list[JobRecord]
    ) -> None:
        refused = told(finished({"id": "1"}, status=status), *jobs)
        assert refused == replace(status, rerun_id="1", message=f"rerun 1 was refused: {REMOVED}")

    def test_failed_is_refused_when_a_kept_job_is_gone_from_a_run_that_was_not_valid(self) -> None:
        kept = Kept(since=1, jobs=(1, 0))
        pipeline = finished({"id": "1"}, status=replace(ENDED, run=2, stages=(), kept=kept))
        rerun = wish(pipeline)
        assert rerun is not None
        refused = answer(pipeline, rerun, tally_of([]).with_kept([], kept), make.at(20))
        assert (refused.run, refused.rerun_id) == (2, "1")

    def test_failed_is_refused_when_there_is_nothing_to_do(self) -> None:
        status = replace(ENDED, state=DONE, stages=())
        refused = told(finished({"id": "1"}, status=status), *ran(DONE, DONE, DONE))
        assert refused == replace(status, rerun_id="1", message=f"rerun 1 was refused: {ALL_DONE}")


class TestKeptNames:
    def test_done_jobs_of_earlier_runs_that_count(self) -> None:
        pipeline = finished(None, status=replace(ENDED, run=4, kept=Kept(since=2, jobs=(2, 0))))
        jobs = [*ran(DONE, DONE, run=1), *ran(DONE, ERROR, run=2), *ran(READY, DONE, run=3), *ran(DONE, run=4)]
        assert kept_names(pipeline, jobs) == {"a", "b"}
        other = [make.job("z", state=DONE, run=2, pipeline_uid="other")]
        assert kept_names(pipeline, [*ran(DONE, run=1), *other]) == frozenset()

    def test_a_first_run_keeps_nothing(self) -> None:
        assert kept_names(finished(None), ran(DONE)) == frozenset()


class TestNoWishAnyMore:
    WAITS = replace(ENDED, message="rerun 1 waits until spec.cancel is removed", conditions=SAID)

    @pytest.mark.parametrize("rerun", [None, {"id": "0"}])
    def test_the_word_about_a_rerun_that_was_withdrawn_is_taken_back(self, rerun: dict[str, str] | None) -> None:
        status = replace(self.WAITS, rerun_id="0")
        assert unasked(finished(rerun, status=status)) == replace(status, message=ENDED.message)

    def test_a_run_that_ended_without_a_word_has_none_again(self) -> None:
        status = replace(self.WAITS, conditions=(replace(SAID[0], message=""),))
        assert unasked(finished(None, status=status)).message is None

    def test_why_it_was_refused_is_told_as_long_as_it_is_in_the_spec(self) -> None:
        status = replace(self.WAITS, message=f"rerun 1 was refused: {ALL_DONE}", rerun_id="1")
        assert unasked(finished({"id": "1"}, status=status)) == status
        assert unasked(finished(None, status=status)).message == ENDED.message

    def test_a_long_message_of_which_the_condition_has_only_the_beginning_stays(self) -> None:
        status = replace(ENDED, message="x" * 5000, conditions=(replace(SAID[0], message="x" * 1024),))
        assert unasked(finished(None, status=status)) == status


def test_a_rerun_waits_for_what_deleted_jobs_have_left_behind() -> None:
    pipeline = finished({"id": "1", "scope": "All"})
    rerun = wish(pipeline)
    assert rerun is not None
    status = answer(pipeline, rerun, tally_of([]), make.at(20), remnants=True)
    assert (status.run, status.rerun_id) == (pipeline.status.run, None)
    assert status.message == "rerun 1 waits until the workloads of deleted PipelineJobs have ended"
