"""How well the watches do, from what each of them counts by itself."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from task_pipeline.observability import catalog
from task_pipeline.observability.sampling import Value


class Lists(Protocol):
    """What lists one resource again and again: how often it has, and what it found gone by that."""

    @property
    def lists(self) -> int: ...

    @property
    def ghosts(self) -> int: ...


class Stream(Lists, Protocol):
    """A watch: also when something last came from it, by the loop's clock."""

    @property
    def last_seen(self) -> float: ...


def of_streams(streams: Iterable[tuple[str, Stream]], others: Iterable[Lists], now: float) -> Iterator[Value]:
    """Ages by resource, and the counts of all. `others` are what lists without a watch of its own; `now` is the
    loop's time.
    """
    known = list(streams)
    ages: dict[str, float] = {}
    for kind, stream in known:
        if stream.lists:
            ages[kind] = max(ages.get(kind, 0.0), now - stream.last_seen)
    yield from (Value(catalog.STREAM_AGE, (kind,), age) for kind, age in ages.items())
    everything: list[Lists] = [*(stream for _, stream in known), *others]
    yield Value(catalog.STREAMS, (), len(everything))
    yield Value(catalog.RELISTS, (), sum(max(0, one.lists - 1) for one in everything))
    yield Value(catalog.GHOSTS, (), sum(one.ghosts for one in everything))
