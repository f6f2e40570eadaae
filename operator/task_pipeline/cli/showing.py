"""Showing a run while it goes: a tree that is drawn anew on a terminal, a line for each change elsewhere.

Rule: the terminal's way needs rich; without it the plain way is taken. Texts of users go to rich as plain `Text`, which
knows no markup, after `text.line` has made them harmless.
"""

import asyncio
import contextlib
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from task_pipeline.cli import tree
from task_pipeline.cli.backend import Backend
from task_pipeline.cli.following import Followed, end_of, follow, too_long
from task_pipeline.cli.screen import COLOURS, Screen
from task_pipeline.cli.view import RunView

if TYPE_CHECKING:
    from rich.text import Text

AGAIN, TICK = 0.2, 1.0  # seconds: no picture sooner after the last one, one at least


async def show(screen: Screen, backend: Backend, namespace: str, name: str, seconds: float | None = None) -> Followed:
    """Show the run until its end; that. Raises Failure with code 124 after `seconds`."""
    way = _live if screen.terminal and _has_rich() else _plain
    try:
        async with asyncio.timeout(seconds):
            return await way(screen, backend, namespace, name)
    except TimeoutError:
        raise too_long(name, seconds) from None


def _has_rich() -> bool:
    try:
        import rich.live  # noqa: F401
    except ImportError:
        return False
    return True


async def _plain(screen: Screen, backend: Backend, namespace: str, name: str) -> Followed:
    lines = Lines()
    async with aclosing(follow(backend, namespace, name, screen.note)) as stream:  # type: ignore[type-var]
        async for known in stream:
            for one in lines.news(known.view()):
                screen.line(one)
            if known.over:
                screen.line(f"{_clock()} {end_of(known.pipeline)}")
                return known
    raise AssertionError("a stream that ends before the run does")


class Lines:
    """What has been told of a run, so that only what is new is told again."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Any, ...]] = {}

    def news(self, view: RunView) -> list[str]:
        """A line for each job whose state, reason or attempt has changed."""
        told = []
        for job in view.jobs:
            now = (job.state, job.reason, job.attempt)
            if job.thing is None or self._told.get(job.name) == now:
                continue
            self._told[job.name] = now
            attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
            message = f": {job.message}" if job.message and job.state != "DONE" else ""
            told.append(f"{_clock()} {job.stage}/{job.name} {job.state} {job.reason}{attempt}{message}".rstrip())
        return told


async def _live(screen: Screen, backend: Backend, namespace: str, name: str) -> Followed:
    from rich.console import Console
    from rich.live import Live

    known, changed = Followed(), asyncio.Event()

    async def listen() -> None:
        nonlocal known
        async with aclosing(follow(backend, namespace, name, screen.note)) as stream:  # type: ignore[type-var]
            async for news in stream:
                known = news
                changed.set()

    console = Console(no_color=not screen.colour, highlight=False, soft_wrap=False)
    listening = asyncio.create_task(listen())
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while not listening.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), TICK)
                changed.clear()
                if known.pipeline:
                    live.update(_picture(screen, known.view(), screen.height - 1), refresh=True)
                await asyncio.wait([listening], timeout=AGAIN)
            await listening  # raises what went wrong
            live.update(_picture(screen, known.view(), screen.height - 1), refresh=True)
        return known
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _picture(screen: Screen, view: RunView, height: int | None) -> "Text":
    from rich.text import Text

    made = []
    for line in tree.lines(view, screen.mark, screen.width, height):
        text = Text(no_wrap=True)
        for word in line:
            text.append(word.text, style=COLOURS.get(word.state or "", ""))
        made.append(text)
    return Text("\n").join(made)


def print_tree(screen: Screen, view: RunView) -> None:
    """The whole run once, in full lines where no terminal limits them."""
    for line in tree.lines(view, screen.mark, screen.width if screen.terminal else 10_000):
        screen.styled("".join(screen.state(word.state, word.text) if word.state else word.text for word in line))


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
