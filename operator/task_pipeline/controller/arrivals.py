"""What the operator has decided about Pipelines and not written yet: when they arrived, how far they are divided.

Both are in the status a moment later. Until then they are kept here, so that an order once given does not change and a
stage once divided is not asked for again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.times import format_time
from task_pipeline.cache.store import Store
from task_pipeline.core.records import PipelineRecord


class _Division(NamedTuple):
    """How far a run is divided, and for which generation of the spec."""

    run: int
    stage: int
    generation: int


class Arrivals:
    """Arrival times and divisions, by the UID of the Pipeline."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._accepted: dict[str, str] = {}
        self._divided: dict[str, _Division] = {}
        self._made_for: dict[str, PipelineSpec] = {}

    def accepted(self, uid: str) -> str:
        """The Pipeline's acceptedTime: the recorded one, or the time at which this was first asked."""
        record = self._store.pipelines.get(uid)
        if record is not None and record.status.accepted_time is not None:
            self._accepted.pop(uid, None)
            return record.status.accepted_time
        return self._accepted.setdefault(uid, format_time(self._now()))

    def divided(self, pipeline: PipelineRecord) -> int:
        """Index of the last stage of the current run whose PipelineJobs have all been created, -1 for none."""
        recorded = -1 if pipeline.status.divided is None else pipeline.status.divided
        known = self._divided.get(pipeline.uid)
        return known.stage if known is not None and known.run == pipeline.run else recorded

    def is_current(self, pipeline: PipelineRecord) -> bool:
        """Whether the PipelineJobs were made, or found right, for the spec as it is now."""
        known = self._divided.get(pipeline.uid)
        made_for = known.generation if known is not None and known.run == pipeline.run else None
        return pipeline.generation == (pipeline.status.observed_generation if made_for is None else made_for)

    def made_for(self, uid: str) -> PipelineSpec | None:
        """The spec for which the PipelineJobs were made, or found right; None when that is not known any more."""
        return self._made_for.get(uid)

    def remember(self, pipeline: PipelineRecord) -> None:
        """The spec is still the one that the PipelineJobs were made for."""
        if pipeline.spec is not None:
            self._made_for.setdefault(pipeline.uid, pipeline.spec)

    def confirm(self, pipeline: PipelineRecord) -> None:
        """The PipelineJobs that exist are right for the spec as it is now."""
        self._divided[pipeline.uid] = _Division(pipeline.run, self.divided(pipeline), pipeline.generation)
        self._note_spec(pipeline)

    def undo(self, pipeline: PipelineRecord) -> None:
        """The PipelineJobs that exist were made for an older spec: the Pipeline is to be divided again."""
        self._divided[pipeline.uid] = _Division(pipeline.run, -1, -1)

    def is_undone(self, pipeline: PipelineRecord) -> bool:
        """Whether PipelineJobs of an older spec are being replaced; until all are right, none of them may start."""
        known = self._divided.get(pipeline.uid)
        return known is not None and known.run == pipeline.run and known.generation < 0

    def divide(self, pipeline: PipelineRecord, index: int) -> None:
        """All PipelineJobs of stage `index` have been created."""
        self._divided[pipeline.uid] = _Division(pipeline.run, index, pipeline.generation)
        self._note_spec(pipeline)

    def close(self, uid: str) -> None:
        """What was made for which spec does not matter any more: the Pipeline has started, or is over."""
        self._made_for.pop(uid, None)

    def forget(self, uid: str) -> None:
        """The Pipeline is gone."""
        self._accepted.pop(uid, None)
        self._divided.pop(uid, None)
        self._made_for.pop(uid, None)

    def _note_spec(self, pipeline: PipelineRecord) -> None:
        if pipeline.spec is not None:
            self._made_for[pipeline.uid] = pipeline.spec
