"""What a PipelineJob that does not exist any more has left behind, and for how long that takes up its slot.

The garbage collector deletes what the job owned. Until that has ended it runs, and counts. What stays so long after its
grace period that its node cannot be answering counts no more, as it would for a job that still exists.
"""

from collections.abc import Iterable
from datetime import datetime

from task_pipeline.api.objects import DeploymentView, KubernetesJobView, PodView, WorkloadView
from task_pipeline.core.deadlines import UNREACHABLE_GRACE, after, earliest, passed


def remains(workloads: Iterable[WorkloadView], now: datetime) -> tuple[bool, datetime | None]:
    """Whether any of what the job has left may still run, and when that is to be asked again though nothing is seen."""
    limits = [after(view.metadata.deletion_timestamp, UNREACHABLE_GRACE) for view in workloads if _may_run(view)]
    alive = [limit for limit in limits if not passed(limit, now)]
    return bool(alive), earliest(*alive)


def has_ended(view: WorkloadView) -> bool:
    """Whether the workload is a pod, or a Kubernetes Job, that is over and stays only to be read."""
    if isinstance(view, PodView):
        return view.status.phase in ("Succeeded", "Failed")
    if isinstance(view, KubernetesJobView):
        return any(one.type in ("Complete", "Failed") and one.status == "True" for one in view.status.conditions)
    return False


def _may_run(view: WorkloadView) -> bool:
    if isinstance(view, DeploymentView) or has_ended(view):
        return False
    return isinstance(view, PodView) or not view.spec.suspend
