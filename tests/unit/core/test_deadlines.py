"""Deadlines: when they come, and that none is too far to be added to a date."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.core.deadlines import Timeouts, after, earliest, passed
from tests.unit.core.job_builders import NOW, at, later

GIVEN = st.none() | st.integers(-1000, 1000).map(later)


@pytest.mark.parametrize(
    ("moment", "seconds", "deadline"),
    [
        (None, 5, None),
        (at(0), None, None),
        (None, None, None),
        (at(0), 5, later(5)),
        (at(0), 0, NOW),
        ("2031-04-17T14:00:00+02:00", 1.5, later(1.5)),
        (at(0), 1e11, later(1e11)),
        (at(0), 1e12, None),
        (at(0), 1e300, None),
    ],
)
def test_a_deadline_is_a_moment_and_a_span(moment: str | None, seconds: float | None, deadline: object) -> None:
    assert after(moment, seconds) == deadline


@given(st.integers(1, 10**11))
def test_no_span_that_the_schema_allows_overflows(seconds: int) -> None:
    assert after(at(0), seconds) == NOW + timedelta(seconds=seconds)


@given(st.floats(0, 1e300))
def test_a_span_beyond_the_calendar_is_no_deadline(seconds: float) -> None:
    assert not passed(after(at(0), seconds), NOW - timedelta(seconds=1))


def test_a_deadline_has_passed_when_its_moment_comes() -> None:
    assert passed(NOW, NOW)
    assert passed(later(-1), NOW)
    assert not passed(later(0.000_001), NOW)
    assert not passed(None, NOW)


@given(st.lists(GIVEN, max_size=5))
def test_the_earliest_is_the_first_of_those_given(moments: list[datetime | None]) -> None:
    found = earliest(*moments)
    known = [moment for moment in moments if moment is not None]
    assert found == (sorted(known)[0] if known else None)


def test_the_defaults_are_those_of_the_contract() -> None:
    assert (Timeouts().run, Timeouts().start) == (86_400, 600)
