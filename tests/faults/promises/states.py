"""States: only the promised edges, nothing undone, stages one after another, outcomes that follow from the jobs."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.history import ADDED, History, Object
from tests.faults.rules import Found, Rules
from tests.faults.scene import FINAL, Scene, is_final, is_stopping, launch_of, scenes, status_of

JOB_EDGES: Mapping[str, tuple[str, ...]] = {
    "READY": ("IN PROGRESS", "CANCELLED"),
    "IN PROGRESS": ("DONE", "READY", "ERROR"),
}
PIPELINE_EDGES: Mapping[str, tuple[str, ...]] = {
    "READY": ("IN PROGRESS", "ERROR", "CANCELLED"),
    "IN PROGRESS": ("DONE", "ERROR", "CANCELLED"),
}
INVALID = ("InvalidSpec", "ClientNotAllowed")
CHANGES_AFTER_THE_END = {"observedGeneration", "cleanupTime", "rerunId", "conditions", "message"}


def only_legal_edges(history: History, rules: Rules) -> Found:
    """S5: states go along the edges of the contract, and run, attempt, stage and division never go back."""
    for step, _ in scenes(history):
        version = step.version
        if version.gone or version.resource not in ("pipelines", "pipelinejobs"):
            continue
        new, whole = status_of(version.object), version.resource == "pipelines"
        old = {"state": "READY"} if step.before is None else status_of(step.before.object)
        wrong = _wrong_edge(old, new, PIPELINE_EDGES if whole else JOB_EDGES, whole)
        for text in (*wrong, *_gone_back(old, new)):
            yield version.revision, f"{version.name}: {text}"


def the_end_stays(history: History, rules: Rules) -> Found:
    """P3: once final, a job's status does not change any more, and of a Pipeline's only what tells of edits, of wishes
    to run it again and of its clean-up, until it runs again.
    """
    for step, _ in scenes(history):
        version = step.version
        if step.before is None or version.gone or version.resource not in ("pipelines", "pipelinejobs"):
            continue
        old, new = status_of(step.before.object), status_of(version.object)
        if old.get("state") not in FINAL or old.get("run", 1) != new.get("run", 1) or _was_repaired(old):
            continue
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        allowed = CHANGES_AFTER_THE_END if version.resource == "pipelines" else set()
        if changed - allowed:
            yield version.revision, f"{version.name}: {sorted(changed - allowed)} changed after the end"


def barrier_holds(history: History, rules: Rules) -> Found:
    """S4: a job of a later stage is created, and launched, only when every job of all earlier stages is final and none
    of them failed in a way that counts.
    """
    for step, scene in scenes(history):
        version, job = step.version, None
        if version.resource == "pipelinejobs" and version.verb == ADDED:
            job = version.object
        elif (launch := launch_of(step)) is not None:
            job = scene.job_of_hash(launch.job_hash)
        pipeline = None if job is None else scene.pipeline_of(job)
        if job is None or pipeline is None:
            continue
        for name, state in _in_the_way(job, pipeline, scene):
            yield version.revision, f"{version.name} comes while {name} of an earlier stage is {state}"


def outcome_follows(history: History, rules: Rules) -> Found:
    """S9: the end of a Pipeline follows from its jobs: DONE when every one is DONE or was allowed to fail, CANCELLED
    when a user ended a job that counts or the run, ERROR when something failed that was not allowed to.
    """
    for step, scene in scenes(history):
        version = step.version
        if version.resource != "pipelines" or version.gone or not is_final(version.object):
            continue
        new, old = status_of(version.object), status_of(None if step.before is None else step.before.object)
        if (old.get("state"), old.get("run", 1)) == (new.get("state"), new.get("run", 1)):
            continue
        if new.get("reason") not in INVALID and new["state"] not in _possible(version.object, scene):
            yield (
                version.revision,
                f"{version.name} ended {new['state']} {new.get('reason')}, with {_jobs(scene, version.uid)}",
            )


def results_stay(history: History, rules: Rules) -> Found:
    """S7: of each attempt one worker is told and one report, and neither is replaced; what it reports is of that
    attempt.
    """
    first: dict[tuple[str, str, int], Any] = {}
    for step, _ in scenes(history):
        version = step.version
        if version.resource != "pipelinejobs" or version.gone:
            continue
        status = status_of(version.object)
        for field, value in (("claim", "worker"), ("report", "outcome")):
            said = status.get(field)
            if said is None:
                continue
            known = first.setdefault((version.uid, field, said["attempt"]), said[value])
            if known != said[value]:
                yield version.revision, f"{version.name}: {field} of attempt {said['attempt']} was replaced"
            if said["attempt"] > status.get("attempt", 0):
                yield version.revision, f"{version.name}: {field} of attempt {said['attempt']}, which is to come"


def _wrong_edge(old: Object, new: Object, edges: Mapping[str, tuple[str, ...]], whole: bool) -> Iterator[str]:
    before, after = old.get("state", "READY"), new.get("state", "READY")
    again = whole and new.get("run", 1) > old.get("run", 1) and before in FINAL and after in ("READY", "IN PROGRESS")
    repaired = whole and before == "ERROR" and after == "READY" and _was_repaired(old)
    if before != after and after not in edges.get(before, ()) and not again and not repaired:
        yield f"{before} became {after}"
    stopping = (old.get("state"), old.get("reason")) == ("READY", "Stopping")
    if not whole and stopping and after == "IN PROGRESS":
        yield "what was being stopped was launched"


def _gone_back(old: Object, new: Object) -> Iterator[str]:
    same_run = new.get("run", 1) == old.get("run", 1)
    for name, least in (("run", 1), ("attempt", 0), ("failures", 0), ("observedGeneration", -1)):
        if new.get(name, least) < old.get(name, least):
            yield f"{name} went from {old.get(name)} to {new.get(name)}"
    if same_run and old.get("startTime") and not new.get("startTime"):
        yield "startTime was taken back"
    if same_run and new.get("divided", -1) < old.get("divided", -1) and new.get("startTime"):
        yield f"divided went from {old.get('divided')} to {new.get('divided')}"


def _was_repaired(status: Object) -> bool:
    """Whether an edit may still bring a Pipeline back that ended by this status."""
    return status.get("reason") in INVALID and not status.get("startTime")


def _in_the_way(job: Object, pipeline: Object, scene: Scene) -> Iterator[tuple[str, str]]:
    """Jobs of earlier stages that keep a job's stage shut, and their states; `missing` for one that does not exist."""
    stages = pipeline["spec"]["stages"]
    run, index = job["spec"]["run"], job["spec"]["stageIndex"]
    kept = status_of(pipeline).get("kept") or {}
    states: dict[str, str] = {}
    for other in scene.jobs_of(pipeline["metadata"]["uid"]):
        name, state = other["spec"]["name"], _verdict(other)
        if other["spec"]["run"] == run:
            states[name] = state
        elif state == "passed" and kept.get("since", run) <= other["spec"]["run"] < run:
            states.setdefault(name, state)
    for spec in pipeline["spec"]["jobs"]:
        state = states.get(spec["name"], "missing")
        if stages.index(spec["stage"]) < index and state != "passed":
            yield spec["name"], state


