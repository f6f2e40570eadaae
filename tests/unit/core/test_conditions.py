"""Conditions: the contract's table, cell by cell, and times that move only when a status does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.conditions import Situation, job_conditions, pipeline_conditions
from task_pipeline.core.records import Condition
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State
NAMES = ("Accepted", "Succeeded", "Finished", "Ready", "Reconciling", "Stalled", "Suspended")
ROWS = {
    "READY, waiting": (READY, Reason.QUEUED, "True Unknown False False True - -"),
    "READY, full": (READY, Reason.QUEUE_FULL, "True Unknown False False True - -"),
    "IN PROGRESS": (RUNNING, Reason.STAGE_RUNNING, "True Unknown False False True - -"),
    "stopping": (RUNNING, Reason.STOPPING, "True Unknown False False True - -"),
    "suspended, waiting": (READY, Reason.SUSPENDED, "True Unknown False True - - True"),
    "suspended, running": (RUNNING, Reason.SUSPENDED, "True Unknown False True - - True"),
    "DONE": (DONE, Reason.SUCCEEDED, "True True True True - - -"),
    "DONE with warnings": (DONE, Reason.SUCCEEDED_WITH_WARNINGS, "True True True True - - -"),
    "ERROR": (ERROR, Reason.JOB_FAILED, "True False True False - True -"),
    "CANCELLED": (CANCELLED, Reason.USER_CANCELLED, "True False True False - True -"),
    "invalid": (ERROR, Reason.INVALID_SPEC, "False False True False - True -"),
    "refused by its client": (ERROR, Reason.CLIENT_NOT_ALLOWED, "False False True False - True -"),
}


def situation(state: State, reason: Reason, *, seconds: float = 0, generation: int = 1) -> Situation:
    invalid = reason in (Reason.INVALID_SPEC, Reason.CLIENT_NOT_ALLOWED)
    return Situation(state, reason, "said", invalid, generation, make.at(seconds))


@pytest.mark.parametrize("row", ROWS)
def test_the_table_of_the_contract(row: str) -> None:
    state, reason, cells = ROWS[row]
    told = pipeline_conditions((), situation(state, reason))
    expected = {name: cell for name, cell in zip(NAMES, cells.split(), strict=True) if cell != "-"}
    assert {one.type: one.status for one in told} == expected
    assert len(told) == len(expected)
    assert all(one.last_transition_time == make.at(0) and one.observed_generation == 1 for one in told)


@pytest.mark.parametrize(
    ("row", "name", "reason"),
    [
        ("READY, waiting", "Accepted", "Accepted"),
        ("READY, waiting", "Reconciling", "Queued"),
        ("suspended, running", "Ready", "Suspended"),
        ("suspended, running", "Suspended", "Suspended"),
        ("DONE", "Succeeded", "Succeeded"),
        ("DONE with warnings", "Succeeded", "SucceededWithWarnings"),
        ("ERROR", "Succeeded", "JobFailed"),
        ("CANCELLED", "Succeeded", "Cancelled"),
        ("CANCELLED", "Finished", "UserCancelled"),
        ("invalid", "Accepted", "InvalidSpec"),
        ("invalid", "Succeeded", "InvalidSpec"),
        ("refused by its client", "Accepted", "ClientNotAllowed"),
    ],
)
def test_the_reasons_of_the_contract(row: str, name: str, reason: str) -> None:
    state, why, _ = ROWS[row]
    told = {one.type: one for one in pipeline_conditions((), situation(state, why))}
    assert told[name].reason == reason


def test_a_message_stands_where_somebody_looks_for_it() -> None:
    told = pipeline_conditions((), situation(ERROR, Reason.JOB_FAILED))
    assert {one.type for one in told if one.message == "said"} == {"Succeeded", "Ready"}


@given(st.lists(st.sampled_from(sorted(ROWS)), min_size=1, max_size=6))
def test_a_time_moves_only_when_the_status_does(rows: list[str]) -> None:
    told: tuple[Condition, ...] = ()
    for number, row in enumerate(rows):
        state, reason, _ = ROWS[row]
        before = {one.type: one for one in told}
        told = pipeline_conditions(told, situation(state, reason, seconds=number, generation=number + 1))
        for one in told:
            old = before.get(one.type)
            same = old is not None and old.status == one.status
            assert one.last_transition_time == (old.last_transition_time if old and same else make.at(number))
            assert one.observed_generation == number + 1


@pytest.mark.parametrize(("state", "succeeded"), [(DONE, "True"), (ERROR, "False"), (CANCELLED, "False")])
def test_a_job_that_has_ended_says_so_twice(state: State, succeeded: str) -> None:
    finished, result = job_conditions(state, "Because", "said", make.at(5))
    assert (finished.type, finished.status, finished.reason) == ("Finished", "True", "Because")
    assert (result.type, result.status, result.reason, result.message) == ("Succeeded", succeeded, "Because", "said")
    assert {finished.last_transition_time, result.last_transition_time} == {make.at(5)}
