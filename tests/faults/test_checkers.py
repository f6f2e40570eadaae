"""Every checker finds what it is for: a good history passes all of them, and each breach is found by its checker."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checkers import CHECKERS, Limits, Rules, check, differences
from tests.faults.history import ADDED, DELETED, MODIFIED, Ack, History, Mark, Object, Version
from tests.faults.memory.runs import play, rules_of
from tests.faults.memory.scenarios import SCENARIOS

Breach = Callable[[History], None]
NAMED = {scenario.name: scenario for scenario in SCENARIOS}


@cache
def recorded(scenario: str) -> History:
    return play(NAMED[scenario]).history


def good(scenario: str) -> History:
    """A history without a breach, to be broken."""
    return deepcopy(recorded(scenario))


def versions(history: History, resource: str, name: str = "", **status: Any) -> list[Version]:
    """The versions of a resource whose own or whose job's name is `name`, and whose status is as said."""
    return [
        version
        for version in sorted(history.versions, key=lambda one: one.revision)
        if version.resource == resource
        and (not name or name in (version.object["spec"].get("name"), version.object["metadata"]["name"]))
        and all((version.object.get("status") or {}).get(field) == value for field, value in status.items())
    ]


def pods_of(history: History, name: str) -> list[Version]:
    """The versions of the pods of a job."""
    job_hash = versions(history, "pipelinejobs", name)[0].object["metadata"]["labels"]["taskpipeline.dev/job-hash"]
    return [
        version
        for version in versions(history, "pods")
        if version.object["metadata"]["labels"]["taskpipeline.dev/job-hash"] == job_hash
    ]


def drop(history: History, gone: list[Version]) -> None:
    history.versions = [version for version in history.versions if version not in gone]


def put(history: History, like: Version, verb: str = MODIFIED, *, after: float = 0.1, **status: Any) -> Version:
    """Another version of an object, the last of the history, `after` seconds after the last."""
    last = max(history.versions, key=lambda one: one.revision)
    thing: Object = deepcopy(like.object)
    thing.setdefault("status", {}).update(status)
    version = replace(like, revision=last.revision + 1, verb=verb, object=thing, time=max(last.time, like.time) + after)
    history.versions.append(version)
    return version


def another_pod(history: History, **changes: Any) -> Version:
    """A pod of the job `a` that was not there, beside or after its own."""
    version = put(history, pods_of(history, "a")[0], ADDED)
    version.object["metadata"]["uid"] = "another"
    version.object["metadata"].update(changes)
    return version


def s1(history: History) -> None:
    another_pod(history)


def s2(history: History) -> None:
    for version in versions(history, "pipelinejobs", "b", state="IN PROGRESS"):
        version.object["status"]["attempt"] = 2


def s2_two_at_a_time(history: History) -> None:
    ends = [version for version in pods_of(history, "a") if version.object["status"].get("phase") == "Failed"]
    drop(history, ends[:1])


def s3_client(history: History) -> None:
    versions(history, "pipelineclients", "default")[0].object["spec"]["maxRunningJobs"] = 1


def s4(history: History) -> None:
    drop(history, versions(history, "pipelinejobs", "a", state="DONE"))


def s5(history: History) -> None:
    for version in versions(history, "pipelinejobs", "a", state="DONE"):
        version.object["status"]["state"] = "CANCELLED"


def s5_backwards(history: History) -> None:
    put(history, versions(history, "pipelines", "p")[-1], observedGeneration=0)


def s6(history: History) -> None:
    """While the only slot is taken, a more urgent Pipeline comes; when it is free, the other one is launched."""
    client = versions(history, "pipelineclients")[0]
    jobs = versions(history, "pipelinejobs", "a", state="READY")
    urgent, other = (next(one for one in jobs if one.object["spec"]["pipeline"] == name) for name in ("p7", "p0"))
    pods = [one for one in pods_of(history, "a") if one.verb == ADDED]
    launch = next(one for one in pods if one.object["metadata"]["ownerReferences"][0]["uid"] == other.uid)
    pipelines = [versions(history, "pipelines", name)[-1] for name in ("p7", "p0")]
    for version in pipelines:
        version.object["status"] = {"state": "READY", "acceptedTime": "2026-01-31T12:00:00Z"}
    history.acks.clear()
    history.versions = [
        replace(version, verb=ADDED, revision=2000 + place, time=client.time + place * 10)
        for place, version in enumerate((client, *pipelines, urgent, other, launch, client))
    ]


