"""Forced handovers under load: the leader of two replicas is killed, told to stop, or stands still past its Lease and
wakes.

Each replica may be behind a proxy of its own, which tells what it has written. Whoever ends by itself is replaced.
"""

import contextlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.history import Mark
from tests.faults.proxy import FaultProxy
from tests.faults.real import checking
from tests.faults.real.forked import ForkedOperator
from tests.faults.real.load import Load, after, peak
from tests.faults.real.place import LEASE, Place, Site, place
from tests.faults.report import Entry
from tests.faults.rules import Violation

LIMIT = 4
REPLICAS = 3  # one of them may be starting
IN_FLIGHT = 16  # launches that a leader may have on their way
STANDBY = b"standing by"
LEAD_SECONDS = 120.0
EACH = 25
Way = Literal["killed", "terminated", "paused"]


@dataclass(frozen=True)
class Terms:
    """Settings of the Lease, in seconds."""

    duration: int
    deadline: float
    retry: float

    def environment(self) -> dict[str, str]:
        """The same as settings of an operator."""
        prefix = "TASK_PIPELINE_LEADER_"
        named = {"LEASE_DURATION": self.duration, "RENEW_DEADLINE": self.deadline, "RETRY_PERIOD": self.retry}
        return {prefix + name: str(value) for name, value in named.items()}


SHORT = Terms(6, 4.5, 0.8)  # as short as a busy machine allows
SHIPPED = Terms(15, 10.0, 2.0)


@dataclass
class Replica:
    """One operator with a name, and perhaps a proxy, of its own."""

    name: str
    operator: ForkedOperator
    proxy: FaultProxy | None
    identity: str = ""


@dataclass
class Pair:
    """Two replicas of a place, and the load on them."""

    at: Place
    load: Load
    stack: contextlib.ExitStack
    terms: Terms
    proxied: bool
    marks: list[Mark] = field(default_factory=list)
    replicas: list[Replica] = field(default_factory=list)
    everyone: list[Replica] = field(default_factory=list)

    def mark(self, what: str, who: str) -> float:
        """Note what was done, and return when."""
        self.marks.append(Mark(what, who, time.time()))
        return self.marks[-1].time

    def more(self) -> Replica:
        """Start one replica more, and wait until it stands by or leads."""
        name, proxy, kubeconfig = f"r{len(self.everyone)}", None, None
        if self.proxied:
            cluster = self.at.site.cluster
            proxy = self.stack.enter_context(FaultProxy(cluster.server, cluster.paths.pki))
            target = self.at.site.folder / f"{self.at.namespace}-{name}.kubeconfig"
            kubeconfig = proxy.kubeconfig(cluster.kubeconfig, target)
        operator = self.at.operator(kubeconfig, POD_NAME=name)
        operator.launch()
        made = Replica(name, operator, proxy)
        self.replicas.append(made)
        self.everyone.append(made)
        return made

    def refill(self) -> None:
        """Replace whoever has ended, and wait until two are ready, one of them leading."""
        self.replicas = [one for one in self.replicas if one.operator.running]
        while len(self.replicas) < REPLICAS:
            self.more()

        def ready() -> bool:
            standing = sum(STANDBY in one.operator.log.read_bytes() for one in self.replicas if one.operator.running)
            return standing >= 2 and self.leader() is not None

        self.load.until("two replicas that are ready", ready, LEAD_SECONDS)

    def holder(self) -> str:
        """Who holds the Lease, as far as the recorder knows."""
        lease = self.at.view.now["leases"].get(LEASE, {})
        return str(lease.get("spec", {}).get("holderIdentity") or "")

    def leads(self, replica: Replica) -> bool:
        """Whether this replica holds the Lease."""
        return self.holder().rsplit("_", 1)[0] == replica.name

    def leader(self) -> Replica | None:
        """The replica that holds the Lease and runs."""
        found = next((one for one in self.replicas if self.leads(one) and one.operator.running), None)
        if found is not None:
            found.identity = self.holder()
        return found

    def launches_since(self, moment: float, old: str) -> float | None:
        """When the first pod came after somebody else than `old` got the Lease after `moment`."""
        versions = list(self.at.view.history.versions)
        taken = [
            one.time
            for one in versions
            if one.resource == "leases" and one.time >= moment
            and (one.object["spec"].get("holderIdentity") or old) != old
        ]  # fmt: skip
        if not taken:
            return None
        pods = [one.time for one in versions if one.resource == "pods" and one.verb == "ADDED" and one.time > taken[0]]
        return min(pods, default=None)


