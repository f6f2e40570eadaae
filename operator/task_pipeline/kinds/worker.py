"""Worker: work for programs that no Kubernetes knows. They ask for it, do it, and report over REST.

Nothing is launched: an attempt waits in its queue until a worker of the same client claims it. What the worker gets is
the payload as the author wrote it: nothing in it is read, converted or filled in.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field

from task_pipeline.core.workload import KindDefaults, Right
from task_pipeline.kinds._checks import Problem
from task_pipeline.kinds._scalars import KindModel, QueueName, integer_fault

MAX_PAYLOAD = 262_144  # bytes of JSON
MAX_DEPTH = 64


class WorkerParams(KindModel):
    """What a worker is to do, and in which queue it finds it."""

    queue: QueueName = Field(
        description="Name of the queue that workers ask. Queues need not be made; each client has its own."
    )
    payload: dict[str, Any] = Field(
        default_factory=dict, description="What the worker gets, any object; absent = an empty one."
    )


def _unfit(value: Any, path: str, depth: int = 1) -> Iterator[Problem]:
    """Whole numbers that would not arrive digit by digit, and what is nested too deep to be looked at."""
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        inner = ((f"{path}.{name}", one) for name, one in value.items())
    elif isinstance(value, list):
        inner = ((f"{path}[{index}]", one) for index, one in enumerate(value))
    elif isinstance(value, int) and (fault := integer_fault(value)) is not None:
        yield path, fault
    if depth > MAX_DEPTH:
        yield path, f"is nested deeper than {MAX_DEPTH} levels: make it flatter, or give it as a text"
        return
    for place, one in inner:
        yield from _unfit(one, place, depth + 1)


class WorkerKind:
    """The kind `Worker`."""

    name = "Worker"
    versions: Mapping[str, type[BaseModel]] = MappingProxyType({"1.0.0": WorkerParams})
    rights: tuple[Right, ...] = ()
    for_runner = False

    def problems(self, params: BaseModel, defaults: KindDefaults) -> Sequence[Problem]:
        """A payload that is too large, or would not arrive as it is."""
        assert isinstance(params, WorkerParams)
        unfit = tuple(_unfit(params.payload, "payload"))
        if unfit:
            return unfit
        size = len(
            json.dumps(params.payload, ensure_ascii=False, separators=(",", ":"), default=str).encode(
                "utf-8", "replace"
            )
        )
        if size <= MAX_PAYLOAD:
            return ()
        return (("payload", f"has {size} bytes, the limit is {MAX_PAYLOAD}: store it elsewhere and give its address"),)

    def queue(self, params: BaseModel) -> str:
        """The queue of the params."""
        assert isinstance(params, WorkerParams)
        return params.queue


KIND = WorkerKind()
