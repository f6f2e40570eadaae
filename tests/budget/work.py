"""Counts the bytecodes that the operator executes, wherever they are called from: the same number in every run.

Loops count as often as they turn, unlike calls. What a C function does inside counts once, so a sort or a copy of
something large is not seen here; time in `make scale` shows it. The cluster's side, the tests and the event loop are
left out.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

LEFT_OUT = (str(Path(__file__).parents[1]) + "/", "/asyncio/", "/looptime/")


@dataclass
class Work:
    """What has been executed so far."""

    bytecodes: int = 0


@contextmanager
def counted(work: Work) -> Iterator[None]:
    """Add to `work` what the block executes, and what it lets other tasks of this thread execute."""

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        if any(part in frame.f_code.co_filename for part in LEFT_OUT):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return step

    def step(frame: FrameType, event: str, _: Any) -> Any:
        work.bytecodes += event == "opcode"
        return step

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # libraries of tests may have hung Python code into it
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
