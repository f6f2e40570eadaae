"""When something has waited or run long enough. Times are UTC datetimes, spans are seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from task_pipeline.api.times import parse_time

UNREACHABLE_GRACE = 60.0  # seconds after its grace period in which a workload must vanish, or its node is unreachable
SLOW_START = 10.0  # a start that takes longer shows the kubelet's or the scheduler's own message


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The operator's defaults for jobs that name none, in seconds."""

    run: float = 86_400.0
    start: float = 600.0


def after(moment: str | None, seconds: float | None) -> datetime | None:
    """`seconds` after the RFC 3339 `moment`; None when either is absent or the date would lie beyond year 9999."""
    if moment is None or seconds is None:
        return None
    try:
        return parse_time(moment) + timedelta(seconds=seconds)
    except OverflowError:
        return None


def passed(deadline: datetime | None, now: datetime) -> bool:
    """Whether there is a deadline and it has come."""
    return deadline is not None and now >= deadline


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that are given."""
    given = [moment for moment in moments if moment is not None]
    return min(given) if given else None
