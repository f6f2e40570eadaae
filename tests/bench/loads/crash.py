"""W5: the program is killed while thousands of jobs live, some of them running slowly, and started again at once.

How long until its first launch, and whether every job runs exactly once: all work is carried to its end.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.bench import figures
from tests.bench.contenders.base import Work
from tests.bench.site import Site
from tests.bench.stand import PATIENCE, Stand

JOBS_PER_WORK = 20
RUNNING_SHARE = 5
ENDS_PER_SECOND = 25
ENDED_SHARE = 10  # at the kill, of those with a slot: pods end all the time by then, so a slot is free at the start


@dataclass(frozen=True)
class Load:
    """`live` jobs in all; a fifth of them has a slot, and pods live so long that about 25 end in a second."""

    live: int

    @property
    def slots(self) -> int:
        """How many may run at once."""
        return max(self.live // RUNNING_SHARE, 1)

    @property
    def seconds(self) -> float:
        """How long a pod lives on average."""
        return max(self.slots / ENDS_PER_SECOND, 2.0)


async def measure(stand: Stand, site: Site, load: Load) -> dict[str, Any]:
    """Kill it when all slots are taken and some pods have ended, start it, and wait for the end of everything."""
    choice = random.Random(5)
    works = [
        Work(f"w5-{n}", 1, JOBS_PER_WORK, round(load.seconds * choice.uniform(0.5, 1.5), 2))
        for n in range(max(load.live // JOBS_PER_WORK, 1))
    ]
    pods, contender = stand.pods, stand.contender
    await stand.submit(works)
    await pods.wait(lambda: len(pods.sightings) - pods.ended >= load.slots, PATIENCE)
    await pods.wait(lambda: pods.ended >= load.slots // ENDED_SHARE, PATIENCE)
    await asyncio.to_thread(contender.stop, kill=True)
    killed, before, objects = time.monotonic(), len(pods.sightings), len(stand.units.sightings)
    await asyncio.sleep(0.5)  # what was on its way when it died is there
    known = set(pods.sightings)
    began = time.monotonic()
    contender.start(site, wait=False)
    await pods.wait(lambda: len(pods.sightings) > len(known), PATIENCE)
    first = min(one.seen for name, one in pods.sightings.items() if name not in known)
    await stand.wait_over(works)
    return {
        "live": len(works) * JOBS_PER_WORK,
        "slots": load.slots,
        "objects_of_one_job_at_the_kill": objects,
        "pods_at_the_kill": before,
        "down_seconds": began - killed,
        "start_to_first_launch_seconds": first - began,
        **_once(stand, works),
    }


def _once(stand: Stand, works: list[Work]) -> dict[str, Any]:
    """Whether every job has run exactly once, and how many ran at the same time."""
    runs = Counter(one.kept for one in stand.pods.sightings.values() if one.kept is not None)
    expected = sum(work.stages * work.jobs for work in works)
    spans = [(one.seen, one.ended) for one in stand.pods.sightings.values() if one.ended is not None]
    return {
        "duplicates": runs.total() - len(runs),
        "lost": expected - len(runs),
        "most_at_once": figures.peak(spans),
    }
