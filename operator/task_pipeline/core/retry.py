"""Whether a failed attempt is followed by another, and when.

Attempts that the infrastructure took (evicted, lost) are given back, at most `FREE_IN_A_ROW` times in a row; then they
are charged like any failure. The pause grows with the number of attempts and is spread, so that jobs that failed
together do not come back together. What would fail again in the same way is not repeated, and says so.
"""

from dataclasses import dataclass

from task_pipeline.core.naming import digest
from task_pipeline.core.records import Attempt

FREE_IN_A_ROW = 3
NOT_RETRIED = "not retried, because another attempt would fail in the same way"
KEPT_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pause before attempt n+1: `base` x `factor`^(failures-1) seconds +- `jitter` (0.2 = 20 %), at most `limit`.

    At the limit the spread is kept below it, so that jobs do not meet there.
    """

    base: float = 10.0
    factor: float = 2.0
    limit: float = 300.0
    jitter: float = 0.2

    def seconds(self, failures: int, seed: str) -> float:
        """The pause after `failures` (>= 1) failed attempts. `seed` fixes the jitter, so a restart sees the same."""
        pause = min(self.limit, self.base * self.factor ** min(failures - 1, 64))
        shortest, longest = pause * (1 - self.jitter), min(self.limit, pause * (1 + self.jitter))
        share = int(digest(seed, str(failures), length=6), 36) % 10_001 / 10_000
        return shortest + share * (longest - shortest)


def is_charged(attempts: tuple[Attempt, ...], charged: bool) -> bool:
    """Whether the attempt that just ended counts against the retries. `attempts` are the earlier ones."""
    if charged:
        return True
    free = 0
    for attempt in reversed(attempts):
        if attempt.charged is not False:
            break
        free += 1
    return free >= FREE_IN_A_ROW
