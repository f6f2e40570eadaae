"""The application, built from the table of routes: what every request has in common is done here, once.

Rule: the order is request id, caps, route, authentication, decoding, handler; so whoever is not known costs no more
than headers. Whatever goes wrong becomes a problem document; a fault of ours is 500 without a trace, and the log has it
under the request's id.
"""

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel

from task_pipeline.kube.errors import KubeError
from task_pipeline.server import crossing, reading
from task_pipeline.server.auth import audit
from task_pipeline.server.auth.callers import CALLER, NOBODY, Caller, CallerKind
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.problem import MEDIA_TYPE, RETRY_SECONDS, ProblemError, from_kube, problem
from task_pipeline.server.routes import MAX_BODY, Access, Route
from task_pipeline.server.services import Services

log = logging.getLogger(__name__)

CLIENT_GONE = 499  # in the audit log: the caller went away before the end of the answer
MAX_CONCURRENT = 256  # requests at once; more are told to come back
SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
ROUTE: web.RequestKey[Route] = web.RequestKey("route", Route)

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "Server": "task-pipeline",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_KINDS = {
    Access.CALLER: frozenset({CallerKind.CLIENT, CallerKind.ACCOUNT, CallerKind.RUNNER}),
    Access.ATTEMPT: frozenset({CallerKind.ATTEMPT}),
    Access.SESSION: frozenset({CallerKind.CLIENT, CallerKind.ACCOUNT}),
}

_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(routes: Iterable[Route], services: Services) -> web.Application:
    """The application of these routes; it owns nothing that has to be closed."""
    app = web.Application(middlewares=[_guard], client_max_size=MAX_BODY)
    app[SERVICES] = services
    app.on_response_prepare.append(_add_headers)
    crowd = _Crowd(MAX_CONCURRENT)
    for route in routes:
        app.router.add_route(route.method, _pattern(route), _Endpoint(route, services, crowd).handle)
    return app


def _pattern(route: Route) -> str:
    """The path as the router wants it: what a part may not be is another path, or none."""
    return re.sub(r"{(\w+)}", lambda part: f"{{{part[1]}:{route.parts[part[1]].pattern.strip('^$')}}}", route.path)


@web.middleware
async def _guard(request: web.Request, handler: _Next) -> web.StreamResponse:
    """Give the request its id, and turn whatever goes wrong into a problem."""
    given = request.headers.get("X-Request-Id", "")
    request[REQUEST_ID] = given if _ID.fullmatch(given) else uuid.uuid4().hex
    try:
        answer, error = await _outcome(request, handler)
    except (ConnectionError, asyncio.CancelledError):
        _audit(request, CLIENT_GONE, "ClientGone")  # what was sent until then was given to this caller, too
        raise
    _audit(request, answer.status, "" if error is None else error.reason)
    return answer


async def _outcome(request: web.Request, handler: _Next) -> tuple[web.StreamResponse, ProblemError | None]:
    """The answer, and the problem if it is one."""
    try:
        reading.check_declared(request)
        return await handler(request), None
    except ConnectionError:
        raise  # the caller has gone: there is nobody to answer
    except Exception as error:
        refusal = _problem_of(request, error)
    route = request.get(ROUTE)
    page = None if route is None else route.refuse
    return (_refusal if page is None else page)(request, refusal), refusal


def _problem_of(request: web.Request, error: Exception) -> ProblemError:
    """What to say of `error`; what is a fault of ours or of the cluster is logged."""
    place = f"request {request[REQUEST_ID]}: {request.method} {request.path!r}"
    match error:
        case ProblemError():
            return error
        case KubeError():
            refusal = from_kube(error)
            if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log.warning("%s: %s", place, error)
            return refusal
        case web.HTTPException():
            return _of_router(error)
        case TimeoutError():
            log.warning("%s took too long", place)
            return problem(503, "Timeout", "the request took too long: ask again", retry_after=RETRY_SECONDS)
        case _:
            log.error("%s failed", place, exc_info=error)
            text = f"a fault of the server; its log tells more about request {request[REQUEST_ID]}"
            return problem(500, "InternalError", text)


