"""What a cluster looked like at each revision of a history, as checkers ask about it.

Rule: names of the protocol (labels, annotations, kinds) are spelled here and not taken from the product: what is
promised to others may not change with the code that keeps the promise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.faults.history import ADDED, History, Object, Step, Version

FINAL = ("DONE", "ERROR", "CANCELLED")
JOB_HASH, PIPELINE_UID = "taskpipeline.dev/job-hash", "taskpipeline.dev/pipeline-uid"
ATTEMPT = "taskpipeline.dev/attempt"
OURS = "taskpipeline.dev"
WORKLOADS = ("pods", "jobs", "deployments")
UNREACHABLE_SECONDS = 60.0  # after its grace period, a pod that is still there has a node that does not answer


class Launch(NamedTuple):
    """A workload that has come into being for an attempt of a job."""

    version: Version
    job_hash: str
    attempt: int


@dataclass
class Scene:
    """The present objects by UID, and the last state of those of ours that are gone.

    `living` holds, by job hash, the pods and Kubernetes Jobs that have not ended, by UID. `succeeded` are the UIDs of
    workloads whose success has been seen, `ended` says since when a workload has been over, by UID, `removed` are those
    that are gone.
    """

    now: float = 0.0
    pipelines: dict[str, Object] = field(default_factory=dict)
    jobs: dict[str, Object] = field(default_factory=dict)
    clients: dict[str, Object] = field(default_factory=dict)  # by name
    gone: dict[str, Object] = field(default_factory=dict)
    uid_of_hash: dict[str, str] = field(default_factory=dict)
    living: dict[str, dict[str, Version]] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    ended: dict[str, float] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def apply(self, step: Step) -> None:
        """Take the next version over."""
        version = step.version
        self.now = max(self.now, version.time)
        known = {"pipelines": self.pipelines, "pipelinejobs": self.jobs}.get(version.resource)
        if known is not None:
            if version.gone:
                known.pop(version.uid, None)
                self.gone[version.uid] = version.object
            else:
                known[version.uid] = version.object
            if version.resource == "pipelinejobs":
                self.uid_of_hash[hash_of(version.object)] = version.uid
        elif version.resource == "pipelineclients":
            name = version.object["metadata"]["name"]
            if version.gone:
                self.clients.pop(name, None)
            else:
                self.clients[name] = version.object
        elif version.resource in WORKLOADS and hash_of(version.object):
            self._workload(version)

    def job_of_hash(self, job_hash: str) -> Object | None:
        """The job with this hash, or its last state."""
        uid = self.uid_of_hash.get(job_hash, "")
        return self.jobs.get(uid) or self.gone.get(uid)

    def pipeline_of(self, job: Object) -> Object | None:
        """The Pipeline of a job, if it exists."""
        return self.pipelines.get(pipeline_uid_of(job))

    def jobs_of(self, pipeline_uid: str) -> list[Object]:
        """All jobs of a Pipeline, of all runs, those that are gone as they were last seen."""
        everything = [*self.jobs.values(), *(one for one in self.gone.values() if "stageIndex" in one["spec"])]
        return [job for job in everything if pipeline_uid_of(job) == pipeline_uid]

    def alive(self, job_hash: str) -> list[Version]:
        """What lives of a job and whose end can be waited for."""
        return [one for one in self.living.get(job_hash, {}).values() if not self.is_unreachable(one.object)]

    def is_unreachable(self, workload: Object) -> bool:
        """Whether it stays so long after its deletion that nobody waits for it any more."""
        deadline = workload["metadata"].get("deletionTimestamp")
        return deadline is not None and seconds(deadline) + UNREACHABLE_SECONDS <= self.now + 1.0

    def _workload(self, version: Version) -> None:
        job_hash = hash_of(version.object)
        if version.gone:
            self.removed.add(version.uid)
        if has_succeeded(version):
            self.succeeded.add(version.uid)
            self.succeeded.add(controller_of(version.object).get("uid", ""))
        if version.resource == "deployments":
            if version.gone:
                self.ended.setdefault(version.uid, version.time)
            return
        if version.gone or has_ended(version):
            group = self.living.get(job_hash, {})
            group.pop(version.uid, None)
            if not group:
                self.living.pop(job_hash, None)
            self.ended.setdefault(version.uid, version.time)
        else:
            self.living.setdefault(job_hash, {})[version.uid] = version


def scenes(history: History) -> Iterator[tuple[Step, Scene]]:
    """Every step of the history with the scene after it (one object that changes)."""
    scene = Scene()
    for step in history.steps():
        scene.apply(step)
        yield step, scene


def launch_of(step: Step) -> Launch | None:
    """The launch that a step is, if it is one: a new workload of ours, or a Deployment that an attempt has applied."""
    version = step.version
    if version.resource not in WORKLOADS or version.gone:
        return None
    metadata = version.object["metadata"]
    job_hash, attempt = hash_of(version.object), metadata.get("annotations", {}).get(ATTEMPT)
    if not job_hash or attempt is None:
        return None
    launch = Launch(version, job_hash, int(attempt))
    if version.resource == "deployments":
        before = None if step.before is None else step.before.object
        same = before is not None and (hash_of(before), _attempt(before)) == (job_hash, attempt)
        return None if same else launch
    owned = controller_of(version.object).get("kind") == "PipelineJob"
    return launch if owned and version.verb == ADDED else None


def hash_of(thing: Object) -> str:
    """The job-hash label, "" without one."""
    return str((thing["metadata"].get("labels") or {}).get(JOB_HASH, ""))


def pipeline_uid_of(job: Object) -> str:
    """The UID of a job's Pipeline."""
    return str(job["metadata"]["labels"][PIPELINE_UID])


