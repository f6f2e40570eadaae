"""The complete server in a thread of its own, with objects in every state, for requests that somebody makes up.

Rule: objects come and go by the clock, as an operator would let them, so that names which are often asked for exist,
attempts are claimed and end, and lists stay short. Streams end soon.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.server import logs, streams, upstream
from tests.server.whole import QUEUE, Raw, Whole, whole

TICK = 0.1
MOST_PIPELINES = 120
CLAIMED, OFFERED = 6, 3
SEEDS = {"release": "IN PROGRESS", "done": "DONE", "failed": "ERROR", "fresh": "READY"}
STREAM = {streams: {"STREAM_SECONDS": 0.1, "HEARTBEAT": 0.04, "PAUSE": 0.02}, logs: {"FOLLOW_SECONDS": 0.1}}


@dataclass(frozen=True)
class Attempt:
    """An attempt that has been claimed: the parts of its path, and its Authorization header."""

    uid: str
    n: str
    authorization: str


@dataclass
class FuzzWorld:
    """What a maker of requests may know. `attempts` is replaced as a whole, so that another thread can read it."""

    url: str
    callers: dict[str, str]
    attempts: Sequence[Attempt] = ()
    names: Sequence[str] = (*SEEDS, "absent")
    trouble: list[BaseException] = field(default_factory=list)


class _Life:
    """Plays the operator, and a worker that claims."""

    def __init__(self, site: Whole, world: FuzzWorld) -> None:
        self._site = site
        self._world = world
        self._number = 0

    async def go_on(self) -> None:
        """One tick."""
        self._seed()
        self._prune()
        offered = self._offered()
        for _ in range(OFFERED - len(offered)):
            self._number += 1
            pipeline = self._site.pipeline(f"work-{self._number}")
            self._site.launch(self._site.job(pipeline))
        await self._claim()

    def _seed(self) -> None:
        admin = self._site.cluster.admin
        for namespace in ("team-a", "team-b"):
            for name, state in SEEDS.items():
                if admin.find(PIPELINES, name, namespace) is not None:
                    continue
                pipeline = self._site.pipeline(name, namespace)
                for step in dict.fromkeys(("IN PROGRESS", state)) if state != "READY" else ():
                    self._site.write(pipeline, state=step)
                if admin.find(PIPELINE_JOBS, name, namespace) is None and name != "fresh":
                    self._site.job(pipeline)

    def _prune(self) -> None:
        admin = self._site.cluster.admin
        jobs = {job["spec"]["pipeline"]: job for job in admin.list(PIPELINE_JOBS)}
        others = [one for one in admin.list(PIPELINES) if one["metadata"]["name"] not in SEEDS]
        for pipeline in others[:-MOST_PIPELINES] if len(others) > MOST_PIPELINES else ():
            metadata = pipeline["metadata"]
            admin.delete(PIPELINES, metadata["name"], metadata["namespace"])
            if (job := jobs.get(metadata["name"])) is not None and metadata["name"].startswith("work-"):
                admin.delete(PIPELINE_JOBS, job["metadata"]["name"], job["metadata"]["namespace"])

    def _offered(self) -> list[Raw]:
        return [
            job
            for job in self._site.cluster.admin.list(PIPELINE_JOBS)
            if job["status"].get("reason") == "AwaitingWorker" and not job["status"].get("claim")
        ]

    async def _claim(self) -> None:
        """Keep some attempts claimed; the oldest gives way, reported or not."""
        body = {"worker": "life"}
        answer = await self._site.one.ask(
            "POST",
            f"/api/v1/workers/{QUEUE}:claim",
            self._site.callers["acme"],
            body,
            Idempotency_Key=str(self._number),
        )
        if answer.status == 200:
            job = answer.body["job"]
            attempt = Attempt(job["uid"], str(job["attempt"]), f"Bearer {answer.body['token']}")
            self._world.attempts = (*self._world.attempts[-CLAIMED + 1 :], attempt)


async def _live(ready: threading.Event, stop: threading.Event, found: list[FuzzWorld]) -> None:
    async with whole() as site:
        world = FuzzWorld(site.one.url, dict(site.callers))
        life = _Life(site, world)
        for _ in range(CLAIMED):
            await life.go_on()
        found.append(world)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(TICK)
            site.cluster.journal.clear()
            try:
                await life.go_on()
            except Exception as error:  # told to whoever runs the requests
                world.trouble.append(error)


@contextmanager
def fuzz_world() -> Iterator[FuzzWorld]:
    """The world, until the block ends. Raises what went wrong in it."""
    ready, stop, found = threading.Event(), threading.Event(), list[FuzzWorld]()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(_live(ready, stop, found))
        except BaseException as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="fuzz-world")
    with _short():
        thread.start()
        ready.wait(30)
        try:
            if not failure:
                yield found[0]
        finally:
            stop.set()
            thread.join(30)
    for error in failure or found[0].trouble:
        raise error


@contextmanager
def _short() -> Iterator[None]:
    """Streams that end soon; and patience with the API server, which shares one interpreter with whoever asks."""
    values: list[tuple[Any, str, float]] = [
        (module, name, value) for module, known in STREAM.items() for name, value in known.items()
    ]
    values.append((upstream, "BUDGET", 15.0))
    patches = [patch.object(*one) for one in values]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
