"""Why a job has no log: the same words from the REST server and from the command line."""

from collections.abc import Mapping
from typing import Any


def why_no_log(job: Mapping[str, Any], refusal: str | None = None) -> tuple[str, str]:
    """A reason and a message for the PipelineJob; `refusal` is what the API server said of a pod that has not begun."""
    status, name = job.get("status", {}), job["spec"]["name"]
    if not status.get("attempt"):
        return "NotStarted", f"job {name} has not been launched, so there is no log yet"
    if refusal is not None:
        return "NotStarted", f"job {name} has no log yet: {refusal}"
    told = [one["message"] for one in status.get("attempts", ()) if one.get("message")]
    words = status.get("message") or (told[-1] if told else "")
    known = f" What its status still knows: {words}" if words else ""
    return "LogGone", f"the log of job {name} is no longer available: its pod is gone.{known}"
