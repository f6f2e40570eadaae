"""The status of a PipelineClient: what it uses, and whether it can be used as it is written."""

from datetime import datetime

from task_pipeline.api.reasons import Reason
from task_pipeline.api.times import format_time
from task_pipeline.core.messages import CONDITION_LENGTH, shortened
from task_pipeline.core.records import ClientRecord, ClientStatus, Condition

ACCEPTED = "Accepted"


def client_status(client: ClientRecord, *, running: int, queued: int, now: datetime) -> ClientStatus:
    """The status of `client` with so many jobs running and enqueued."""
    return ClientStatus(
        observed_generation=client.generation,
        running=running,
        queued=queued,
        conditions=(_ready(client, now),),
    )


def _ready(client: ClientRecord, now: datetime) -> Condition:
    status, reason, message = _judge(client)
    before = next((one for one in client.status.conditions if one.type == "Ready"), None)
    return Condition(
        type="Ready",
        status=status,
        reason=reason,
        message=shortened(message, CONDITION_LENGTH),
        last_transition_time=before.last_transition_time if before and before.status == status else format_time(now),
        observed_generation=client.generation,
    )


def _judge(client: ClientRecord) -> tuple[str, str, str]:
    if client.fault is not None:
        return "False", Reason.INVALID_SPEC.value, client.fault
    if client.suspend:
        return "False", Reason.CLIENT_SUSPENDED.value, "spec.suspend is true: nothing more of this client is started"
    return "True", ACCEPTED, ""
