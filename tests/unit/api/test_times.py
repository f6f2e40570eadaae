"""Times on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.times import format_time, parse_time


@given(st.datetimes(timezones=st.just(UTC)))
def test_there_and_back_without_loss(moment: datetime) -> None:
    text = format_time(moment)
    assert parse_time(text) == moment
    assert len(text) == len("2026-01-31T23:59:59.000001Z")


def test_always_utc() -> None:
    local = datetime(2026, 1, 31, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(local) == "2026-01-30T23:02:03.000000Z"
    assert parse_time("2026-01-31T01:02:03+02:00") == local
    assert parse_time("2026-01-31T01:02:03Z").tzinfo is UTC


def test_finer_than_microseconds_is_cut() -> None:
    assert parse_time("2026-01-31T01:02:03.123456789Z").microsecond == 123456


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-01-31", "2026-01-31 01:02:03Z", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        parse_time(text)


def test_a_time_needs_its_zone() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        parse_time("2026-01-31T01:02:03")
    with pytest.raises(ValueError, match="without a zone"):
        format_time(datetime(2026, 1, 31, tzinfo=UTC).replace(tzinfo=None))
