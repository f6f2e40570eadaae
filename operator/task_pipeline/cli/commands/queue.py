"""`queue`: what runs next, and why the rest waits."""

from collections.abc import Sequence
from typing import Any

import click

from task_pipeline.cli import options
from task_pipeline.cli.ages import age
from task_pipeline.cli.backend import Backend, ClientRow, NotOffered, Order, QueueRow
from task_pipeline.cli.clients import client_table
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.printing import print_object
from task_pipeline.cli.screen import Screen
from task_pipeline.cli.session import session_of
from task_pipeline.kube.errors import Forbidden, KubeError

HELP = """Show all that waits, first what runs first, of everybody or of one CLIENT.

ORDER is what is compared: priority of the client, of the Pipeline, index of the stage, priority of the job; the smaller
one goes first. Positions count the work of everybody.
"""
_KEY = ("clientPriority", "pipelinePriority", "stageIndex", "jobPriority")


@click.command("queue", cls=options.Verb, help=HELP, short_help="Show what runs next, and why.")
@click.argument("client", metavar="[CLIENT]", required=False, type=options.OBJECT_NAME)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="So many rows.")
@options.output("table", "wide", "json", "yaml")
@click.pass_context
def command(context: click.Context, client: str | None, limit: int, form: str, no_headers: bool) -> None:
    """Show the clients with their limits and use, then the order."""
    session = session_of(context)

    async def work(backend: Backend) -> None:
        clients = await _clients(backend, client)
        if client is not None and clients is not None and not clients:
            raise Failure(f"there is no client {client}", Code.NOT_FOUND)
        if form in ("table", "wide") and clients:
            client_table(session.screen, clients, wide=False, headers=not no_headers)
            session.screen.line()
        try:
            order = await backend.order(None, None, client)
        except Forbidden as error:
            text = f"the order is over everything, and you may not see that: {error.message}; `explain NAME` says "
            raise Failure(text + "why your own jobs wait") from error
        if form in ("json", "yaml"):
            print_object(session.screen, _plain(order, limit, clients or ()), form)
        else:
            _table(session.screen, order, limit, wide=form == "wide", headers=not no_headers)

    session.run(work)


async def _clients(backend: Backend, name: str | None) -> list[ClientRow] | None:
    """The clients, or the one that is named; None where they cannot be seen."""
    try:
        found = await backend.clients()
    except (NotOffered, KubeError):
        return None
    return [one for one in found if name in (None, one.name)]


def _table(screen: Screen, order: Order, limit: int, *, wide: bool, headers: bool) -> None:
    if not order.total:
        screen.note("nothing waits")
        return
    head = ["POSITION", "NAMESPACE", "PIPELINE", "JOB", "CLIENT", "ORDER", "WAITING", "REASON"]
    rows = [_row(row, wide=wide) for row in order.rows[:limit]]
    screen.table([*head, "ACCEPTED", "MESSAGE"] if wide else head, rows, headers=headers)
    left = len(order.rows) - len(rows)
    if left:
        screen.note(f"and {left} more; --limit {len(order.rows)} shows them")
    if order.hidden:
        screen.note(f"{order.hidden} of {order.total} places are others' and not shown")


def _row(row: QueueRow, *, wide: bool) -> Sequence[str]:
    key = "/".join(str(row.key[name]) for name in _KEY if name in row.key)
    if "overdueSince" in row.key:
        key = f"overdue {key}"
    job = row.job if row.job is not None else f"({row.jobs} jobs)"
    cells = [str(row.position), row.namespace, row.pipeline, job, row.client, key, age(row.since), row.reason]
    return [*cells, str(row.key.get("acceptedTime", "-")), row.message or "-"] if wide else cells


def _plain(order: Order, limit: int, clients: Sequence[ClientRow]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "clients": [asdict(one) for one in clients],
        "items": [asdict(row) for row in order.rows[:limit]],
        "total": order.total,
        "hidden": order.hidden,
    }
