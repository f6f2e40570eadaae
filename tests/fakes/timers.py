"""Delays of the cluster's own controllers, in the time of the event loop.

Rule: a fault in a controller must not vanish in the loop's log: it is kept, and raised by the next request.
"""

import asyncio
from collections.abc import Callable


class Timers:
    """Calls things later, until `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handles: set[asyncio.TimerHandle] = set()
        self._fault: Exception | None = None

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in `seconds`."""

        def run() -> None:
            self._handles.discard(handle)
            try:
                act()
            except Exception as error:
                self._fault = self._fault or error

        handle = self._loop.call_later(seconds, run)
        self._handles.add(handle)

    def check(self) -> None:
        """Raise the first fault that a call ended with, if there was one."""
        if self._fault is not None:
            raise AssertionError("a controller of the fake cluster failed") from self._fault

    def stop(self) -> None:
        """Call nothing any more."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
