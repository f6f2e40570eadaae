"""Counts what a piece of code does, so that its growth can be tested without a clock.

Calls are those of functions, Python's and C's. Comparisons are those between order keys of the class `CountedKey`: a
heap makes them inside C, where a call does not show. Both are the same in every run.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from task_pipeline.core.ordering import OrderKey


@dataclass
class Work:
    """What has been done so far."""

    calls: int = 0
    comparisons: int = 0


class CountedKey(OrderKey):
    """An order key whose comparisons are counted while `counted` runs. Each begins with a test for equality."""

    __slots__ = ()
    __hash__ = OrderKey.__hash__

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, other)

    def __lt__(self, other: Any) -> bool:
        return tuple.__lt__(self, other)

    def __gt__(self, other: Any) -> bool:
        return tuple.__gt__(self, other)


_EQUAL = CountedKey.__eq__.__code__
_COMPARING = frozenset((_EQUAL, CountedKey.__lt__.__code__, CountedKey.__gt__.__code__))


@contextmanager
def counted(work: Work) -> Iterator[None]:
    """Add to `work` what the block does; nothing inside may set a profiler of its own."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if frame.f_code in _COMPARING:
            work.comparisons += event == "call" and frame.f_code is _EQUAL
        elif event in ("call", "c_call"):
            work.calls += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        work.calls -= 1  # the call that ended the counting


def work_of(step: Callable[[], object], turns: int) -> Work:
    """What `turns` times the step does in all."""
    work = Work()
    for _ in range(turns):
        with counted(work):
            step()
    return work
