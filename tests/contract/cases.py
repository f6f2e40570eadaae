"""Pipelines that must be refused or accepted alike by the offline decoder and by the API server.

Rule: one table, read by tests/unit/api/test_decode.py and, on a real API server, by
tests/contract/test_crd_rules.py; so the two judges cannot drift apart unseen.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

Raw = dict[str, Any]


def job(name: str = "a", stage: str = "s", **more: Any) -> Raw:
    """One valid job, changed by `more`."""
    base = {"name": name, "stage": stage, "kind": "Shell", "version": "1.0.0", "params": {"image": "busybox"}}
    return base | more


def spec(*jobs: Any, **more: Any) -> Raw:
    """A spec with the stages s and t and the given jobs (one valid job if none), changed by `more`."""
    return {"stages": ["s", "t"], "jobs": list(jobs) or [job()]} | more


def without(raw: Mapping[str, Any], *names: str) -> Raw:
    """`raw` without the fields `names`."""
    return {key: value for key, value in raw.items() if key not in names}


class Refused(NamedTuple):
    """A spec that is refused, and the path and the word that both judges put into their message."""

    spec: Raw
    path: str
    word: str


LONG = "x" * 64

REFUSED: dict[str, Refused] = {
    "no stages": Refused(without(spec(), "stages"), "spec.stages", "equired"),
    "no jobs": Refused(without(spec(), "jobs"), "spec.jobs", "equired"),
    "empty stages": Refused(spec(stages=[]), "spec.stages", "at least 1"),
    "empty jobs": Refused(spec(jobs=[]), "spec.jobs", "at least 1"),
    "too many stages": Refused(spec(stages=["s", *(f"s{i}" for i in range(64))]), "spec.stages", "at most 64"),
    "stages of a wrong type": Refused(spec(stages="s"), "spec.stages", ""),
    "stage of a wrong type": Refused(spec(stages=["s", 3]), "spec.stages[1]", ""),
    "stage name too long": Refused(spec(stages=["s", LONG]), "spec.stages[1]", "63"),
    "empty stage name": Refused(spec(stages=["s", ""]), "spec.stages[1]", "at least 1"),
    "stage name with a control character": Refused(spec(stages=["s", "a\tb"]), "spec.stages[1]", "control"),
    "stage name with a C1 control": Refused(spec(stages=["s", "a\u0085b"]), "spec.stages[1]", "control"),
    "stage name that ends with a blank": Refused(spec(stages=["s", "b "]), "spec.stages[1]", "blank"),
    "duplicate stages": Refused(spec(stages=["s", "t", "s"]), "spec.stages", "stage names must be unique"),
    "unknown stage": Refused(spec(job(stage="zz")), "spec.jobs", "not in spec.stages"),
    "duplicate jobs": Refused(spec(job(), job("b"), job()), "spec.jobs", "job names must be unique"),
    "job without a name": Refused(spec(without(job(), "name")), "spec.jobs[0].name", "equired"),
    "job without a stage": Refused(spec(without(job(), "stage")), "spec.jobs[0].stage", "equired"),
    "job without a kind": Refused(spec(without(job(), "kind")), "spec.jobs[0].kind", "equired"),
    "job without a version": Refused(spec(without(job(), "version")), "spec.jobs[0].version", "equired"),
    "job that is a text": Refused(spec("a"), "spec.jobs[0]", "object"),
    "job name with a slash": Refused(spec(job("deploy/eu")), "spec.jobs[0].name", "letter or digit"),
    "job name of dots": Refused(spec(job("..")), "spec.jobs[0].name", "letter or digit"),
    "job name too long": Refused(spec(job(LONG)), "spec.jobs[0].name", "63"),
    "job name with a final newline": Refused(spec(job("a\n")), "spec.jobs[0].name", "letter or digit"),
    "kind with two slashes": Refused(spec(job(kind="K8S//Job")), "spec.jobs[0].kind", "K8S/Job"),
    "version with a v": Refused(spec(job(version="v1")), "spec.jobs[0].version", "1.0.0"),
    "version of two numbers": Refused(spec(job(version="1.0")), "spec.jobs[0].version", "1.0.0"),
    "version that is a number": Refused(spec(job(version=1)), "spec.jobs[0].version", ""),
    "version with leading zeros": Refused(spec(job(version="01.0.0")), "spec.jobs[0].version", "1.0.0"),
    "both spellings of retryAttempt": Refused(spec(job(retryAttempt=1, retry_attempt=1)), "spec.jobs[0]", "not both"),
    "both spellings of allowFailure": Refused(
        spec(job(allowFailure=True, allow_failure=False)), "spec.jobs[0]", "not both"
    ),
    "retryAttempt below 0": Refused(spec(job(retryAttempt=-1)), "spec.jobs[0].retryAttempt", "0"),
    "retryAttempt far too large": Refused(spec(job(retryAttempt=1_000_000)), "spec.jobs[0].retryAttempt", "100"),
    "retry_attempt far too large": Refused(spec(job(retry_attempt=101)), "spec.jobs[0].retry_attempt", "100"),
    "timeout 0": Refused(spec(job(timeout=0)), "spec.jobs[0].timeout", "1"),
    "timeout -1": Refused(spec(job(timeout=-1)), "spec.jobs[0].timeout", "1"),
    "timeout 1.5": Refused(spec(job(timeout=1.5)), "spec.jobs[0].timeout", ""),
    "timeout as a text": Refused(spec(job(timeout="5")), "spec.jobs[0].timeout", ""),
    "timeout beyond the maximum": Refused(spec(job(timeout=100_000_000_001)), "spec.jobs[0].timeout", "100000000000"),
    "startTimeout 0": Refused(spec(job(startTimeout=0)), "spec.jobs[0].startTimeout", "1"),
    "queueTimeout 0": Refused(spec(job(queueTimeout=0)), "spec.jobs[0].queueTimeout", "1"),
    "priority beyond 32 bits": Refused(spec(job(priority=2**31)), "spec.jobs[0].priority", ""),
    "priority true": Refused(spec(job(priority=True)), "spec.jobs[0].priority", ""),
    "allowFailure as a text": Refused(spec(job(allowFailure="yes")), "spec.jobs[0].allowFailure", ""),
    "params as a list": Refused(spec(job(params=[])), "spec.jobs[0].params", "object"),
    "clientId with a slash": Refused(spec(clientId="team/a"), "spec.clientId", "DNS name"),
    "clientId in capitals": Refused(spec(clientId="Team"), "spec.clientId", "DNS name"),
    "cancel of an unknown kind": Refused(spec(cancel="Later"), "spec.cancel", "Drain"),
    "ttlPolicy of an unknown kind": Refused(spec(ttlPolicy="Keep"), "spec.ttlPolicy", "Slim"),
    "ttl below 0": Refused(spec(ttlSecondsAfterFinished=-1), "spec.ttlSecondsAfterFinished", "0"),
    "pipeline timeout 0": Refused(spec(timeout=0), "spec.timeout", "1"),
    "rerun without an id": Refused(spec(rerun={"scope": "All"}), "spec.rerun.id", "equired"),
    "rerun with an unknown scope": Refused(spec(rerun={"id": "1", "scope": "Some"}), "spec.rerun.scope", "Failed"),
    "suspend as a text": Refused(spec(suspend="true"), "spec.suspend", ""),
}

UNKNOWN_FIELDS: dict[str, tuple[Raw, str]] = {
    "in the spec": (spec(colour="red"), "spec.colour"),
    "in a job": (spec(job(timout=5)), "spec.jobs[0].timout"),
    "snake case beyond the two aliases": (spec(job(start_timeout=5)), "spec.jobs[0].start_timeout"),
    "in rerun": (spec(rerun={"id": "1", "why": "x"}), "spec.rerun.why"),
}

ACCEPTED: dict[str, Raw] = {
    "the least": spec(),
    "a stage without a job": spec(job(stage="t")),
    "free stage names": spec(job(stage="Ünit"), stages=["Build & Test", "Ünit", "1st"]),
    "names that differ in case": spec(job("unit"), job("Unit"), job("UNIT")),
    "names at the limit": spec(job("x" * 63, stage="y" * 63), stages=["y" * 63]),
    "a stage name of 63 letters that take two bytes": spec(job(stage="ü" * 63), stages=["ü" * 63]),
    "a job name of dots and dashes around a digit": spec(job("._-1-_.")),
    "the other spellings": spec(job(retry_attempt=2, allow_failure=True)),
    "defaults that are written out": spec(job(priority=10, retry_attempt=0, allow_failure=False, timeout=1)),
    "a far deadline": spec(job(timeout=10_000_000_000, startTimeout=100_000_000_000)),
    "null for what may be absent": spec(
        job(timeout=None, priority=None, params=None), priority=None, clientId=None, cancel=None
    ),
    "params of any shape": spec(job(params={"a": [1, {"b": None}], "env": {}, "args": []})),
    "all fields": spec(
        job(priority=-5, retryAttempt=100, allowFailure=True, timeout=60, startTimeout=30, queueTimeout=5),
        clientId="team-a.example",
        priority=-(2**31),
        suspend=True,
        cancel="Drain",
        failFast=True,
        timeout=3600,
        ttlSecondsAfterFinished=0,
        ttlPolicy="Delete",
        rerun={"id": "again", "scope": "All"},
    ),
}


def fresh(raw: Raw) -> Raw:
    """A copy of a case, so that no test can change the table."""
    return deepcopy(raw)
