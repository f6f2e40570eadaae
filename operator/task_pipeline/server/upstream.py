"""Requests to the API server on behalf of a caller, repeated inside a small budget.

Rule: only what may be repeated is passed in. A conflict, an overload and silence pass by themselves, so the caller
hears of them only when they outlast the budget, as 503 and never as "already exists". Everything else is an answer.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson

from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import ApiError, Conflict, Overloaded, ServerError, Unreachable

BUDGET = 5.0  # seconds, all attempts together
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

Object = dict[str, Any]
T = TypeVar("T")


async def persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns, asked again while the trouble may pass and BUDGET lasts; else its error."""
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + BUDGET, _FIRST_PAUSE
    while True:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await attempt()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Unreachable(f"no answer within {BUDGET:g} s") from error
        except (Conflict, Overloaded, ServerError, Unreachable) as error:
            asked = error.retry_after if isinstance(error, ApiError) else None
            wait = max(asked or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads retries, no secret)
            if clock() + wait >= deadline:
                raise
            await asyncio.sleep(wait)
            pause = min(_LONGEST_PAUSE, pause * 2)


async def get(cluster: Cluster, resource: Resource, namespace: str | None, name: str) -> Object:
    """One object as it is now; raises KubeError."""
    found: Object = orjson.loads(await persistently(lambda: cluster.get(resource, namespace, name)))
    return found
