"""The arithmetic: from what the observer has seen to numbers. Pure functions; times in seconds, results as named."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

Rank = tuple[int, ...]
VISIBLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod: which job of which work it runs, and when it was seen and seen ended."""

    work: str
    stage: int
    job: int
    seen: float
    ended: float


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work: when its first request was sent, when a watcher saw all of it over, and its pods."""

    name: str
    sent: float
    done: float
    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One job of a backlog: its place in the order (lower goes first), when it became visible to a contender, and its
    slot. A pair is (monotonic seconds, resourceVersion); None: not yet. Only a `judged` one is asked whether it went
    before its turn.
    """

    rank: Rank
    visible: float
    launched: tuple[float, int] | None
    over: tuple[float, int] | None
    judged: bool = True


def percentile(values: Iterable[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, 99th percentile, smallest and largest, and how many there were; empty if there were none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    ends = {"min": ordered[0], "max": ordered[-1], "of": len(ordered)}
    return {"p50": statistics.median(ordered), "p99": percentile(ordered, 0.99), **ends}


def drift(before: float, after: float) -> float:
    """How far two rates are apart, as a share of the first."""
    return abs(after - before) / before


def makespan(runs: Sequence[Run]) -> float:
    """From the first request to the last end."""
    return max(run.done for run in runs) - min(run.sent for run in runs)


def steady_rate(pods: Iterable[Pod]) -> float:
    """Pods that ended per second, from the first tenth to the last: without the start and the tail."""
    ends = sorted(pod.ended for pod in pods)
    low, high = ends[len(ends) // 10], ends[(9 * len(ends)) // 10]
    return (0.8 * len(ends)) / (high - low) if high > low else 0.0


def overhead_ms(run: Run) -> float:
    """Its whole time, less the time in which the last pod of each stage lived."""
    own = 0.0
    for _, pods in _stages(run):
        last = max(pods, key=lambda pod: pod.ended)
        own += last.ended - last.seen
    return 1000 * (run.done - run.sent - own)


def hand_offs_ms(run: Run) -> Iterator[float]:
    """For each stage but the first: from the end of the last pod before it to its own first pod."""
    stages = [list(pods) for _, pods in _stages(run)]
    for earlier, later in pairwise(stages):
        yield 1000 * (min(pod.seen for pod in later) - max(pod.ended for pod in earlier))


def reactions_ms(freed: Iterable[float], created: Iterable[float], limit: int, since: float = 0.0) -> list[float]:
    """From a slot's becoming free to the next creation.

    Slots are alike: the first that becomes free belongs to the first creation after those that found all slots free.
    """
    pairs = zip(sorted(freed), sorted(created)[limit:], strict=False)
    return [1000 * (create - end) for end, create in pairs if end >= since]


def slots_used(spans: Iterable[tuple[float, float]], limit: int, begin: float, end: float) -> float:
    """The share of the time of `limit` slots, from `begin` to `end`, that the spans (from, to) fill."""
    used = sum(max(min(to, end) - max(start, begin), 0.0) for start, to in spans)
    return used / (limit * (end - begin))


def all_taken_from(spans: Iterable[tuple[float, float]], limit: int, since: float) -> float:
    """The first moment from `since` on at which `limit` spans (from, to) overlap; `since` if they never do."""
    held = 0
    for moment, step in _changes(spans):
        if moment > since and held >= limit:
            return since
        held += step
        if moment >= since and held >= limit:
            return moment
    return since


def inversions(backlog: Sequence[Waiting], limit: int) -> int:
    """How many jobs were launched while a strictly better one, visible for a second, waited without a slot of its own.

    A better job that is launched a moment later, because the two were decided together, has one of the slots that are
    free besides; it is none. So is one of the same rank: the order of equals is each contender's own.
    """
    found = 0
    for job in backlog:
        if job.launched is None or not job.judged:
            continue
        moment, version = job.launched
        held = sum(
            one.launched is not None and one.launched[1] <= version and (one.over is None or one.over[1] > version)
            for one in backlog
        )
        better = sum(
            one.rank < job.rank
            and one.visible + VISIBLE_SECONDS <= moment
            and (one.launched is None or one.launched[1] > version)
            for one in backlog
        )
        found += better > max(limit - held, 0)
    return found


def peak(spans: Iterable[tuple[float, float]]) -> int:
    """How many of the spans (from, to) overlap at most; one that ends when another begins does not overlap it."""
    held = most = 0
    for _, step in _changes(spans):
        held += step
        most = max(most, held)
    return most


def _changes(spans: Iterable[tuple[float, float]]) -> list[tuple[float, int]]:
    """When a span begins (+1) or ends (-1); of the same moment the ends come first."""
    return sorted((moment, step) for start, to in spans for moment, step in ((start, 1), (to, -1)))


def _stages(run: Run) -> Iterator[tuple[int, Iterator[Pod]]]:
    return groupby(sorted(run.pods, key=lambda pod: pod.stage), key=lambda pod: pod.stage)
