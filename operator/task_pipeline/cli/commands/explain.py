"""`explain`: why each job waits or failed, and what to do."""

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, Order
from task_pipeline.cli.explaining import Explanation, explain
from task_pipeline.cli.printing import print_object
from task_pipeline.cli.screen import Screen
from task_pipeline.cli.session import session_of
from task_pipeline.kube.errors import Forbidden, NotFound

HELP = """Say why each job of the Pipeline NAME waits or failed, and what to do about it.

POSITION is the place among all that waits in the cluster, or - where you may not see that.
"""


@click.command("explain", cls=options.Verb, help=HELP, short_help="Say why each job waits or failed.")
@options.name_argument()
@options.output("table", "json", "yaml")
@click.pass_context
def command(context: click.Context, name: str, form: str, no_headers: bool) -> None:
    """Print the head at once, then the jobs with their places, then the reasons."""
    session = session_of(context)
    plain = form in ("json", "yaml")

    async def work(backend: Backend) -> None:
        namespace, known = await session.named(backend, name)
        pipeline = await backend.pipeline(namespace, known)
        first = explain(pipeline, [], None)
        if not plain:
            session.screen.line(first.head)
        jobs = await backend.jobs(pipeline)
        order = await _order(backend, namespace, known) if first.waits else None
        found = explain(pipeline, jobs, order)
        if plain:
            print_object(session.screen, found.plain(), form)
        else:
            _print(session.screen, found, headers=not no_headers)
        if first.waits and order is None and not plain:
            session.screen.note("you may not see the whole queue, so positions are not known")

    session.run(work)


async def _order(backend: Backend, namespace: str, name: str) -> Order | None:
    try:
        return await backend.order(namespace, name, None)
    except (Forbidden, NotFound):
        return None


def _print(screen: Screen, found: Explanation, *, headers: bool) -> None:
    if found.rows:
        screen.line()
        head = ("JOB", "STAGE", "STATE", "REASON", "POSITION", "WAITING")
        rows = [
            (row.job or "(all jobs)", row.stage, row.state, row.reason, str(row.position or "-"), row.waiting or "-")
            for row in found.rows
        ]
        screen.table(head, rows, headers=headers, states=2)
    for advice in found.advices:
        screen.line()
        screen.line(f"{advice.reason} ({advice.whom})")
        for words in advice.messages:
            screen.line(f"  {words}")
        screen.line(f"  {advice.meaning}")
        screen.line(f"  What to do: {advice.remedy}")
