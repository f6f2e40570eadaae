"""How every program of this package is told to stop."""

import asyncio
import os
import signal


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; to be called inside the running loop. A second signal leaves at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_or_leave() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_leave)
    return stop
