"""W4: thousands of pieces of one job, of 20 submitters, wait for 50 slots; in the middle somebody submits urgent ones.

A contender that can be held is: nothing runs until all has been submitted and it has come to rest. The others launch
while it is being submitted. Then there is work for every slot, until the last launch that counts.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

from tests.bench import counting, figures
from tests.bench.contenders.base import Submitter, Work
from tests.bench.figures import Waiting
from tests.bench.observer import Sighting
from tests.bench.site import Site
from tests.bench.stand import PATIENCE, Stand

SUBMITTERS, SLOTS = 20, 50
REST_SECONDS = 2.0
LAUNCHES_PER_SLOT = 12


@dataclass(frozen=True)
class Load:
    """`waiting` pieces; a pod lives for `seconds` on average, half as long or half as long again."""

    waiting: int
    seconds: float

    @property
    def launches(self) -> int:
        """How many launches are measured: at most a quarter of what waits, so that there is always a choice."""
        return min(SLOTS * LAUNCHES_PER_SLOT, self.waiting // 4)


async def measure(stand: Stand, site: Site, load: Load) -> dict[str, Any]:
    """Fill, wait for rest, and watch `load.launches` launches. The site keeps an audit log."""
    choice = random.Random(4)
    submitters = [Submitter(f"client-{number:02}", choice.randint(1, 10)) for number in range(SUBMITTERS)]
    await stand.contender.admit(stand.client, submitters)

    def work(name: str, submitter: Submitter, priority: int) -> Work:
        return Work(name, 1, 1, round(load.seconds * choice.uniform(0.5, 1.5), 2), submitter, priority)

    works = [work(f"w4-{n:05}", choice.choice(submitters), choice.randrange(100)) for n in range(load.waiting)]
    urgent = Submitter("urgent", 0)
    await stand.contender.admit(stand.client, [urgent])
    held = stand.contender.limit(0)
    began = time.monotonic()
    await stand.submit(works)
    submitted = time.monotonic()
    await (_until_at_rest(stand, site) if held else asyncio.sleep(REST_SECONDS))
    since, since_utc, already = time.monotonic(), time.time(), len(stand.pods.sightings)
    stand.contender.limit(SLOTS)
    await _launches(stand, already + load.launches // 3)
    late = [work(f"w4-urgent-{n}", urgent, n) for n in range(max(load.launches // 100, 1))]
    await stand.submit(late)
    await _launches(stand, already + load.launches)
    until, launches = time.monotonic(), len(stand.pods.sightings) - already
    await stand.pods.wait(lambda: len(_waits_ms(stand, late)) == len(late), PATIENCE)
    events = list(counting.requests(site.cluster.audit_log, 0))
    late_events = [event for event in events if counting.moment(event["stageTimestamp"]) >= since_utc]
    return {
        "waiting": load.waiting,
        "submit_seconds": submitted - began,
        "held": held,
        "rest_seconds": since - submitted,
        "launches": launches,
        "launches_per_second": launches / (until - since),
        **_slots(stand, since, until),
        "inversions": figures.inversions(_backlog(stand, [*works, *late], since, until), SLOTS),
        "urgent_wait_ms": figures.spread(_waits_ms(stand, late)),
        "end_written_to_create_ms": figures.spread(_from_audit(stand, events, since_utc)),
        "requests": counting.figures(late_events, load.launches, stand.contender.audit_users),
    }


def _slots(stand: Stand, since: float, until: float) -> dict[str, Any]:
    pods = [one for one in stand.pods.sightings.values() if one.seen <= until]
    freed = [one.ended for one in pods if one.ended is not None and one.ended <= until]
    created = [one.seen for one in pods]
    spans = [(one.seen, one.ended if one.ended is not None else until) for one in pods]
    return {
        "pod_end_to_create_ms": figures.spread(figures.reactions_ms(freed, created, SLOTS, since)),
        "slots_used": figures.slots_used(spans, SLOTS, figures.all_taken_from(spans, SLOTS, since), until),
        "most_at_once": figures.peak(spans),
    }


def _backlog(stand: Stand, works: list[Work], since: float, until: float) -> list[Waiting]:
    """What waited, as the contender could know it; launches outside the window are no launches to judge."""
    pods = _by_work(stand.pods.sightings)
    units = _by_work(stand.units.sightings)
    backlog = []
    for work in works:
        pod, unit = pods.get(work.name), units.get(work.name)
        held = pod is not None and pod.seen <= until
        backlog.append(
            Waiting(
                work.rank,
                stand.sent[work.name],
                (pod.seen, pod.version) if pod is not None and held else None,
                (unit.ended, unit.ended_version) if unit and unit.ended and unit.ended_version else None,
                judged=pod is not None and since <= pod.seen <= until,
            )
        )
    return backlog


def _waits_ms(stand: Stand, works: list[Work]) -> list[float]:
    pods = _by_work(stand.pods.sightings)
    return [1000 * (pods[work.name].seen - stand.sent[work.name]) for work in works if work.name in pods]


def _from_audit(stand: Stand, events: list[counting.Event], since: float) -> list[float]:
    """Milliseconds from the answer to the write that ended a job to the request for the next pod, by the API server's
    clock; empty for a contender that writes no such end. `events` are all there were.
    """
    ended = {name for name, one in stand.units.sightings.items() if one.ended is not None}
    ends: dict[str, float] = {}
    creates: list[float] = []
    for event in events:
        if event["user"]["username"] not in stand.contender.audit_users:
            continue
        what = counting.resource(event)
        if (event["verb"], what) == ("create", "pods") and event["objectRef"].get("name") in stand.pods.sightings:
            creates.append(counting.moment(event["requestReceivedTimestamp"]))
        elif what.endswith("/status") and event["objectRef"].get("name") in ended:
            ends[event["objectRef"]["name"]] = counting.moment(event["stageTimestamp"])
    return figures.reactions_ms(ends.values(), creates, SLOTS, since)


def _by_work(sightings: dict[str, Sighting]) -> dict[str, Sighting]:
    return {one.kept[0]: one for one in sightings.values() if one.kept is not None}


async def _until_at_rest(stand: Stand, site: Site) -> None:
    """Wait until the contender has written nothing but its Lease for some seconds."""
    log = site.cluster.audit_log
    async with asyncio.timeout(PATIENCE):
        while True:
            mark = log.stat().st_size
            await asyncio.sleep(REST_SECONDS)
            events = counting.requests(log, mark)
            writes = [one for one in events if one["verb"] in counting.MUTATING and counting.resource(one) != "leases"]
            if {one["user"]["username"] for one in writes}.isdisjoint(stand.contender.audit_users):
                return


async def _launches(stand: Stand, number: int) -> None:
    await stand.pods.wait(lambda: len(stand.pods.sightings) >= number, PATIENCE)
