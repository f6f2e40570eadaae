"""`suspend`: start nothing more of a Pipeline; what runs goes on."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, Suspend
from task_pipeline.cli.session import session_of


@click.command("suspend", cls=options.Verb, short_help="Start nothing more of a Pipeline; what runs goes on.")
@options.name_argument()
@click.pass_context
def command(context: click.Context, name: str) -> None:
    """Start nothing more of a Pipeline; what runs goes on."""
    session = session_of(context)

    async def work(backend: Backend) -> None:
        namespace, plain = await session.named(backend, name, changes=True)
        await backend.act(namespace, plain, Suspend(True))
        session.screen.line(f"pipeline/{plain} suspended")

    session.run(work)
