"""Attempts: each launched once, in order, never after an end, and never two at a time."""

from collections import defaultdict
from typing import Any

from tests.faults.history import History, Object
from tests.faults.promises.ends import late_arrivals
from tests.faults.rules import Found, Rules
from tests.faults.scene import Launch, Scene, controller_of, hash_of, is_final, launch_of, scenes, status_of


def one_workload_for_each_attempt(history: History, rules: Rules) -> Found:
    """S1: at most one workload ever exists for an attempt, also when the first is gone. A Deployment that is applied
    again is the same one; one that is created again is not.

    There are two exceptions. A workload that somebody else deleted before any status knew of it: nobody can know that
    it was there, and it has to be gone before the attempt is launched again. And what a leader had sent that was
    paused, and that arrives when its time is over: it has to be removed again (L3).
    """
    late_ones = late_arrivals(history)
    seen: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    recorded: set[str] = set()
    for step, scene in scenes(history):
        recorded.add((status_of(step.version.object).get("workload") or {}).get("uid", ""))
        launch = launch_of(step)
        if launch is None or step.version.revision in late_ones:
            continue
        uids = seen[launch.job_hash, launch.attempt]
        uids -= {uid for uid in uids if uid not in recorded and uid in scene.removed}
        uids.add(launch.version.uid)
        if len(uids) > 1:
            yield launch.version.revision, f"{launch.version.name} is workload number {len(uids)} of its attempt"


def attempts_in_order(history: History, rules: Rules) -> Found:
    """S2: attempts are numbered 1, 2, ...; the next is launched when the outcome of the last is written and nothing of
    it lives; nothing is launched for a job that is final.
    """
    late_ones = late_arrivals(history)
    for step, scene in scenes(history):
        version = step.version
        if version.resource == "pipelinejobs" and step.before is not None and not version.gone:
            before, after = (status_of(one.object).get("attempt", 0) for one in (step.before, version))
            if after - before not in (0, 1):
                yield version.revision, f"{version.name}: attempt {after} after attempt {before}"
        launch = launch_of(step)
        if launch is not None and version.revision not in late_ones:
            for text in _wrong_with(launch, scene):
                yield version.revision, f"{version.name}: {text}"


def _wrong_with(launch: Launch, scene: Scene) -> list[str]:
    job = scene.job_of_hash(launch.job_hash)
    if job is None:
        return ["launched for a job that nobody has seen"]
    status = status_of(job)
    known, outcomes = status.get("attempt", 0), {one["attempt"]: one.get("outcome") for one in _attempts(status)}
    wrong = []
    if is_final(job):
        wrong.append(f"launched for a job that is {status['state']}")
    again = launch.version.resource == "deployments" and launch.attempt == known  # applied once more
    if launch.attempt != known + 1 and not again:
        wrong.append(f"attempt {launch.attempt} launched while the status knows {known}")
    if known and launch.attempt == known + 1 and outcomes.get(known) is None:
        wrong.append(f"attempt {launch.attempt} launched before the outcome of {known} was written")
    others = [one for one in scene.alive(launch.job_hash) if launch.version.uid not in (one.uid, _owner(one.object))]
    if others and launch.version.resource != "deployments":
        wrong.append(f"launched while {[one.name for one in others]} lives")
    return wrong


def _attempts(status: Object) -> list[dict[str, Any]]:
    return status.get("attempts") or []


def _owner(thing: Object) -> str:
    return str(controller_of(thing).get("uid", ""))


def retries_are_charged(history: History, rules: Rules) -> Found:
    """S8: `failures` counts the attempts that were charged, and more than 1 + retryAttempt are never made; nothing is
    tried again once they are used up.
    """
    charged: defaultdict[str, set[int]] = defaultdict(set)
    for step, _ in scenes(history):
        version = step.version
        if version.resource != "pipelinejobs" or version.gone:
            continue
        status, spec = status_of(version.object), version.object["spec"]
        charged[version.uid].update(int(one["attempt"]) for one in _attempts(status) if one.get("charged"))
        failures, most = status.get("failures", 0), spec.get("retryAttempt", 0) + 1
        if failures != len(charged[version.uid]):
            yield version.revision, f"{version.name}: {failures} failures told, {len(charged[version.uid])} charged"
        if failures > most:
            yield version.revision, f"{version.name}: {failures} failures, {most} attempts were to be made"
        waits = status.get("state") == "READY" and status.get("reason") != "Stopping"
        if waits and failures >= most:
            yield version.revision, f"{version.name}: waits for another attempt after {failures} failures"


def success_was_seen(history: History, rules: Rules) -> Found:
    """P4: a job is DONE only after its own workload was seen to succeed, or its worker has said so."""
    for step, scene in scenes(history):
        version = step.version
        became_done = status_of(version.object).get("state") == "DONE" and (
            step.before is None or status_of(step.before.object).get("state") != "DONE"
        )
        if version.resource != "pipelinejobs" or version.gone or not became_done:
            continue
        status = status_of(version.object)
        workload, report = status.get("workload"), status.get("report") or {}
        if workload is not None and workload["uid"] not in scene.succeeded:
            yield version.revision, f"{version.name}: DONE, but {workload['kind']} {workload['name']} has not succeeded"
        told = (report.get("attempt"), report.get("outcome")) == (status.get("attempt"), "Succeeded")
        if workload is None and not told:
            yield version.revision, f"{version.name}: DONE, and nobody said so"


def nothing_runs_on(history: History, rules: Rules) -> Found:
    """P2: a job is final, or waits for another attempt, only when nothing of it lives that can be waited for; so is a
    Pipeline. (A Kubernetes Job notices the success of its pod a second after it.)
    """
    for step, scene in scenes(history):
        version, before = step.version, step.before
        if before is None or version.gone or version.resource not in ("pipelines", "pipelinejobs"):
            continue
        status, was = status_of(version.object), status_of(before.object)
        told = (status.get("state"), status.get("reason"))
        waits = version.resource == "pipelinejobs" and told[0] == "READY" and told[1] != "Stopping"
        if told == (was.get("state"), was.get("reason")) or not (is_final(version.object) or waits):
            continue
        for name, left in _left(version.object, scene, version.resource == "pipelines"):
            yield version.revision, f"{version.name}: {told[0]} {told[1]} while {left} of {name} lives"


def _left(thing: Object, scene: Scene, whole: bool) -> list[tuple[str, str]]:
    """Name and resource of what lives of a job, or of all jobs of a Pipeline that exist."""
    jobs = [thing]
    if whole:
        jobs = [job for job in scene.jobs_of(thing["metadata"]["uid"]) if job["metadata"]["uid"] in scene.jobs]
    succeeded = whole or status_of(thing).get("state") == "DONE"
    return [
        (job["spec"]["name"], one.resource)
        for job in jobs
        for one in scene.alive(hash_of(job))
        if not (one.resource == "jobs" and succeeded)
    ]
