"""The gate of the queue: which Pipelines may be divided while QUEUE_SIZE leaves room.

Pipelines that wait here have no children and cost nothing but their own object. They pass in order; one whose first
stage does not fit holds up those behind it, so a large one is not overtaken for ever. A first stage larger than the
whole queue passes when the queue is empty.
"""

from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.ranking import Ranking

PipelineUid = str


class Gate:
    """Waiting Pipelines by (client priority, key of their best first job). `size` None: unlimited, 0: closed."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self._waiting: Ranking[tuple[int, OrderKey]] = Ranking()
        self._jobs: dict[PipelineUid, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, pipeline: PipelineUid, client_priority: int, key: OrderKey, jobs: int) -> None:
        """`pipeline` wants to enqueue `jobs` jobs at once; again with another rank moves it."""
        self._waiting.put(pipeline, (client_priority, key))
        self._jobs[pipeline] = jobs

    def remove(self, pipeline: PipelineUid) -> None:
        """The Pipeline does not wait any more; unknown ones are fine."""
        self._waiting.remove(pipeline)
        self._jobs.pop(pipeline, None)

    def next(self, enqueued: int) -> tuple[PipelineUid, int] | None:
        """The first Pipeline and its jobs, if it fits beside `enqueued` waiting jobs; this call takes it out."""
        pipeline = self._waiting.first()
        if pipeline is None or not self._fits(self._jobs[pipeline], enqueued):
            return None
        jobs = self._jobs[pipeline]
        self.remove(pipeline)
        return pipeline, jobs

    def _fits(self, jobs: int, enqueued: int) -> bool:
        if self.size is None:
            return True
        return self.size > 0 and (enqueued == 0 or enqueued + jobs <= self.size)
