"""Listening: caps on lines and headers, and problems also for what is no HTTP.

Rule: what aiohttp refuses before there is a request is answered in the form of all other refusals. It is no event of
ours: anybody can send bytes, so it is logged for debugging only.
"""

import asyncio
import logging
import uuid

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from task_pipeline.server.problem import MEDIA_TYPE, problem

MAX_LINE = 65_536  # bytes of a request line: a selector in percent-encoding may be long
MAX_FIELD = 16_384  # bytes of one header
MAX_HEADERS = 64
KEEP_ALIVE = 75.0  # seconds; longer than proxies keep their connections

log = logging.getLogger(__name__)


class Runner(web.AppRunner):
    """Runs an application within the caps. `stop_seconds`: how long requests in flight may take at the end."""

    def __init__(self, app: web.Application, stop_seconds: float) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=stop_seconds,
            keepalive_timeout=KEEP_ALIVE,
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
            max_headers=MAX_HEADERS,
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        loop = asyncio.get_running_loop()
        return _Server(made.request_handler, request_factory=made.request_factory, loop=loop, **self._kwargs)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to bytes that could not be read as a request; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        log.debug("not HTTP, from %s: %s", request.remote, exc)
        request_id = uuid.uuid4().hex
        told = problem(400, "BadRequest", "this cannot be read as an HTTP request within the limits of the server")
        if status >= 500:
            log.error("request %s failed in the HTTP library", request_id, exc_info=exc)
            told = problem(
                500, "InternalError", f"a fault of the server; its log tells more about request {request_id}"
            )
        headers = {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        body = told.document("", request_id).model_dump_json().encode()
        answer = web.Response(status=told.status, body=body, headers=headers, content_type=MEDIA_TYPE)
        answer.force_close()
        return answer
