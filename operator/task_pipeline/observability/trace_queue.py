"""Sends the traces of runs, in a thread of its own: whoever tells a run never waits.

Rule: what cannot be sent is lost, and counted. No more waits than MOST_WAITING, whatever the collector does.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from prometheus_client import Counter

from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.observability.catalog import TRACES
from task_pipeline.observability.meters import Meters, Series
from task_pipeline.observability.traces import Span, spans_of

log = logging.getLogger(__name__)

MOST_WAITING = 20_000
"""Records that may wait to be sent: a run counts as one, and so does each of its jobs."""
QUIET_SECONDS = 60.0
"""No two lines of the log about lost traces come sooner after each other."""
SENT, FAILED, DROPPED = "Sent", "Failed", "Dropped"


def trace_outcomes(meters: Meters) -> Series[Counter]:
    """What counts traces; from 0, so that the first of each outcome is an increase."""
    outcomes = meters.counter(TRACES)
    for outcome in (SENT, FAILED, DROPPED):
        outcomes.of(outcome)
    return outcomes


class Sender(Protocol):
    """What brings spans to a collector; called by one thread at a time, but for `close`."""

    def send(self, spans: Sequence[Span]) -> str | None:
        """Send the spans of one run; returns what went wrong, None when nothing did. May take as long as it needs."""

    def close(self) -> None:
        """Let a `send` that waits give up."""


class TraceQueue:
    """`tell` a run when it is over, `close` before the process ends. `outcomes` counts the traces."""

    def __init__(self, sender: Sender, outcomes: Series[Counter], clock: Callable[[], float] = time.monotonic) -> None:
        self._sender, self._outcomes, self._clock = sender, outcomes, clock
        self._waiting = deque[tuple[PipelineRecord, Sequence[JobRecord]]]()
        self._size = 0
        self._changed = threading.Condition()
        self._closing = False
        self._lost = 0
        self._told: float | None = None
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def tell(self, pipeline: PipelineRecord, jobs: Sequence[JobRecord]) -> None:
        """Send the trace of a run that is over, soon; drop it when too much waits already."""
        with self._changed:
            if self._closing or self._size + 1 + len(jobs) > MOST_WAITING:
                self._lose(DROPPED, "too many wait already")
                return
            self._waiting.append((pipeline, jobs))
            self._size += 1 + len(jobs)
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """Send what waits, for so long at most; then give up the rest."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            for _ in range(len(self._waiting)):
                self._lose(DROPPED, "the operator ends")
            self._waiting.clear()
        self._sender.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                pipeline, jobs = self._waiting.popleft()
            wrong = self._send(pipeline, jobs)
            with self._changed:
                self._size -= 1 + len(jobs)
                if wrong is None:
                    self._outcomes.of(SENT).inc()
                else:
                    self._lose(FAILED, wrong)

    def _send(self, pipeline: PipelineRecord, jobs: Sequence[JobRecord]) -> str | None:
        try:
            return self._sender.send(spans_of(pipeline, jobs))
        except Exception as error:  # a trace is never worth more than the run
            return f"{type(error).__name__}: {error}"

    def _lose(self, outcome: str, why: str) -> None:
        self._outcomes.of(outcome).inc()
        self._lost += 1
        now = self._clock()
        if self._told is None or now - self._told >= QUIET_SECONDS:
            log.warning("traces of runs that are lost, since this was last told: %d; now: %s", self._lost, why)
            self._told, self._lost = now, 0
