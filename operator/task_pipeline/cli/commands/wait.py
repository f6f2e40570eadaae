"""`wait`: until a run has ended, however it ends."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend
from task_pipeline.cli.failures import Code
from task_pipeline.cli.session import session_of
from task_pipeline.cli.starting import follow_up

HELP = """Wait for the end of the run of the Pipeline NAME, however it ends.

Exit code 0: it succeeded. 1: it failed. 4: it was cancelled. 5: there is no such Pipeline. 124: the time is over.
"""


@click.command("wait", cls=options.Verb, help=HELP, short_help="Wait for the end of a run.")
@options.name_argument()
@click.option("--timeout", type=options.DURATION, metavar="TIME", help="No longer than this; then exit code 124.")
@click.pass_context
def command(context: click.Context, name: str, timeout: int | None) -> None:
    """Wait, and leave with the code of the end."""
    session = session_of(context)

    async def work(backend: Backend) -> Code:
        place = await session.named(backend, name)
        return (await follow_up(session, backend, place, "wait", timeout))[0]

    context.exit(session.run(work))
