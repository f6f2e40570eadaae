"""Ends: what was cancelled starts no more, everything comes to rest, and nobody is left behind."""

from collections.abc import Iterator
from typing import Any

from tests.faults.history import LEASES, History, Object, Version
from tests.faults.rules import Found, Rules
from tests.faults.scene import (
    OURS,
    UNREACHABLE_SECONDS,
    WORKLOADS,
    controller_of,
    has_ended,
    hash_of,
    is_final,
    launch_of,
    pipeline_uid_of,
    scenes,
    seconds,
    status_of,
)

RELEASE_SECONDS = 5.0  # within which a leader that ends on SIGTERM is succeeded
HOST = ("hostNetwork", "hostPID", "hostIPC")


def nothing_after_a_cancel(history: History, rules: Rules) -> Found:
    """P1: nothing is launched once the operator knows of a cancel, a suspension or a deletion that concerns it."""
    since: dict[str, float] = {}  # by UID of a Pipeline or of a job
    late_ones = late_arrivals(history)
    for step, scene in scenes(history):
        version = step.version
        if version.resource in ("pipelines", "pipelinejobs"):
            spec, held = version.object["spec"], "deletionTimestamp" in version.object["metadata"]
            if version.gone or held or spec.get("cancel") or spec.get("suspend"):
                since.setdefault(version.uid, version.time)
            else:
                since.pop(version.uid, None)
        launch = launch_of(step)
        job = None if launch is None else scene.job_of_hash(launch.job_hash)
        if job is None or version.revision in late_ones:
            continue
        for uid in (job["metadata"]["uid"], pipeline_uid_of(job)):
            late = version.time - since.get(uid, version.time)
            if late > rules.seen_after:
                yield version.revision, f"{version.name} launched {late:.3f} s after its end was asked for"


def owners_are_right(history: History, rules: Rules) -> Found:
    """S11: a job belongs to a Pipeline, and a workload to a job, that exists or existed in the same namespace; and what
    a job takes for its workload is its own. A Deployment outlives its job and has no owner.
    """
    workloads: dict[str, str] = {}  # UID of each pod and Kubernetes Job -> that of its owner
    for step, scene in scenes(history):
        if step.version.resource in ("pods", "jobs"):
            workloads.setdefault(step.version.uid, str(controller_of(step.version.object).get("uid", "")))
        claimed = status_of(step.version.object).get("workload")
        if claimed is not None and workloads.get(claimed["uid"], step.version.uid) != step.version.uid:
            yield step.version.revision, f"{step.version.name} takes {claimed['name']}, which is not its own"
        version, owner = step.version, controller_of(step.version.object)
        uid, namespace = owner.get("uid", ""), version.object["metadata"].get("namespace")
        if step.before is not None or version.gone:
            continue
        if version.resource == "pipelinejobs":
            found = scene.pipelines.get(uid) or scene.gone.get(uid)
        elif version.resource in WORKLOADS and hash_of(version.object):
            found = scene.job_of_hash(hash_of(version.object))
            right = found is not None and found["metadata"]["uid"] == uid
            if version.resource != "deployments" and not right and uid not in workloads:
                found = None
        else:
            continue
        if found is None or found["metadata"]["namespace"] != namespace:
            yield version.revision, f"{version.name} has no owner of ours in its namespace"


def hygiene(history: History, rules: Rules) -> Found:
    """S13: pods that we create ask for nothing of the host and for no privilege, and no secret is told anywhere."""
    for step, _ in scenes(history):
        version = step.version
        if version.resource == "pods" and step.before is None and hash_of(version.object):
            for text in _privileges(version.object["spec"]):
                yield version.revision, f"{version.name}: {text}"
        told = version.object if version.resource == "events" else status_of(version.object)
        for secret in rules.secrets:
            if version.resource not in WORKLOADS and secret in str(told):
                yield version.revision, f"{version.name} tells a secret"


def comes_to_rest(history: History, rules: Rules) -> Found:
    """S14: when nothing is to be done, nothing is written (but the Lease)."""
    for version, _ in history.steps():
        if version.resource != LEASES and version.time > history.ended - rules.quiet:
            late = version.time - (history.ended - rules.quiet)
            yield version.revision, f"{version.verb} {version.resource} {version.name} {late:.0f} s after the last need"


def everything_ends(history: History, rules: Rules) -> Found:
    """L1: at the end every Pipeline and every job is final."""
    for version in history.final():
        if version.resource not in ("pipelines", "pipelinejobs") or is_final(version.object):
            continue
        namespace = version.object["metadata"].get("namespace", "")
        name = version.object["spec"].get("pipeline", version.object["metadata"]["name"])
        if f"{namespace}/{name}" not in rules.unfinished:
            status = status_of(version.object)
            yield version.revision, f"{version.name} is still {status.get('state')} {status.get('reason')}"


