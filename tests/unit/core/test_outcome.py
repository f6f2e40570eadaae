"""How a run ends: the truth table, row by row."""

from dataclasses import asdict
from itertools import product
from typing import Any

import pytest

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.closing import Closing
from task_pipeline.core.outcome import Ending, ending_of, outcome
from task_pipeline.core.records import JobRecord
from task_pipeline.core.rollup import tally_of
from task_pipeline.core.stages import judge
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State
CANCEL = Closing(Reason.USER_CANCELLED, "cancelled", True)
DEADLINE = Closing(Reason.DEADLINE_EXCEEDED, "late", True)

TABLE = [
    ("cancelled", CANCELLED, Reason.USER_CANCELLED),
    ("overdue", ERROR, Reason.DEADLINE_EXCEEDED),
    ("deleted", ERROR, Reason.JOB_DELETED),
    ("failed", ERROR, Reason.JOB_FAILED),
    ("warned", DONE, Reason.SUCCEEDED_WITH_WARNINGS),
]


@pytest.mark.parametrize("facts", list(product([False, True], repeat=5)))
def test_the_first_line_that_fits_decides(facts: tuple[bool, ...]) -> None:
    holds = dict(zip(asdict(Ending()), facts, strict=True))
    expected = next(((state, reason) for name, state, reason in TABLE if holds[name]), (DONE, Reason.SUCCEEDED))
    assert outcome(Ending(**holds)) == expected


def one(state: State, **fields: Any) -> JobRecord:
    """The only job of the first stage."""
    return make.job(state=state, **fields)


TWO_STAGES = [1, 1]


@pytest.mark.parametrize(
    ("totals", "jobs", "closing", "expected"),
    [
        pytest.param([1], [one(DONE)], None, set(), id="all done"),
        pytest.param([1], [one(DONE)], CANCEL, set(), id="the cancel came too late"),
        pytest.param([1], [one(DONE)], DEADLINE, set(), id="the deadline came too late"),
        pytest.param(TWO_STAGES, [one(DONE)], CANCEL, {"cancelled"}, id="cancelled between two stages"),
        pytest.param(TWO_STAGES, [one(DONE)], DEADLINE, {"overdue"}, id="late between two stages"),
        pytest.param([1], [], CANCEL, {"cancelled"}, id="cancelled before anything existed"),
        pytest.param([1], [one(CANCELLED, reason="UserCancelled")], CANCEL, {"cancelled"}, id="cancelled"),
        pytest.param([1], [one(CANCELLED, reason="UserCancelled")], None, {"cancelled"}, id="one job was cancelled"),
        pytest.param(
            [1],
            [one(CANCELLED, reason="UserCancelled", allow_failure=True)],
            CANCEL,
            {"cancelled"},
            id="cancelled, though every job may fail",
        ),
        pytest.param(
            [1],
            [one(CANCELLED, reason="UserCancelled", allow_failure=True)],
            None,
            set(),
            id="one job that may fail was cancelled",
        ),
        pytest.param(
            [1],
            [one(CANCELLED, reason="QueueTimeout", allow_failure=True)],
            CANCEL,
            {"warned"},
            id="the cancel came after an allowed queue timeout",
        ),
        pytest.param([1], [one(CANCELLED, reason="QueueTimeout")], None, {"failed"}, id="queue timeout"),
        pytest.param([1], [one(CANCELLED, reason="DeadlineExceeded")], DEADLINE, {"overdue"}, id="late"),
        pytest.param(
            [1], [one(CANCELLED, reason="DeadlineExceeded")], None, {"overdue"}, id="late, the timeout was raised since"
        ),
        pytest.param([1], [one(ERROR)], None, {"failed"}, id="failed"),
        pytest.param(TWO_STAGES, [one(ERROR)], CANCEL, {"failed", "cancelled"}, id="failed, then cancelled"),
        pytest.param([1], [one(ERROR)], CANCEL, {"failed"}, id="failed and through, then cancelled"),
        pytest.param([1], [one(ERROR, allow_failure=True)], None, {"warned"}, id="allowed to fail"),
        pytest.param([1], [], None, {"failed", "deleted"}, id="deleted by hand"),
    ],
)
def test_what_became_of_a_run(
    totals: list[int], jobs: list[JobRecord], closing: Closing | None, expected: set[str]
) -> None:
    divided = -1 if closing is not None and not jobs else 0
    tally = tally_of(jobs)
    ending = ending_of(totals, divided, tally, judge(totals, divided, tally), closing)
    assert {name for name, holds in asdict(ending).items() if holds} == expected
