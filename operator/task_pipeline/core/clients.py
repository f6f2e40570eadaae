"""Whether a client takes a Pipeline."""

from task_pipeline.core.records import ClientRecord, PipelineRecord


def grounds(client: ClientRecord) -> tuple[object, ...]:
    """What of a client `refusal` depends on; all else, such as limits, may change without another judgement."""
    return client.valid, client.namespaces, client.highest_priority, client.allowed_kinds


def refusal(client: ClientRecord | None, pipeline: PipelineRecord) -> str | None:
    """Why the client that the Pipeline names does not take it, with the way out; None when it does."""
    spec = pipeline.spec
    if spec is None:
        return None
    name = spec.client_id
    if client is None:
        return f"spec.clientId: there is no PipelineClient {name}; name another, or ask the platform team for it"
    if not client.valid:
        return f"spec.clientId: the PipelineClient {name} is invalid itself; ask the platform team to repair it"
    if not client.allows(pipeline.namespace):
        return f"spec.clientId: the PipelineClient {name} does not list the namespace {pipeline.namespace}"
    if client.highest_priority is not None and spec.priority < client.highest_priority:
        return f"spec.priority: {spec.priority} is not allowed for {name}; use {client.highest_priority} or more"
    if client.allowed_kinds is not None:
        refused = sorted({job.kind for job in spec.jobs} - client.allowed_kinds)
        if refused:
            allowed = ", ".join(sorted(client.allowed_kinds)) or "none"
            return f"spec.jobs: the PipelineClient {name} does not allow {', '.join(refused)}; allowed: {allowed}"
    return None
