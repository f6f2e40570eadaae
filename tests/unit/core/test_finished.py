"""What is done about a Pipeline that is over, and when."""

from typing import Any

import pytest
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.conditions import Situation, pipeline_conditions
from task_pipeline.core.finished import Afterwards, Cleanup, acknowledged, afterwards
from task_pipeline.core.records import PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import tally_of
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State
ENDED = PipelineStatus(
    state=DONE, reason="Succeeded", observed_generation=1, start_time=make.at(0), completion_time=make.at(10)
)
REMOVING = replace(ENDED, cleanup_time=make.at(70))


def then(*, at: float, jobs: bool = True, ttl: float = 60, status: PipelineStatus = ENDED, **spec: Any) -> Afterwards:
    """What is next for a Pipeline that ended at second 10."""
    return afterwards(finished(status, **spec), tally_of([]), jobs=jobs, ttl=ttl, now=make.moment(at))


def finished(status: PipelineStatus = ENDED, **spec: Any) -> PipelineRecord:
    return make.pipeline(status=status, **spec)


def test_nothing_happens_before_the_time_and_a_look_is_planned_for_it() -> None:
    assert then(at=69) == Afterwards(ENDED, wake=make.moment(70))


def test_the_own_time_to_live_beats_the_settings() -> None:
    assert then(at=11, ttlSecondsAfterFinished=5).wake == make.moment(15)
    assert then(at=11, ttlSecondsAfterFinished=0).cleanup is Cleanup.JOBS


def test_a_pipeline_that_cannot_be_decoded_goes_by_the_settings() -> None:
    pipeline = make.pipeline(spec=None, fault="bad", status=ENDED)
    assert afterwards(pipeline, tally_of([]), jobs=True, ttl=60, now=make.moment(11)).wake == make.moment(70)


def test_the_jobs_go_when_the_time_has_come() -> None:
    assert then(at=70) == Afterwards(ENDED, Cleanup.JOBS)
    assert then(at=71, status=REMOVING) == Afterwards(REMOVING, Cleanup.JOBS)


def test_what_has_no_jobs_is_left_as_it_is() -> None:
    assert then(at=70, jobs=False) == Afterwards(ENDED)
    assert then(at=71, jobs=False, status=REMOVING) == Afterwards(REMOVING)


@pytest.mark.parametrize("jobs", [True, False])
def test_delete_takes_the_pipeline(jobs: bool) -> None:
    assert then(at=69, jobs=jobs, ttlPolicy="Delete").cleanup is Cleanup.NONE
    assert then(at=70, jobs=jobs, ttlPolicy="Delete") == Afterwards(ENDED, Cleanup.PIPELINE)


def test_a_date_beyond_the_calendar_never_comes() -> None:
    assert then(at=1e9, ttl=1e12) == Afterwards(ENDED)


def test_a_rerun_goes_before_the_cleaning_up() -> None:
    again = then(at=100, ttlPolicy="Delete", rerun={"id": "1", "scope": "All"})
    assert (again.status.run, again.cleanup, again.wake) == (2, Cleanup.NONE, None)


def test_a_refused_rerun_does_not_stop_the_cleaning_up() -> None:
    refused = then(at=100, ttlPolicy="Delete", rerun={"id": "1"}, status=REMOVING)
    assert (refused.status.run, refused.status.rerun_id, refused.cleanup) == (None, "1", Cleanup.PIPELINE)


def test_an_edit_is_acknowledged_with_all_conditions() -> None:
    situation = Situation(DONE, Reason.SUCCEEDED, "", False, 1, make.at(10))
    status = replace(ENDED, conditions=pipeline_conditions((), situation))
    seen = acknowledged(finished(status, generation=4))
    assert seen.observed_generation == 4
    assert {one.observed_generation for one in seen.conditions} == {4}
    assert then(at=11, status=status).status == status
    assert acknowledged(finished(replace(status, observed_generation=-1), generation=4)).observed_generation == -1
