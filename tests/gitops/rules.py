"""What GitOps tools conclude from an object: their rules, as far as they read a Pipeline, written anew in Python.

`kstatus` follows the library of that name, which Flux uses; `odd` are the errors that Flux's own checker of controllers
tells. `argo` is the health check of gitops/argocd, `flux` the order in which Flux asks expressions; tests hold them
together with the files that are shipped.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Thing = dict[str, Any]
_NEGATIVE = ("Reconciling", "Stalled")


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


def odd(obj: Thing) -> Iterator[str]:
    """What a controller that follows kstatus never leaves behind, each as one line."""
    found, status = conditions(obj), obj["status"]
    if status.get("observedGeneration", 0) > obj["metadata"]["generation"]:
        yield "observedGeneration is ahead of the generation"
    if not found and status.get("observedGeneration", -1) == -1:
        return
    if "Ready" not in found:
        yield "there is no condition Ready"
    if found.get("Ready") == "True" and any(found.get(name) == "True" for name in _NEGATIVE):
        yield "Ready beside Reconciling or Stalled"
    if any(found.get(name) == "True" and found.get("Ready") != "False" for name in _NEGATIVE):
        yield "Reconciling or Stalled, and Ready is not False"
    if all(name in found for name in _NEGATIVE):
        yield "Reconciling and Stalled at once"
    if any(found.get(name, "True") != "True" for name in _NEGATIVE):
        yield "Reconciling or Stalled is there and not True"


def argo(obj: Thing) -> str:
    """Progressing, Degraded, Suspended or Healthy."""
    found = conditions(obj)
    if obj.get("status") is None or obj["status"].get("observedGeneration") != obj["metadata"]["generation"]:
        return "Progressing"
    if found.get("Stalled") == "True":
        return "Degraded"
    if found.get("Suspended") == "True":
        return "Suspended"
    return "Healthy" if found.get("Succeeded") == "True" else "Progressing"


def flux(obj: Thing, ask: Mapping[str, Callable[[Thing], bool]]) -> str:
    """inProgress, failed or current: the first of the expressions `ask`, by their names, that is true of the object."""
    if not is_observed(obj):
        return "inProgress"
    return next((word for word in ("inProgress", "failed", "current") if ask[word](obj)), "inProgress")
