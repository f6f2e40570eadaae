"""What a decision of the queue costs, from 100 to 100,000 waiting jobs: the pure core, no cluster.

Calls and comparisons of order keys are counted and the same everywhere; microseconds belong to the machine. Both are of
one step and averaged over many, so what is done seldom but at length (a heap built anew) is in them.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from task_pipeline.core.ordering import OrderKey
from tests.counting import Work, counted, work_of
from tests.crowd import Crowd

SIZES = (100, 1_000, 10_000, 100_000)
TIMED, COUNTED, OVERTURNED = 2_000, 500, 6
WEIGHED = 10_000


@dataclass(frozen=True)
class Cost:
    """One step while `waiting` jobs wait; times in microseconds. `worst` of what crosses the border: all together."""

    step: str
    waiting: int
    calls: float
    comparisons: float
    p50: float
    p99: float
    worst: float


def measure(say: Callable[[str], None] = click.echo) -> dict[str, Any]:
    """Prints a table while it measures, and returns all of it."""
    costs: list[Cost] = []
    say(f"{'step':32}{'waiting':>9}{'comparisons':>13}{'calls':>8}{'p50 us':>9}{'p99 us':>9}{'max us':>10}")
    for waiting in SIZES:
        for cost in _costs(waiting):
            costs.append(cost)
            say(
                f"{cost.step:32}{waiting:>9,}{cost.comparisons:>13.1f}{cost.calls:>8.0f}"
                f"{cost.p50:>9.0f}{cost.p99:>9.0f}{cost.worst:>10.0f}"
            )
    weight = bytes_per_entry(WEIGHED)
    say(f"memory: {weight:,.0f} bytes for a job that waits ({WEIGHED:,} of them)")
    return {"costs": [asdict(cost) for cost in costs], "bytes_per_entry": weight}


def bytes_per_entry(waiting: int) -> float:
    """What one job that waits takes in memory, with all that finds it."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        crowd = Crowd(waiting, OrderKey)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return taken / len(crowd.queue)


def _costs(waiting: int) -> Iterator[Cost]:
    plain, counting = Crowd(waiting, OrderKey), Crowd(waiting)
    for (name, timed), step in zip(plain.steps().items(), counting.steps().values(), strict=True):
        times = sorted(_timed(timed) for _ in range(TIMED))
        work = work_of(step, COUNTED)
        each = (work.calls / COUNTED, work.comparisons / COUNTED)
        yield Cost(name, waiting, *each, statistics.median(times), times[int(0.99 * (TIMED - 1))], times[-1])
    yield _overturn(plain, counting, waiting)


def _overturn(plain: Crowd, counting: Crowd, waiting: int) -> Cost:
    """A client's new priority that turns the window over: the cost of each job that crosses its border."""
    plain.edit_client()
    counting.edit_client()
    times, work, crossed = [], Work(), 0
    for _ in range(OVERTURNED):
        began = time.perf_counter_ns()
        moved = 2 * plain.overturn()  # as many come in as go out
        times.append(((time.perf_counter_ns() - began) / 1000, moved))
        with counted(work):
            crossed += 2 * counting.overturn()
    each = [took / moved for took, moved in times]
    counts = (work.calls / crossed, work.comparisons / crossed)
    return Cost("each that crosses the border", waiting, *counts, statistics.median(each), max(each), max(times)[0])


def _timed(step: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    step()
    return (time.perf_counter_ns() - began) / 1000
