"""`list`: Pipelines of a namespace, or of all."""

from collections.abc import Sequence

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, ListQuery, Object
from task_pipeline.cli.printing import name_of, print_list
from task_pipeline.cli.screen import Screen
from task_pipeline.cli.session import session_of

STATES = {"ready": "READY", "in-progress": "IN PROGRESS", "done": "DONE", "error": "ERROR", "cancelled": "CANCELLED"}
NARROW = ("name", "state", "reason", "stage", "progress", "age")
WIDE = (*NARROW, "client", "priority", "started")


@click.command("list", cls=options.Verb, short_help="List Pipelines.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@click.option("-l", "--selector", metavar="LABELS", help="Only those with these labels.")
@click.option("--state", type=click.Choice(list(STATES), case_sensitive=False), help="Only those in this state.")
@click.option("--client", metavar="CLIENT", help="Only those of this client.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@options.output()
@click.pass_context
def command(  # noqa: PLR0913 (one for each option)
    context: click.Context,
    all_namespaces: bool,
    selector: str | None,
    state: str | None,
    client: str | None,
    limit: int | None,
    form: str,
    no_headers: bool,
) -> None:
    """List Pipelines, by name, the first ones as soon as they are there."""
    session = session_of(context)

    async def work(backend: Backend) -> None:
        namespace = None if all_namespaces else session.namespace(backend)
        query = ListQuery(namespace, selector, STATES.get(state or ""), client, limit)
        if form in ("json", "yaml"):
            found: list[Object] = []
            async for page in backend.pipelines(query):
                found += page
            print_list(session.screen, found, form)
        elif not await _rows(session.screen, backend, query, form, headers=not no_headers):
            which = " that match" if _filtered(query) else ""
            session.screen.note(f"no Pipelines{which} in {namespace or 'any namespace'}")

    session.run(work)


async def _rows(screen: Screen, backend: Backend, query: ListQuery, form: str, *, headers: bool) -> int:
    """Print the table, page by page; how many rows it has."""
    names = WIDE if form == "wide" else NARROW
    names = names if query.namespace else ("namespace", *names)
    count, widths = 0, [len(name) for name in names]
    async for page in backend.summaries(query):
        rows: list[Sequence[str]] = [[getattr(one, name) or "-" for name in names] for one in page]
        if form == "name":
            for one in page:
                screen.line(name_of({"metadata": {"name": one.name}}))
        elif rows:
            head = [name.upper() for name in names] if headers and not count else None
            widths = screen.rows(rows, widths, head, states=names.index("state"))
        count += len(rows)
    return count


def _filtered(query: ListQuery) -> bool:
    return any((query.selector, query.state, query.client))
