"""Actions on a Pipeline: cancel, suspend, resume, rerun.

Rule: an action is an edit of the spec, decided from the object as it is and written against that very version; so it
can be sent again at will, and sent to a Pipeline that is that way already it writes nothing.
"""

import secrets
from typing import Any

from task_pipeline.api.resources import PIPELINES
from task_pipeline.api.states import TERMINAL, State
from task_pipeline.core.naming import digest
from task_pipeline.core.rerun import REMOVED
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.conditions import key_of
from task_pipeline.server.models import CancelRequest, RerunRequest
from task_pipeline.server.objects import Edit, change, owned
from task_pipeline.server.problem import problem
from task_pipeline.server.upstream import Object


async def cancel(call: Call) -> Reply:
    """POST :cancel. A Pipeline that is over stays as it is; `Now` is not weakened to `Drain`."""
    body: CancelRequest = call.body
    return await _act(call, cancelling(body.mode))


def cancelling(mode: str) -> Edit:
    """The edit that cancels a Pipeline or a PipelineJob."""

    def edit(thing: Object) -> dict[str, Any] | None:
        if is_over(thing) or thing["spec"].get("cancel") in (mode, "Now"):
            return None
        return {"cancel": mode}

    return edit


async def suspend(call: Call) -> Reply:
    """POST :suspend."""
    return await _act(call, lambda thing: None if thing["spec"].get("suspend") else {"suspend": True})


async def resume(call: Call) -> Reply:
    """POST :resume."""
    return await _act(call, lambda thing: {"suspend": False} if thing["spec"].get("suspend") else None)


async def rerun(call: Call) -> Reply:
    """POST :rerun. It takes back a cancel, which would hold the new run."""
    body: RerunRequest = call.body
    key = key_of(call)
    caller = call.caller
    keyed = digest(caller.kind, caller.name, call.path["namespace"], key) if key else secrets.token_hex(8)
    name = body.id or keyed

    def edit(thing: Object) -> dict[str, Any] | None:
        status = thing.get("status", {})
        if name in (thing["spec"].get("rerun", {}).get("id"), status.get("rerunId")):
            return None
        if not is_over(thing):
            text = f"the Pipeline is {status.get('state', State.READY.value)}: wait for its end, or cancel it"
            raise problem(409, "NotFinished", text)
        if body.scope == "Failed" and status.get("cleanupTime"):
            raise problem(409, "JobsRemoved", REMOVED)
        return {"rerun": {"id": name, "scope": body.scope}, "cancel": None}

    return await _act(call, edit)


def is_over(thing: Object) -> bool:
    """Whether the Pipeline or PipelineJob is in a final state."""
    return thing.get("status", {}).get("state") in TERMINAL


async def _act(call: Call, edit: Edit) -> Reply:
    return await change(call, PIPELINES, lambda: owned(call, Verb.UPDATE), edit)
