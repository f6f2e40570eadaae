"""Pipelines and PipelineJobs as callers see them, and how a caller comes to one of its own.

Rule: what is not the caller's own and what does not exist are answered with one and the same problem. Answers are the
API server's objects in camelCase, without managedFields, which are for machines and make half of an object.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from task_pipeline.api.resources import PIPELINES, Resource
from task_pipeline.kube.errors import Conflict, NotFound
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.conditions import check_match, etag, unchanged
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.seed import camel
from task_pipeline.server.upstream import Object, get, persistently

Edit = Callable[[Object], Mapping[str, Any] | None]


def missing(namespace: str, name: str) -> ProblemError:
    """404 for a Pipeline that does not exist, or is somebody else's."""
    return problem(404, "NotFound", f"there is no Pipeline {name} in the namespace {namespace}")


async def owned(call: Call, verb: Verb) -> Object:
    """The Pipeline of the path as it is now, which the caller may `verb`. Raises ProblemError, KubeError."""
    namespace, name = call.path["namespace"], call.path["name"]
    ask = call.services.authorizer.authorize
    try:
        await ask(call.caller, verb, namespace)
        thing = await get(call.services.cluster, PIPELINES, namespace, name)
        await ask(call.caller, verb, namespace, thing["spec"].get("clientId"))
    except NotFound as error:
        raise missing(namespace, name) from error
    except ProblemError as error:
        raise (missing(namespace, name) if error.status == 404 else error) from error
    return thing


async def change(call: Call, resource: Resource, find: Callable[[], Awaitable[Object]], edit: Edit) -> Reply:
    """Patch what `find` finds with the spec fields that `edit` gives for it, None for no write; the object after it.

    Every write names the version that was judged; when somebody else was faster both are asked again, a while. With
    If-Match a version that is not named there is 412, unless a write whose answer was lost has made it. Raises
    ProblemError, KubeError.
    """
    lost: tuple[Object, Mapping[str, Any]] | None = None

    async def attempt() -> Object:
        nonlocal lost
        thing = await find()
        if lost is not None and _is_done(*lost, thing):
            return thing
        check_match(call, thing)
        spec = edit(thing)
        if spec is None:
            return thing
        metadata = thing["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": dict(spec)}
        lost = thing, spec
        try:
            raw = await call.services.cluster.patch(resource, metadata["namespace"], metadata["name"], body)
        except Conflict:
            lost = None
            raise
        changed: Object = orjson.loads(raw)
        return changed

    return reply(await persistently(attempt))


def _is_done(before: Object, spec: Mapping[str, Any], now: Object) -> bool:
    """Whether the only change of the spec since `before` is the one that was asked for."""
    old, new = before["metadata"], now["metadata"]
    if (new["uid"], new.get("generation")) != (old["uid"], old.get("generation", 0) + 1):
        return False
    return all(now["spec"].get(name) == value for name, value in spec.items())


def reply(thing: Object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """The object as an answer with its ETag."""
    return Reply(status, shown(thing), {"ETag": etag(thing), **(headers or {})})


def reply_unless_known(call: Call, thing: Object) -> Reply:
    """The object as an answer, or 304 when If-None-Match names its version."""
    return Reply(304, None, {"ETag": etag(thing)}) if unchanged(call, thing) else reply(thing)


def shown(thing: Object) -> Object:
    """The object as callers see it."""
    metadata = {name: value for name, value in thing["metadata"].items() if name != "managedFields"}
    return thing | {"metadata": metadata, "spec": camel(thing["spec"])[0]}
