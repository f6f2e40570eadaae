"""The gate of the queue: which Pipelines may be divided while QUEUE_SIZE leaves room.

Pipelines that wait here have no children and cost nothing but their own object. They pass in order; one whose first
stage does not fit holds up those behind it, so a large one is not overtaken for ever. A first stage larger than the
whole queue passes when the queue is empty.
"""

import heapq
from itertools import count

from task_pipeline.core.ordering import OrderKey

PipelineUid = str
_Rank = tuple[int, OrderKey]


class Gate:
    """Waiting Pipelines by (client priority, key of their best first job). `size` None: unlimited, 0: closed."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self._waiting: dict[PipelineUid, tuple[_Rank, int, int]] = {}
        self._heap: list[tuple[_Rank, int, PipelineUid]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, pipeline: PipelineUid, client_priority: int, key: OrderKey, jobs: int) -> None:
        """`pipeline` wants to enqueue `jobs` jobs at once; again with another rank moves it."""
        rank = (client_priority, key)
        before = self._waiting.get(pipeline)
        if before is not None and before[:2] == (rank, jobs):
            return
        number = next(self._numbers)
        self._waiting[pipeline] = (rank, jobs, number)
        heapq.heappush(self._heap, (rank, number, pipeline))

    def remove(self, pipeline: PipelineUid) -> None:
        """The Pipeline does not wait any more; unknown ones are fine."""
        self._waiting.pop(pipeline, None)

    def next(self, enqueued: int) -> tuple[PipelineUid, int] | None:
        """The first Pipeline and its jobs, if it fits beside `enqueued` waiting jobs; this call takes it out."""
        while self._heap:
            _, number, pipeline = self._heap[0]
            entry = self._waiting.get(pipeline)
            if entry is None or entry[2] != number:
                heapq.heappop(self._heap)
                continue
            if not self._fits(entry[1], enqueued):
                return None
            heapq.heappop(self._heap)
            del self._waiting[pipeline]
            return pipeline, entry[1]
        return None

    def _fits(self, jobs: int, enqueued: int) -> bool:
        if self.size is None:
            return True
        return self.size > 0 and (enqueued == 0 or enqueued + jobs <= self.size)
