"""POST .../pipelines: create a Pipeline, once, however often the request is sent.

Rule: a request has an identity, its Idempotency-Key with the caller and the namespace, else a random one. It gives the
name, unless the body has one, and stands in an annotation together with a digest of the body. So whether a name that
is taken was taken by this very request can be told from the object alone, on any replica and after any crash.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from task_pipeline.api.group import ANNOTATION_SUBMISSION, API_VERSION, PIPELINE_KIND
from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.resources import PIPELINES
from task_pipeline.api.states import State
from task_pipeline.core.naming import clean, digest
from task_pipeline.kube.errors import AlreadyExists, NotFound
from task_pipeline.server import rights, room
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.conditions import KEY_HEADER, key_of
from task_pipeline.server.models import NewMetadata, NewPipeline
from task_pipeline.server.objects import reply
from task_pipeline.server.problem import problem
from task_pipeline.server.reading import invalid
from task_pipeline.server.routes import API
from task_pipeline.server.seed import camel
from task_pipeline.server.upstream import Object, get, persistently
from task_pipeline.server.validate import client_named, client_of, judge, metadata_faults, with_client

_NAME_ROOM = 46  # of the readable part; with its digest a made-up name is a DNS label
_DEFAULTS = {
    field.serialization_alias or name: field.default
    for name, field in PipelineSpec.model_fields.items()
    if not field.is_required() and field.default is not None
}


@dataclass(frozen=True, slots=True)
class _Submission:
    """What identifies a request: `keyed` says whether its caller gave the key."""

    identity: str
    keyed: bool


async def submit(call: Call) -> Reply:
    """The handler: 201 with the new Pipeline, 200 with the one that the same request has created before."""
    body: NewPipeline = call.body
    namespace = call.path["namespace"]
    submission = _submission(call, namespace)
    spec, headers = camel(body.spec)
    client_id = client_of(call, spec)
    await call.services.authorizer.authorize(call.caller, Verb.CREATE, namespace)
    client = await client_named(call.services, client_id)
    spec = with_client(spec, client_id)
    decoded, faults = judge(call.services, namespace, spec, client)
    faults = metadata_faults(body.metadata, namespace) + faults
    if faults:
        raise invalid(faults, "InvalidSpec")
    assert decoded is not None
    await rights.check(call.services, call.caller, namespace, decoded)
    thing = _manifest(body.metadata, namespace, spec, submission)
    if submission.keyed and (present := await _present(call, thing)) is not None:
        return reply(_same(present, thing), 200, {"Location": _location(present), **headers})
    await room.check(call.services, client)
    created, status = await persistently(lambda: _create(call, thing, submission))
    return reply(created, status, {"Location": _location(created), **headers})


def _submission(call: Call, namespace: str) -> _Submission:
    key = key_of(call)
    if key is None:
        return _Submission(f"r-{secrets.token_hex(8)}", keyed=False)
    return _Submission(f"k-{digest(call.caller.kind, call.caller.name, namespace, key)}", keyed=True)


def _manifest(metadata: NewMetadata, namespace: str, spec: dict[str, Any], submission: _Submission) -> Object:
    said = {"metadata": metadata.to_dict(), "spec": spec}
    body_digest = hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
    prefix = clean(metadata.generate_name or "pipeline", _NAME_ROOM)
    prefix = prefix if prefix[:1].isalnum() else "pipeline"
    name = metadata.name or f"{prefix}-{digest(submission.identity)}"
    annotations = {**metadata.annotations, ANNOTATION_SUBMISSION: f"{submission.identity}/{body_digest}"}
    made = {"name": name, "namespace": namespace, "labels": metadata.labels, "annotations": annotations}
    return {"apiVersion": API_VERSION, "kind": PIPELINE_KIND, "metadata": made, "spec": spec}


async def _create(call: Call, thing: Object, submission: _Submission) -> tuple[Object, int]:
    """The new object and 201; or what is there already by this very request, with 200 when its caller asked twice."""
    metadata = thing["metadata"]
    try:
        made = await call.services.cluster.create(PIPELINES, metadata["namespace"], thing)
    except AlreadyExists:
        present = await _present(call, thing)
        if present is None:
            raise
        return _same(present, thing), 200 if submission.keyed else 201
    given = {
        "uid": made.uid,
        "resourceVersion": made.resource_version,
        "generation": made.generation,
        "creationTimestamp": made.creation_timestamp,
    }
    status = {"observedGeneration": -1, "state": State.READY.value}  # the schema's default
    return {**thing, "metadata": metadata | given, "spec": _DEFAULTS | thing["spec"], "status": status}, 201


async def _present(call: Call, thing: Object) -> Object | None:
    metadata = thing["metadata"]
    try:
        return await get(call.services.cluster, PIPELINES, metadata["namespace"], metadata["name"])
    except NotFound:
        return None


def _same(present: Object, thing: Object) -> Object:
    """`present`, if it was created by the request that `thing` is made from; raises ProblemError 409 or 422."""
    ours = thing["metadata"]["annotations"][ANNOTATION_SUBMISSION]
    theirs = present["metadata"].get("annotations", {}).get(ANNOTATION_SUBMISSION, "")
    name = thing["metadata"]["name"]
    same_client = present["spec"].get("clientId") == thing["spec"]["clientId"]
    if theirs.partition("/")[0] != ours.partition("/")[0] or not same_client:
        raise problem(409, "AlreadyExists", f"a Pipeline {name} exists already: take another name")
    if theirs != ours:
        text = f"the {KEY_HEADER} was used for another body already: take a new key for a new Pipeline"
        raise problem(422, "IdempotencyKeyReused", text)
    return present


def _location(thing: Object) -> str:
    metadata = thing["metadata"]
    return f"{API}/namespaces/{metadata['namespace']}/pipelines/{metadata['name']}"
