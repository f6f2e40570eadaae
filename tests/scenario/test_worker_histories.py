"""Random histories of workers, operators and users: whatever they do, every attempt has one worker and one end.

Watched are the objects, one change after the other; the operator is asked nothing.
"""

import asyncio
import random
from collections import defaultdict
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS
from tests.fakes.store import Change, ChangeType
from tests.scenario.worker_server import Server, is_taken, work
from tests.scenario.world import FINAL, World, running

pytestmark = [pytest.mark.looptime]

NAMES = [f"j{number}" for number in range(6)]
SLOTS = 4
NEXT = {"READY": {"IN PROGRESS", "CANCELLED"}, "IN PROGRESS": {"DONE", "READY", "ERROR"}}


class Watcher:
    """Notes every breach of what must hold for jobs that workers do."""

    def __init__(self, world: World) -> None:
        self.breaches: list[str] = []
        self._claims: dict[tuple[str, int], str] = {}
        self._reports: dict[tuple[str, int], str] = {}
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._held: set[str] = set()
        world.cluster.store.listeners.append(self._see)

    def _see(self, change: Change) -> None:
        if change.resource != PIPELINE_JOBS or change.type is not ChangeType.MODIFIED:
            return
        old, new = (change.previous or {}).get("status", {}), change.object["status"]
        name, attempt = change.object["spec"]["name"], new.get("attempt", 0)
        moved = old.get("state") != new["state"]
        self._note(not moved or new["state"] in NEXT.get(old["state"], ()), f"{name}: {old} became {new}")
        self._note(attempt - self._attempts[name] in (0, 1), f"{name}: attempt {attempt} after {self._attempts[name]}")
        self._attempts[name] = attempt
        for field, known, value in (("claim", self._claims, "worker"), ("report", self._reports, "outcome")):
            said = new.get(field)
            if said is not None:
                first = known.setdefault((name, said["attempt"]), said[value])
                self._note(first == said[value], f"{name}: {field} of attempt {said['attempt']} was replaced")
        if new["state"] == "DONE":
            self._note(self._reports.get((name, attempt)) == "Succeeded", f"{name}: DONE without a report")
        holds = new["state"] == "IN PROGRESS" or (new["state"], new["reason"]) == ("READY", "Stopping")
        (self._held.add if holds else self._held.discard)(name)
        self._note(len(self._held) <= SLOTS, f"{len(self._held)} slots are taken")

    def _note(self, right: bool, what: str) -> None:
        if not right:
            self.breaches.append(what)


async def live(world: World, server: Server, dice: random.Random, name: str) -> None:
    """A worker: claims whatever it can, and is good, slow, late or dead."""
    while True:
        await asyncio.sleep(dice.uniform(0.1, 20))
        free = [job for job in NAMES if world.states("p").get(job) == "IN PROGRESS"]
        job = dice.choice(free) if free else None
        if job is None or not is_taken(server.claim(job, name)):
            continue
        attempt = server.record(job).status.attempt or 0
        dies = dice.random() < 0.2
        for percent in range(dice.randrange(6)):
            await asyncio.sleep(dice.uniform(1, 30))
            server.progress(attempt, percent * 20, job)
        await asyncio.sleep(dice.choice([0, 1, 50, 90]))
        if not dies:
            for _ in range(dice.choice([1, 1, 2])):
                server.report(attempt, dice.choice(["Succeeded", "Succeeded", "Failed"]), job, by=name)


async def disturb(world: World, dice: random.Random) -> None:
    """Operators that are killed, come back late, or see old news."""
    while True:
        await asyncio.sleep(dice.uniform(20, 200))
        match dice.randrange(3):
            case 0:
                await world.kill()
                await asyncio.sleep(dice.choice([0.1, 10, 100]))
                await world.start()
            case 1:
                world.cluster.break_watches()
            case _:
                world.cluster.freeze_watches(PIPELINE_JOBS)
                await asyncio.sleep(dice.uniform(1, 20))
                world.cluster.freeze_watches(PIPELINE_JOBS, frozen=False)


@pytest.mark.parametrize("seed", range(25))
async def test_every_attempt_has_one_worker_and_one_end(seed: int) -> None:
    dice = random.Random(seed)
    async with running(max_running_jobs=SLOTS) as world:
        watcher = Watcher(world)
        limits: list[dict[str, Any]] = [{}, {"timeout": 60}, {"startTimeout": 20}, {"retryAttempt": 4}]
        world.submit("p", *(work(name, retryAttempt=2) | dice.choice(limits) for name in NAMES))
        server = Server(world)
        lives = [asyncio.create_task(live(world, server, dice, f"w{number}")) for number in range(3)]
        lives.append(asyncio.create_task(disturb(world, dice)))
        if seed % 3 == 0:
            await asyncio.sleep(dice.uniform(1, 200))
            world.edit("p", cancel=dice.choice(["Now", "Drain"]))
        await world.until_final("p", seconds=7200)
        for task in lives:
            task.cancel()
        ended = await asyncio.gather(*lives, return_exceptions=True)
        assert [error for error in ended if not isinstance(error, asyncio.CancelledError)] == []
        if world.runtime is None:
            await world.start()
        await asyncio.sleep(5)
        assert set(world.states("p").values()) <= set(FINAL)
        assert watcher.breaches == []
