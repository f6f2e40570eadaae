"""W1, W2 and W3: the same work for every contender, with pods that end at once.

W1: one job at a time. W2: many pieces of 4 stages with 5 jobs, all submitted at once. W3: one stage of many jobs.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.bench import figures
from tests.bench.contenders.base import Work
from tests.bench.figures import Run
from tests.bench.stand import Stand

STAGES, JOBS = 4, 5
PAUSE_SECONDS = 0.05


async def w1(stand: Stand, size: int) -> dict[str, Any]:
    """`size` pieces of one job, one after another."""
    works = [Work(f"w1-{number}") for number in range(size)]
    for work in works:
        await stand.submit([work])
        await stand.wait_over([work])
        await asyncio.sleep(PAUSE_SECONDS)  # what trails the end belongs to no run
    runs = stand.runs(works)
    return {
        "jobs": size,
        "overhead_ms": figures.spread(map(figures.overhead_ms, runs)),
        "total_ms": figures.spread(1000 * (run.done - run.sent) for run in runs),
        "submit_to_pod_ms": figures.spread(1000 * (run.pods[0].seen - run.sent) for run in runs),
        "pod_end_to_done_ms": figures.spread(1000 * (run.done - run.pods[0].ended) for run in runs),
    }


async def w2(stand: Stand, size: int) -> dict[str, Any]:
    """Pieces of 20 jobs, `size` jobs in all."""
    works = [Work(f"w2-{number}", STAGES, JOBS) for number in range(max(size // (STAGES * JOBS), 1))]
    return await _at_once(stand, works)


async def w3(stand: Stand, size: int) -> dict[str, Any]:
    """One stage of `size` jobs."""
    return await _at_once(stand, [Work("w3-0", 1, size)])


async def _at_once(stand: Stand, works: Sequence[Work]) -> dict[str, Any]:
    await stand.submit(works)
    await stand.wait_over(works)
    return at_once(stand.runs(works), in_order=stand.contender.in_order)


def at_once(runs: Sequence[Run], *, in_order: bool) -> dict[str, Any]:
    """The figures of work that was submitted at once; who does not keep the order of stages hands nothing over."""
    pods = [pod for run in runs for pod in run.pods]
    seconds = figures.makespan(runs)
    return {
        "jobs": len(pods),
        "makespan_seconds": seconds,
        "jobs_per_second": len(pods) / seconds,
        "steady_jobs_per_second": figures.steady_rate(pods),
        "hand_off_ms": figures.spread(each for run in runs if in_order for each in figures.hand_offs_ms(run)),
        "pod_ms": figures.spread(1000 * (pod.ended - pod.seen) for pod in pods),
    }
