"""Reading a log on where its stream has ended, without telling its last lines twice.

Rule: a log has no places, only times, so what comes is asked for with some seconds of overlap, and what was told of it
already is found by its text. Lines that are all the same can thereby be lost or told twice within these seconds.
"""

import math
from collections import deque
from collections.abc import Callable

OVERLAP = 2  # seconds that are asked for again
KEPT_SECONDS, KEPT_BYTES = 3.0, 2**16  # of what was told; more seconds than the overlap
RECENT = 1.0  # seconds before the end of a stream: what came in them must be there again


class Seam:
    """One log that may be read in several streams. `clock` gives seconds.

    `gap` becomes True when what was told last was not found again: lines may then be missing, or told twice.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.gap = False
        self._clock = clock
        self._told: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._before = b""
        self._held: bytes | None = None
        self._ended, self._recent = 0.0, False

    def feed(self, piece: bytes) -> bytes:
        """What is new in the next piece of a stream; what may have been told already is held back."""
        if self._held is not None:
            self._held += piece
            if self._held in self._before:
                return b""
            piece = self._joined(self._held)
        if piece:
            self._told.append((self._clock(), piece))
            self._size += len(piece)
            self._forget()
        return piece

    def again(self) -> int:
        """The stream has ended and another one begins now: from how many seconds ago on."""
        now = self._clock()
        if self._held is None:
            self._ended = now
            self._forget()
            self._before = b"".join(piece for _, piece in self._told)[-KEPT_BYTES:]
            self._recent = bool(self._told) and self._told[-1][0] >= now - RECENT
        self._held = b""
        return math.ceil(now - self._ended) + OVERLAP

    def end(self) -> bytes:
        """The log is over: what of that which was held back is new after all."""
        return self._joined(self._held) if self._held else b""

    def _joined(self, text: bytes) -> bytes:
        self._held = None
        for size in range(min(len(text), len(self._before)), 0, -1):
            if self._before.endswith(text[:size]):
                return text[size:]
        self.gap |= self._recent
        return text

    def _forget(self) -> None:
        """Drop what is too old to come again, and too much of it."""
        oldest = self._clock() - KEPT_SECONDS
        while self._told and (self._told[0][0] < oldest or self._size - len(self._told[0][1]) > KEPT_BYTES):
            self._size -= len(self._told.popleft()[1])