def controller_of(thing: Object) -> dict[str, Any]:
    """The owner reference of the controller, {} without one."""
    references = thing["metadata"].get("ownerReferences") or ()
    return next((one for one in references if one.get("controller")), {})


def status_of(thing: Object | None) -> dict[str, Any]:
    """The status, {} when there is none."""
    status: dict[str, Any] = (thing or {}).get("status") or {}
    return status


def holds_slot(job: Object) -> bool:
    """Whether a job holds a slot by its status."""
    status = status_of(job)
    return status.get("state") == "IN PROGRESS" or is_stopping(job)


def is_stopping(job: Object) -> bool:
    """READY because it was cancelled, while its workload is not gone."""
    status = status_of(job)
    return (status.get("state"), status.get("reason")) == ("READY", "Stopping")


def is_final(thing: Object) -> bool:
    """Whether it is in a terminal state."""
    return status_of(thing).get("state") in FINAL


def seconds(moment: str) -> float:
    """An RFC 3339 time as seconds of the epoch."""
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def has_ended(version: Version) -> bool:
    """Whether a pod or Kubernetes Job is over; of a pod with containers that others injected, its own one decides."""
    status = status_of(version.object)
    if version.resource == "jobs":
        return _ends(status) != set()
    return status.get("phase") in ("Succeeded", "Failed") or _exit_code(version.object) is not None


def has_succeeded(version: Version) -> bool:
    """Whether a workload's success can be seen."""
    status, spec = status_of(version.object), version.object["spec"]
    if version.resource == "jobs":
        return "Complete" in _ends(status) or "SuccessCriteriaMet" in _conditions(status)
    if version.resource == "pods":
        return status.get("phase") == "Succeeded" or _exit_code(version.object) == 0
    wanted = spec.get("replicas", 1)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    return status.get("observedGeneration", 0) >= version.object["metadata"]["generation"] and counts == [wanted] * 3


def _attempt(thing: Object) -> str | None:
    attempt: str | None = (thing["metadata"].get("annotations") or {}).get(ATTEMPT)
    return attempt


def _conditions(status: dict[str, Any]) -> set[str]:
    return {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}


def _ends(status: dict[str, Any]) -> set[str]:
    return _conditions(status) & {"Complete", "Failed"}


def _exit_code(pod: Object) -> int | None:
    """The exit code of the first container of the spec's that is named `main`, or else of the first one."""
    names = [one["name"] for one in pod["spec"]["containers"]]
    main = "main" if "main" in names else names[0]
    for one in status_of(pod).get("containerStatuses") or ():
        ended = one["state"].get("terminated")
        if one["name"] == main and ended is not None and pod["spec"].get("restartPolicy") == "Never":
            return int(ended["exitCode"])
    return None
