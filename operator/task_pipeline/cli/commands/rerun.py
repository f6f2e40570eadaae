"""`rerun`: another run of a finished Pipeline."""

import secrets
from typing import Any, Literal

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, Rerun
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.session import session_of
from task_pipeline.cli.starting import follow_up, goes_on

HELP = """Run the finished Pipeline NAME again: what is DONE stays so, all else runs again. With --all everything does.
"""


@click.command("rerun", cls=options.Verb, help=HELP, short_help="Run a finished Pipeline again.")
@options.name_argument()
@click.option("--failed", "scope", flag_value="Failed", default="Failed", help="Keep what is DONE. [default]")
@click.option("--all", "scope", flag_value="All", help="Run every job again.")
@options.afterwards
@click.pass_context
def command(context: click.Context, /, name: str, scope: Literal["Failed", "All"], **more: Any) -> None:
    """Ask for the run, then follow it if asked to."""
    session = session_of(context)
    said: list[str] = []

    async def work(backend: Backend) -> Code:
        place = namespace, plain = await session.named(backend, name, changes=True)
        asked = Rerun(secrets.token_hex(8), scope)
        await backend.act(namespace, plain, asked)
        session.screen.line(f"pipeline/{plain} runs again ({scope.lower()})")
        said.append(goes_on(*place))
        code, ended = await follow_up(session, backend, place, more["follow"], more["timeout"])
        message = "" if ended is None else str(ended.get("status", {}).get("message") or "")
        if message.startswith(f"rerun {asked.id} was refused"):
            raise Failure(f"pipeline/{plain}: {message}")
        return code

    context.exit(session.run(work, interrupted=lambda: said[-1] if said else ""))
