"""`cancel`: end a run, or one job of it."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, Cancel
from task_pipeline.cli.edits import is_final, state_of
from task_pipeline.cli.session import session_of

HELP = """Cancel the Pipeline NAME: what waits ends at once, what runs is stopped. With --drain what runs may finish.

What is over already stays as it is.
"""


@click.command("cancel", cls=options.Verb, help=HELP, short_help="Cancel a Pipeline, or one job of it.")
@options.name_argument()
@click.option("--drain", is_flag=True, help="Let running jobs finish.")
@click.option("--job", metavar="JOB", help="Only this job.")
@click.pass_context
def command(context: click.Context, name: str, drain: bool, job: str | None) -> None:
    """Cancel."""
    session = session_of(context)

    async def work(backend: Backend) -> None:
        namespace, plain = await session.named(backend, name, changes=True)
        thing = await backend.act(namespace, plain, Cancel("Drain" if drain else "Now", job))
        what = f"pipeline/{plain}" + (f" job {job}" if job else "")
        if is_final(thing):
            session.screen.line(f"{what} is {state_of(thing)} already")
        else:
            session.screen.line(f"{what} {'drains' if drain else 'is being cancelled'}")

    session.run(work)
