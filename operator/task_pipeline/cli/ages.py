"""Spans of time in words, as kubectl has them: the age of an object, the length of a run, durations as given."""

import re
from datetime import UTC, datetime

from task_pipeline.api.times import parse_time

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_GIVEN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def words(seconds: float) -> str:
    """`75` as `75s`, `7500` as `125m`, `100000` as `27h`: two or three figures (as kubectl rounds them)."""
    whole = max(0, int(seconds))
    for unit, size, most in (("s", 1, 120), ("m", 60, 180), ("h", 3600, 48)):
        if whole < most * size:
            return f"{whole // size}{unit}"
    return f"{whole // 86_400}d"


def span(begin: str | None, end: str | None, now: datetime | None = None) -> str:
    """From one RFC 3339 time to another, up to now if there is no end; "" without a beginning."""
    if not begin:
        return ""
    try:
        last = parse_time(end) if end else now or datetime.now(UTC)
        return words((last - parse_time(begin)).total_seconds())
    except ValueError:
        return "?"


def age(moment: str | None) -> str:
    """How long ago that was; "" for none."""
    return span(moment, None)


def seconds(given: str) -> int | None:
    """`90`, `90s`, `10m`, `1h30m`, `2d` in seconds; None for what is none."""
    found = _GIVEN.fullmatch(given.strip())
    if found is None or not any(found.groups()):
        return None
    return sum(int(part) * size for part, size in zip(found.groups(), _UNITS.values(), strict=True) if part)
