"""The log of a job over the Kubernetes API: of the newest pod of its attempt, as the REST server finds it.

Rule: what comes out is valid UTF-8 of bounded size, the newest part kept; a log that is gone with its pod, or never
was, is a `NotFound` that says which, and what the status still knows of the job's last words.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson

from task_pipeline.api.group import ANNOTATION_ATTEMPT, LABEL_JOB_HASH
from task_pipeline.api.resources import PODS
from task_pipeline.cli.backend import LogQuery, Object
from task_pipeline.core.missing_log import why_no_log
from task_pipeline.kube import cluster
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.errors import Invalid, NotFound
from task_pipeline.server.logtext import LogText, newest

MAX_BYTES = 2**20  # of a log that is not followed
LOOK = 1.0  # seconds between two looks at a container that has not started


async def read(api: HttpCluster, job: Object, query: LogQuery) -> AsyncIterator[bytes]:
    """The text, in pieces. Raises `NotFound` with the reason NotStarted or LogGone."""
    while True:
        pod = await _pod(api, job, query)
        begun = False
        try:
            async with aclosing(_pieces(api, pod, query)) as pieces:  # type: ignore[type-var]
                if not query.follow:
                    yield (await newest(pieces, MAX_BYTES))[0]
                    return
                text = LogText()
                async for piece in pieces:
                    begun = True
                    yield text.feed(piece)
                yield text.feed(b"", last=True)
            if begun or "nodeName" in pod["spec"]:
                return
        except (Invalid, NotFound) as error:
            if begun or not query.follow or isinstance(error, NotFound):
                raise not_there(job, error) from error
        await asyncio.sleep(LOOK)


def _pieces(api: HttpCluster, pod: Object, query: LogQuery) -> AsyncIterator[bytes]:
    container = query.container or pod["spec"]["containers"][0]["name"]
    wanted = cluster.LogQuery(container, follow=query.follow, tail=query.tail, since=query.since)
    return api.log(pod["metadata"]["namespace"], pod["metadata"]["name"], wanted)


async def _pod(api: HttpCluster, job: Object, query: LogQuery) -> Object:
    meta = job["metadata"]
    selector = f"{LABEL_JOB_HASH}={meta['labels'][LABEL_JOB_HASH]}"
    wanted = query.attempt or job.get("status", {}).get("attempt")
    found = orjson.loads(await api.list(PODS, meta["namespace"], selector=selector, limit=100))["items"]
    pods = [pod for pod in found if _attempt(pod) in (None, wanted)]
    if not pods:
        raise not_there(job)
    newest_one: Object = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return newest_one


def _attempt(pod: Object) -> int | None:
    text = pod["metadata"].get("annotations", {}).get(ANNOTATION_ATTEMPT, "")
    return int(text) if text.isdecimal() else None


def not_there(job: Object, error: Exception | None = None) -> NotFound:
    """Why there is no log."""
    spec = job["spec"]
    if job.get("status", {}).get("attempt") and spec.get("kind") in ("HTTP", "Worker"):
        text = f"job {spec['name']} of kind {spec['kind']} runs outside the cluster: no log is here"
        return NotFound(404, "LogGone", text)
    return NotFound(404, *why_no_log(job, error.message if isinstance(error, Invalid) else None))
