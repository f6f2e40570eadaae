"""The table of clients, which two verbs print."""

from collections.abc import Sequence

from task_pipeline.cli.ages import age
from task_pipeline.cli.backend import ClientRow
from task_pipeline.cli.screen import Screen

UNLIMITED = "unlimited"


def client_table(screen: Screen, clients: Sequence[ClientRow], *, wide: bool, headers: bool) -> None:
    """A row for each client: rank, use and limits."""
    head = ["CLIENT", "PRIORITY", "RUNNING", "MAX", "QUEUED", "SIZE", "SUSPENDED"]
    rows = [
        [
            one.name,
            str(one.priority),
            str(one.running),
            _limit(one.max_running_jobs),
            str(one.queued),
            _limit(one.queue_size),
            "yes" if one.suspended else "no",
            *((age(one.created) or "-", ",".join(one.namespaces)) if wide else ()),
        ]
        for one in sorted(clients, key=lambda one: (one.priority, one.name))
    ]
    screen.table([*head, "AGE", "NAMESPACES"] if wide else head, rows, headers=headers)


def _limit(value: int | None) -> str:
    return UNLIMITED if value is None else str(value)
