"""Which stage of a Pipeline is open, whether the next one may open, and how each stage stands.

The barrier: a stage opens when every job of all earlier stages is final and none of them failed in a way that counts.
Judged on one tally; a job that goes back to READY keeps the barrier shut. A stage without jobs is passed, and so is one
whose jobs were all DONE in the run before. Where one of those has been deleted by hand, nothing more is created: nobody
can tell any more which of the stage's jobs would run for a second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from task_pipeline.api.states import State
from task_pipeline.core.records import StageStatus
from task_pipeline.core.rollup import StageTally, Tally


@dataclass(frozen=True, slots=True)
class Barrier:
    """Where a run stands.

    `open` is the index of the first stage that is not over, len(stages) when all are; `divide` the stage whose jobs are
    to be created now, or None. `broken` is the first stage behind which nothing may start, or None, and `failed` says
    that a failure that counts is why (not only a cancel or the deadline); `deleted` is how many of its jobs were
    deleted by hand.
    """

    open: int
    divide: int | None = None
    broken: int | None = None
    failed: bool = False
    deleted: int = 0


def judge(totals: Sequence[int], divided: int, tally: Tally) -> Barrier:
    """The barrier of a run whose stages up to index `divided` (-1: none) have had all their jobs created."""
    for index, total in enumerate(totals):
        stage = tally.stage(index)
        if index > divided:
            if stage.done < stage.kept:
                return Barrier(len(totals), broken=index, failed=True, deleted=stage.kept - stage.done)
            if total == stage.kept:
                continue
            return Barrier(index, divide=index)
        deleted = max(0, total - stage.existing)
        failed = deleted > 0 or stage.failures > 0
        if failed or stage.user_cancelled or stage.overdue:
            return Barrier(index if tally.unfinished else len(totals), broken=index, failed=failed, deleted=deleted)
        if stage.unfinished:
            return Barrier(index)
    return Barrier(len(totals))


def not_created(totals: Sequence[int], divided: int, tally: Tally) -> int:
    """How many jobs of stages behind index `divided` do not exist: they are still to come, or never will."""
    return sum(max(0, total - tally.stage(index).existing) for index, total in enumerate(totals) if index > divided)


def stage_status(name: str, total: int, stage: StageTally, *, created: bool, over: bool, reached: bool) -> StageStatus:
    """How a stage of `total` jobs stands; the five counts add up to its total.

    `created`: all of its jobs have been, so one that is missing was deleted, which is a failure; `over`: the run is, so
    one that is missing was never started, which counts as cancelled; `reached`: an empty stage has been passed.
    """
    missing = max(0, total - stage.existing)
    deleted = missing if created else 0
    never = missing - deleted if over else 0
    status = StageStatus(
        name=name,
        state=State.READY,
        total=stage.existing + missing,
        waiting=stage.waiting + missing - deleted - never,
        running=stage.running,
        done=stage.done,
        failed=stage.failed + deleted,
        cancelled=stage.cancelled + never,
    )
    return replace(status, state=_state(status, stage, failures=stage.failures + deleted, over=over, reached=reached))


def _state(status: StageStatus, stage: StageTally, *, failures: int, over: bool, reached: bool) -> State:
    if status.total == 0:
        if reached:
            return State.DONE
        return State.CANCELLED if over else State.READY
    if status.running or stage.stopping or (status.waiting and (status.done > stage.kept or status.failed)):
        return State.IN_PROGRESS
    if status.waiting:
        return State.READY
    if failures:
        return State.ERROR
    return State.CANCELLED if status.cancelled > stage.excused else State.DONE
