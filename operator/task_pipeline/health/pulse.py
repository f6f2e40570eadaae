"""The pulse of an event loop: how long ago it last had a turn. Looked at from other threads."""

import asyncio
from collections.abc import Callable

BEAT_SECONDS = 5.0  # each beat wakes an idle process up; a loop counts as stuck after 30 s


class Pulse:
    """Run `beat` as a task of the loop; `age` from anywhere."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()

    async def beat(self) -> None:
        """Show that the loop turns, for ever."""
        while True:
            self._last = self._clock()
            await asyncio.sleep(BEAT_SECONDS)

    @property
    def age(self) -> float:
        """Seconds since the loop last had a turn."""
        return self._clock() - self._last
