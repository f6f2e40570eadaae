"""What GitOps tools conclude from an object: their rules, as far as they read a Pipeline.

`kstatus` follows the library of that name, which Flux uses. `argo` is the health check of docs/gitops.md in Python; a
test holds the two together.
"""

from typing import Any

Thing = dict[str, Any]


def conditions(obj: Thing) -> dict[str, str]:
    """The status of every condition, by type."""
    return {one["type"]: one["status"] for one in obj.get("status", {}).get("conditions", ())}


def is_observed(obj: Thing) -> bool:
    """Whether the status is about the spec as it is now; one that does not say is taken for it, as the tools do."""
    generation: int = obj["metadata"]["generation"]
    return bool(obj.get("status", {}).get("observedGeneration", generation) == generation)


def kstatus(obj: Thing) -> str:
    """Terminating, InProgress, Failed or Current."""
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    found = conditions(obj)
    if not is_observed(obj) or found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if found.get("Ready", "True") != "True" else "Current"


def argo(obj: Thing) -> str:
    """Progressing, Degraded, Suspended or Healthy."""
    found = conditions(obj)
    if obj.get("status") is None or not is_observed(obj):
        return "Progressing"
    if found.get("Stalled") == "True":
        return "Degraded"
    if found.get("Suspended") == "True":
        return "Suspended"
    return "Healthy" if found.get("Succeeded") == "True" else "Progressing"
