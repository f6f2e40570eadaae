"""Thousands of requests that schemathesis makes up from the served document: every answer is as the document says.

The long run is `python -m tests.server.fuzz`.
"""

import pytest

from tests.server.fuzz import Outcome, report, run
from tests.server.fuzz_world import fuzz_world

REQUESTS = 5000
MOST_ROUNDS = 6


def test_no_made_up_request_is_answered_but_as_the_document_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")  # refusals by the thousand
    outcome, seed = Outcome(), 0
    with fuzz_world() as world:
        while outcome.requests < REQUESTS and seed < MOST_ROUNDS:
            seed += 1
            run(world, outcome, seed, examples=25)
    assert outcome.requests >= REQUESTS
    assert outcome.server_errors == 0, report(outcome)
    assert outcome.failures == {}, report(outcome)
    assert outcome.errors == []
    assert {"examples", "coverage", "fuzzing", "stateful"} <= {
        phase for phase, count in outcome.phases.items() if count
    }
    assert {200, 201, 204, 304, 400, 401, 403, 404, 405, 410, 412, 415, 422} <= set(outcome.statuses)
