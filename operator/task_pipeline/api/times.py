"""Times on the wire: RFC 3339 with microseconds, always UTC, always ending in "Z".

Rule: this is the only place that turns a datetime into text and back. It never reads the clock.
"""

from datetime import UTC, datetime
from functools import lru_cache


def format_time(moment: datetime) -> str:
    """`moment` (with a time zone) as `2026-01-31T23:59:59.000001Z`; raises ValueError on a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {moment!r}; give it tzinfo=UTC")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@lru_cache(maxsize=4096)  # the same few times are asked for at every look at a job
def parse_time(text: str) -> datetime:
    """The UTC datetime of an RFC 3339 `text` (any offset, any number of decimals).

    Raises ValueError when it is not one, or has no zone.
    """
    if "T" not in text.upper():
        raise ValueError(f"not an RFC 3339 time: {text!r}; write it as 2026-01-31T23:59:59Z")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"not an RFC 3339 time: {text!r}; write it as 2026-01-31T23:59:59Z") from error
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}; end it with Z for UTC")
    return moment.astimezone(UTC)
