"""What one step of the queue costs grows at most as the logarithm of what waits. Counted, not timed."""

from math import log

import pytest

from tests.counting import Work, work_of
from tests.crowd import Crowd

FEW, MANY = 10, 10_000
GROWTH = log(MANY) / log(FEW)
TELL = "tell: lasting, notice"
STEPS = [step for step in Crowd(FEW).steps() if step != TELL]
TURNS = 300


@pytest.fixture(scope="module")
def many() -> Crowd:
    return Crowd(MANY)


def average(crowd: Crowd, step: str, turns: int) -> Work:
    """What the step does once, rounded down."""
    work = work_of(crowd.steps()[step], turns)
    return Work(work.calls // turns, work.comparisons // turns)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_costs_no_more_than_the_logarithm_allows(many: Crowd, step: str) -> None:
    small, large = average(Crowd(FEW), step, TURNS), average(many, step, TURNS)
    print(f"{step}: {small} with {FEW} waiting, {large} with {MANY:,}")
    assert 0 < large.comparisons <= GROWTH * small.comparisons + 20
    assert large.calls <= 1.25 * small.calls + 100


def test_a_look_of_the_teller_costs_the_same_however_much_waits(many: Crowd) -> None:
    """It looks at so many together; in both queues there are more that tell a wrong reason."""
    small, large = average(Crowd(1000), TELL, 20), average(many, TELL, 20)
    print(f"{TELL}: {small} with 1,000 waiting, {large} with {MANY:,}")
    assert 0 < large.comparisons <= GROWTH * small.comparisons
    assert large.calls <= 1.25 * small.calls
