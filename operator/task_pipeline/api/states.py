"""The five states and the edges between them: the single source of the state machine.

Rule: the CRDs' CEL rules, docs/states.md and the operator all read these tables; nobody else
spells an edge. Everything finer than a state is a reason (reasons.py).

`TRANSITIONS_JOB` and `TRANSITIONS_PIPELINE` hold the edges inside one run. A Pipeline has two
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

TRANSITIONS_JOB: Mapping[State, frozenset[State]] = {
    State.READY: frozenset({State.IN_PROGRESS, State.CANCELLED}),
    State.IN_PROGRESS: frozenset({State.DONE, State.READY, State.ERROR}),
    State.DONE: frozenset(),
    State.ERROR: frozenset(),
    State.CANCELLED: frozenset(),
}

TRANSITIONS_PIPELINE: Mapping[State, frozenset[State]] = {
    State.READY: frozenset({State.IN_PROGRESS, State.ERROR, State.CANCELLED}),
    State.IN_PROGRESS: frozenset({State.DONE, State.ERROR, State.CANCELLED}),
    State.DONE: frozenset(),
    State.ERROR: frozenset(),
    State.CANCELLED: frozenset(),
}

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
