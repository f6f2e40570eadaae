"""What the person at the screen is told.

Rule: every step says what it does before it does it and how long it took after; on a terminal the running
step ticks, in a log file each line stands for itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

TICK_SECONDS = 15.0


class Report:
    """Progress lines on stderr; `quiet` keeps only warnings."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet

    def say(self, text: str) -> None:
        """One line about what happens."""
        if not self._quiet:
            self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line that must be seen."""
        self._console.print(text, style="yellow", markup=False)

    def error(self, text: str) -> None:
        """What went wrong and the way out."""
        self._console.print(text, style="red", markup=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A step of `up`: one line with its duration when it has worked."""
        started = time.monotonic()
        yield
        self.say(f"{text} ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def ticking(self, title: str) -> Iterator["Ticker"]:
        """A long step with changing details: a spinner on a terminal, a line now and then elsewhere."""
        if self._quiet or not self._console.is_terminal:
            yield Ticker(lambda text: self.say(f"{title}: {text}"), TICK_SECONDS)
            return
        with self._console.status(title) as status:
            yield Ticker(lambda text: status.update(f"{title}: {text}"), 0.5)


class Ticker:
    """Passes on the newest detail, at most once per interval."""

    def __init__(self, show: Callable[[str], None], interval: float) -> None:
        self._show = show
        self._interval = interval
        self._next = time.monotonic() + interval

    def __call__(self, text: str) -> None:
        """Offer a detail; shown when the interval is over."""
        if time.monotonic() >= self._next:
            self._show(text)
            self._next = time.monotonic() + self._interval
