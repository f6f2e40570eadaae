"""A part of a test with an event loop and a thread of its own."""

import asyncio
import threading
from typing import Self


class Background:
    """A context manager: `_start` and `_stop` are run in a loop of its own, in a thread that ends with the block."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds  # to start, and to stop
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(self._seconds)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self._seconds)
        self._loop.close()

    async def _start(self) -> None:
        raise NotImplementedError

    async def _stop(self) -> None:
        raise NotImplementedError
