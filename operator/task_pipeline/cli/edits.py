"""What an action changes in a spec: pure, decided from the object as it is.

Rule: as over REST (`server.actions`), an action can be sent again at will; sent to what is that way already it changes
nothing. `Now` is not weakened to `Drain`, what is over is not cancelled, and a rerun takes back a cancel.
"""

from typing import Any

from task_pipeline.api.states import TERMINAL
from task_pipeline.cli.backend import Action, Cancel, Object, Rerun, Suspend
from task_pipeline.kube.errors import Conflict


def state_of(thing: Object) -> str:
    """The state of a Pipeline or PipelineJob."""
    return str(thing.get("status", {}).get("state", "READY"))


def is_final(thing: Object) -> bool:
    """Whether it is in a terminal state."""
    return state_of(thing) in TERMINAL


def edit_of(action: Action, thing: Object) -> dict[str, Any] | None:
    """The merge patch of the spec, None when there is nothing to change. Raises Conflict for what is not possible."""
    spec = thing["spec"]
    match action:
        case Cancel(mode=mode):
            return None if is_final(thing) or spec.get("cancel") in (mode, "Now") else {"cancel": mode}
        case Suspend(value=value):
            return None if bool(spec.get("suspend")) is value else {"suspend": value}
        case Rerun():
            return _rerun(action, thing)


def _rerun(action: Rerun, thing: Object) -> dict[str, Any] | None:
    status = thing.get("status", {})
    if action.id in ((thing["spec"].get("rerun") or {}).get("id"), status.get("rerunId")):
        return None
    if not is_final(thing):
        text = f"the Pipeline is {state_of(thing)}: wait for its end, or cancel it"
        raise Conflict(409, "NotFinished", text)
    if action.scope == "Failed" and status.get("cleanupTime"):
        text = "its PipelineJobs have been removed, so what is DONE is not known any more; use --all"
        raise Conflict(409, "JobsRemoved", text)
    return {"rerun": {"id": action.id, "scope": action.scope}, "cancel": None}
