"""The five states and the edges between them: the single source of the state machine.

Rule: the CRDs' CEL rules, docs/states.md and the operator all read these tables; nobody else
spells an edge. Everything finer than a state is a reason (reasons.py).

`TRANSITIONS_JOB` and `TRANSITIONS_PIPELINE` hold the edges inside one run, made from the edges
with their meaning. A Pipeline has two
more ways out of a final state: a rerun (`run` increases, to a state of `RERUN_TARGETS`), and, for
one that has never started, a corrected spec (`REPAIR`).
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """The state of a Pipeline, of a stage or of a PipelineJob."""

    READY = "READY"
    IN_PROGRESS = "IN PROGRESS"
    DONE = "DONE"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"


TERMINAL: frozenset[State] = frozenset({State.DONE, State.ERROR, State.CANCELLED})

Edges = Mapping[tuple[State, State], str]

JOB_EDGES: Edges = {
    (State.READY, State.IN_PROGRESS): "an attempt is launched",
    (State.READY, State.CANCELLED): "cancelled, an earlier stage failed, or the queue timeout has passed",
    (State.IN_PROGRESS, State.DONE): "the attempt succeeded",
    (State.IN_PROGRESS, State.READY): (
        "the attempt failed or timed out and attempts are left; it was lost to the infrastructure; "
        "or it was stopped by a cancel"
    ),
    (State.IN_PROGRESS, State.ERROR): "the attempt failed or timed out and none is left",
}

PIPELINE_EDGES: Edges = {
    (State.READY, State.IN_PROGRESS): "the first launch of the run",
    (
        State.READY,
        State.ERROR,
    ): "invalid spec, a client that does not allow it, or a job that failed unlaunched",
    (State.READY, State.CANCELLED): "cancelled before anything was launched",
    (State.IN_PROGRESS, State.DONE): "every job that counts is done",
    (State.IN_PROGRESS, State.ERROR): "a job failed that was not allowed to, or the deadline has passed",
    (State.IN_PROGRESS, State.CANCELLED): "cancelled, and nothing runs any more",
}


def _table(edges: Edges) -> Mapping[State, frozenset[State]]:
    return {state: frozenset(new for old, new in edges if old is state) for state in State}


TRANSITIONS_JOB: Mapping[State, frozenset[State]] = _table(JOB_EDGES)
TRANSITIONS_PIPELINE: Mapping[State, frozenset[State]] = _table(PIPELINE_EDGES)

RERUN_TARGETS: frozenset[State] = frozenset({State.READY, State.IN_PROGRESS})
REPAIR: Mapping[State, frozenset[State]] = {State.ERROR: frozenset({State.READY})}


def job_may_move(old: State, new: State) -> bool:
    """Whether a PipelineJob may go from `old` to `new`; staying is always allowed."""
    return new is old or new in TRANSITIONS_JOB[old]


def pipeline_may_move(old: State, new: State, *, run_increased: bool = False, started: bool = True) -> bool:
    """Whether a Pipeline may go from `old` to `new`; staying is always allowed.

    `run_increased` says that the same write raises `status.run`; `started` whether the Pipeline
    has ever launched anything (`status.startTime` set, or a run beyond the first).
    """
    if new is old or new in TRANSITIONS_PIPELINE[old]:
        return True
    if run_increased and old in TERMINAL and new in RERUN_TARGETS:
        return True
    return not started and new in REPAIR.get(old, frozenset())