def s7(history: History) -> None:
    job = versions(history, "pipelinejobs", "a", state="IN PROGRESS")[-1]
    for worker, revision in (("one", 5000), ("two", 5001)):
        thing = deepcopy(job.object)
        thing["status"]["claim"] = {"attempt": 1, "worker": worker}
        history.versions.append(replace(job, object=thing, revision=revision))


def s8(history: History) -> None:
    versions(history, "pipelinejobs", "flaky", state="ERROR")[-1].object["status"]["failures"] = 2


def s9(history: History) -> None:
    for version in versions(history, "pipelinejobs", "flaky"):
        version.object["spec"]["allowFailure"] = False


def s10(history: History) -> None:
    history.acks.append(Ack("rest", "create", "pipelines", "lost", 4711, 0.0, 1.0))


def s11(history: History) -> None:
    for version in pods_of(history, "a"):
        version.object["metadata"]["ownerReferences"] = []


def s11_other_namespace(history: History) -> None:
    for version in pods_of(history, "a"):
        version.object["metadata"]["namespace"] = "elsewhere"


def lease(revision: int, holder: str, time: float) -> Version:
    thing = {"metadata": {"name": "l", "namespace": "n", "uid": "lease"}, "spec": {"holderIdentity": holder}}
    return Version(revision, "leases", MODIFIED if revision > 1 else ADDED, thing, time)


def s12(history: History) -> None:
    history.versions += [lease(1, "old", 100.0), lease(2, "new", 120.0)]
    history.acks.append(Ack("old", "patch_status", "pipelinejobs", "j", 0, 121.0, 122.0))


def s12_too_many(history: History) -> None:
    history.versions += [lease(1, "old", 100.0), lease(2, "new", 120.0)]
    history.acks += [Ack("old", "create", "pods", "j", 0, 119.0, 122.0)] * 17


def s13(history: History) -> None:
    pods_of(history, "a")[0].object["spec"]["containers"][0]["securityContext"] = {"privileged": True}


def s13_secret(history: History) -> None:
    versions(history, "pipelinejobs", "a", state="DONE")[-1].object["status"]["message"] = "it is hunter2"


def s14(history: History) -> None:
    put(history, versions(history, "pipelines", "p")[-1], after=100.0)


def l1(history: History) -> None:
    drop(history, versions(history, "pipelines", "p", state="DONE"))


def l2(history: History) -> None:
    versions(history, "pipelines", "p")[-1].object["metadata"]["finalizers"] = ["taskpipeline.dev/mine"]


