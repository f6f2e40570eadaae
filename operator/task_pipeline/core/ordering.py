"""The one order of everything that waits.

Smaller runs first: client, pipeline, stage, job; then arrival, place in the list, UID. A key is made of values that are
read once, when it is built; comparing two keys reads nothing else and cannot fail. The client's priority comes first
and is the same for all work of one client, so it is kept beside the key, not in it (see core.lane).
"""

from typing import NamedTuple


class OrderKey(NamedTuple):
    """A job's place among the jobs of its client. Tuples compare field by field, in this order."""

    pipeline_priority: int
    stage_index: int
    priority: int
    accepted: str  # the Pipeline's acceptedTime: RFC 3339 in UTC with microseconds sorts as text
    place: int  # index in the Pipeline's list of jobs
    uid: str  # of the Pipeline


class Rank(NamedTuple):
    """A place in the whole order. `band` 0 is for what has waited longer than its client lets it wait: those go
    first, the one that is overdue for longest before the others; all else is in band 1 and goes by priorities.

    Inside one lane `by` is 0 in band 1, so that a client's new priority touches none of its jobs' ranks.
    """

    band: int
    by: float  # band 0: the time (seconds of the epoch) since which it is overdue; band 1: the client's priority
    key: OrderKey
