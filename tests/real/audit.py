"""Counts requests in the API server's audit log."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.cluster.polling import wait_for

AGENT = "task-pipeline-operator/"
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})

OURS = ("pipelines/status", "pipelinejobs/status", "pipelinejobs")


def mark(log: Path) -> int:
    """Where the log ends now."""
    return log.stat().st_size


def requests(log: Path, since: int) -> Iterator[dict[str, Any]]:
    """The operator's finished requests after position `since`; a line that was being written then or is now is none."""
    with log.open("rb") as lines:
        if since:
            lines.seek(since - 1)
            lines.readline()
        for line in lines:
            if not line.endswith(b"\n"):
                return
            event = json.loads(line)
            if event["stage"] == "ResponseComplete" and event.get("userAgent", "").startswith(AGENT):
                yield event


def counted(log: Path, since: int) -> Counter[tuple[str, str]]:
    """How often the operator did what: (verb, resource or resource/subresource)."""
    return Counter((event["verb"], resource(event)) for event in requests(log, since))


def resource(event: dict[str, Any]) -> str:
    """What a request is about: resource or resource/subresource."""
    reference = event.get("objectRef", {})
    parts = (reference.get("resource", "?"), reference.get("subresource"))
    return "/".join(part for part in parts if part)


def writes(log: Path, since: int) -> list[dict[str, Any]]:
    """The operator's writes to Pipelines and PipelineJobs."""
    return [event for event in requests(log, since) if event["verb"] in MUTATING and resource(event) in OURS]


def until_at_rest(log: Path, seconds: float = 3.0, found: Callable[[int], Sequence[Any]] | None = None) -> int:
    """Wait until the operator has made no such write for some seconds; returns where the log ended when that was over.

    `found` gives what counts after a position of the log, if it is something else than those writes. What earlier
    tests have left goes on beside this one: their namespaces are being deleted.
    """
    place, quiet_since = mark(log), time.monotonic()

    def quiet() -> bool:
        nonlocal place, quiet_since
        if found(place) if found is not None else writes(log, place):
            place, quiet_since = mark(log), time.monotonic()
        return time.monotonic() - quiet_since > seconds

    wait_for(quiet, "the end of the operator's writes", 90)
    return place
