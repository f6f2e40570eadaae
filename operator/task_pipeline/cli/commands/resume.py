"""`resume`: let a suspended Pipeline go on."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, Suspend
from task_pipeline.cli.session import session_of


@click.command("resume", cls=options.Verb, short_help="Let a suspended Pipeline go on.")
@options.name_argument()
@click.pass_context
def command(context: click.Context, name: str) -> None:
    """Let a suspended Pipeline go on."""
    session = session_of(context)

    async def work(backend: Backend) -> None:
        namespace, plain = await session.named(backend, name, changes=True)
        await backend.act(namespace, plain, Suspend(False))
        session.screen.line(f"pipeline/{plain} resumed")

    session.run(work)
