"""How often somebody may ask: token buckets per address and per caller, and a growing delay after failures.

Rule: nobody can lock out anybody else. A client's bucket is charged only for requests that proved to be its own;
failures are counted per address, never per client id, and a credential that is right is accepted even while wrong
ones from the same address have to wait (many clients may share an address). Every table is bounded, and each replica
counts for itself.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` requests in the long run, `burst` of them at once."""

    per_second: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    time: float


class Buckets:
    """A token bucket per name; the one that was not used for longest is forgotten first. `clock` gives seconds."""

    def __init__(self, rate: Rate, clock: Callable[[], float], most: int = MOST_ENTRIES) -> None:
        self._rate = rate
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there will be."""
        now = self._clock()
        bucket = self._buckets.pop(name, None) or _Bucket(self._rate.burst, now)
        bucket.tokens = min(self._rate.burst, bucket.tokens + (now - bucket.time) * self._rate.per_second)
        bucket.time = now
        while len(self._buckets) >= self._most:
            self._buckets.popitem(last=False)
        self._buckets[name] = bucket
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / self._rate.per_second


@dataclass(frozen=True, slots=True)
class Patience:
    """`free` failures cost nothing; then the wait doubles from `first` to `longest` seconds.

    A failure is forgotten every `forget` seconds.
    """

    free: int = 10
    first: float = 1.0
    longest: float = 60.0
    forget: float = 30.0


@dataclass(slots=True)
class _Record:
    failures: float
    time: float
    until: float


class Failures:
    """Failures per address, and how long its next guess has to wait."""

    def __init__(self, patience: Patience, clock: Callable[[], float], most: int = MOST_ENTRIES) -> None:
        self._patience = patience
        self._clock = clock
        self._most = most
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def wait(self, address: str) -> float:
        """Seconds until a guess from `address` is looked at again; 0.0: at once."""
        record = self._records.get(address)
        return max(0.0, record.until - self._clock()) if record else 0.0

    def failed(self, address: str) -> None:
        """Count a wrong credential. One that comes while the address has to wait is not counted."""
        now, patience = self._clock(), self._patience
        record = self._records.pop(address, None) or _Record(0.0, now, now)
        record.failures = max(0.0, record.failures - (now - record.time) / patience.forget)
        record.time = now
        if now >= record.until:
            record.failures += 1
            over = record.failures - patience.free
            if over > 0:
                pause = min(patience.longest, patience.first * 2.0 ** min(over - 1, 30))
                record.until = now + pause
        while len(self._records) >= self._most:
            self._records.popitem(last=False)
        self._records[address] = record
