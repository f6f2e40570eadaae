"""What W4 was like, from outside: the API server's audit log and the onlooker's changes."""

import statistics
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.onlooker import FINAL, Change, Onlooker, holders
from tests.real import audit

Rank = tuple[Any, ...]
Event = dict[str, Any]


def figures(seen: Onlooker, log: Sequence[Event], limit: int) -> dict[str, Any]:
    """The numbers of a run in which there was work for `limit` slots all the time; `log`: the operator's requests."""
    reactions = list(_reactions(log, seen.states, limit))
    writes = Counter(_seconds_of_waiting(log, {launch.name: launch.job for launch in seen.launches}))
    return {
        "jobs_per_second": _rate(seen.launches),
        "slots_used": slots_used(seen.changes, limit),
        "freed_to_create_ms": _percentiles(reactions),
        "api_server_ms": {
            name: _percentiles(
                [
                    1000 * (_time(one["stageTimestamp"]) - _time(one["requestReceivedTimestamp"]))
                    for one in log
                    if f"{one['verb']} {audit.resource(one)}" == name
                ]
            )
            for name in ("create pods", "patch pipelinejobs/status")
        },
        "requests": dict(Counter(f"{event['verb']} {audit.resource(event)}" for event in log)),
        "writes_because_of_waiting": writes.total(),
        "most_of_them_in_a_second": max(writes.values(), default=0),
    }


def inversions(seen: Onlooker, ranks: Mapping[str, Rank], limit: int, known: Mapping[str, int]) -> int:
    """How many jobs were launched while a better one waited that had no slot.

    `ranks`: the place of every Pipeline, of one job each, in the order; `known`: since which version those are known
    that were not there from the beginning. A better job that is launched a moment later, because the two were decided
    together or its PipelineJob was still being created, has one of the slots that are free besides; it is none.
    """
    waiting = sorted(rank for name, rank in ranks.items() if name not in known)
    late, found = dict(known), 0
    for change, holding in holders(seen.changes):
        for name in [name for name, version in late.items() if version <= change.version]:
            del late[name]
            insort(waiting, ranks[name])
        if change.is_pod and change.is_new:
            better = bisect_left(waiting, ranks[seen.jobs[change.job]["pipeline"]])
            del waiting[better]
            found += better > limit - len(holding)
    return found


def wait_of(changes: Sequence[Change], job: str, version: int, moment: float) -> dict[str, Any]:
    """How long a job waited: launches and milliseconds from its Pipeline's creation (at `version` and `moment`) to its
    PipelineJob's, by which the operator knows of it, and from there to its own launch.
    """
    known = next(change for change in changes if change.job == job and not change.is_pod)
    started = next(change for change in changes if change.job == job and change.is_pod)
    others = [change.version for change in changes if change.is_pod and change.is_new and change.job != job]
    return {
        "known_to_the_operator_at": known.version,
        "launches_until_known": sum(version < other < known.version for other in others),
        "launches_from_there": sum(known.version < other < started.version for other in others),
        "ms_until_known": 1000 * (known.moment - moment),
        "ms_from_there": 1000 * (started.moment - known.moment),
    }


def slots_used(changes: Iterable[Change], limit: int) -> float:
    """The share of all slots' time in which a job was IN PROGRESS, from when all were taken to the last launch."""
    states: dict[str, str] = {}
    running, used, began, last = 0, 0.0, None, 0.0
    until = max(change.moment for change in changes if change.is_pod and change.is_new)
    for change in (one for one in changes if not one.is_pod and one.moment <= until):
        if began is not None:
            used += running * (change.moment - last)
        running += (change.state == "IN PROGRESS") - (states.get(change.job) == "IN PROGRESS")
        states[change.job] = change.state
        if began is None and running == limit:
            began = change.moment
        last = max(last, change.moment)
    assert began is not None, "never were all slots taken"
    return used / (limit * (last - began))


def _reactions(log: Iterable[Event], states: Mapping[str, str], limit: int) -> Iterator[float]:
    """Milliseconds from the API server's answer to the write that ended a job to the request for the next pod.

    The slots are alike: the first to become free belongs to the first pod after those that found all slots free.
    """
    ends: dict[str, float] = {}
    creates: list[float] = []
    for event in log:
        if (event["verb"], audit.resource(event)) == ("create", "pods"):
            creates.append(_time(event["requestReceivedTimestamp"]))
        elif audit.resource(event) == "pipelinejobs/status" and states.get(event["objectRef"]["name"]) in FINAL:
            ends[event["objectRef"]["name"]] = _time(event["stageTimestamp"])
    return (1000 * (create - end) for end, create in zip(sorted(ends.values()), sorted(creates)[limit:], strict=False))


def _seconds_of_waiting(log: Iterable[Event], jobs: Mapping[str, str]) -> Iterator[int]:
    """The second of every status write to a Pipeline or PipelineJob of which nothing has been launched yet.

    `jobs`: the job of every pod. A Pipeline here has one job, whose name begins with its own.
    """
    launched: set[str] = set()
    for event in log:
        name = event["objectRef"].get("name", "")
        if audit.resource(event) == "pods":
            launched |= {jobs[name], jobs[name].rsplit("-", 2)[0]} if name in jobs else set()
        elif event["verb"] == "patch" and name not in launched:
            yield int(_time(event["stageTimestamp"]))


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": statistics.median(ordered), "p99": ordered[int(0.99 * (len(ordered) - 1))], "of": len(ordered)}


def _rate(launches: Sequence[Change]) -> float:
    return (len(launches) - 1) / (launches[-1].moment - launches[0].moment)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
