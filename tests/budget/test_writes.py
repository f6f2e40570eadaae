"""What a job costs in requests and in bytes, on the cluster in memory: W2 in small."""

from collections import Counter
from typing import Any

import pytest

from task_pipeline.api.resources import Resource
from tests.budget.limits import BYTES_PER_JOB, BYTES_WATCHED_PER_JOB, WRITES_PER_JOB
from tests.fakes.faults import Journal
from tests.fakes.store import Change
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

PIPELINES, STAGES, JOBS = 5, 4, 5
TOTAL = PIPELINES * STAGES * JOBS
LATENCY = 0.005  # seconds, about what an API server takes


def k8s_job(name: str, stage: str, *, seconds: float) -> dict[str, Any]:
    """A K8S/Job whose pod runs for `seconds`."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["/bin/sh", "-c", "true"]}
    annotations = {"simulate.test/seconds": str(seconds), "simulate.test/exit-code": "0"}
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    params = {"spec": {"template": template}}
    return {"name": name, "stage": stage, "kind": "K8S/Job", "version": "1.0.0", "params": params}


KINDS = {"Shell": shell, "K8S/Job": k8s_job}


class Watched:
    """Counts the bytes of all changes as they are sent to somebody who watches all of them."""

    def __init__(self, world: World) -> None:
        self.of: Counter[Resource] = Counter()
        world.cluster.store.listeners.append(self._add)

    def _add(self, change: Change) -> None:
        self.of[change.resource] += len(change.raw)


async def run(world: World, kind: str, seconds: float) -> Watched:
    """Let the Pipelines run to their end, and nothing else be in the journal."""
    world.cluster.latency = LATENCY
    world.submit("warm-up", KINDS[kind]("a", "s", seconds=0))
    await world.until_final()
    world.cluster.journal.clear()
    for number in range(PIPELINES):
        names = [(f"s{stage}", f"s{stage}-{job}") for stage in range(STAGES) for job in range(JOBS)]
        world.submit(f"p{number}", *(KINDS[kind](name, stage, seconds=seconds) for stage, name in names))
    watched = Watched(world)
    assert set((await world.until_final()).values()) == {"DONE"}
    return watched


def told(journal: Journal) -> str:
    """Requests and bytes for one job by sort, for the eye."""
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for request in journal:
        sort = f"{request.verb} {request.resource.plural}"
        count[sort] += 1
        size[sort] += request.size
    return "; ".join(f"{sort}: {count[sort] / TOTAL:.2f} with {size[sort] / TOTAL:.0f} bytes" for sort in count)


@pytest.mark.parametrize("seconds", [0, 1], ids=["pods end at once", "pods take a second"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_keeps_to_its_writes_and_bytes_and_nothing_is_read(kind: str, seconds: float) -> None:
    async with running() as world:
        watched = await run(world, kind, seconds)
        journal = world.cluster.journal
        print(told(journal))
        assert len(journal.writes) / TOTAL <= WRITES_PER_JOB, told(journal)
        assert journal.bytes_written / TOTAL <= BYTES_PER_JOB[kind], told(journal)
        assert len(journal) == len(journal.writes), told(journal)
        sent = {resource.plural: round(size / TOTAL) for resource, size in watched.of.items()}
        print(f"a watcher is sent {sum(sent.values())} bytes for a job: {sent}")
        assert watched.of.total() / TOTAL <= BYTES_WATCHED_PER_JOB[kind], sent