def _audit(request: web.Request, status: int, reason: str) -> None:
    """One line for every request of a route that is not merely looked at by anybody."""
    route = request.get(ROUTE)
    if route is None or (route.access is Access.PUBLIC and route.method == "GET"):
        return
    place = (request.match_info.get(name, "") for name in ("namespace", "name"))
    audit.record(
        audit.Decision(
            caller=request.get(CALLER, NOBODY),
            method=request.method,
            route=route.path,
            status=status,
            request_id=request[REQUEST_ID],
            address=request.app[SERVICES].address(request),
            target="/".join(part for part in place if part),
            reason=reason,
        )
    )


def _of_router(error: web.HTTPException) -> ProblemError:
    """What the router says when no route fits."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{error.method} is not possible here; possible: {allowed}"
        return ProblemError(405, "MethodNotAllowed", text, headers={"Allow": allowed})
    if error.status == HTTPStatus.NOT_FOUND:
        return no_such_path()
    return problem(error.status, HTTPStatus(error.status).name.title().replace("_", ""), error.reason)


def no_such_path() -> ProblemError:
    """404 for a path that is none of ours."""
    return problem(404, "NoSuchPath", "there is nothing at this path; /openapi.json lists what there is")


def _refusal(request: web.Request, error: ProblemError) -> web.Response:
    document = error.document(request.path, request[REQUEST_ID])
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    body = document.model_dump_json().encode()
    return web.Response(status=error.status, body=body, headers=headers, content_type=MEDIA_TYPE)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = _HEADERS["Server"]
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")


class _Crowd:
    """How many requests are being worked on."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    def __enter__(self) -> None:
        if self._now >= self._most:
            text = "the server is overloaded: ask again"
            raise problem(503, "Overloaded", text, retry_after=RETRY_SECONDS)
        self._now += 1

    def __exit__(self, *_: object) -> None:
        self._now -= 1


class _Endpoint:
    """One route as aiohttp calls it."""

    def __init__(self, route: Route, services: Services, crowd: _Crowd) -> None:
        self._route = route
        self._services = services
        self._crowd = crowd

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request[ROUTE] = self._route
        if self._route.stream or self._route.access is Access.PUBLIC:
            return await self._answer(request)
        with self._crowd:
            return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not all(part.fits(request.match_info[name]) for name, part in self._route.parts.items()):
            raise no_such_path()
        async with asyncio.timeout(self._route.timeout):
            request[CALLER] = caller = await self._caller(request)
            call = Call(
                services=self._services,
                caller=caller,
                path=dict(request.match_info),
                query=reading.read_query(request, self._route.query),
                body=await reading.read_body(request, self._route) if self._route.body else None,
                headers=request.headers,
                request_id=request[REQUEST_ID],
                request=request,
            )
            return _response(await self._route.handler(call))

    async def _caller(self, request: web.Request) -> Caller:
        """The caller, who may call this route at all."""
        if self._route.access is Access.PUBLIC:
            return NOBODY
        crossing.check(request)
        caller = await (self._route.authenticator or self._services.authenticator).authenticate(request)
        if caller.kind is CallerKind.NOBODY:
            raise problem(401, "Unauthorized", "this needs a credential; see docs/authentication.md")
        if caller.kind not in _KINDS[self._route.access]:
            raise problem(403, "Forbidden", f"this path is not for a credential of kind {caller.kind}")
        return caller


def _response(reply: Reply) -> web.StreamResponse:
    body: Any = reply.body
    match body:
        case web.StreamResponse():
            return body
        case None:
            return web.Response(status=reply.status, headers=reply.headers)
        case bytes():
            raw = body
        case BaseModel():
            raw = body.model_dump_json(by_alias=True, exclude_none=True).encode()
        case _:
            raw = orjson.dumps(body)
    response = web.Response(status=reply.status, body=raw, headers=reply.headers)
    if "Content-Type" not in reply.headers:
        response.content_type = "application/json"
    return response
