"""Counts requests in the API server's audit log."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AGENT = "task-pipeline-operator/"
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def mark(log: Path) -> int:
    """Where the log ends now."""
    return log.stat().st_size


def requests(log: Path, since: int) -> Iterator[dict[str, Any]]:
    """The operator's finished requests after position `since`."""
    with log.open("rb") as lines:
        lines.seek(since)
        for line in lines:
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
