"""An operator whose CRDs are older than itself: a field of the status that the API server drops is no reason to loop.

Field case B086.
"""

import asyncio
import copy
from typing import Any

import pytest

from task_pipeline.api.crd import crd_for
from task_pipeline.api.group import PIPELINE_KIND, PIPELINEJOB_KIND
from tests.fakes import schema
from tests.scenario.world import running, shell

pytestmark = [pytest.mark.looptime]

# No status works without these.
OF_THE_FIRST_RELEASE = {"state", "reason", "attempt", "failures", "workload", "observedGeneration"}
MOST_WRITES = 60


def fields() -> list[tuple[str, str]]:
    """The fields of a status that a later version may have added."""
    found = []
    for kind in (PIPELINE_KIND, PIPELINEJOB_KIND):
        status = crd_for(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
        found += [(kind, name) for name in status["properties"] if name not in OF_THE_FIRST_RELEASE]
    return found


def without(kind: str, field: str) -> Any:
    """The schemas with the field of that kind's status left out."""
    older = copy.deepcopy(schema.schema_of(kind))
    del older["properties"]["status"]["properties"][field]
    whole = schema.schema_of
    return lambda asked: older if asked == kind else whole(asked)


@pytest.mark.parametrize(("kind", "field"), fields())
async def test_b086_a_dropped_field_ends_no_run_and_makes_no_loop(
    monkeypatch: pytest.MonkeyPatch, kind: str, field: str
) -> None:
    monkeypatch.setattr(schema, "schema_of", without(kind, field))
    async with running() as world:
        retried = shell("b", "t", exit_code=1, retryAttempt=1, allowFailure=True)
        world.submit("p", shell("a", seconds=5), retried, shell("c", "u"))
        assert await world.until_final("p", seconds=300) == {"p": "DONE"}
        assert field not in (world.pipeline("p") if kind == PIPELINE_KIND else world.job("p", "b"))
        await asyncio.sleep(60)
        written = len(world.cluster.journal.writes)
        assert written < MOST_WRITES
        await asyncio.sleep(600)
        assert len(world.cluster.journal.writes) == written
