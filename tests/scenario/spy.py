"""What an onlooker of the cluster sees: launches in order, how many ran at once, every reason that was told.

Rule: it looks at the objects, one change after the other, and asks the operator nothing. Work is named `pipeline/job`,
a Pipeline by its name alone.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from tests.fakes.store import Change, ChangeType, Object, Store


class Told(NamedTuple):
    """Something that waits has given a reason, or another message. `time` is the loop's."""

    time: float
    who: str
    reason: str
    message: str


@dataclass
class Peaks:
    """How many there are now, and the most that there have been at once."""

    members: dict[str, str] = field(default_factory=dict)  # by UID: whose it is
    most: int = 0
    most_of: Counter[str] = field(default_factory=Counter)

    def put(self, uid: str, owner: str) -> None:
        self.members[uid] = owner
        self.most = max(self.most, len(self.members))
        used = sum(1 for one in self.members.values() if one == owner)
        self.most_of[owner] = max(self.most_of[owner], used)

    def remove(self, uid: str) -> bool:
        return self.members.pop(uid, None) is not None


class Spy:
    """Watches a cluster's store from its beginning.

    `launches` names the owner of every Pod in the order of creation; `launched_at` is when each was launched first,
    `ended_at` when its last Pod had ended.
    `running` are jobs that hold a slot by their status, `pods` those that live, both by client.
    """

    def __init__(self, store: Store) -> None:
        self.launches: list[str] = []
        self.launched_at: dict[str, float] = {}
        self.ended_at: dict[str, float] = {}
        self.told: list[Told] = []
        self.running, self.pods = Peaks(), Peaks()
        self._name_of: dict[str, str] = {}  # by job hash
        self._client_of: dict[str, str] = {}
        store.listeners.append(self._see)

    def reasons(self, who: str) -> list[str]:
        """The reasons that `who` has given while it waited, in order, its first (`Queued` of a job) included."""
        return [told.reason for told in self.told if told.who == who]

    def _see(self, change: Change) -> None:
        if change.resource == PODS:
            self._pod(change)
        elif change.resource == PIPELINE_JOBS:
            self._job(change)
        elif change.resource == PIPELINES and change.type is not ChangeType.DELETED:
            self._reason(change, str(change.object["metadata"]["name"]))

    def _job(self, change: Change) -> None:
        spec, status = change.object["spec"], change.object["status"]
        job_hash = change.object["metadata"]["labels"][LABEL_JOB_HASH]
        self._name_of[job_hash] = f"{spec['pipeline']}/{spec['name']}"
        self._client_of[job_hash] = spec["clientId"]
        holds = status["state"] == "IN PROGRESS" or (status["state"], status["reason"]) == ("READY", "Stopping")
        if change.type is not ChangeType.DELETED and holds:
            self.running.put(change.uid, spec["clientId"])
        else:
            self.running.remove(change.uid)
        if change.type is not ChangeType.DELETED:
            self._reason(change, self._name_of[job_hash])

    def _pod(self, change: Change) -> None:
        job_hash = change.object["metadata"].get("labels", {}).get(LABEL_JOB_HASH)
        if job_hash is None:  # no launch of ours
            return
        if change.type is ChangeType.ADDED:
            name = self._name_of[job_hash]
            self.launches.append(name)
            self.launched_at.setdefault(name, change.time)
        if change.type is ChangeType.DELETED or change.object["status"].get("phase") in ("Succeeded", "Failed"):
            if self.pods.remove(change.uid) and job_hash is not None:
                self.ended_at[self._name_of[job_hash]] = change.time
        elif job_hash is not None:
            self.pods.put(change.uid, self._client_of[job_hash])

    def _reason(self, change: Change, who: str) -> None:
        told = _wait_of(change.object)
        if told is not None and (change.previous is None or _wait_of(change.previous) != told):
            self.told.append(Told(change.time, who, *told))


def _wait_of(thing: Object) -> tuple[str, str] | None:
    """The reason why it waits, and the message; None when it does not wait or does not say."""
    status = thing.get("status", {})
    if status.get("state") != "READY" or "reason" not in status:
        return None
    return status["reason"], status.get("message", "")
