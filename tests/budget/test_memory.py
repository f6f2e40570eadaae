"""Bytes in memory of what lives: PipelineJobs with their params, and the workloads that run. What is over is weighed
in `tests/unit/cache/test_slim.py`.
"""

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import msgspec
import pytest

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.objects import KubernetesJobView, PodView
from task_pipeline.api.resources import KUBERNETES_JOBS, PIPELINE_JOBS, PIPELINES, PODS, Resource
from task_pipeline.cache.convert import PipelineView, job_record, pipeline_record
from task_pipeline.cache.store import Store
from task_pipeline.core.records import PipelineJobView
from tests.budget.limits import BYTES_OF_RECORD
from tests.budget.test_writes import KINDS
from tests.fakes.store import Object
from tests.scenario.world import running

pytestmark = [pytest.mark.looptime]

NUMBER = 500


def put_pipeline(store: Store, raw: bytes) -> None:
    store.put_pipeline(pipeline_record(msgspec.json.decode(raw, type=PipelineView), None))


def put_job(store: Store, raw: bytes) -> None:
    store.put_job(job_record(msgspec.json.decode(raw, type=PipelineJobView)))


def put_pod(store: Store, raw: bytes) -> None:
    view = msgspec.json.decode(raw, type=PodView)
    store.put_workload(view.metadata.labels[LABEL_JOB_HASH], view)


def put_kubernetes_job(store: Store, raw: bytes) -> None:
    view = msgspec.json.decode(raw, type=KubernetesJobView)
    store.put_workload(view.metadata.labels[LABEL_JOB_HASH], view)


PUTS: dict[Resource, Callable[[Store, bytes], None]] = {
    PIPELINES: put_pipeline,
    PIPELINE_JOBS: put_job,
    PODS: put_pod,
    KUBERNETES_JOBS: put_kubernetes_job,
}


def copies(thing: Object) -> Iterator[bytes]:
    """The object as the API server sends it, under many names."""
    for number in range(NUMBER):
        meta = thing["metadata"]
        labels = meta.get("labels", {}) | {LABEL_JOB_HASH: f"{number:016}"}
        own = {"name": f"{meta['name']}-{number}", "uid": f"{number:036}", "labels": labels}
        yield msgspec.json.encode(thing | {"metadata": meta | own})


def weight(resource: Resource, thing: Object) -> float:
    """Bytes that one such object takes in a Store."""
    raws, store = list(copies(thing)), Store()
    PUTS[resource](store, raws[0])
    gc.collect()
    tracemalloc.start()
    try:
        for raw in raws[1:]:
            PUTS[resource](store, raw)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / (NUMBER - 1)
    finally:
        tracemalloc.stop()


async def test_the_bytes_of_what_lives_are_bounded() -> None:
    async with running() as world:
        names = [(f"s{stage}", f"s{stage}-{job}") for stage in range(4) for job in range(5)]
        world.submit("p", *(KINDS["K8S/Job"](name, stage, seconds=1000) for stage, name in names))
        world.submit("q", *(KINDS["Shell"](name, stage, seconds=1000) for stage, name in names))
        await world.cluster.admin.wait_for(lambda: len(world.pods()) == 10, what="ten pods")
        found = {resource: world.cluster.admin.list(resource)[0] for resource in PUTS}
        weights = {resource.kind: round(weight(resource, thing)) for resource, thing in found.items()}
        print(weights)
        assert all(weights[kind] <= most for kind, most in BYTES_OF_RECORD.items()), weights
