"""`watch`: a run until its end."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend
from task_pipeline.cli.failures import Code
from task_pipeline.cli.session import session_of
from task_pipeline.cli.starting import follow_up, goes_on


@click.command("watch", cls=options.Verb, short_help="Show how a run goes, until its end.")
@options.name_argument()
@click.option("--timeout", type=options.DURATION, metavar="TIME", help="No longer than this; then exit code 124.")
@click.pass_context
def command(context: click.Context, name: str, timeout: int | None) -> None:
    """Show how the run of the Pipeline NAME goes, until its end; the exit code says how it ended."""
    session = session_of(context)
    said: list[str] = []

    async def work(backend: Backend) -> Code:
        place = await session.named(backend, name)
        said.append(goes_on(*place))
        return (await follow_up(session, backend, place, "watch", timeout))[0]

    context.exit(session.run(work, interrupted=lambda: said[-1] if said else ""))
