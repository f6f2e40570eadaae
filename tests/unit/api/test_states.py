"""The state machine as the contract's table has it."""

from itertools import product

import pytest

from task_pipeline.api.states import (
    TERMINAL,
    TRANSITIONS_JOB,
    TRANSITIONS_PIPELINE,
    State,
    job_may_move,
    pipeline_may_move,
)

READY, RUNNING, DONE, ERROR, CANCELLED = State

JOB = {(READY, RUNNING), (READY, CANCELLED), (RUNNING, DONE), (RUNNING, READY), (RUNNING, ERROR)}
PIPELINE = {
    (READY, RUNNING),
    (READY, ERROR),
    (READY, CANCELLED),
    (RUNNING, DONE),
    (RUNNING, ERROR),
    (RUNNING, CANCELLED),
}
PAIRS = list(product(State, State))


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_job_edges(old: State, new: State) -> None:
    assert job_may_move(old, new) is (old is new or (old, new) in JOB)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_pipeline_edges_within_a_run(old: State, new: State) -> None:
    assert pipeline_may_move(old, new) is (old is new or (old, new) in PIPELINE)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_rerun_leaves_final_states_only(old: State, new: State) -> None:
    way_out = old in TERMINAL and new in (READY, RUNNING)
    assert pipeline_may_move(old, new, run_increased=True) is (old is new or (old, new) in PIPELINE or way_out)


def test_a_pipeline_that_never_started_may_be_repaired() -> None:
    assert pipeline_may_move(ERROR, READY, started=False)
    assert not pipeline_may_move(CANCELLED, READY, started=False)
    assert not pipeline_may_move(ERROR, RUNNING, started=False)


def test_tables_are_total_and_final_states_have_no_edge() -> None:
    for table in (TRANSITIONS_JOB, TRANSITIONS_PIPELINE):
        assert set(table) == set(State)
        assert all(not table[state] for state in TERMINAL)


def test_words() -> None:
    assert [str(state) for state in State] == ["READY", "IN PROGRESS", "DONE", "ERROR", "CANCELLED"]
