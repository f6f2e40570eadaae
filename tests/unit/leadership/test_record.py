"""The decision about the Lease: every case, and that no clock but one's own counts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.times import format_time, parse_time
from task_pipeline.leadership.record import (
    Action,
    Record,
    Seen,
    Timing,
    decide,
    held,
    released,
    see,
)

TIMING = Timing()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(holder: str | None, **fields: object) -> Record:
    return Record(holder_identity=holder, lease_duration_seconds=15, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "held_until", "wanted"),
    [
        (None, None, Action.CREATE),
        ("", None, Action.TAKE),
        (None, 1e9, Action.CREATE),
        ("me", 1e9, Action.RENEW),
        ("me", None, Action.RENEW),
        ("me", 0.0, Action.LOSE),
        ("you", 1e9, Action.LOSE),
        ("", 1e9, Action.LOSE),
        ("you", None, Action.WAIT),
    ],
)
def test_every_case(seen: str | None, held_until: float | None, wanted: Action) -> None:
    found = see(Seen(), None if seen is None else record(seen), 1.0, TIMING)
    assert decide(found, 2.0, "me", held_until) is wanted


def test_a_lease_without_a_holder_is_free() -> None:
    assert decide(see(Seen(), Record(), 1.0, TIMING), 1.0, "me", None) is Action.TAKE


def test_another_holder_is_left_alone_for_the_duration_since_the_record_last_changed() -> None:
    seen = see(Seen(), record("you", renew_time="2020-01-01T00:00:00Z"), 100.0, TIMING)
    assert decide(seen, 114.9, "me", None) is Action.WAIT
    renewed = see(seen, record("you", renew_time="2020-01-01T00:00:02Z"), 110.0, TIMING)
    assert decide(renewed, 124.9, "me", None) is Action.WAIT
    same = see(renewed, record("you", renew_time="2020-01-01T00:00:02Z"), 124.0, TIMING)
    assert decide(same, 125.0, "me", None) is Action.TAKE


@pytest.mark.parametrize(("asked", "respected"), [(60, 60), (3, 15), (None, 15), (-5, 15), (10**9, 15)])
def test_the_holders_own_duration_counts_if_it_is_longer_and_sane(asked: int | None, respected: int) -> None:
    seen = see(Seen(), Record(holder_identity="you", lease_duration_seconds=asked), 0.0, TIMING)
    assert decide(seen, respected - 0.1, "me", None) is Action.WAIT
    assert decide(seen, respected, "me", None) is Action.TAKE


def test_a_lease_that_was_deleted_is_not_made_anew_before_its_holder_must_know() -> None:
    """Who could not look for a while does not know when it was renewed for the last time."""
    seen = see(see(Seen(), record("you"), 100.0, TIMING), None, 114.0, TIMING)
    seen = see(seen, None, 120.0, TIMING)
    assert decide(seen, 128.9, "me", None) is Action.WAIT
    assert decide(seen, 129.0, "me", None) is Action.CREATE


def test_a_new_holder_counts_a_transition_and_a_renewal_does_not() -> None:
    first = held(None, "a", NOW, TIMING)
    assert (first.lease_transitions, first.acquire_time) == (0, first.renew_time)
    renewed = held(first, "a", NOW + timedelta(seconds=2), TIMING)
    assert (renewed.lease_transitions, renewed.acquire_time) == (0, first.acquire_time)
    taken = held(renewed, "b", NOW + timedelta(seconds=20), TIMING)
    assert (taken.lease_transitions, taken.holder_identity) == (1, "b")
    back = held(released(taken, NOW), "a", NOW, TIMING)
    assert (back.lease_transitions, back.lease_duration_seconds) == (2, 15)


@given(st.timedeltas(min_value=timedelta(hours=-20), max_value=timedelta(hours=20)))
def test_each_renewal_changes_the_record_whatever_the_time_of_day_does(jump: timedelta) -> None:
    before = held(None, "a", NOW, TIMING)
    after = held(before, "a", NOW + jump, TIMING)
    assert parse_time(after.renew_time or "") > parse_time(before.renew_time or "")


@pytest.mark.parametrize("written", ["nonsense", format_time(NOW + timedelta(days=400))])
def test_a_renewal_time_that_makes_no_sense_is_replaced(written: str) -> None:
    assert held(record("a", renew_time=written), "a", NOW, TIMING).renew_time == format_time(NOW)
