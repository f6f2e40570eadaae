"""A cluster in memory in which very much waits, made of copies of what the operator has really written.

The copies are put into the store past the request path, so that ten thousand of them take a second. Two jobs run; the
first of them ends `FREED` seconds after it began. Whatever waits would run for long.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.core.naming import job_hash, job_object_name
from tests.fakes.store import Object, Store, copied
from tests.scenario.world import NAMESPACE, World, shell

MODEL = "waits"
LONG, FREED = 36_000.0, 1_000.0
REST = 30.0  # seconds after which all that waits has told why


async def pipelines(world: World, count: int, jobs: int) -> float:
    """`count` Pipelines of `jobs` jobs wait, all like `MODEL`. The operator must run, with a limit of two jobs.

    Returns the loop's time at which the two began.
    """
    began = world.now
    world.submit("holds", shell("a", seconds=FREED))
    world.submit("runs", shell("a", seconds=LONG))
    world.submit("next", shell("a", seconds=LONG))  # the first that waits tells another reason than the others
    await _settled(world, jobs)
    pipeline, model = world.cluster.admin.get(PIPELINES, MODEL), world.jobs(MODEL)
    with _unnoticed(world) as store:
        for number in range(1, count):
            name = f"{MODEL}-{number:05}"
            copy = _named(pipeline, name, f"uid-{name}")
            store.put(PIPELINES, copy)
            for job in model:
                store.put(PIPELINE_JOBS, _job(job, copy, job["spec"]["name"]))
    await _found(world)
    return began


async def siblings(world: World, count: int) -> float:
    """`MODEL` has one stage of `count` jobs. Three run, under that limit: the first is to succeed, the others to fail,
    each `FREED` seconds after the one before.

    Returns the loop's time at which they began.
    """
    began = world.now + 1
    ends = [shell(name, seconds=(place + 1) * FREED, exit_code=int(place > 0)) for place, name in enumerate("abc")]
    await _settled(world, 3, *ends)
    pipeline = world.cluster.admin.get(PIPELINES, MODEL)
    model = next(job for job in world.jobs(MODEL) if job["spec"]["name"] == "j0001")
    entry = next(job for job in pipeline["spec"]["jobs"] if job["name"] == "j0001")
    names = [f"j{number:04}" for number in range(3, count - len(ends))]
    pipeline["spec"]["jobs"] += [entry | {"name": name} for name in names]
    with _unnoticed(world) as store:
        store.put(PIPELINES, pipeline)
        for name in names:
            copy = _job(model, pipeline, name)
            copy["spec"]["index"] = len(ends) + int(name[1:])
            store.put(PIPELINE_JOBS, copy)
    await _found(world)
    return began


async def _settled(world: World, jobs: int, *others: Object) -> None:
    """The model has told all there is to tell, and the operator has stopped."""
    await asyncio.sleep(1)
    world.submit(MODEL, *others, *(shell(f"j{number:04}", seconds=LONG) for number in range(jobs)))
    await asyncio.sleep(REST)
    await world.stop()


@contextmanager
def _unnoticed(world: World) -> Iterator[Store]:
    """The store, while no controller of the cluster looks at what changes."""
    store = world.cluster.store
    listeners, store.listeners = store.listeners, []
    yield store
    store.listeners = listeners


async def _found(world: World) -> None:
    """A new operator has found everything, and told what there is to tell."""
    await world.start()
    await asyncio.sleep(REST)


def _job(model: Object, pipeline: Object, name: str) -> Object:
    """The PipelineJob `name` of a Pipeline, as it is of the model's."""
    owner = {"name": pipeline["metadata"]["name"], "uid": pipeline["metadata"]["uid"]}
    identity = job_hash(owner["uid"], 1, name)
    title = job_object_name(owner["name"], name, identity)
    own = _named(model, title, f"uid-{title}")
    own["metadata"]["labels"] |= {LABEL_PIPELINE_UID: owner["uid"], LABEL_JOB_HASH: identity}
    own["metadata"]["ownerReferences"][0] |= owner
    own["spec"] |= {"pipeline": owner["name"], "name": name}
    return own


def _named(thing: Object, name: str, uid: str) -> dict[str, Any]:
    new: dict[str, Any] = copied(thing)
    new["metadata"] |= {"name": name, "uid": uid, "namespace": NAMESPACE}
    return new
