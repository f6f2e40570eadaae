"""How many requests are held open at once: of all callers, and of one, so that one cannot take the places of all.

Rule: a place is given back when its block ends, however it ends.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from task_pipeline.server.auth.callers import Caller
from task_pipeline.server.problem import problem

RETRY_SECONDS = 5


class Shares:
    """Places for `what`, such as "streams": `most` of all callers, `most_each` of one."""

    def __init__(self, what: str, most: int, most_each: int) -> None:
        self._what, self._most, self._most_each = what, most, most_each
        self._open: Counter[str] = Counter()

    @contextmanager
    def take(self, caller: Caller) -> Iterator[None]:
        """A place for the length of the block. Raises ProblemError 429 for a caller that has its share, 503 for all."""
        name = f"{caller.kind}:{caller.name}"
        if self._open[name] >= self._most_each:
            text = f"{self._most_each} {self._what} of this caller are open, as many as may be: close some of them"
            raise problem(429, "TooManyOpen", text, retry_after=RETRY_SECONDS)
        if self._open.total() >= self._most:
            text = f"as many {self._what} are open as may be: ask again"
            raise problem(503, "Overloaded", text, retry_after=RETRY_SECONDS)
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            self._open += Counter()  # forgets who has none