def l2_stuck(history: History) -> None:
    versions(history, "pipelines", "p")[-1].object["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"


def l3(history: History) -> None:
    drop(history, [version for version in pods_of(history, "a") if version.object["status"].get("phase") != "Pending"])


def l3_orphan(history: History) -> None:
    drop(history, versions(history, "pipelines", "p"))


def l4(history: History) -> None:
    history.versions.append(lease(1, "old", 100.0))
    history.marks.append(Mark("killed", "old", 110.0))


def p1(history: History) -> None:
    another_pod(history)


def p2(history: History) -> None:
    ends = [version for version in pods_of(history, "a") if version.object["status"].get("phase") == "Succeeded"]
    drop(history, ends)


def p3(history: History) -> None:
    put(history, versions(history, "pipelinejobs", "a", state="DONE")[-1], message="it was not so")


def p4(history: History) -> None:
    for version in pods_of(history, "a"):
        if version.object["status"].get("phase") == "Succeeded":
            version.object["status"] = {"phase": "Failed"}


def p5(history: History) -> None:
    drop(history, versions(history, "pipelinejobs", "b", state="DONE"))
    put(history, versions(history, "pipelines", "p")[-1], after=60.0)


TWO_STAGES: dict[str, tuple[str, Breach]] = {
    "a second workload for an attempt": ("S1", s1),
    "an attempt is skipped": ("S2", s2),
    "more slots than the client may have": ("S3", s3_client),
    "a stage opens too early": ("S4", s4),
    "an edge that does not exist": ("S5", s5),
    "a generation that goes back": ("S5", s5_backwards),
    "a claim is replaced": ("S7", s7),
    "a failure too many": ("S8", s8),
    "DONE with a failure that counts": ("S9", s9),
    "an acknowledged write is lost": ("S10", s10),
    "a pod without an owner": ("S11", s11),
    "a pod in another namespace": ("S11", s11_other_namespace),
    "an old leader writes": ("S12", s12),
    "too many writes of an old leader arrive": ("S12", s12_too_many),
    "a privileged pod": ("S13", s13),
    "a secret in a status": ("S13", s13_secret),
    "a write at rest": ("S14", s14),
    "a Pipeline that does not end": ("L1", l1),
    "a finalizer of ours": ("L2", l2),
    "a deletion that does not complete": ("L2", l2_stuck),
    "a pod runs on": ("L3", l3),
    "a job without its Pipeline": ("L3", l3_orphan),
    "nobody follows": ("L4", l4),
    "DONE while its pod runs": ("P2", p2),
    "a change after the end": ("P3", p3),
    "DONE after a failure": ("P4", p4),
    "a slot is kept": ("P5", p5),
}  # fmt: skip
OTHERS: dict[str, tuple[str, str, Breach]] = {
    "two attempts at a time": ("S2", "retry", s2_two_at_a_time),
    "the urgent one starts last": ("S6", "queue", s6),
    "a launch after the cancel": ("P1", "cancel", p1),
}
RULES = Rules((Limits(0.0, 100, 1000),), secrets=("hunter2",))


def ids(history: History, rules: Rules) -> set[str]:
    return {violation.id for violation in check(history, rules)}


@pytest.mark.parametrize("scenario", NAMED)
def test_a_good_history_passes(scenario: str) -> None:
    assert check(good(scenario), rules_of(NAMED[scenario], ())) == []


@pytest.mark.parametrize("name", TWO_STAGES)
def test_each_breach_is_found(name: str) -> None:
    promise, breach = TWO_STAGES[name]
    history = good("two stages")
    breach(history)
    assert promise in ids(history, RULES)


@pytest.mark.parametrize("name", OTHERS)
def test_breaches_that_need_another_scenario_are_found(name: str) -> None:
    promise, scenario, breach = OTHERS[name]
    history = good(scenario)
    breach(history)
    assert promise in ids(history, rules_of(NAMED[scenario], ()))


def test_more_slots_than_the_operator_may_use_are_found() -> None:
    assert "S3" in ids(good("two stages"), Rules((Limits(0.0, 1, 1000),)))
    lowered = (Limits(0.0, 100, 1000), Limits(recorded("two stages").ended, 1, 1000))
    assert "S3" not in ids(good("two stages"), Rules(lowered))


def test_more_jobs_than_the_queue_takes_are_found() -> None:
    history = good("queue")
    for version in history.versions:
        if version.resource == "pipelinejobs":
            version.object["status"] = {"state": "READY", "reason": "Queued"}
    assert "S3 queue" in ids(history, Rules((Limits(0.0, 3, 2),), patience=0.0))


def test_another_end_is_found() -> None:
    history = good("two stages")
    versions(history, "pipelinejobs", "a", state="DONE")[-1].object["status"]["reason"] = "Lucky"
    assert {violation.id for violation in differences(history, good("two stages"))} == {"L5"}
    assert differences(good("two stages"), good("two stages")) == []


def test_every_checker_has_been_shown_a_breach() -> None:
    shown = {promise for promise, _ in TWO_STAGES.values()} | {promise for promise, *_ in OTHERS.values()}
    assert shown | {"S3 queue"} == set(CHECKERS)


def test_a_history_survives_a_file(tmp_path: Path) -> None:
    history = good("two stages")
    history.marks.append(Mark("killed", "one", 1.0))
    history.save(tmp_path / "history.jsonl")
    assert History.load(tmp_path / "history.jsonl") == history


def test_watches_make_the_same_history_in_any_order_and_told_twice() -> None:
    history = good("two stages")
    seen = History(ended=history.ended)
    for version in [*reversed(history.versions), *history.versions]:
        seen.see(version.resource, {"type": version.verb, "object": version.object}, version.time)
    seen.see("pods", {"type": "BOOKMARK", "object": {}}, 0.0)
    assert [step.version for step in seen.steps()] == [step.version for step in history.steps()]


def test_what_a_new_list_lacks_is_gone() -> None:
    history = good("two stages")
    uid = versions(history, "pipelines", "p")[0].uid
    history.missing("pipelines", set(), 9999, 1.0)
    assert [one.verb for one in history.versions if one.revision == 9999] == [DELETED]
    assert uid not in {version.uid for version in history.final()}