def _verdict(job: Object) -> str:
    """`passed` for a job that lets the next stage open, or what it is."""
    status, allowed = status_of(job), job["spec"].get("allowFailure", False)
    state, reason = status.get("state", "READY"), status.get("reason")
    may = state == "ERROR" or (state == "CANCELLED" and reason in ("QueueTimeout", "UserCancelled"))
    return "passed" if state == "DONE" or (allowed and may) else str(state)


def _possible(pipeline: Object, scene: Scene) -> set[str]:
    """The ends that a Pipeline may have by what has become of its jobs."""
    uid, spec, run = pipeline["metadata"]["uid"], pipeline["spec"], status_of(pipeline).get("run", 1)
    everything = scene.jobs_of(uid)
    jobs = [job for job in everything if job["spec"]["run"] == run]
    if any(not is_final(job) and job["metadata"]["uid"] in scene.jobs for job in jobs) or any(
        is_stopping(job) and job["metadata"]["uid"] in scene.jobs for job in jobs
    ):
        return set()
    counted = [job for job in jobs if _verdict(job) != "passed"]
    if any(status_of(job).get("reason") == "UserCancelled" for job in counted):
        return {"CANCELLED"}
    done_before = {one["spec"]["name"] for one in everything if one["spec"]["run"] < run and _verdict(one) == "passed"}
    through = {job["spec"]["name"] for job in jobs if _verdict(job) == "passed"} | (done_before if run > 1 else set())
    if {job["name"] for job in spec["jobs"]} <= through:
        return {"DONE", "ERROR"} if _was_deleted(jobs, scene) else {"DONE"}
    possible = {"CANCELLED"} if spec.get("cancel") else set()
    failed = any(status_of(job).get("state") == "ERROR" or _is_overdue(job) for job in counted)
    late = status_of(pipeline).get("reason") == "DeadlineExceeded" and "timeout" in spec
    return possible | ({"ERROR"} if failed or late or _was_deleted(jobs, scene) else set())


def _is_overdue(job: Object) -> bool:
    return status_of(job).get("reason") in ("QueueTimeout", "DeadlineExceeded")


def _was_deleted(jobs: list[Object], scene: Scene) -> bool:
    return any(job["metadata"]["uid"] not in scene.jobs for job in jobs)


def _jobs(scene: Scene, pipeline_uid: str) -> dict[str, str]:
    jobs = scene.jobs_of(pipeline_uid)
    return {job["spec"]["name"]: f"{status_of(job).get('state')} {status_of(job).get('reason')}" for job in jobs}
