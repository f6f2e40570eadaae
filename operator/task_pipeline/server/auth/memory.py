"""A small memory with two bounds: so many entries, each for so many seconds.

Rule: what is remembered here can be asked for again at any time; forgetting it costs a question, never an answer.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Values by key. `clock` gives seconds; the entry put first is the first to go when there are `most`."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or it is too old."""
        found = self._entries.get(key)
        if found is None:
            return None
        until, value = found
        if self._clock() >= until:
            del self._entries[key]
            return None
        return value

    def put(self, key: K, value: V) -> None:
        """Remember `value` from now on."""
        self._entries.pop(key, None)
        while len(self._entries) >= self._most:
            self._entries.popitem(last=False)
        self._entries[key] = (self._clock() + self._seconds, value)
