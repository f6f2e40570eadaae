"""The words for a log that is not there."""

from typing import Any

import pytest

from task_pipeline.core.missing_log import why_no_log


@pytest.mark.parametrize(
    ("status", "refusal", "reason", "end"),
    [
        (None, None, "NotStarted", "so there is no log yet"),
        ({"attempt": 1}, "is waiting to start", "NotStarted", "no log yet: is waiting to start"),
        ({"attempt": 1}, None, "LogGone", "its pod is gone."),
        ({"attempt": 1, "message": "exit 3"}, None, "LogGone", "still knows: exit 3"),
        ({"attempt": 2, "attempts": [{"message": "a"}, {"message": "b"}, {}]}, None, "LogGone", "still knows: b"),
    ],
)
def test_why_there_is_no_log(status: dict[str, Any] | None, refusal: str | None, reason: str, end: str) -> None:
    job: dict[str, Any] = {"spec": {"name": "unit"}} | ({} if status is None else {"status": status})
    found, message = why_no_log(job, refusal)
    assert (found, message.endswith(end)) == (reason, True)
    assert "job unit" in message
