"""The eight situations of a Pipeline: the conditions that the contract gives each, and what tools have to make of it.

Written by hand after the contract, not after the code. A condition that is not named is absent.
"""

from typing import Any, NamedTuple

Thing = dict[str, Any]


class Expected(NamedTuple):
    """One row: the conditions, and the words of kstatus, of Argo CD and of the expressions for Flux."""

    conditions: dict[str, str]
    kstatus: str
    argo: str
    flux: str


def _row(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


ON_ITS_WAY = _row("Accepted=True Succeeded=Unknown Finished=False Ready=False Reconciling=True")
ENDED_BADLY = _row("Accepted=True Succeeded=False Finished=True Ready=False Stalled=True")

TABLE: dict[str, Expected] = {
    "not-seen": Expected({}, "InProgress", "Progressing", "inProgress"),
    "ready": Expected(ON_ITS_WAY, "InProgress", "Progressing", "inProgress"),
    "in-progress": Expected(ON_ITS_WAY, "InProgress", "Progressing", "inProgress"),
    "suspended": Expected(
        _row("Accepted=True Succeeded=Unknown Finished=False Ready=True Suspended=True"),
        "Current",
        "Suspended",
        "inProgress",
    ),
    "done": Expected(_row("Accepted=True Succeeded=True Finished=True Ready=True"), "Current", "Healthy", "current"),
    "error": Expected(ENDED_BADLY, "Failed", "Degraded", "failed"),
    "cancelled": Expected(ENDED_BADLY, "Failed", "Degraded", "failed"),
    "invalid": Expected(ENDED_BADLY | {"Accepted": "False"}, "Failed", "Degraded", "failed"),
}
REASONS = {"cancelled": "Cancelled", "invalid": "InvalidSpec"}  # of Succeeded, where the contract names one
_STATES = {"READY": "ready", "IN PROGRESS": "in-progress", "DONE": "done", "ERROR": "error", "CANCELLED": "cancelled"}


def situation(obj: Thing) -> str:
    """Which row a Pipeline is in, told by its state and reason and by none of its conditions."""
    status = obj["status"]
    if status["observedGeneration"] == -1:
        return "not-seen"
    if status["reason"] in ("InvalidSpec", "ClientNotAllowed"):
        return "invalid"
    return "suspended" if status["reason"] == "Suspended" else _STATES[status["state"]]
