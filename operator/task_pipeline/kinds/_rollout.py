"""Judging the rollout of a Deployment.

Rule: a status speaks only for the generation it has observed. Done means that all wanted replicas are of the new
template and available, and that the Deployment counts no old one any more; pods that still terminate are not
counted by it, but they are told.
"""

from collections.abc import Sequence

from task_pipeline.api.objects import DeploymentView, PodView
from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds._judge import judge_pod
from task_pipeline.kinds._text import join


def judge_rollout(deployment: DeploymentView, pods: Sequence[PodView]) -> Observation:
    """How far `deployment` is; `pods`, if known, add the reason why one of them does not start."""
    status, wanted = deployment.status, deployment.spec.replicas
    if status.observed_generation < deployment.metadata.generation:
        return Observation(Phase.RUNNING, message="waiting for the Deployment controller")
    conditions = {condition.type: condition for condition in deployment.status.conditions}
    if status.updated_replicas == status.available_replicas == status.replicas == wanted:
        leaving = f"{status.terminating_replicas} old pods still terminate" if status.terminating_replicas else ""
        return Observation(Phase.SUCCEEDED, message=leaving)
    progress = conditions.get("Progressing")
    if progress is not None and progress.status == "False" and progress.reason == "ProgressDeadlineExceeded":
        message = join(progress.message or progress.reason, _pod_trouble(pods))
        return Observation(
            Phase.FAILED,
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            message,
            completion_time=progress.last_transition_time,
        )
    counts = f"{status.updated_replicas} of {wanted} updated, {status.available_replicas} available"
    counts += f", {status.replicas} in all"
    if deployment.spec.paused:
        return Observation(Phase.RUNNING, message=join("the Deployment is paused", counts))
    failure = conditions.get("ReplicaFailure")
    if failure is not None and failure.status == "True":
        return Observation(Phase.RUNNING, message=join(counts, failure.message or failure.reason))
    return Observation(Phase.RUNNING, message=join(counts, _pod_trouble(pods)))


def _pod_trouble(pods: Sequence[PodView]) -> str:
    """What keeps the first pod in trouble from running; empty when none is known."""
    for pod in pods:
        seen = judge_pod(pod)
        waits = seen.phase is Phase.STARTING and seen.reason is not Reason.STARTING
        if seen.message and (waits or seen.phase in (Phase.RUNNING, Phase.FAILED)):
            return f"pod {pod.metadata.name}: {seen.message}"
    return ""
