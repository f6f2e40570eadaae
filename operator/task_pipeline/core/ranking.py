"""A set in order: its first member is known at once; members come, move and go in O(log n).

A heap whose entries are left behind when their member moves or goes, and skipped when they come to the front. Before
they outnumber the members the heap is built anew, so memory follows what is in the set, whatever has happened to it.
"""

import heapq
from typing import Any, Generic, TypeVar

Rank = TypeVar("Rank", bound=tuple[Any, ...])
SLACK = 16  # stale entries that are never worth building anew for


class Backwards(tuple[Any, ...]):
    """A rank in the opposite order, for a set whose last member is wanted first."""

    __slots__ = ()

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        return tuple.__gt__(self, other)


class Ranking(Generic[Rank]):
    """Members by rank, smaller first; equal ranks by name, so that the order does not depend on the history."""

    __slots__ = ("_heap", "_ranks")

    def __init__(self) -> None:
        self._ranks: dict[str, Rank] = {}
        self._heap: list[tuple[Rank, str]] = []

    def __len__(self) -> int:
        return len(self._ranks)

    def put(self, member: str, rank: Rank) -> None:
        """Add `member`, or move it to `rank`."""
        if self._ranks.get(member) != rank:
            self._ranks[member] = rank
            heapq.heappush(self._heap, (rank, member))
            self._tidy()

    def remove(self, member: str) -> None:
        """Take `member` out; unknown ones are fine."""
        if self._ranks.pop(member, None) is not None:
            self._tidy()

    def first(self) -> str | None:
        """The member of the smallest rank; None when there is none."""
        while self._heap:
            rank, member = self._heap[0]
            if self._ranks.get(member) == rank:
                return member
            heapq.heappop(self._heap)
        return None

    def rank(self, member: str) -> Rank:
        """The rank of a member; raises KeyError for what is none."""
        return self._ranks[member]

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._ranks) + SLACK:
            self._heap = [(rank, member) for member, rank in self._ranks.items()]
            heapq.heapify(self._heap)
