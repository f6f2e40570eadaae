"""The audit log: one line that cannot be forged and holds no more than it should."""

import json
import logging
from typing import Any

import pytest

from task_pipeline.observability.logs import JsonFormatter
from task_pipeline.server.auth.audit import Decision, record
from task_pipeline.server.auth.callers import NOBODY, Caller, CallerKind

CALLER = Caller(CallerKind.CLIENT, "team-a", frozenset({"a"}), "team-a")


def written(caplog: pytest.LogCaptureFixture, decision: Decision) -> dict[str, Any]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "task_pipeline.audit"):
        record(decision)
    (line,) = caplog.records
    text = JsonFormatter().format(line)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line_says_who_what_and_how(caplog: pytest.LogCaptureFixture) -> None:
    route = "/api/v1/namespaces/{namespace}/pipelines/{name}"
    decision = Decision(CALLER, "GET", route, 404, "r-1", "192.0.2.1", "a/p", "NotFound")
    line = written(caplog, decision)
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "task_pipeline.audit",
        "message": f"GET {route} for client 'team-a': 404",
        "caller": "team-a",
        "callerKind": "client",
        "method": "GET",
        "route": route,
        "target": "a/p",
        "status": 404,
        "reason": "NotFound",
        "requestId": "r-1",
        "address": "192.0.2.1",
    }


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "INFO"), (404, "INFO"), (401, "WARNING"), (403, "WARNING"), (429, "WARNING"), (503, "ERROR")],
)
def test_the_level_tells_what_was_refused(caplog: pytest.LogCaptureFixture, status: int, level: str) -> None:
    line = written(caplog, Decision(NOBODY, "GET", "/x", status, "r", "a"))
    assert line["level"] == level
    assert "target" not in line
    assert "reason" not in line


def test_a_name_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    evil = 'a\n{"level": "INFO", "caller": "admin"}\x1b[31m' + "x" * 1000
    line = written(caplog, Decision(Caller(CallerKind.ACCOUNT, evil), "GET", "/x", 200, evil, evil, evil))
    assert line["caller"].startswith("a\n{")
    assert all(len(str(value)) <= 400 for value in line.values())
