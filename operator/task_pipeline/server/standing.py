"""Whether what is held open may go on: its credential and its rights are asked about anew every few seconds.

Rule: a refusal ends it, and the caller, who comes back, is told why. What cannot be asked now is asked next time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth.callers import Caller
from task_pipeline.server.call import Call
from task_pipeline.server.problem import ProblemError

EVERY = 10.0  # seconds
Judge = Callable[[], Awaitable[object]]
PROOF: web.RequestKey[Callable[[], Awaitable[Caller | None]]] = web.RequestKey("proof")
"""Proves the caller of a request once more, None when that is no longer possible. Raises KubeError."""


async def stands(call: Call, judge: Judge) -> bool:
    """Whether the caller is still who it was, with the same namespaces, and `judge` still raises no refusal."""
    prove = call.request.get(PROOF)
    try:
        if prove is not None and await prove() != call.caller:
            return False
        await judge()
    except ProblemError as error:
        return error.status not in (401, 403, 404)
    except KubeError:
        return True
    return True


@asynccontextmanager
async def while_it_stands(call: Call, judge: Judge, seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError in the block after so many seconds, and as soon as the call stands no longer."""
    async with asyncio.timeout(seconds) as limit:
        watcher = asyncio.create_task(_end(call, judge, limit))
        try:
            yield
        finally:
            watcher.cancel()


async def _end(call: Call, judge: Judge, limit: asyncio.Timeout) -> None:
    while True:
        await asyncio.sleep(EVERY)
        if not await stands(call, judge):
            limit.reschedule(asyncio.get_running_loop().time())
            return
