"""`delete`: Pipelines, with all that they run."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.session import session_of
from task_pipeline.kube.errors import NotFound


@click.command("delete", cls=options.Verb, short_help="Delete Pipelines and all that they run.")
@options.name_argument(many=True)
@click.option("--ignore-not-found", is_flag=True, help="What is not there is as good as deleted.")
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], ignore_not_found: bool) -> None:
    """Delete the Pipelines NAME...; their jobs are stopped and removed with them."""
    session = session_of(context)

    async def work(backend: Backend) -> list[str]:
        absent = []
        for name in names:
            try:
                namespace, plain = await session.named(backend, name, changes=True)
                await backend.delete(namespace, plain)
                session.screen.line(f"pipeline/{plain} deleted")
            except NotFound as error:
                absent.append(error.message)
        return absent

    absent = session.run(work)
    if absent and not ignore_not_found:
        raise Failure("; ".join(absent), Code.NOT_FOUND)
