"""Which blocks are run, in which order, and how large the workloads are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

QUICK, FULL = "quick", "full"
COUNTED_WORKLOAD, COUNTED_JOBS = "W2", 200
_SIZES = {
    # name: (quick, full, the least that means anything)
    "W1": (50, 200, 5),
    "W2": (2000, 10_000, 40),
    "W3": (500, 1000, 20),
    "W4": (2000, 5000, 300),
    "W4-1s": (2000, 5000, 300),
    "W5": (2000, 10_000, 100),
    "W6": (1000, 10_000, 20),
}
WORKLOADS = tuple(_SIZES)
_ONCE = ("W4", "W4-1s", "W5", "W6")  # in `quick` a single round of these


@dataclass(frozen=True)
class Block:
    """One contender with one workload on a fresh cluster. A counting block has an audit log and no times."""

    workload: str
    contender: str
    size: int
    round: int
    counting: bool = False


def size(workload: str, form: str, scale: float) -> int:
    """How much work a workload is: jobs, or Pipelines for W4 and W6."""
    quick, full, least = _SIZES[workload]
    return max(round((full if form == FULL else quick) * scale), least)


def blocks(
    workloads: Sequence[str], takes_part: Mapping[str, Sequence[str]], form: str, scale: float, rounds: int
) -> list[Block]:
    """All blocks in their order; `takes_part`: the workloads of every contender.

    Each second round goes backwards (A B, B A), so that a drift of the machine meets all alike.
    """
    plan = []
    for workload in workloads:
        names = [name for name, known in takes_part.items() if workload in known]
        count = 1 if form == QUICK and workload in _ONCE else rounds
        for number in range(count):
            order = names if number % 2 == 0 else names[::-1]
            plan += [Block(workload, name, size(workload, form, scale), number) for name in order]
        if workload == COUNTED_WORKLOAD:
            jobs = min(COUNTED_JOBS, size(workload, form, scale))
            plan += [Block(workload, name, jobs, 0, counting=True) for name in names]
    return plan
