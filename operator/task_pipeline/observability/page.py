"""GET /metrics: the text that Prometheus reads (format 0.0.4), for whoever answers HTTP.

Rule: bounded, whatever is asked: one scrape is made at a time, a few may wait for it, and nothing of a request but its
path plays a part.
"""

import logging
import threading

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

log = logging.getLogger(__name__)

WAITING = 4  # scrapes that may wait for their turn; more are told to come back
WAIT_SECONDS = 5.0
PLAIN = "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]


class MetricsPage:
    """Call it from any thread but the loop's: status, content type and body."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._turn = threading.Lock()
        self._room = threading.BoundedSemaphore(1 + WAITING)

    def __call__(self) -> Answer:
        if not self._room.acquire(blocking=False):
            return _busy()
        try:
            if not self._turn.acquire(timeout=WAIT_SECONDS):
                return _busy()
            try:
                return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)
            finally:
                self._turn.release()
        except TimeoutError:
            return 503, PLAIN, b"the event loop does not answer\n"
        except Exception:
            log.exception("metrics cannot be told")
            return 500, PLAIN, b"a fault of ours; the log has more\n"
        finally:
            self._room.release()


def _busy() -> Answer:
    return 503, PLAIN, b"other scrapes are under way: ask again\n"
