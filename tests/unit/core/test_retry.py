"""The pause between attempts and what is charged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.core.records import Attempt
from task_pipeline.core.retry import FREE_IN_A_ROW, Backoff, is_charged


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (101, 300)]
)
def test_the_pause_doubles_up_to_its_limit(failures: int, pause: float) -> None:
    assert Backoff(jitter=0).seconds(failures, "u") == pause
    assert 0.8 * pause <= Backoff().seconds(failures, "u") <= min(300, 1.2 * pause)


@given(
    st.builds(Backoff, st.floats(0, 86_400), st.floats(1, 100), st.floats(0, 86_400), st.floats(0, 1)),
    st.integers(1, 10_000),
    st.text(max_size=40),
)
def test_the_pause_is_bounded_and_the_same_after_a_restart(backoff: Backoff, failures: int, seed: str) -> None:
    pause = backoff.seconds(failures, seed)
    assert 0 <= pause <= backoff.limit
    assert pause <= backoff.base * backoff.factor ** min(failures - 1, 64) * (1 + backoff.jitter) * (1 + 1e-9)
    assert pause == Backoff(backoff.base, backoff.factor, backoff.limit, backoff.jitter).seconds(failures, seed)


def test_jobs_that_failed_together_come_back_spread() -> None:
    pauses = [Backoff().seconds(1, f"uid-{number}") for number in range(1000)]
    assert min(pauses) < 8.1
    assert max(pauses) > 11.9
    assert abs(sum(pauses) / len(pauses) - 10) < 0.2
    assert Backoff().seconds(6, "u") != Backoff().seconds(7, "u")


def test_a_base_of_zero_retries_at_once() -> None:
    assert Backoff(base=0).seconds(5, "u") == 0


@pytest.mark.parametrize(
    ("earlier", "charged", "counts"),
    [
        ([], True, True),
        ([], False, False),
        ([False] * 2, False, False),
        ([False] * 3, False, True),
        ([False] * 3, True, True),
        ([True, False, False], False, False),
        ([False, False, True], False, False),
        ([False, True, False, False, False], False, True),
        ([None, False, False], False, False),
    ],
)
def test_losses_are_free_three_times_in_a_row(earlier: list[bool | None], charged: bool, counts: bool) -> None:
    listed = tuple(Attempt(attempt=n, outcome="ERROR", charged=one) for n, one in enumerate(earlier, start=1))
    assert is_charged(listed, charged) is counts


@given(st.lists(st.booleans(), max_size=60))
def test_never_more_than_three_free_in_a_row(losses: list[bool]) -> None:
    listed: tuple[Attempt, ...] = ()
    for number, lost in enumerate(losses, start=1):
        listed = (*listed, Attempt(attempt=number, charged=is_charged(listed, not lost)))
    row = "".join("f" if one.charged is False else "c" for one in listed)
    assert "f" * (FREE_IN_A_ROW + 1) not in row
