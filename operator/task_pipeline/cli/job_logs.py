"""Logs of the jobs of a run, one after another or all at once while they run.

Rule: on a terminal every line is harmless and whole lines of different jobs alternate; elsewhere the bytes go out as
they are, with a prefix only where there are several jobs. A log that is not there is told beside the output.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from task_pipeline.api.states import TERMINAL
from task_pipeline.cli.backend import Backend, LogQuery, Object
from task_pipeline.cli.following import Followed, follow
from task_pipeline.cli.log_seam import Seam
from task_pipeline.cli.screen import Screen, write_bytes
from task_pipeline.cli.text import block, printed
from task_pipeline.cli.view import JobView
from task_pipeline.kube.errors import KubeError, NotFound, is_transient

AT_ONCE = 15  # logs; the REST server lets a caller hold 20 open
LONGEST_LINE = 65_536  # bytes of a line that are kept back until its end comes
LOOK = 0.1  # seconds between two looks at whether an attempt is over
SLOW = 2.0  # seconds from the end of a log until the status must say so
GRACE = 30.0  # seconds for logs that still flow when the run is over

Wanted = Callable[[JobView], bool]


class Selection(NamedTuple):
    """Which logs: of the jobs that `wanted` picks, the part that `query` says, with prefixes or without."""

    wanted: Wanted
    query: LogQuery
    prefix: bool


class Lines:
    """Writes the log of one job."""

    def __init__(self, screen: Screen, prefix: str) -> None:
        self._screen = screen
        self._prefix = prefix
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """The next piece; a line that is not complete is kept back."""
        if not self._screen.terminal and not self._prefix:
            write_bytes(sys.stdout, piece)
            return
        *whole, self._rest = (self._rest + piece).split(b"\n")
        self._write(whole)
        if len(self._rest) > LONGEST_LINE:
            self._write([self._rest])
            self._rest = b""

    def end(self) -> None:
        """The log is over."""
        if self._rest:
            self._write([self._rest])
            self._rest = b""

    def _write(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        if self._screen.terminal:
            for line in lines:
                self._screen.styled(f"{block(self._prefix)}{printed(line.decode(errors='replace'))}")
        else:
            prefix = self._prefix.encode()
            write_bytes(sys.stdout, b"".join(prefix + line + b"\n" for line in lines))


async def print_logs(
    screen: Screen, backend: Backend, pipeline: Object, jobs: Sequence[JobView], selection: Selection
) -> int:
    """Print the logs of the jobs, one after another; how many there were. What is missing is noted."""
    found = 0
    for job in jobs:
        if job.thing is None:
            screen.note(f"job {job.name} has not been launched, so there is no log yet")
            continue
        lines = Lines(screen, _prefix(job, selection))
        try:
            async with aclosing(backend.log(pipeline, job.thing, selection.query)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    lines.feed(piece)
            found += 1
        except NotFound as error:
            screen.note(error.message)
        finally:
            lines.end()
    return found


async def follow_logs(
    screen: Screen, backend: Backend, namespace: str, name: str, selection: Selection
) -> tuple[Followed, int]:
    """Print the logs of all attempts from now on until the run is over; its end, and how many logs there were.

    The first error of any of them ends it all.
    """
    started: dict[tuple[str, int], asyncio.Task[bool]] = {}
    room = asyncio.Semaphore(AT_ONCE)
    known = Followed()
    try:
        async with asyncio.TaskGroup() as group:
            async with aclosing(follow(backend, namespace, name, screen.note)) as stream:  # type: ignore[type-var]
                async for known in stream:
                    for job in known.view().jobs:
                        if job.thing is None or not job.attempt or not selection.wanted(job):
                            continue
                        key = job.thing["metadata"]["uid"], job.attempt
                        if key not in started:
                            reading = _read(screen, backend, known, job, selection, room)
                            started[key] = group.create_task(reading)
            if started:
                await asyncio.wait(started.values(), timeout=GRACE)
            for task in started.values():
                task.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return known, sum(not task.cancelled() and task.result() for task in started.values())


async def _read(
    screen: Screen, backend: Backend, known: Followed, job: JobView, selection: Selection, room: asyncio.Semaphore
) -> bool:
    """Follow one attempt to its end, in several streams where the cluster ends them; whether there was a log."""
    assert job.thing is not None
    query = selection.query._replace(attempt=job.attempt, follow=not job.final)
    lines, seam, begun = Lines(screen, _prefix(job, selection)), Seam(asyncio.get_running_loop().time), False
    async with room:
        try:
            while True:
                async with aclosing(backend.log(known.pipeline, job.thing, query)) as pieces:  # type: ignore[type-var]
                    async for piece in pieces:
                        lines.feed(seam.feed(piece))
                begun = True
                if not query.follow or await _has_ended(known, job):
                    break
                query = query._replace(tail=None, since=seam.again())
        except NotFound as error:
            if not begun:
                screen.note(error.message)
                return False
        except KubeError as error:
            if not is_transient(error):
                raise
            screen.note(f"the log of job {job.name} broke off: {error}; `logs --job {job.name}` reads it again")
            return False
        finally:
            lines.feed(seam.end())
            lines.end()
    if seam.gap:
        screen.note(f"lines of job {job.name} may be missing, or be here twice; `logs --job {job.name}` reads it again")
    return True


async def _has_ended(known: Followed, job: JobView) -> bool:
    """Whether the attempt whose log has ended is over; its status may say so a little later."""
    end = asyncio.get_running_loop().time() + SLOW
    while not _is_over(known, job):
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(LOOK)
    return True


def _is_over(known: Followed, job: JobView) -> bool:
    assert job.thing is not None
    thing = known.jobs.get(job.thing["metadata"]["uid"])
    if known.over or thing is None:
        return True
    status = thing.get("status", {})
    if status.get("state") in TERMINAL or status.get("attempt") != job.attempt:
        return True
    return any(one["attempt"] == job.attempt and one.get("completionTime") for one in status.get("attempts", ()))


def _prefix(job: JobView, selection: Selection) -> str:
    return f"[{job.name}] " if selection.prefix else ""
