"""Questions to the API server on the way of a request: repeated a little, and never for long.

Rule: every question here may be asked twice without harm, so a lost answer is asked for again. What is passed on is
a KubeError, which the callers turn into 503 and never into "unauthorized".
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from task_pipeline.kube.errors import ApiError, KubeError, Unreachable, is_transient

SECONDS = 5.0
ATTEMPTS = 3
PAUSE = 0.1

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


async def ask(question: Callable[[], Awaitable[T]], *, seconds: float = SECONDS) -> T:
    """The answer, after up to three attempts within `seconds`. Raises KubeError."""
    try:
        async with asyncio.timeout(seconds):
            for number in range(1, ATTEMPTS):
                try:
                    return await question()
                except KubeError as error:
                    if not is_transient(error):
                        raise
                    asked = error.retry_after if isinstance(error, ApiError) else None
                    await asyncio.sleep(max(PAUSE * 2**number, asked or 0))
            return await question()
    except TimeoutError:
        raise Unreachable(f"no answer within {seconds:g} s") from None


class Flights(Generic[K, T]):
    """Lets many who want the same answer wait for one question."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[T]] = {}

    async def join(self, key: K, question: Callable[[], Awaitable[T]]) -> T:
        """The answer of the question under way for `key`, or of `question`. One who gives up does not stop it."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(_run(question))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: K, task: asyncio.Task[T]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more


async def _run(question: Callable[[], Awaitable[T]]) -> T:
    return await question()
