"""How a run ends: one function of what has become of its jobs, asked only when nothing of it runs.

The order of the questions is the policy, and docs/concepts.md prints it as a table:
cancelled by the user > the deadline > any failure that counts > DONE.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.closing import Closing
from task_pipeline.core.rollup import Tally
from task_pipeline.core.stages import Barrier, not_created


@dataclass(frozen=True, slots=True)
class Ending:
    """What an outcome depends on, and nothing else.

    `cancelled`: a user ended a job that counts, or the run before it was through; `overdue`: the deadline did;
    `deleted`: PipelineJobs were deleted by hand; `failed`: a failure that counts; `warned`: one that was allowed.
    """

    cancelled: bool = False
    overdue: bool = False
    deleted: bool = False
    failed: bool = False
    warned: bool = False


def outcome(ending: Ending) -> tuple[State, Reason]:
    """The final state of the run and its reason."""
    if ending.cancelled:
        return State.CANCELLED, Reason.USER_CANCELLED
    if ending.overdue:
        return State.ERROR, Reason.DEADLINE_EXCEEDED
    if ending.deleted:
        return State.ERROR, Reason.JOB_DELETED
    if ending.failed:
        return State.ERROR, Reason.JOB_FAILED
    return State.DONE, Reason.SUCCEEDED_WITH_WARNINGS if ending.warned else Reason.SUCCEEDED


def ending_of(totals: Sequence[int], divided: int, tally: Tally, barrier: Barrier, closing: Closing | None) -> Ending:
    """What became of a run with `totals` jobs per stage, created up to stage `divided`, all of which are final.

    A cancel or a deadline that comes when all is through has ended nothing, and counts for nothing.
    """
    cut_short = not_created(totals, divided, tally) > 0 or tally.total("cancelled") > tally.total("excused")
    reason = closing.reason if closing is not None and cut_short else None
    return Ending(
        cancelled=tally.total("user_cancelled") > 0 or reason is Reason.USER_CANCELLED,
        overdue=tally.total("overdue") > 0 or reason is Reason.DEADLINE_EXCEEDED,
        deleted=barrier.deleted > 0,
        failed=barrier.failed,
        warned=tally.total("allowed") > 0,
    )
