"""What ends a whole pod from outside: eviction, preemption, deletion, its own deadline, a lost node.

Rule: the infrastructure's doing is not charged to the job. A pod evicted for exceeding its own limits is the job's
doing. A container that had ended before the disruption came was not ended by it.
"""

from collections.abc import Mapping

from task_pipeline.api.objects import ObjectCondition, PodView, Terminated
from task_pipeline.api.reasons import Reason
from task_pipeline.kinds._text import exit_text, join

# status.reason of a pod, as the kubelet, the node controller and the scheduler write it.
_POD_REASONS: Mapping[str, Reason] = {
    "Evicted": Reason.EVICTED,
    "Preempting": Reason.EVICTED,
    "Preempted": Reason.EVICTED,
    "Terminated": Reason.EVICTED,
    "Shutdown": Reason.EVICTED,
    "NodeShutdown": Reason.EVICTED,
    "NodeLost": Reason.LOST,
}
_OWN_LIMITS = ("exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral storage limit")

Taken = tuple[Reason, str, bool]


def explain_taken(pod: PodView, ended: Terminated | None) -> Taken | None:
    """Why `pod` was ended from outside, as (reason, message, charged); None when it was not.

    `ended` is the end of the container that decides, if it has one.
    """
    status = pod.status
    if status.reason == "DeadlineExceeded":
        return Reason.DEADLINE_KILLED, join("ended by activeDeadlineSeconds", status.message), True
    reason = _POD_REASONS.get(status.reason)
    if reason is not None:
        charged = any(text in status.message for text in _OWN_LIMITS)
        return reason, join(status.reason, status.message), charged
    disruption = _disruption(pod)
    if disruption is not None:
        if _ended_before(ended, disruption.last_transition_time):
            return None
        reason = Reason.LOST if disruption.reason == "DeletionByPodGC" else Reason.EVICTED
        return reason, disruption_text(pod), False
    if pod.metadata.deletion_timestamp is not None:
        code = f", {exit_text(ended.exit_code)}" if ended is not None else ""
        return Reason.LOST, f"the pod was deleted by someone else{code}", False
    return None


def disruption_text(pod: PodView) -> str:
    """Why the cluster takes `pod` away, in its own words; empty when it does not."""
    found = _disruption(pod)
    return "" if found is None else join(found.reason or "disrupted", found.message)


def _disruption(pod: PodView) -> ObjectCondition | None:
    marks = (one for one in pod.status.conditions if one.type == "DisruptionTarget" and one.status == "True")
    return next(marks, None)


def _ended_before(ended: Terminated | None, moment: str | None) -> bool:
    """Whether the container had ended before `moment`; both are whole seconds in UTC, which sort as text."""
    return ended is not None and bool(ended.finished_at) and bool(moment) and str(ended.finished_at) < str(moment)
