"""Counts the requests of HTTP jobs: how many are open, how they end, how long they take."""

import asyncio

from task_pipeline.observability.catalog import RUNNER_DURATION, RUNNER_OPEN, RUNNER_REQUESTS
from task_pipeline.observability.meters import Meters
from task_pipeline.runner.ending import Ending
from task_pipeline.runner.perform import Perform, Work, perform
from task_pipeline.runner.send import Sender

OUTCOMES = ("Succeeded", "Failed", "Accepted")


def counting(meters: Meters, perform: Perform = perform) -> Perform:
    """`perform`, counted. One that is given up counts as failed."""
    open_ = meters.gauge(RUNNER_OPEN).of()
    ended, duration = meters.counter(RUNNER_REQUESTS), meters.histogram(RUNNER_DURATION).of()

    for outcome in OUTCOMES:  # from 0, so that the first of them is an increase
        ended.of(outcome)

    async def counted(work: Work, sender: Sender) -> Ending | None:
        clock = asyncio.get_running_loop().time
        began, outcome = clock(), "Failed"
        open_.inc()
        try:
            ending = await perform(work, sender)
            outcome = "Accepted" if ending is None else "Failed" if ending.reason else "Succeeded"
            return ending
        finally:
            open_.dec()
            ended.of(outcome).inc()
            duration.observe(clock() - began)

    return counted
