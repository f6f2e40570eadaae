"""Wait for something that comes by itself.

Rule: every wait has an end, and the end says what did not come.
"""

import time
from collections.abc import Callable
from typing import TypeVar

STEP_SECONDS = 0.02
T = TypeVar("T")


def wait_for(ask: Callable[[], T], what: str = "condition", seconds: float = 30.0) -> T:
    """Ask until the answer is true-like, and return it; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(STEP_SECONDS)
    return answer
