"""Which stage of a Pipeline is open, and whether the next one may open.

The barrier: a stage opens when every job of all earlier stages is final and none of them failed in a way that counts.
Judged on one tally; a job that goes back to READY keeps the barrier shut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from task_pipeline.core.rollup import StageTally, Tally


@dataclass(frozen=True, slots=True)
class Barrier:
    """Where a run stands.

    `open` is the index of the first stage that is not over, len(stages) when all are; `divide` the stage whose jobs are
    to be created now, or None; `broken` the first stage with a failure that counts, or None; `deleted` how many jobs of
    divided stages were deleted by hand.
    """

    open: int
    divide: int | None
    broken: int | None
    deleted: int


def judge(totals: Sequence[int], divided: int, tally: Tally) -> Barrier:
    """The barrier of a run whose stages up to index `divided` (-1: none) have had all their jobs created."""
    deleted = 0
    for index, total in enumerate(totals):
        if index > divided:
            if total == 0:
                continue
            return Barrier(open=index, divide=index, broken=None, deleted=deleted)
        stage = tally.stage(index)
        missing = max(0, total - stage.existing)
        deleted += missing
        if missing or stage.failures or stage.user_cancelled:
            unfinished = _unfinished_from(index, tally)
            return Barrier(open=index if unfinished else len(totals), divide=None, broken=index, deleted=deleted)
        if stage.unfinished:
            return Barrier(open=index, divide=None, broken=None, deleted=deleted)
    return Barrier(open=len(totals), divide=None, broken=None, deleted=deleted)


def _unfinished_from(index: int, tally: Tally) -> int:
    return sum(stage.unfinished for place, stage in tally.stages.items() if place >= index)


def has_failures(stage: StageTally) -> bool:
    """Whether a failure that counts has happened in this stage."""
    return stage.failures > 0
