"""Laws that hold whatever users and the cluster do to jobs: an observer of the store that notes every breach.

- A terminal state is never left within a run.
- A job is final, or waits for another attempt, only when nothing of it runs any more; a Pipeline, when nothing of any
  job does that still exists.
- A job never has two live workloads.
- Once a cancel has been seen, nothing that it concerns is launched.

Rule: it reads objects, one change after the other, and asks the operator nothing. Deployments outlive their jobs and
are not looked at.
"""

from collections import defaultdict

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_PIPELINE_UID
from task_pipeline.api.resources import KUBERNETES_JOBS, PIPELINE_JOBS, PIPELINES, PODS
from tests.fakes import FakeCluster
from tests.fakes.store import Change, ChangeType, Object

FINAL = ("DONE", "ERROR", "CANCELLED")
SEEN_AFTER = 0.05  # seconds until the operator, when it is there, has seen an edit and what was in flight has arrived
INVALID = ("InvalidSpec", "ClientNotAllowed")


class Laws:
    """Watches a cluster's store from its making on. `breaches` says what was broken, and when.

    `seen_after` is the time, in seconds, that a launch may be on its way.
    """

    def __init__(self, cluster: FakeCluster, *, seen_after: float = SEEN_AFTER) -> None:
        self.breaches: list[str] = []
        self._seen_after = seen_after
        self._live: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)  # kind and UID by job hash
        self._pipeline_of: dict[str, str] = {}  # UID of the Pipeline by job hash
        self._cancelled: dict[str, float] = {}  # since when, by UID of a Pipeline or by job hash
        cluster.store.listeners.append(self._see)

    def check(self) -> None:
        """Raise AssertionError when a law was broken."""
        assert not self.breaches, self.breaches

    def live(self) -> int:
        """How many workloads live."""
        return sum(map(len, self._live.values()))

    def _see(self, change: Change) -> None:
        if change.resource == PIPELINES:
            self._note_cancel(change, change.uid)
            self._must_not_leave_its_end(change)
            hashes = [one for one, pipeline in self._pipeline_of.items() if pipeline == change.uid]
            self._must_be_over(change, *hashes)
        elif change.resource == PIPELINE_JOBS:
            job_hash = change.object["metadata"]["labels"][LABEL_JOB_HASH]
            self._pipeline_of[job_hash] = change.object["metadata"]["labels"][LABEL_PIPELINE_UID]
            if change.type is ChangeType.DELETED:
                del self._pipeline_of[job_hash]
            self._note_cancel(change, job_hash)
            self._must_not_leave_its_end(change)
            self._must_be_over(change, job_hash)
        elif change.resource in (PODS, KUBERNETES_JOBS):
            self._workload(change, change.object["metadata"].get("labels", {}).get(LABEL_JOB_HASH))

    def _note_cancel(self, change: Change, who: str) -> None:
        if change.object["spec"].get("cancel"):
            self._cancelled.setdefault(who, change.time)
        else:
            self._cancelled.pop(who, None)

    def _must_not_leave_its_end(self, change: Change) -> None:
        before, after = (change.previous or {}).get("status", {}), change.object.get("status", {})
        may = before.get("reason") in INVALID or before.get("run", 1) != after.get("run", 1)
        if before.get("state") in FINAL and after.get("state") != before["state"] and not may:
            self._broken(change, f"{before['state']} became {after.get('state')}")

    def _must_be_over(self, change: Change, *hashes: str) -> None:
        before, after = (change.previous or {}).get("status", {}), change.object["status"]
        waits = change.resource == PIPELINE_JOBS and after["state"] == "READY" and after["reason"] != "Stopping"
        ended = after["state"] in FINAL or waits
        changed = before.get("state") != after["state"] or before.get("reason") != after.get("reason")
        left = {kind for one in hashes for kind, _ in self._live[one]}
        if after["state"] == "DONE" or change.resource == PIPELINES:
            left.discard(KUBERNETES_JOBS.kind)  # it notices the success of its pod a second later
        if change.type is ChangeType.MODIFIED and ended and changed and left:
            self._broken(change, f"{after['state']} {after['reason']} while there lives a {left}")

    def _workload(self, change: Change, job_hash: str | None) -> None:
        if job_hash is None:
            return
        owner = next(iter(change.object["metadata"].get("ownerReferences", ())), {"kind": ""})
        if change.type is ChangeType.ADDED and owner["kind"] == PIPELINE_JOBS.kind:
            self._must_be_wanted(change, job_hash)
        if change.type is ChangeType.DELETED or _has_ended(change.object):
            self._live[job_hash].discard((change.resource.kind, change.uid))
        else:
            self._live[job_hash].add((change.resource.kind, change.uid))

    def _must_be_wanted(self, change: Change, job_hash: str) -> None:
        if self._live[job_hash]:
            self._broken(change, "launched while another workload of the job lives")
        for who in (job_hash, self._pipeline_of.get(job_hash, "")):
            since = self._cancelled.get(who)
            if since is not None and change.time > since + self._seen_after:
                self._broken(change, f"launched {change.time - since:.3f} s after a cancel")

    def _broken(self, change: Change, what: str) -> None:
        self.breaches.append(f"{change.time:.3f} {change.resource.kind} {change.key[1]}: {what}")


def _has_ended(workload: Object) -> bool:
    status = workload.get("status", {})
    ends = [one["type"] for one in status.get("conditions", ()) if one["status"] == "True"]
    return status.get("phase") in ("Succeeded", "Failed") or "Complete" in ends or "Failed" in ends
