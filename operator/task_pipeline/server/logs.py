"""GET .../jobs/{job}/logs: what the containers of a job print, from its pods.

Rule: a client reads the logs of its own jobs, a Kubernetes user those that kubectl would give him. An answer is
bounded: without `follow` in bytes, the newest kept, with it in time and bytes. A log that is gone with its pod, or
never was, is a problem that says which, and what the status still knows of the job's last words.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.common import MAX_ATTEMPTS
from task_pipeline.api.group import ANNOTATION_ATTEMPT, LABEL_JOB_HASH
from task_pipeline.api.resources import PODS
from task_pipeline.core.missing_log import why_no_log
from task_pipeline.kube.cluster import Cluster, LogQuery
from task_pipeline.kube.errors import Invalid, KubeError, NotFound
from task_pipeline.server import standing
from task_pipeline.server.auth.callers import CallerKind, Right, Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.jobs import find_job
from task_pipeline.server.logtext import LogText, newest
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.routes import API, Access, Route
from task_pipeline.server.shares import Shares
from task_pipeline.server.upstream import Object, persistently

log = logging.getLogger(__name__)

MAX_BYTES = 2**20  # of an answer without `follow`
MAX_FOLLOWED = 64 * 2**20
FOLLOW_SECONDS = 900.0
MAX_OPEN, MAX_OF_CALLER = 200, 20  # of one process
DEFAULT_TAIL, MAX_TAIL = 1000, 100_000
PODS_LOOKED_AT = 50
START_PAUSE = 1.0  # seconds between two looks at a job that is followed and has not started
CUT = "Task-Pipeline-Log-Cut"
_HEADERS = {"Content-Type": "text/plain; charset=utf-8"}
_shares = Shares("logs", MAX_OPEN, MAX_OF_CALLER)


class LogsQuery(BaseModel):
    """Which part of a log."""

    model_config = ConfigDict(frozen=True)

    follow: bool = Field(default=False, description="Go on with what is printed until the container ends.")
    tail: Annotated[int, Field(ge=0, le=MAX_TAIL)] = Field(
        default=DEFAULT_TAIL, description="How many lines, counted from the end."
    )
    since: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Only what was printed in so many last seconds."
    )
    run: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="The run; the latest that has the job if absent."
    )
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS * 10)] | None = Field(
        default=None, description="The attempt; the latest if absent."
    )
    container: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The container; the first of the pod if absent."
    )


async def get_logs(call: Call) -> Reply:
    """The log of one container of one attempt."""
    job = await find_job(call, Verb.GET)
    await _may_read(call)
    with _shares.take(call.caller):
        return await _answer(call, job, call.query)


async def _may_read(call: Call) -> None:
    """Return when the caller may read logs of the namespace. Raises ProblemError 403, 503."""
    authorizer, namespace = call.services.authorizer, call.path["namespace"]
    await authorizer.authorize(call.caller, Verb.GET, namespace)
    if call.caller.kind is CallerKind.ACCOUNT:
        await authorizer.require(call.caller, namespace, Right("get", "", "pods/log"))


async def _answer(call: Call, job: Object, query: LogsQuery) -> Reply:
    cluster = call.services.cluster
    if not query.follow:
        pod = await _pod_of(cluster, job, query)
        try:
            async with aclosing(_read(cluster, pod, query)) as pieces:
                text, cut = await newest(pieces, MAX_BYTES)
        except (NotFound, Invalid) as error:
            raise _not_there(job, error) from error
        return Reply(200, text, {**_HEADERS, CUT: "true" if cut else "false"})
    return Reply(200, await _follow(call, job, query))


async def _follow(call: Call, job: Object, query: LogsQuery) -> web.StreamResponse:
    """Send the log as it grows; a job that has not started yet is waited for."""
    response = web.StreamResponse(headers=_HEADERS)
    text, sent, stopping = LogText(), 0, call.services.stopping
    await response.prepare(call.request)
    try:
        async with (
            standing.while_it_stands(call, lambda: _may_read(call), FOLLOW_SECONDS),
            aclosing(_growing(call, job, query)) as pieces,
        ):
            async for piece in pieces:
                await response.write(text.feed(piece))
                sent += len(piece)
                if sent >= MAX_FOLLOWED or stopping.is_set():
                    break
    except (TimeoutError, KubeError, ProblemError) as error:  # what was sent stands
        log.debug("the log of %s ended early: %s", call.path["job"], error)
    await response.write(text.feed(b"", last=True))
    await response.write_eof()
    return response


async def _growing(call: Call, job: Object, query: LogsQuery) -> AsyncGenerator[bytes, None]:
    cluster = call.services.cluster
    while not call.services.stopping.is_set():
        try:
            pod = await _pod_of(cluster, job, query)
            async with aclosing(_read(cluster, pod, query)) as pieces:
                async for piece in pieces:
                    yield piece
            if "nodeName" in pod["spec"]:
                return
        except Invalid:
            pass  # the container has not started
        except ProblemError:
            if job["status"]["state"] in ("DONE", "ERROR", "CANCELLED"):
                raise
        await asyncio.sleep(START_PAUSE)
        job = await find_job(call, Verb.GET)


def _read(cluster: Cluster, pod: Object, query: LogsQuery) -> Any:
    container = query.container or pod["spec"]["containers"][0]["name"]
    wanted = LogQuery(container, follow=query.follow, tail=query.tail, since=query.since)
    return cluster.log(pod["metadata"]["namespace"], pod["metadata"]["name"], wanted)


async def _pod_of(cluster: Cluster, job: Object, query: LogsQuery) -> Object:
    """The newest pod of the attempt; raises ProblemError when there is none."""
    labels = job["metadata"]["labels"]
    selector = f"{LABEL_JOB_HASH}={labels[LABEL_JOB_HASH]}"
    namespace = job["metadata"]["namespace"]
    raw = await persistently(lambda: cluster.list(PODS, namespace, selector=selector, limit=PODS_LOOKED_AT))
    wanted = query.attempt or job["status"].get("attempt")
    pods = [pod for pod in orjson.loads(raw)["items"] if _attempt_of(pod) in (None, wanted)]
    if not pods:
        raise _not_there(job)
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _attempt_of(pod: Object) -> int | None:
    text = pod["metadata"].get("annotations", {}).get(ANNOTATION_ATTEMPT, "")
    return int(text) if text.isdecimal() else None


def _not_there(job: Object, error: Exception | None = None) -> ProblemError:
    return problem(404, *why_no_log(job, error.message if isinstance(error, Invalid) else None))


routes = (
    Route(
        "GET",
        f"{API}/namespaces/{{namespace}}/pipelines/{{name}}/jobs/{{job}}/logs",
        get_logs,
        Access.CALLER,
        "Read the log of a job",
        query=LogsQuery,
        answers={200: None},
        problems=frozenset({400, 404}),
        timeout=FOLLOW_SECONDS + 30,
        stream=True,
        description=f"Plain text in UTF-8. At most the newest {MAX_BYTES} bytes unless it is followed; the header "
        f"{CUT} says whether something was left out.",
    ),
)
