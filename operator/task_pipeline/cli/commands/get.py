"""`get`: one Pipeline, with its stages and jobs."""

from datetime import UTC, datetime

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend
from task_pipeline.cli.printing import name_of, print_object
from task_pipeline.cli.session import session_of


@click.command("get", cls=options.Verb, short_help="Show a Pipeline with its stages and jobs.")
@options.name_argument()
@options.output()
@click.pass_context
def command(context: click.Context, name: str, form: str, no_headers: bool) -> None:
    """Show the Pipeline NAME, or the newest one for @latest, with its stages and jobs."""
    session = session_of(context)

    async def work(backend: Backend) -> None:
        place = await session.named(backend, name)
        pipeline = await backend.pipeline(*place)
        if form == "name":
            session.screen.line(name_of(pipeline))
        elif form in ("json", "yaml"):
            print_object(session.screen, pipeline, form)
        else:
            from task_pipeline.cli.showing import print_tree
            from task_pipeline.cli.view import run_view

            view = run_view(pipeline, await backend.jobs(pipeline), datetime.now(UTC))
            if form == "table":
                print_tree(session.screen, view)
                return
            head = ("STAGE", "JOB", "KIND", "STATE", "REASON", "ATTEMPT", "TIME", "NODE", "MESSAGE")
            rows = [
                (job.stage, job.name, job.kind, job.state, job.reason or "-", str(job.attempt or "-"), job.time or "-",
                 _node(job.thing), job.message.partition("\n")[0])
                for job in view.jobs
            ]  # fmt: skip
            session.screen.table(head, rows, headers=not no_headers, states=3)

    session.run(work)


def _node(thing: object) -> str:
    attempts = thing.get("status", {}).get("attempts") if isinstance(thing, dict) else None
    return str(attempts[-1].get("node") or "-") if attempts else "-"
