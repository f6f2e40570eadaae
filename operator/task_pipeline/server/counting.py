"""Counts what the REST server answers, around everything else that is done for a request."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from task_pipeline.observability.catalog import SERVER_DURATION, SERVER_REQUESTS
from task_pipeline.observability.clients import OTHER
from task_pipeline.observability.meters import Meters
from task_pipeline.server.app import CLIENT_GONE, ROUTE

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


def counting(meters: Meters) -> Middleware:
    """The outermost middleware of the application."""
    answers, duration = meters.counter(SERVER_REQUESTS), meters.histogram(SERVER_DURATION).of()

    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        clock = asyncio.get_running_loop().time
        began, status = clock(), CLIENT_GONE
        try:
            answer = await handler(request)
            status = answer.status
            return answer
        finally:
            route = request.get(ROUTE)
            method = request.method if request.method in METHODS else OTHER
            answers.of("none" if route is None else route.path, method, str(status)).inc()
            if route is None or not route.stream:
                duration.observe(clock() - began)

    return count
