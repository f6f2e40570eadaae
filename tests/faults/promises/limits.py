"""Limits, order and slots: how many run at once, in which order they start, and that no slot is kept for nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.history import History, Object, Version
from tests.faults.rules import Found, Rules, widest
from tests.faults.scene import (
    Scene,
    hash_of,
    holds_slot,
    is_final,
    is_stopping,
    launch_of,
    pipeline_uid_of,
    scenes,
    seconds,
    status_of,
)

TOLD_SECONDS = 5.0  # within which a job that does not fit into the queue says so
NOT_IN_THE_WAY = ("QuotaExceeded", "RetryBackoff", "Stopping", "QueueFull", "ClientQueueFull")


def limits_hold(history: History, rules: Rules) -> Found:
    """S3: whenever one more job takes a slot, those that have one are within the operator's limit and the client's.

    A slot is taken by a job that is IN PROGRESS or being stopped, and by one of which a workload lives, whatever its
    status says. A limit that was lowered counts from the next launch on.
    """
    of_clients = _ClientLimits()
    before: set[str] = set()
    for step, scene in scenes(history):
        of_clients.see(step.version)
        used = _used(scene)
        taken, before = used - before, used
        if not taken:
            continue
        now = step.version.time
        limit = rules.running(now)
        if limit is not None and len(used) > limit + rules.overshoot:
            yield step.version.revision, f"{len(used)} slots are taken, the limit is {limit}"
        clients = Counter(_client(scene, job_hash) for job_hash in used)
        for client in {_client(scene, job_hash) for job_hash in taken}:
            limit = of_clients.at(client, now - rules.seen_after)
            if limit is not None and clients[client] > limit + rules.overshoot:
                yield step.version.revision, f"client {client} has {clients[client]} slots, its limit is {limit}"


def queue_is_a_window(history: History, rules: Rules) -> Found:
    """S3 (queue): no more jobs wait for their first attempt, and do not say that the queue is full, than QUEUE_SIZE
    and the slots that may just be given to them. A single Pipeline may be larger than the whole window.
    """
    since: dict[str, float] = {}
    for step, scene in scenes(history):
        now = step.version.time
        size, running = rules.queue(now), rules.running(now)
        waiting = {uid for uid, job in scene.jobs.items() if _is_enqueued(job)}
        since = {uid: since.get(uid, now) for uid in waiting}
        long = [uid for uid in waiting if since[uid] + TOLD_SECONDS + rules.patience <= now]
        owners = {pipeline_uid_of(scene.jobs[uid]) for uid in long}
        if size is not None and running is not None and len(owners) > 1 and len(long) > size + running:
            yield step.version.revision, f"{len(long)} jobs are enqueued, {size} fit"


def order_is_kept(history: History, rules: Rules) -> Found:
    """S6: when a job is launched, no job that ranks before it, and could have been launched, is left waiting for longer
    than a fault may hold back a single launch.

    Whatever may be held back by something that an onlooker cannot see (a quota, a backoff) is not counted, nor what was
    kept back by its client's limit while a job of another client was launched.
    """
    waiting: dict[str, _Candidate] = {}
    used: Counter[str] = Counter()  # by client, before the step
    passed: dict[str, tuple[int, float, str]] = {}  # UID of a job -> by which launch it was passed over, and when
    for step, scene in scenes(history):
        now = step.version.time
        for uid, (revision, moment, text) in list(passed.items()):
            if uid not in waiting:
                del passed[uid]
            elif now > moment + rules.patience:
                del passed[uid]
                yield revision, text
        before, used = used, Counter(_client(scene, job_hash) for job_hash in _used(scene))
        waiting = _candidates(scene, waiting)
        passed = {uid: told for uid, told in passed.items() if uid in waiting}
        launch = launch_of(step)
        job = None if launch is None else scene.job_of_hash(launch.job_hash)
        rank = None if job is None else _rank(job, scene)
        if launch is None or job is None or rank is None or launch.attempt != status_of(job).get("attempt", 0) + 1:
            continue
        for uid, other in waiting.items():
            better = other.rank < rank and other.since + rules.seen_after < now
            if uid != job["metadata"]["uid"] and better and _may_go_before(scene.jobs[uid], job, scene, before):
                names = f"{_title(job)} launched before {_title(scene.jobs[uid])}"
                passed.setdefault(uid, (step.version.revision, now, names))


def slots_are_freed(history: History, rules: Rules) -> Found:
    """P5: the end of a workload frees the slot of its job, within the time that a fault may hold the news back."""
    held: dict[str, float] = {}  # UID of a job that holds a slot -> since when its workload is over
    told: set[str] = set()
    for step, scene in scenes(history):
        for uid, job in scene.jobs.items():
            if holds_slot(job) and _is_over(job, scene):
                held.setdefault(uid, scene.now)
            else:
                held.pop(uid, None)
        held = {uid: since for uid, since in held.items() if uid in scene.jobs}
        for uid, since in held.items():
            if scene.now > since + rules.patience and uid not in told:
                told.add(uid)
                yield step.version.revision, f"{_title(scene.jobs[uid])} keeps its slot, its workload is over"


@dataclass
class _ClientLimits:
    """What each client may have at once, over time."""

    changes: dict[str, list[tuple[float, int | None]]] = field(default_factory=dict)

    def see(self, version: Version) -> None:
        if version.resource == "pipelineclients":
            limit = None if version.gone else version.object["spec"].get("maxRunningJobs")
            changes = self.changes.setdefault(version.object["metadata"]["name"], [])
            if not changes or changes[-1][1] != limit:
                changes.append((version.time, limit))

    def at(self, client: str, since: float) -> int | None:
        """The widest limit from `since` on."""
        changes = self.changes.get(client, [])
        past = [limit for moment, limit in changes if moment <= since]
        return widest(past[-1:] + [limit for moment, limit in changes if moment > since])


class _Rank(NamedTuple):
    client: int
    pipeline: int
    stage: int
    job: int
    accepted: str
    place: int
    uid: str


class _Candidate(NamedTuple):
    """A job that waits and could start: its rank, and since when both are true."""

    rank: _Rank
    since: float


def _is_over(job: Object, scene: Scene) -> bool:
    """Whether the workload of a job is over, and nothing else of the job lives. A Deployment is never over."""
    workload = status_of(job).get("workload") or {}
    over = workload.get("uid") in scene.ended and workload["kind"] != "Deployment"
    return over and not scene.alive(hash_of(job))


def _used(scene: Scene) -> set[str]:
    """Hashes of the jobs that take a slot."""
    by_status = {hash_of(job) for job in scene.jobs.values() if holds_slot(job)}
    return by_status | {job_hash for job_hash in list(scene.living) if _runs(scene, job_hash)}


def _runs(scene: Scene, job_hash: str) -> bool:
    """Whether something of a job runs. A Kubernetes Job that has not noticed its end yet does not, nor one that is
    suspended.
    """
    job = scene.job_of_hash(job_hash)
    over = job is not None and is_final(job)
    for version in scene.alive(job_hash):
        idle = version.resource == "jobs" and (over or version.object["spec"].get("suspend", False))
        if not idle:
            return True
    return False


def _client(scene: Scene, job_hash: str) -> str:
    job = scene.job_of_hash(job_hash)
    return "" if job is None else str(job["spec"]["clientId"])


def _is_enqueued(job: Object) -> bool:
    status = status_of(job)
    full = status.get("reason") in ("QueueFull", "ClientQueueFull")
    return status.get("state") == "READY" and not is_stopping(job) and not status.get("attempt") and not full


def _candidates(scene: Scene, before: dict[str, _Candidate]) -> dict[str, _Candidate]:
    """The jobs that wait and that nothing but limits holds back, by UID."""
    found = {}
    for uid, rank in _could_start(scene):
        known = before.get(uid)
        same = known is not None and known.rank == rank
        found[uid] = known if known is not None and same else _Candidate(rank, scene.now)
    return found


def _could_start(scene: Scene) -> Iterator[tuple[str, _Rank]]:
    for uid, job in scene.jobs.items():
        status = status_of(job)
        if status.get("state") != "READY" or status.get("reason") in NOT_IN_THE_WAY or scene.alive(hash_of(job)):
            continue
        due = status.get("nextAttemptTime")
        pipeline, client = scene.pipeline_of(job), scene.clients.get(job["spec"]["clientId"])
        rank = _rank(job, scene)
        if pipeline is None or client is None or rank is None or (due is not None and seconds(due) > scene.now):
            continue
        if _is_held(job, pipeline, client) or is_final(pipeline):
            continue
        yield uid, rank


def _is_held(job: Object, pipeline: Object, client: Object) -> bool:
    wishes = [job["spec"].get("cancel"), pipeline["spec"].get("cancel"), pipeline["spec"].get("suspend")]
    deleted = any("deletionTimestamp" in one["metadata"] for one in (job, pipeline))
    return any(wishes) or deleted or bool(client["spec"].get("suspend"))


def _may_go_before(job: Object, launched: Object, scene: Scene, used: Counter[str]) -> bool:
    """Whether the slot that was given to `launched` could have been given to `job`."""
    name = job["spec"]["clientId"]
    limit = scene.clients[name]["spec"].get("maxRunningJobs")
    return name == launched["spec"]["clientId"] or limit is None or used[name] < limit


def _rank(job: Object, scene: Scene) -> _Rank | None:
    """A job's place in the order; None where it cannot be told, or goes by its age."""
    pipeline, client = scene.pipeline_of(job), scene.clients.get(job["spec"]["clientId"])
    accepted = status_of(pipeline).get("acceptedTime")
    if pipeline is None or client is None or accepted is None or "maxWaitSeconds" in client["spec"]:
        return None
    spec: dict[str, Any] = job["spec"]
    return _Rank(
        client["spec"].get("priority", 10),
        pipeline["spec"].get("priority", 10),
        spec["stageIndex"],
        spec.get("priority", 10),
        accepted,
        spec["index"],
        pipeline_uid_of(job),
    )


def _title(job: Object) -> str:
    return f"{job['spec']['pipeline']}/{job['spec']['name']}"
