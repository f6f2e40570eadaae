"""Lists of Pipelines, and one Pipeline: read, changed, deleted.

Rule: a list is narrowed by the API server itself, by the clientId of a caller that is bound to one, so nothing of
others is even read. It leaves out spec.jobs, which may be a megabyte each.
"""

from collections.abc import Sequence

from task_pipeline.api.decode import InvalidObject, decode_pipeline_spec
from task_pipeline.api.resources import PIPELINES
from task_pipeline.core.records import ClientRecord
from task_pipeline.kube.errors import Conflict, NotFound
from task_pipeline.server import paging, visibility
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.conditions import MATCH, check_match
from task_pipeline.server.models import PipelinePatch, PipelineQuery
from task_pipeline.server.objects import change, owned, reply_unless_known, shown
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.reading import invalid
from task_pipeline.server.upstream import Object, persistently
from task_pipeline.server.validate import client_named, client_refusal


async def list_visible(call: Call) -> Reply:
    """GET /namespaces/-/pipelines: of all namespaces that the caller may see."""
    return await _list(call, await visibility.namespaces(call.services, call.caller))


async def list_one_namespace(call: Call) -> Reply:
    """GET /namespaces/{namespace}/pipelines."""
    namespace = call.path["namespace"]
    await call.services.authorizer.authorize(call.caller, Verb.LIST, namespace)
    return await _list(call, [namespace])


async def _list(call: Call, namespaces: Sequence[str | None]) -> Reply:
    query: PipelineQuery = call.query
    own = call.caller.client
    if own is not None and query.client_id not in (None, own):
        namespaces = []
    wanted_client = own or query.client_id
    fields = [f"status.state={query.state}"] if query.state else []
    fields += [f"spec.clientId={wanted_client}"] if wanted_client else []
    listing = paging.Listing(PIPELINES, namespaces, summary, query.label_selector, ",".join(fields) or None)
    return Reply(body=await paging.page(call.services.cluster, listing, query.limit, query.continue_))


def summary(thing: Object) -> Object:
    """A Pipeline as lists show it: complete but for spec.jobs."""
    seen = shown(thing)
    return seen | {"spec": {name: value for name, value in seen["spec"].items() if name != "jobs"}}


async def get_one(call: Call) -> Reply:
    """GET one Pipeline; 304 when If-None-Match names its version."""
    return reply_unless_known(call, await owned(call, Verb.GET))


async def patch(call: Call) -> Reply:
    """PATCH of the editable fields."""
    body: PipelinePatch = call.body
    edit = body.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    client: ClientRecord | None = None
    if "priority" in edit:
        thing = await owned(call, Verb.UPDATE)
        client = await client_named(call.services, thing["spec"].get("clientId", ""))

    def checked(thing: Object) -> Object | None:
        if client is not None:
            _check_client(client, thing, edit)
        return edit or None

    return await change(call, PIPELINES, lambda: owned(call, Verb.UPDATE), checked)


def _check_client(client: ClientRecord, thing: Object, edit: Object) -> None:
    """Raise 422 when the client does not allow what the Pipeline would be; one that is invalid anyway may be edited."""
    raw = {name: value for name, value in (thing["spec"] | edit).items() if value is not None}
    try:
        spec = decode_pipeline_spec(raw)
    except InvalidObject:
        return
    text = client_refusal(client, thing["metadata"]["namespace"], spec)
    if text is not None and text.startswith("spec.priority:"):
        path, _, message = text.partition(": ")
        raise invalid([(path, message)], "ClientNotAllowed")


async def delete(call: Call) -> Reply:
    """DELETE: that very Pipeline and all that it owns."""

    asked = ""  # UID of the Pipeline whose deletion the API server was asked for, though its answer may be lost

    async def attempt() -> None:
        nonlocal asked
        try:
            thing = await owned(call, Verb.DELETE)
        except ProblemError as error:
            if asked and error.status == 404:
                return
            raise
        metadata = thing["metadata"]
        if asked and (asked != metadata["uid"] or "deletionTimestamp" in metadata):
            return
        check_match(call, thing)
        version = metadata["resourceVersion"] if MATCH in call.headers else None
        asked = metadata["uid"]
        try:
            await _delete(call, metadata, version)
        except Conflict:
            asked = ""
            raise

    await persistently(attempt)
    return Reply(204)


async def _delete(call: Call, metadata: Object, version: str | None) -> None:
    """Delete that very object, of that version if one is given. Raises ProblemError 412, KubeError."""
    place = (PIPELINES, metadata["namespace"], metadata["name"])
    try:
        await call.services.cluster.delete(*place, uid=metadata["uid"], resource_version=version)
    except NotFound:
        return
    except Conflict as error:
        if version is not None:
            raise problem(412, "PreconditionFailed", "the object has changed: read it again") from error
        raise
