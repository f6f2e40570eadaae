"""Whether a Pipeline would be taken, with every fault at once; the same judgement as the operator's.

Rule: nothing is stored and nothing is asked of the cluster but the PipelineClient. Params are judged even if other
parts of the spec are wrong, so that a caller needs one round only.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from task_pipeline.api.group import DEFAULT_CLIENT, RESERVED_PREFIX
from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.resources import PIPELINE_CLIENTS
from task_pipeline.cache.convert import PipelineClientView, client_record
from task_pipeline.core.clients import refusal
from task_pipeline.core.records import ClientRecord, PipelineRecord, PipelineStatus
from task_pipeline.kinds.judging import spec_faults
from task_pipeline.kube.errors import NotFound
from task_pipeline.server.answers import PlannedStage, Verdict
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.models import NewMetadata, NewPipeline
from task_pipeline.server.problem import Fault, problem
from task_pipeline.server.reading import MAX_FAULTS
from task_pipeline.server.routes import PARTS
from task_pipeline.server.seed import camel
from task_pipeline.server.services import Services
from task_pipeline.server.upstream import persistently

Faults = list[tuple[str, str]]


async def validate(call: Call) -> Reply:
    """POST .../pipelines:validate."""
    body: NewPipeline = call.body
    spec, headers = camel(body.spec)
    namespace = call.path["namespace"]
    client_id = client_of(call, spec)
    await call.services.authorizer.authorize(call.caller, Verb.CREATE, namespace)
    client = await client_named(call.services, client_id)
    decoded, faults = judge(call.services, namespace, with_client(spec, client_id), client)
    faults = metadata_faults(body.metadata, namespace) + faults
    errors = [Fault(path=path, message=message) for path, message in faults[:MAX_FAULTS]]
    plan = [] if faults or decoded is None else _plan(decoded)
    return Reply(body=Verdict(valid=not faults, errors=errors, plan=plan), headers=headers)


def client_of(call: Call, spec: Any) -> str:
    """The clientId that the spec names, else the caller's own, else the default.

    Raises ProblemError 403 when a client names another: whether that exists, and what it may do, is not for its eyes.
    """
    named, own = spec.get("clientId") if isinstance(spec, Mapping) else None, call.caller.client
    client_id = named if isinstance(named, str) else own or DEFAULT_CLIENT
    if own not in (None, client_id):
        text = f"spec.clientId must be {own}, or absent: a client submits for itself only"
        raise problem(403, "OtherClient", text, [("spec.clientId", text)])
    return client_id


def with_client(spec: Any, client_id: str) -> Any:
    """`spec` with that clientId, unless it names one."""
    return {**spec, "clientId": client_id} if isinstance(spec, Mapping) and spec.get("clientId") is None else spec


async def client_named(services: Services, client_id: str) -> ClientRecord | None:
    """The PipelineClient as it is now, None if there is none, or if that is no name: it comes from a body."""
    if not PARTS["name"].fits(client_id):
        return None
    namespace = services.settings.operator_namespace
    try:
        raw = await persistently(lambda: services.cluster.get(PIPELINE_CLIENTS, namespace, client_id))
    except NotFound:
        return None
    return client_record(msgspec.json.decode(raw, type=PipelineClientView))


def judge(
    services: Services, namespace: str, spec: Any, client: ClientRecord | None
) -> tuple[PipelineSpec | None, Faults]:
    """The decoded spec, None if it cannot be decoded, and its faults as (path, message)."""
    decoded, found = spec_faults(spec, services.settings.kind_defaults, services.kinds)
    faults = [(fault.path, fault.message) for fault in found]
    if decoded is not None and (text := client_refusal(client, namespace, decoded)):
        path, _, message = text.partition(": ")
        faults.append((path, message))
    return decoded, faults


def client_refusal(client: ClientRecord | None, namespace: str, spec: PipelineSpec) -> str | None:
    """Why the client does not take the Pipeline, as `path: message`; None when it does."""
    record = PipelineRecord(
        namespace=namespace,
        name="",
        uid="",
        rv=0,
        generation=1,
        created="",
        deleting=False,
        spec=spec,
        fault=None,
        status=PipelineStatus(),
    )
    return refusal(client, record)


def metadata_faults(metadata: NewMetadata, namespace: str) -> Faults:
    """What of the metadata does not fit the request."""
    faults: Faults = []
    if metadata.namespace not in (None, namespace):
        faults.append(("metadata.namespace", f"must be {namespace}, as in the path, or absent"))
    for field, names in (("labels", metadata.labels), ("annotations", metadata.annotations)):
        for name in names:
            if name.startswith(RESERVED_PREFIX):
                faults.append((f"metadata.{field}", f"names that begin with {RESERVED_PREFIX} are the operator's"))
    return faults


def _plan(spec: PipelineSpec) -> list[PlannedStage]:
    def names(stage: str) -> list[str]:
        jobs = [job for job in spec.jobs if job.stage == stage]
        return [job.name for job in sorted(jobs, key=lambda job: job.effective_priority)]

    return [PlannedStage(stage=stage, jobs=names(stage)) for stage in spec.stages]
