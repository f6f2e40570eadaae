"""Token buckets, the growing delay, and that every table is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.server.auth.limits import Buckets, Failures, Patience, Rate
from task_pipeline.server.auth.memory import Memory


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(Rate(per_second=2, burst=3), clock)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.time += 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.5]
    assert buckets.take("b") == 0.0


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_bucket_gives_more_than_it_may(pauses: list[float]) -> None:
    clock = Clock()
    buckets, begin, given_out = Buckets(Rate(per_second=1, burst=5), clock), clock.time, 0
    for pause in pauses:
        clock.time += pause
        given_out += buckets.take("a") == 0.0
        assert given_out <= 5 + (clock.time - begin) + 1e-6


def test_the_buckets_are_bounded() -> None:
    buckets = Buckets(Rate(1, 1), Clock(), most=10)
    for number in range(1000):
        buckets.take(str(number))
    assert len(buckets) == 10


def test_failures_are_free_and_then_cost_twice_as_much_each_time() -> None:
    clock = Clock()
    failures = Failures(Patience(free=3, first=1, longest=8, forget=1000), clock)
    waits = []
    for _ in range(9):
        failures.failed("a")
        waits.append(round(failures.wait("a")))
        clock.time += failures.wait("a")
    assert waits == [0, 0, 0, 1, 2, 4, 8, 8, 8]
    assert failures.wait("b") == 0.0


def test_guesses_while_one_has_to_wait_do_not_make_it_longer() -> None:
    clock = Clock()
    failures = Failures(Patience(free=0, first=4, longest=60, forget=1000), clock)
    failures.failed("a")
    for _ in range(100):
        failures.failed("a")
    assert failures.wait("a") == 4.0


def test_failures_are_forgotten() -> None:
    clock = Clock()
    failures = Failures(Patience(free=2, first=1, longest=60, forget=10), clock)
    for _ in range(3):
        failures.failed("a")
    assert failures.wait("a") > 0
    clock.time += 31
    for _ in range(2):
        failures.failed("a")
    assert failures.wait("a") == 0.0


@given(st.lists(st.floats(0, 100), max_size=300))
def test_no_wait_is_longer_than_the_longest(pauses: list[float]) -> None:
    clock = Clock()
    failures = Failures(Patience(free=1, first=1, longest=60, forget=30), clock)
    for pause in pauses:
        clock.time += pause
        failures.failed("a")
        assert failures.wait("a") <= 60


def test_the_failures_are_bounded() -> None:
    failures = Failures(Patience(), Clock(), most=10)
    for number in range(1000):
        failures.failed(str(number))
    assert len(failures) == 10


def test_a_memory_forgets_by_time_and_by_number() -> None:
    clock = Clock()
    memory: Memory[str, int] = Memory(10, 3, clock)
    for number, name in enumerate("abcd"):
        memory.put(name, number)
    assert [memory.get(name) for name in "abcd"] == [None, 1, 2, 3]
    clock.time += 9
    memory.put("b", 9)
    clock.time += 1
    assert [memory.get(name) for name in "bcd"] == [9, None, None]
    assert len(memory) == 1


@pytest.mark.parametrize("failures", [1, 40, 5000])
def test_many_failures_do_not_overflow(failures: int) -> None:
    clock = Clock()
    table = Failures(Patience(free=0, forget=1e9), clock)
    for _ in range(failures):
        clock.time += table.wait("a")
        table.failed("a")
    assert table.wait("a") <= 60
