"""Conditions: what kubectl wait, Argo CD and Flux read.

The table of the contract, as code: which conditions a situation has, and the rule that `lastTransitionTime` moves only
when `status` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.records import Condition

CONDITION_MESSAGE = 1024  # characters of a Pipeline's message: three conditions repeat it
_ORDER = ("Accepted", "Succeeded", "Finished", "Ready", "Reconciling", "Stalled", "Suspended")

# state (or "suspended", "invalid") -> condition -> status; a condition that is not named is absent
TABLE: Mapping[str, Mapping[str, str]] = {
    State.READY: {
        "Accepted": "True", "Succeeded": "Unknown", "Finished": "False", "Ready": "False", "Reconciling": "True",
    },
    State.IN_PROGRESS: {
        "Accepted": "True", "Succeeded": "Unknown", "Finished": "False", "Ready": "False", "Reconciling": "True",
    },
    "suspended": {
        "Accepted": "True", "Succeeded": "Unknown", "Finished": "False", "Ready": "True", "Suspended": "True",
    },
    State.DONE: {"Accepted": "True", "Succeeded": "True", "Finished": "True", "Ready": "True"},
    State.ERROR: {
        "Accepted": "True", "Succeeded": "False", "Finished": "True", "Ready": "False", "Stalled": "True",
    },
    State.CANCELLED: {
        "Accepted": "True", "Succeeded": "False", "Finished": "True", "Ready": "False", "Stalled": "True",
    },
    "invalid": {
        "Accepted": "False", "Succeeded": "False", "Finished": "True", "Ready": "False", "Stalled": "True",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Situation:
    """What the conditions of a Pipeline are made from; `now` is the RFC 3339 time of the decision."""

    state: State
    reason: Reason
    message: str
    invalid: bool
    generation: int
    now: str


def pipeline_conditions(old: Sequence[Condition], situation: Situation) -> tuple[Condition, ...]:
    """The conditions of a Pipeline in `situation`, keeping the times of those whose status did not change."""
    row = _row(situation)
    return tuple(_condition(old, name, row[name], situation) for name in _ORDER if name in row)


def job_conditions(state: State, reason: str, message: str, now: str) -> tuple[Condition, ...]:
    """The two conditions of a PipelineJob that has reached the terminal `state`."""
    succeeded = "True" if state is State.DONE else "False"
    return (
        Condition(type="Finished", status="True", reason=reason, last_transition_time=now),
        Condition(type="Succeeded", status=succeeded, reason=reason, message=message, last_transition_time=now),
    )


def _row(situation: Situation) -> Mapping[str, str]:
    if situation.invalid:
        return TABLE["invalid"]
    if situation.reason is Reason.SUSPENDED:
        return TABLE["suspended"]
    return TABLE[situation.state]


def _condition(old: Sequence[Condition], name: str, status: str, situation: Situation) -> Condition:
    before = next((condition for condition in old if condition.type == name), None)
    since = before.last_transition_time if before is not None and before.status == status else situation.now
    return Condition(
        type=name,
        status=status,
        reason=_reason(name, status, situation),
        message=situation.message if status == "False" or name == "Succeeded" else "",
        last_transition_time=since,
        observed_generation=situation.generation,
    )


def _reason(name: str, status: str, situation: Situation) -> str:
    """The status's own reason, but for the two that the contract names otherwise."""
    if name == "Accepted" and status == "True":
        return "Accepted"
    if name == "Succeeded" and situation.state is State.CANCELLED:
        return "Cancelled"
    return situation.reason.value
