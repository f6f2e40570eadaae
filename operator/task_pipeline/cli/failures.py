"""How a command ends: its exit code, and the one line that says why and what to do.

Rule: every failure that a user can meet becomes a `Failure`; nothing of them shows a trace. The codes are those of
docs/command-line.md: what `timeout(1)` uses for a wait that took too long, and what shells use for Ctrl-C.
"""

from enum import IntEnum
from typing import IO, Any

import click

from task_pipeline.cli.text import line
from task_pipeline.kube import errors


class Code(IntEnum):
    """Exit codes."""

    SUCCEEDED = 0
    FAILED = 1  # the run failed, or the API refused
    USAGE = 2
    CANCELLED = 4
    NOT_FOUND = 5
    TIMED_OUT = 124
    INTERRUPTED = 130


class Failure(click.ClickException):
    """Ends the command with `code`; the text goes to standard error in one line, unless it is empty."""

    def __init__(self, text: str, code: Code = Code.FAILED) -> None:
        super().__init__(text)
        self.exit_code = code  # type: ignore[misc]  # click asks the instance for it

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it; click calls this."""
        if self.message:
            click.echo(f"{program_name()}: {line(self.message)}", file=file, err=file is None)


def program_name() -> str:
    """What the user typed to get here: `tpctl`, or `kubectl taskpipeline`."""
    context = click.get_current_context(silent=True)
    return (context.find_root().info_name if context is not None else None) or "tpctl"


def of_api(error: errors.KubeError, place: str) -> Failure:
    """What to say of an error of the API at `place`."""
    match error:
        case errors.NotFound():
            return Failure(error.message, Code.NOT_FOUND)
        case errors.Unauthorized():
            return Failure(f"{place} does not accept the credential: log in again, or take another --context")
        case errors.Forbidden():
            return Failure(f"{place} refuses: {error.message}; ask for the right, or take another --context")
        case errors.Unreachable():
            return Failure(f"{place} cannot be reached: {error}; check the address, or give --request-timeout more")
        case errors.Overloaded() | errors.ServerError():
            return Failure(f"{place} is not well ({error.status} {error.reason}): {error.message}; try again")
        case errors.ApiError():
            return Failure(f"{place} refuses ({error.reason or error.status}): {error.message}")
        case _:
            return Failure(f"{place}: {error}")
