"""Shuffled submissions with random priorities, and the order in which their jobs are to be launched."""

import json
import random
from collections.abc import Iterable
from typing import Any

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.onlooker import Onlooker
from tests.real.pipelines import shell

Draw = dict[str, Any]


def draw(seed: int, rounds: int) -> tuple[Draw, Draw]:
    """`rounds` times 2 clients with 2 Pipelines of 2 stages with 2 jobs, priorities at random: specs by name."""
    rng = random.Random(seed)  # few priorities, so that every part of the order has to decide
    clients, pipelines = {}, {}
    for client in (f"q{number:02}{side}" for number in range(rounds) for side in "ab"):
        clients[client] = {"priority": rng.randint(1, 5)}
        for number in range(2):
            jobs = [shell(f"{stage}-{n}", stage, priority=rng.randint(1, 3)) for stage in ("s", "t") for n in range(2)]
            spec = {"stages": ["s", "t"], "jobs": jobs, "clientId": client, "priority": rng.randint(1, 2)}
            pipelines[f"{client}-{number}"] = spec
    shuffled = list(pipelines)
    rng.shuffle(shuffled)
    return clients, {name: pipelines[name] for name in shuffled}


def sorted_keys(clients: Draw, pipelines: Draw, found: Iterable[Draw]) -> list[str]:
    """The jobs of all Pipelines, as pipeline/job, in the documented order."""
    keys = []
    for item in found:
        name = item["metadata"]["name"]
        spec = pipelines[name]
        for place, job in enumerate(spec["jobs"]):
            first = (clients[spec["clientId"]]["priority"], spec["priority"], spec["stages"].index(job["stage"]))
            last = (item["status"]["acceptedTime"], place, item["metadata"]["uid"])
            keys.append((*first, job["priority"], *last, f"{name}/{job['name']}"))
    return [str(key[-1]) for key in sorted(keys)]


def accepted(kubectl: Kubectl, pipelines: Iterable[str]) -> list[Draw]:
    """Wait until the operator has taken all of them in; returns them."""

    def ask() -> list[Draw]:
        items = json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]
        mine = [item for item in items if item["metadata"]["name"] in pipelines]
        return mine if all(item.get("status", {}).get("acceptedTime") for item in mine) else []

    return wait_for(ask, "the acceptance of all Pipelines", 60)


def launched(seen: Onlooker) -> list[str]:
    """The jobs, as pipeline/job, in the order in which their pods were created."""
    specs = [seen.jobs[launch.job] for launch in seen.launches]
    return [f"{spec['pipeline']}/{spec['name']}" for spec in specs if spec["pipeline"] != "filler"]
