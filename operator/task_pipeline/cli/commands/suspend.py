"""`suspend`: start nothing more of a Pipeline; what runs goes on. `resume` is made here as well."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, Suspend
from task_pipeline.cli.session import session_of


def switch(verb: str, text: str, suspend: bool, done: str) -> click.Command:
    """The command that sets `spec.suspend` of a Pipeline; `text` is its help, `done` what it says afterwards."""

    @click.command(verb, cls=options.Verb, help=text, short_help=text)
    @options.name_argument()
    @click.pass_context
    def command(context: click.Context, name: str) -> None:
        session = session_of(context)

        async def work(backend: Backend) -> None:
            namespace, plain = await session.named(backend, name, changes=True)
            await backend.act(namespace, plain, Suspend(suspend))
            session.screen.line(f"pipeline/{plain} {done}")

        session.run(work)

    return command


command = switch("suspend", "Start nothing more of a Pipeline; what runs goes on.", True, "suspended")
