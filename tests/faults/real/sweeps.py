"""Many runs at once, in a few lanes, and their entry in the report."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.faults.real.runs import Ended
from tests.faults.report import Entry

LANES = 3
T = TypeVar("T")


def sweep(
    name: str,
    points: Iterable[T],
    strike: Callable[[T], Ended],
    *,
    lanes: int = LANES,
    seed: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Entry:
    """Strike every point once; `tell` is given a line for each run that was not good, and now and then a count."""
    entry, began = Entry(name, "real", seed=seed), time.monotonic()
    with ThreadPoolExecutor(lanes) as pool:
        for ended in pool.map(strike, points):
            entry.add(ended.name, ended.violations, struck=ended.happened)
            for line in ended.wrong():
                tell(line)
            if entry.cases % 50 == 0:
                tell(f"{name}: {entry.cases} runs, {time.monotonic() - began:.0f} s")
    entry.seconds = round(time.monotonic() - began, 1)
    return entry
