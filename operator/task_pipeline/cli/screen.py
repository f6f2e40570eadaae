"""Where a command writes: results to standard output, all else to standard error.

Rule: lines and tables always go through `text`, since what is piped may meet a terminal later; JSON, YAML and logs do
so on a terminal only, elsewhere they go out as they are. Colours are ours alone and off with NO_COLOR
(https://no-color.org), `TERM=dumb`, or without a terminal.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import click

from task_pipeline.cli import text

COLOURS = {
    "DONE": "green",
    "IN PROGRESS": "blue",
    "ERROR": "red",
    "CANCELLED": "magenta",
    "READY": "yellow",
}
_MARKS = {"READY": "◷", "IN PROGRESS": "●", "DONE": "✔", "ERROR": "✖", "CANCELLED": "○"}
_WORDS = {"READY": ".", "IN PROGRESS": ">", "DONE": "+", "ERROR": "x", "CANCELLED": "-"}
GAP = "   "


def _takes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


@dataclass
class Screen:
    """Standard output and error. `terminal`: people look at the output; `unicode`: it can show more than ASCII."""

    terminal: bool = field(default_factory=lambda: sys.stdout.isatty())
    colour: bool = False
    unicode: bool = field(default_factory=_takes_unicode)

    @classmethod
    def of_process(cls) -> "Screen":
        """The screen of this process; what its encoding does not have is shown as an escape."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        made = cls()
        made.colour = made.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return made

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return shutil.get_terminal_size((100, 40)).columns

    @property
    def height(self) -> int:
        """Lines of the terminal."""
        return shutil.get_terminal_size((100, 40)).lines

    def line(self, words: str = "") -> None:
        """One line of output."""
        click.echo(text.line(words), color=False)

    def block(self, words: str) -> None:
        """Several lines of output, such as JSON."""
        click.echo(text.block(words) if self.terminal else words, nl=not words.endswith("\n"), color=True)

    def note(self, words: str) -> None:
        """A line beside the output: to standard error."""
        click.echo(text.line(words), err=True, color=False)

    def mark(self, state: str) -> str:
        """The sign of a state."""
        return (_MARKS if self.unicode else _WORDS).get(state, "?")

    def state(self, state: str, words: str | None = None) -> str:
        """`words` (the state itself if absent), harmless already, in the colour of `state`, for `styled`."""
        shown = state if words is None else words
        return click.style(shown, fg=COLOURS.get(state)) if self.colour else shown

    def styled(self, words: str) -> None:
        """A line that holds colours of ours; what users wrote in it has gone through `text.line` before."""
        click.echo(words, color=self.colour)

    def table(
        self, head: Sequence[str], rows: Iterable[Sequence[str]], *, headers: bool = True, states: int | None = None
    ) -> list[int]:
        """Columns side by side, as wide as needed; column number `states` is coloured. Returns the widths."""
        return self.rows(rows, [len(title) for title in head], head if headers else None, states)

    def rows(
        self,
        rows: Iterable[Sequence[str]],
        widths: Sequence[int],
        head: Sequence[str] | None = None,
        states: int | None = None,
    ) -> list[int]:
        """More rows of a table whose columns have at least these `widths`."""
        clean = [[text.line(cell) for cell in row] for row in rows]
        wide = [max([width, *(len(row[index]) for row in clean)]) for index, width in enumerate(widths)]
        if head is not None:
            self.styled(_aligned(head, wide))
        for row in clean:
            cells = [cell.ljust(width) for cell, width in zip(row, wide, strict=True)]
            if states is not None and self.colour:
                cells[states] = self.state(row[states], row[states]) + cells[states][len(row[states]) :]
            self.styled(GAP.join(cells).rstrip())
        return wide


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def write_bytes(stream: TextIO, raw: bytes) -> None:
    """Bytes of a log to a stream that is no terminal."""
    stream.flush()
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        stream.write(raw.decode("utf-8", "replace"))
    else:
        buffer.write(raw)
        buffer.flush()
