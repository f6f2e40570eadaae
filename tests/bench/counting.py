"""Who writes how often, from the API server's audit log. Runs that count are for that alone: no time is taken."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
READING = frozenset({"get", "list"})
Event = dict[str, Any]


def requests(log: Path, since: int) -> Iterator[Event]:
    """The finished requests after position `since` of the log."""
    with log.open("rb") as lines:
        lines.seek(since)
        for line in lines:
            if line.endswith(b"\n") and (event := json.loads(line))["stage"] == "ResponseComplete":
                yield event


def resource(event: Event) -> str:
    """What a request is about: resource or resource/subresource."""
    reference = event.get("objectRef", {})
    return "/".join(part for part in (reference.get("resource", "?"), reference.get("subresource")) if part)


def figures(events: Iterable[Event], jobs: int, users: Sequence[str]) -> dict[str, Any]:
    """Requests per job: successful writes of every user, and of `users` (the contender) what they were, what failed and
    what it read.
    """
    writes: Counter[str] = Counter()
    own: Counter[str] = Counter()
    failed = reads = 0
    for event in events:
        user, verb = event["user"]["username"], event["verb"]
        success = event["responseStatus"]["code"] < 400
        if verb in MUTATING and success:
            writes[_actor(user)] += 1
        if user in users:
            failed += verb in MUTATING and not success
            reads += verb in READING
            if verb in MUTATING and success:
                own[f"{verb} {resource(event)}"] += 1
    return {
        "writes_per_job": own.total() / jobs,
        "failed_writes_per_job": failed / jobs,
        "reads_per_job": reads / jobs,
        "of_which": {name: count / jobs for name, count in own.most_common()},
        "cluster_writes_per_job": writes.total() / jobs,
        "by_user": {name: count / jobs for name, count in writes.most_common()},
    }


def moment(text: str) -> float:
    """Seconds of a time in the log."""
    return datetime.fromisoformat(text).timestamp()


def _actor(user: str) -> str:
    """The short name of a user."""
    return user.rsplit(":", 1)[-1]
