"""At rest: finished Pipelines lie about, two operators run, and nobody writes anything but the Lease."""

import asyncio
import time
from typing import Any

from tests import history as past
from tests.bench.site import connected
from tests.faults.real.place import Place, Site, place
from tests.faults.report import Entry
from tests.real.audit import MUTATING, mark, requests, resource
from tests.real.pipelines import grid

SETTLE = 5.0  # seconds after the start in which an operator may still look around


def at_rest(site: Site, pipelines: int, seconds: float) -> Entry:
    """Count the operators' writes in so many seconds beside so many finished Pipelines."""
    entry = Entry("at rest", "real", cases=1)
    with place(site, {}, proxied=False) as at:
        at.operator(POD_NAME="r0").launch()
        at.create("model", grid(1, 1))
        site.recorder.wait("the model", lambda: at.view.states("pipelines") == {"model": "DONE"})
        at.operators[0].stop()
        asyncio.run(_write(at, pipelines))
        for number in range(2):
            at.operator(POD_NAME=f"r{number}").start(word=b"standing by")
        time.sleep(SETTLE)
        log, began = site.cluster.audit_log, time.monotonic()
        since = mark(log)
        time.sleep(seconds)
        made = [one for one in requests(log, since) if one["verb"] in MUTATING and _is_at(one, at)]
        entry.seconds = round(time.monotonic() - began, 1)
        site.recorder.forget(at.namespace)
    others = [one for one in made if resource(one) != "leases"]
    entry.violations = [
        {"case": "at rest", "id": "S14", "text": f"{one['verb']} {one['requestURI']}"} for one in others
    ]
    entry.numbers = {
        "finished Pipelines": float(pipelines),
        "seconds": float(seconds),
        "writes": float(len(others)),
        "Lease": float(len(made) - len(others)),
    }
    return entry


def _is_at(event: dict[str, Any], at: Place) -> bool:
    """Whether a request is one of this place's operators, which ask for nothing elsewhere."""
    return bool(event.get("objectRef", {}).get("namespace") == at.namespace)


async def _write(at: Place, pipelines: int) -> None:
    async with connected(at.site.cluster.kubeconfig) as cluster:
        model = await past.model(cluster, at.namespace, "model")
        await past.write(cluster, model, [f"past-{number}" for number in range(pipelines)])