def deletions_complete(history: History, rules: Rules) -> Found:
    """L2: no finalizer of ours is ever set, and at the end nothing of ours is still being deleted."""
    for version, _ in history.steps():
        mine = [one for one in version.object["metadata"].get("finalizers") or () if OURS in one]
        if mine:
            yield version.revision, f"{version.name} has the finalizers {mine}"
    for version in history.final():
        deadline = version.object["metadata"].get("deletionTimestamp")
        ours = version.resource in ("pipelines", "pipelinejobs") or hash_of(version.object)
        if ours and deadline is not None and seconds(deadline) + UNREACHABLE_SECONDS < history.ended:
            yield version.revision, f"{version.name} is still being deleted"


def nothing_is_left(history: History, rules: Rules) -> Found:
    """L3: at the end no slot is taken, nothing runs, and everything has its owner."""
    alive = history.final()
    uids = {version.uid for version in alive}
    for version in alive:
        metadata = version.object["metadata"]
        if version.resource == "pipelinejobs" and pipeline_uid_of(version.object) not in uids:
            yield version.revision, f"{version.name} is without its Pipeline"
        if version.resource not in ("pods", "jobs") or not hash_of(version.object):
            continue
        job = next((one for one in alive if one.resource == "pipelinejobs" and _is_of(version, one)), None)
        if job is None:
            yield version.revision, f"{version.resource} {version.name} is without its job"
        elif not has_ended(version) and "deletionTimestamp" not in metadata and is_final(job.object):
            yield version.revision, f"{version.resource} {version.name} runs on after the end of its job"


def acknowledged_is_kept(history: History, rules: Rules) -> Found:
    """S10: what was answered with success is in the history."""
    revisions = {version.revision for version in history.versions}
    for ack in history.acks:
        if ack.revision and ack.revision not in revisions and ack.verb != "delete":
            yield ack.revision, f"{ack.verb} {ack.resource} {ack.name} was acknowledged and is not there"


def old_leaders_are_silent(history: History, rules: Rules) -> Found:
    """S12: whoever has lost the Lease sends nothing any more, and of what it had sent no more arrives than may be in
    flight.
    """
    terms = _terms(history)
    leaders = {holder for _, holder in terms}
    late: dict[str, int] = {}
    for ack in history.acks:
        if ack.actor not in leaders or ack.resource == LEASES:
            continue
        if not _led(terms, ack.actor, ack.sent):
            yield ack.revision, f"{ack.actor} sent {ack.verb} {ack.resource} {ack.name} and did not lead any more"
        elif not _led(terms, ack.actor, ack.answered):
            late[ack.actor] = late.get(ack.actor, 0) + 1
            if late[ack.actor] == rules.in_flight + 1:
                yield ack.revision, f"more than {rules.in_flight} writes of {ack.actor} arrived after its time"


def failover_is_quick(history: History, rules: Rules) -> Found:
    """L4: a leader that is killed is succeeded within the Lease's duration and 5 s, one that ends by itself in 5 s."""
    terms = _terms(history)
    for mark in history.marks:
        if mark.what not in ("killed", "terminated") or _holder(terms, mark.time) not in (mark.who, ""):
            continue
        limit = RELEASE_SECONDS + (rules.lease if mark.what == "killed" else 0.0)
        after = [since for since, holder in terms if since >= mark.time and holder not in (mark.who, "")]
        if terms and mark.time + limit < history.ended and (not after or after[0] > mark.time + limit):
            yield 0, f"{mark.who} was {mark.what}, and nobody led within {limit:.0f} s"


def _is_of(workload: Version, job: Version) -> bool:
    return hash_of(workload.object) == hash_of(job.object)


def _privileges(spec: Object) -> Iterator[str]:
    asked = [name for name in HOST if spec.get(name)]
    if asked:
        yield f"asks for {asked}"
    for container in spec["containers"]:
        security: dict[str, Any] = container.get("securityContext") or {}
        if security.get("privileged") or security.get("allowPrivilegeEscalation") is not False:
            yield f"container {container['name']} may gain privileges"


def _terms(history: History) -> list[tuple[float, str]]:
    """From when on who held the operators' Lease ("": nobody), in order."""
    terms: list[tuple[float, str]] = []
    for version, _ in history.steps():
        if version.resource == LEASES:
            holder = "" if version.gone else version.object["spec"].get("holderIdentity") or ""
            if not terms or terms[-1][1] != holder:
                terms.append((version.time, holder))
    return terms


def _holder(terms: list[tuple[float, str]], moment: float) -> str | None:
    """Who held the Lease right before a time; None before the first."""
    past = [holder for since, holder in terms if since < moment]
    return past[-1] if past else None


def _led(terms: list[tuple[float, str]], actor: str, moment: float) -> bool:
    """Whether an actor held the Lease at a time; in the very instant of a change both did."""
    until = [since for since, _ in terms[1:]] + [float("inf")]
    return any(holder == actor and since <= moment <= end for (since, holder), end in zip(terms, until, strict=True))


def late_arrivals(history: History) -> set[int]:
    """The revisions that leaders made whose time was over when their writes arrived."""
    terms = _terms(history)
    leaders = {holder for _, holder in terms}
    return {
        ack.revision
        for ack in history.acks
        if ack.revision and ack.actor in leaders and not _led(terms, ack.actor, ack.answered)
    }