@contextlib.contextmanager
def pair(site: Site, terms: Terms, *, proxied: bool) -> Iterator[Pair]:
    """Two replicas under load, the first of them leading."""
    settings = {"MAX_RUNNING_JOBS": str(LIMIT), "TASK_PIPELINE_RETRY_BACKOFF": "0.2", **terms.environment()}
    with place(site, settings, proxied=False) as at, contextlib.ExitStack() as stack:
        made = Pair(at, Load(at), stack, terms, proxied)
        made.refill()
        yield made
        for operator in at.operators:  # before their proxies go
            operator.kill()


def hand_over(two: Pair, way: Way, rng: random.Random) -> float:
    """Take the lead from the leader; returns the seconds until the first launch of its successor."""
    two.refill()
    two.load.until("waiting jobs", lambda: _waiting(two) >= 2, 60)
    old = two.leader()
    while old is None:  # it has just lost it by itself
        two.refill()
        old = two.leader()
    two.load.until("a moment", after(rng.uniform(0.0, 0.5)), 5)
    began = two.mark(way, old.identity)
    {"killed": old.operator.kill, "terminated": old.operator.terminate, "paused": old.operator.freeze}[way]()
    bound = two.terms.duration + 30.0
    two.load.until("a launch", lambda: two.launches_since(began, old.identity) is not None, bound)
    first = two.launches_since(began, old.identity)
    assert first is not None
    if way == "paused":
        two.load.until("a moment", after(rng.uniform(0.0, 1.0)), 5)
        two.mark("resumed", old.identity)
        old.operator.wake()
        two.load.until("the end of the old leader", lambda: not old.operator.running, 15)
    return first - began


def judge(two: Pair) -> tuple[list[Violation], int]:
    """Let everything end; returns what is wrong, and by how much the limit was exceeded at most."""
    found: list[Violation] = []
    try:
        two.load.drain(240)
    except TimeoutError as error:
        found.append(Violation("L1", 0, f"{error}: {two.at.view.states('pipelines')}"))
    found += [Violation("log", 0, line) for line in two.at.faults()]
    history = two.at.site.recorder.forget(two.at.namespace)
    history.marks += two.marks
    leases = [one.object["spec"].get("holderIdentity") or "" for one in history.versions if one.resource == "leases"]
    identities = {identity.rsplit("_", 1)[0]: identity for identity in leases if identity}
    for one in two.everyone:
        if one.proxy is not None and one.name in identities:
            history.acks += checking.acks(one.proxy, identities[one.name])
    by = checking.rules(LIMIT + IN_FLIGHT, None, lease=float(two.terms.duration), in_flight=IN_FLIGHT)
    found += checking.broken(history, by)
    if found:
        history.save(two.at.site.folder / f"{two.at.namespace}.jsonl")
    return found, max(0, peak(history) - LIMIT)


def _round(
    site: Site, ways: list[Way], terms: Terms, seed: int, proxied: bool
) -> tuple[list[float], list[Violation], int]:
    """Handovers in one place: the seconds until the first launch after each, what is wrong, and the overshoot."""
    rng, waits, found = random.Random(seed), list[float](), list[Violation]()
    with pair(site, terms, proxied=proxied) as two:
        for way in ways:
            try:
                waits.append(hand_over(two, way, rng))
            except TimeoutError as error:
                found.append(Violation("L4", 0, f"{way}: {error}"))
                break
        wrong, over = judge(two)
    return waits, found + wrong, over


def handovers(
    site: Site,
    ways: list[Way],
    terms: Terms,
    *,
    seed: int,
    name: str,
    each: int = EACH,
    lanes: int = 1,
    proxied: bool = False,
) -> Entry:
    """So many handovers, `each` in one place, in some places at once."""
    entry, began = Entry(name, "real", seed=seed), time.monotonic()
    waits: list[float] = []
    over = 0
    starts = range(0, len(ways), each)
    with ThreadPoolExecutor(lanes) as pool:
        rounds = pool.map(lambda start: _round(site, ways[start : start + each], terms, seed + start, proxied), starts)
        for start, (some, found, most) in zip(starts, rounds, strict=True):
            waits, over = waits + some, max(over, most)
            entry.violations += [
                {"case": f"handovers from {start + 1} on", "id": one.id, "text": one.text} for one in found
            ]
    waits.sort()
    entry.cases = len(waits)
    numbers = {"p50 s": waits[len(waits) // 2], "p99 s": waits[int(len(waits) * 0.99)], "max s": waits[-1]}
    entry.numbers = {key: round(value, 2) for key, value in numbers.items()} | {"over the limit": float(over)}
    entry.seconds = round(time.monotonic() - began, 1)
    return entry


def _waiting(two: Pair) -> int:
    return sum(state == "READY" for state in two.at.view.states("pipelinejobs").values())
