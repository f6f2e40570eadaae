"""A window over an order: as much of its beginning as fits into a size.

Rule: what is inside ranks before all that is outside, and the first outside does not fit. So a better newcomer
displaces the worst inside, one that does not fit holds up those behind it, and one larger than the whole window gets in
when nothing ranks before it. Moving the border costs one step for each that crosses it.
"""

from typing import Protocol

from task_pipeline.core.ordering import Rank


class Window(Protocol):
    """What `slide` moves the border of. `inside` counts jobs, `admit` and `expel` move one entry over the border."""

    @property
    def inside(self) -> int: ...
    def best_outside(self) -> tuple[Rank, int] | None:
        """Rank and number of jobs of the first that is outside."""

    def worst_inside(self) -> tuple[Rank, int] | None:
        """Rank and number of jobs of the last that is inside."""

    def admit(self) -> None:
        """Take the first outside in."""

    def expel(self) -> None:
        """Put the last inside out."""


def slide(window: Window, size: int | None) -> None:
    """Move the border to where `size` (jobs; None: unlimited, 0: closed) puts it."""
    while True:
        best, worst = window.best_outside(), window.worst_inside()
        if best is not None and _fits(window.inside, best[1], size):
            window.admit()
        elif worst is not None and (_is_overfull(window.inside, worst[1], size) or (best is not None and best < worst)):
            window.expel()
        else:
            return


def _fits(inside: int, jobs: int, size: int | None) -> bool:
    return size is None or inside + jobs <= size or (inside == 0 and size > 0)


def _is_overfull(inside: int, last: int, size: int | None) -> bool:
    """Whether too much is inside; one entry alone is not, unless the window is closed."""
    return size is not None and inside > size and (size == 0 or inside > last)
