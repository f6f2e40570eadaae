"""Sending again what may be sent again, when the trouble is of a kind that passes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from task_pipeline.kube.errors import KubeError, Unauthorized, is_transient

TRIES = 3
PAUSE = 0.3  # seconds before the second try, twice that before the third
LONGEST_PAUSE = 5.0
T = TypeVar("T")


async def retried(call: Callable[[], Awaitable[T]], passes: Callable[[KubeError], bool] = is_transient) -> T:
    """The answer of a request that may be sent again after errors that pass; raises the KubeError of the last try.

    A credential that is refused is tried once more, since plugins then get a new one.
    """
    for attempt in range(TRIES - 1):
        try:
            return await call()
        except KubeError as error:
            if not passes(error) or (isinstance(error, Unauthorized) and attempt):
                raise
            asked = getattr(error, "retry_after", None)
            await asyncio.sleep(min(asked or PAUSE * (attempt + 1), LONGEST_PAUSE))
    return await call()
