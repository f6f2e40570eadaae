"""Which end from outside applies to a job, and whether what runs is stopped for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.core.closing import Closing, Pressure, of_job, of_pipeline, pressure
from task_pipeline.core.records import PipelineStatus
from task_pipeline.core.stages import Barrier
from tests.unit.core.job_builders import NOW, at, job, job_spec, pipeline

WHOLE = Barrier(open=0, divide=None, broken=None, deleted=0)
BROKEN = Barrier(open=0, broken=0, failed=True)
CUT = Barrier(open=0, broken=0)  # by the cancel of a job
LATE = PipelineStatus(start_time=at(-60))
OVER = {"timeout": 60}


def short(closing: Closing | None) -> tuple[Reason, bool] | None:
    """Reason and whether running jobs stop."""
    return None if closing is None else (closing.reason, closing.stop_running)


@pytest.mark.parametrize(
    ("spec", "status", "closing"),
    [
        ({}, LATE, None),
        ({"cancel": "Now"}, LATE, (Reason.USER_CANCELLED, True)),
        ({"cancel": "Drain"}, LATE, (Reason.USER_CANCELLED, False)),
        ({"cancel": "Drain"} | OVER, LATE, (Reason.USER_CANCELLED, True)),
        (OVER, LATE, (Reason.DEADLINE_EXCEEDED, True)),
        ({"timeout": 61}, LATE, None),
        (OVER, PipelineStatus(), None),
        ({"timeout": 10**11}, LATE, None),
    ],
)
def test_a_pipeline_ends_by_its_cancel_or_its_deadline(
    spec: dict[str, Any], status: PipelineStatus, closing: tuple[Reason, bool] | None
) -> None:
    assert short(of_pipeline(pipeline(spec, status=status), NOW)) == closing


def test_an_undecodable_pipeline_ends_nothing() -> None:
    unreadable = replace(pipeline(), spec=None, fault="spec.jobs: must be a list")
    assert of_pipeline(unreadable, NOW) is None
    assert of_job(job(), unreadable, BROKEN, NOW) is None


@pytest.mark.parametrize(
    ("own", "spec", "barrier", "closing"),
    [
        ({}, {}, WHOLE, None),
        ({"cancel": "Now"}, {}, WHOLE, (Reason.USER_CANCELLED, True)),
        ({"cancel": "Drain"}, {}, WHOLE, (Reason.USER_CANCELLED, False)),
        ({"cancel": "Drain"}, {"cancel": "Now"}, WHOLE, (Reason.USER_CANCELLED, True)),
        ({"cancel": "Drain"}, {"cancel": "Drain"}, WHOLE, (Reason.USER_CANCELLED, False)),
        ({"cancel": "Drain"}, OVER, WHOLE, (Reason.DEADLINE_EXCEEDED, True)),
        ({"cancel": "Now"}, OVER, WHOLE, (Reason.USER_CANCELLED, True)),
        ({"cancel": "Drain", "run": 2}, {}, WHOLE, (Reason.UPSTREAM_FAILED, True)),
        ({"run": 2}, {}, WHOLE, (Reason.UPSTREAM_FAILED, True)),
        ({}, {"cancel": "Drain"}, BROKEN, (Reason.USER_CANCELLED, False)),
        ({}, {}, BROKEN, None),
        ({}, {"fail_fast": True}, BROKEN, (Reason.FAIL_FAST, False)),
        ({}, {"fail_fast": True}, CUT, None),
        ({"stage_index": 1}, {"fail_fast": True}, CUT, (Reason.UPSTREAM_FAILED, False)),
        ({"stage_index": 1}, {}, BROKEN, (Reason.UPSTREAM_FAILED, False)),
        ({"stage_index": 1}, {"fail_fast": True}, BROKEN, (Reason.UPSTREAM_FAILED, False)),
    ],
)
def test_the_strictest_end_applies_to_a_job(
    own: dict[str, Any], spec: dict[str, Any], barrier: Barrier, closing: tuple[Reason, bool] | None
) -> None:
    assert short(of_job(job(**own), pipeline(spec, status=LATE), barrier, NOW)) == closing


def test_messages_say_who_ended_it() -> None:
    two = {"stages": ("build", "s"), "jobs": (job_spec("j", "build"), job_spec("k"))}
    ends = [
        of_job(job(cancel="Now"), pipeline(), WHOLE, NOW),
        of_job(job(), pipeline({"cancel": "Drain"}), WHOLE, NOW),
        of_job(job(), pipeline(OVER, status=LATE), WHOLE, NOW),
        of_job(job(stage_index=1), pipeline(two), BROKEN, NOW),
        of_job(job(stage_index=1), pipeline(two), CUT, NOW),
        of_job(job(), pipeline(two | {"fail_fast": True}), BROKEN, NOW),
        of_job(job(run=7), pipeline(), WHOLE, NOW),
    ]
    assert [end.message for end in ends if end is not None] == [
        "the job was cancelled (Now)",
        "the Pipeline was cancelled (Drain)",
        "the Pipeline ran longer than its timeout of 60 s",
        "a job of stage build failed",
        "a job of stage build was cancelled",
        "a job of stage build failed and failFast is set",
        "run 7 is over",
    ]


CANCELS = st.sampled_from([None, "Drain", "Now"])


@given(CANCELS, CANCELS, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 1))
def test_running_jobs_stop_whenever_anybody_wants_them_to(
    own: str | None, whole: str | None, late: bool, old: bool, broken: bool, stage: int
) -> None:
    spec = {"cancel": whole} | (OVER if late else {})
    record = job(cancel=own, run=2 if old else 1, stage_index=stage)
    closing = of_job(record, pipeline(spec, status=LATE), BROKEN if broken else WHOLE, NOW)
    stops = own == "Now" or whole == "Now" or late or old
    assert (closing is not None and closing.stop_running) is stops
    assert (closing is not None) is (stops or own is not None or whole is not None or (broken and stage == 1))


@pytest.mark.parametrize(
    ("spec", "barrier", "wanted"),
    [
        ({}, WHOLE, None),
        ({"cancel": "Drain"}, WHOLE, Pressure(Reason.USER_CANCELLED, False, None, False)),
        ({"cancel": "Drain"} | OVER, WHOLE, Pressure(Reason.USER_CANCELLED, True, None, False)),
        (OVER, BROKEN, Pressure(Reason.DEADLINE_EXCEEDED, True, 0, True)),
        ({}, BROKEN, Pressure(None, False, 0, True)),
        ({}, CUT, Pressure(None, False, 0, False)),
    ],
)
def test_whatever_makes_an_end_stricter_is_another_pressure(
    spec: dict[str, Any], barrier: Barrier, wanted: Pressure | None
) -> None:
    assert pressure(of_pipeline(pipeline(spec, status=LATE), NOW), barrier) == wanted
