"""Sharding by simulation: replicas that share a cluster's work under one admission leader (docs/scale.md).

Rule: everything that two processes share is in the API server: jobs with their states, pods, and one ledger for each
shard, in which the leader writes what may start. A step is one request that is carried out, a few events that are
delivered, one process that acts, or a fault; a seed gives one order of steps, and the same always. Requests are carried
out late, answers are lost, processes are paused, replaced, and wake up again. The server checks each of them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from task_pipeline.core.lane import Entry, Terms
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue


class State(StrEnum):
    """What has become of a job."""

    READY = "READY"
    RUNNING = "IN PROGRESS"
    DONE = "DONE"


class Violation(Exception):
    """A promise was broken."""


@dataclass(frozen=True)
class Rules:
    """The rules of the protocol. Each can be left out, to see that it is needed."""

    fence: bool = True
    """A new leader writes its term into every ledger before it grants anything: older ones cannot write any more."""
    inherit: bool = True
    """It counts what stands in the ledgers as slots in use."""
    names: bool = True
    """A job's pod has a name that follows from the job alone."""
    versions: bool = True
    """A status is written on condition that it has not changed since it was read."""


@dataclass(frozen=True)
class Job:
    """A job as the server has it."""

    id: str
    shard: int
    client: str
    rank: tuple[int, int]
    """Priority and arrival; the client's priority comes first."""
    state: State = State.READY
    version: int = 0


@dataclass(frozen=True)
class Ledger:
    """What the leader of a term has granted to a shard and not yet seen to be running."""

    term: int = 0
    grants: tuple[str, ...] = ()
    version: int = 0


@dataclass(frozen=True)
class Limits:
    """Slots in all, and of each client."""

    all: int
    of: dict[str, int]
    priority: dict[str, int]


@dataclass
class Server:
    """The API server: what is written, in one order, and what must hold."""

    limits: Limits
    rules: Rules
    jobs: dict[str, Job] = field(default_factory=dict)
    pods: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By name: whose it is, and whether it has ended."""
    ledgers: dict[int, Ledger] = field(default_factory=dict)
    log: list[Job | tuple[str, str] | tuple[int, Ledger]] = field(default_factory=list)
    """Events: jobs, pods that have ended (name, job), ledgers (shard, ledger)."""
    writes: Counter[str] = field(default_factory=Counter)
    done: int = 0

    def put_job(self, job: Job) -> None:
        """A new job, or one whose state has changed."""
        before = self.jobs.get(job.id)
        if before is not None and (before.state, job.state) not in (
            (State.READY, State.RUNNING), (State.RUNNING, State.DONE),
        ):  # fmt: skip
            raise Violation(f"{job.id} went from {before.state} to {job.state}")
        self.jobs[job.id] = job
        self.done += job.state is State.DONE
        self.log.append(job)

    def put_status(self, job_id: str, version: int, state: State) -> bool:
        """Whether the state was written."""
        job = self.jobs[job_id]
        if self.rules.versions and job.version != version:
            return False
        self.writes["status"] += 1
        self.put_job(Job(job.id, job.shard, job.client, job.rank, state, len(self.log)))
        return True

    def put_pod(self, name: str, job_id: str) -> bool:
        """Whether the pod is new; it begins to run at once."""
        if name in self.pods:
            return False
        self.writes["pod"] += 1
        if any(owner == job_id for owner, _ in self.pods.values()):
            raise Violation(f"{job_id} was launched twice")
        self.pods[name] = (job_id, False)
        running = Counter(self.jobs[owner].client for owner, ended in self.pods.values() if not ended)
        if running.total() > self.limits.all or any(running[name] > most for name, most in self.limits.of.items()):
            raise Violation(f"more runs than may: {dict(running)}")
        return True

    def end_pod(self, name: str) -> None:
        """The pod's program ends."""
        job_id, _ = self.pods[name]
        self.pods[name] = (job_id, True)
        self.log.append((name, job_id))

    def put_ledger(self, shard: int, version: int, term: int, grants: tuple[str, ...]) -> Ledger | None:
        """The ledger after the write; None when it had changed since it was read."""
        if self.rules.fence and self.ledgers[shard].version != version:
            return None
        self.writes["ledger"] += 1
        self.ledgers[shard] = ledger = Ledger(term, grants, len(self.log) + 1)
        self.log.append((shard, ledger))
        return ledger


Request = Callable[[], None]


class Process:
    """One replica in one role. It acts on what it has been told, and its requests are carried out some time later."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cursor = 0
        self.paused = False
        self.requests: dict[str, Request] = {}  # by what they are about: one at a time about each thing
        self.ended = False

    def listen(self, most: int) -> None:
        """Take in the next events."""
        events = self.server.log[self.cursor : self.cursor + most]
        self.cursor += len(events)
        for event in events:
            self.told(event)

    def told(self, event: object) -> None:
        """Something has changed."""

    def act(self) -> None:
        """Decide, and ask the server for what follows."""


class Leader(Process):
    """Decides for the whole cluster, with the operator's own queue: what may start, in order, within the limits."""

    def __init__(self, server: Server, term: int) -> None:
        super().__init__(server)
        self.term = term
        self.queue = Queue(server.limits.all)
        for name, most in server.limits.of.items():
            self.queue.set_terms(name, Terms(priority=server.limits.priority[name], limit=most))
        self.known: dict[str, Job] = {}
        self.granted: dict[int, list[str]] = {}
        self.ledgers: dict[int, Ledger] = {}
        self.leads = False

    def told(self, event: object) -> None:
        if isinstance(event, Job) and self.leads:
            self._see(event)

    def act(self) -> None:
        if not self.leads:
            self._take_over()
            return
        while (entry := self.queue.next()) is not None:
            self._must_be_first(entry)
            job = self.known[entry.id]
            self.granted[job.shard].append(job.id)
        for shard, grants in self.granted.items():
            wanted = tuple(grants)
            if wanted != self.ledgers[shard].grants and f"ledger {shard}" not in self.requests:
                self.requests[f"ledger {shard}"] = lambda shard=shard, wanted=wanted: self._write(shard, wanted)  # type: ignore[misc]

    def _take_over(self) -> None:
        """First close every ledger to older leaders, then look at what there is: nothing is granted in between."""
        missing = [shard for shard in self.server.ledgers if shard not in self.ledgers]
        for shard in missing:
            found = self.server.ledgers[shard]
            if found.term > self.term:
                self.ended = True
                return
            self.requests.setdefault(f"ledger {shard}", lambda shard=shard, found=found: self._fence(shard, found))  # type: ignore[misc]
        if missing:
            return
        self.granted = {
            shard: list(one.grants if self.server.rules.inherit else ()) for shard, one in self.ledgers.items()
        }
        self.cursor, self.leads = len(self.server.log), True
        for job_id in (job_id for grants in self.granted.values() for job_id in grants):
            self.queue.take_slot(job_id, self.server.jobs[job_id].client)
        for job in list(self.server.jobs.values()):
            self._see(job)

    def _fence(self, shard: int, found: Ledger) -> None:
        written = self.server.put_ledger(shard, found.version, self.term, found.grants)
        if written is not None:
            self.ledgers[shard] = written

    def _write(self, shard: int, grants: tuple[str, ...]) -> None:
        written = self.server.put_ledger(shard, self.ledgers[shard].version, self.term, grants)
        if written is not None:
            self.ledgers[shard] = written
        elif self.server.ledgers[shard].term != self.term:
            self.ended = True  # somebody else leads
        else:
            self.ledgers[shard] = self.server.ledgers[shard]  # its own write, whose answer was lost

    def _see(self, job: Job) -> None:
        self.known[job.id] = job
        if job.state is State.READY:
            if not self.queue.has_slot(job.id):
                priority, arrival = job.rank
                self.queue.put(Entry(job.id, job.client, OrderKey(priority, 0, 0, "", arrival, job.id), 0.0, ""))
            return
        if job.id in self.granted[job.shard]:
            self.granted[job.shard].remove(job.id)
        if job.state is State.RUNNING:
            self.queue.take_slot(job.id, job.client)
        else:
            self.queue.remove(job.id)
            self.queue.free_slot(job.id)

    def _must_be_first(self, entry: Entry) -> None:
        """No job that the leader knows, and that may start, comes before the one that it has chosen."""
        limits, used = (
            self.server.limits,
            Counter(self.known[one].client for one in self.queue.slots if one in self.known),
        )
        used[entry.client] -= 1
        chosen = (limits.priority[entry.client], self.known[entry.id].rank)
        for job in self.known.values():
            waits = job.state is State.READY and not self.queue.has_slot(job.id)
            if waits and used[job.client] < limits.of[job.client] and (limits.priority[job.client], job.rank) < chosen:
                raise Violation(f"{entry.id} was chosen before {job.id}")


class Worker(Process):
    """The owner of one shard: launches what is granted and tells what has ended. It holds no lock of its own: a second
    owner of the same shard does no harm.
    """

    def __init__(self, server: Server, shard: int, number: int) -> None:
        super().__init__(server)
        self.shard, self.number = shard, number
        self.cursor = len(server.log)
        self.ledger = server.ledgers[shard]
        self.jobs = {job.id: job for job in server.jobs.values() if job.shard == shard}
        self.over = {job_id for job_id, ended in server.pods.values() if ended}

    def told(self, event: object) -> None:
        if isinstance(event, Job):
            if event.shard == self.shard:
                self.jobs[event.id] = event
        elif isinstance(event, tuple) and isinstance(event[1], Ledger):
            if event[0] == self.shard:
                self.ledger = event[1]
        elif isinstance(event, tuple):
            self.over.add(event[1])

    def act(self) -> None:
        for job_id in self.ledger.grants:
            job = self.jobs.get(job_id)
            if job is not None and job.state is State.READY:
                self.requests.setdefault(job_id, lambda job=job: self._launch(job))  # type: ignore[misc]
        for job in self.jobs.values():
            if job.state is State.RUNNING and job.id in self.over:
                self.requests.setdefault(job.id, lambda job=job: self._tell(job, State.DONE))  # type: ignore[misc]

    def _launch(self, job: Job) -> None:
        """Two requests; between them anything may happen, and the second is asked for again when its turn comes."""
        name = job.id if self.server.rules.names else f"{job.id}-{self.number}"
        self.server.put_pod(name, job.id)
        self.requests[job.id] = lambda: self._tell(job, State.RUNNING)

    def _tell(self, job: Job, state: State) -> None:
        if self.server.put_status(job.id, job.version, state):
            self.jobs[job.id] = self.server.jobs[job.id]


@dataclass(frozen=True)
class Size:
    """Of a simulation."""

    shards: int = 4
    jobs: int = 60
    clients: int = 3
    limit: int = 8
    faults: int = 25


class Simulation:
    """One order of steps. `run` ends when all is over; it raises Violation, also when something never ends."""

    def __init__(self, seed: int, size: Size = Size(), rules: Rules = Rules()) -> None:
        self.random, self.size = Random(seed), size
        names = [f"client-{number}" for number in range(size.clients)]
        most = {name: self.random.randint(1, size.limit) for name in names}
        limits = Limits(size.limit, most, {name: self.random.randrange(2) for name in names})
        self.server = Server(limits, rules, ledgers=dict.fromkeys(range(size.shards), Ledger()))
        self.processes: list[Process] = [Leader(self.server, 1)]
        self.processes += [Worker(self.server, shard, 0) for shard in range(size.shards)]
        self.term = self.submitted = self.faults = 0
        self.term, self.replaced = 1, Counter[str]()

    def run(self) -> "Simulation":
        """Step until all jobs are done."""
        for _ in range(400 * self.size.jobs):
            self._step()
            if self.server.done == self.size.jobs:
                return self
        states = Counter(job.state for job in self.server.jobs.values())
        raise Violation(f"not all is over: {dict(states)}")

    def _step(self) -> None:
        draw = self.random.random()
        if draw < 0.02 and self.submitted < self.size.jobs:
            self._submit()
        elif draw < 0.10:
            running = [name for name, (_, ended) in self.server.pods.items() if not ended]
            if running:
                self.server.end_pod(self.random.choice(running))
        elif draw < 0.12 and self.faults < self.size.faults:
            self.faults += 1
            self._fault()
        else:
            self._work(self.random.choice(self.processes))

    def _submit(self) -> None:
        number, draw = self.submitted, self.random.randrange
        client = f"client-{draw(self.size.clients)}"
        self.server.put_job(Job(f"job-{number}", draw(self.size.shards), client, (draw(5), number)))
        self.submitted += 1

    def _work(self, process: Process) -> None:
        if process.ended:
            if isinstance(process, Leader) and not any(
                isinstance(one, Leader) and not one.ended for one in self.processes
            ):
                self._elect()
            self.processes.remove(process)
        elif process.requests and self.random.random() < 0.4:
            about = self.random.choice(list(process.requests))
            process.requests.pop(about)()  # also of one that is paused: it had been sent
        elif not process.paused:
            process.listen(self.random.randint(0, 5))
            process.act()

    def _fault(self) -> None:
        leaders = [one for one in self.processes if isinstance(one, Leader)]
        process = self.random.choice(leaders if self.random.random() < 0.5 and leaders else self.processes)
        match self.random.randrange(3):
            case 0 if process.requests:
                process.requests.pop(self.random.choice(list(process.requests)))  # never arrives
            case 1:
                self._replace(process)
                process.ended = True  # killed: what it had sent is lost
            case _:
                self._replace(process)
                process.paused = not process.paused  # the new one works while the old one may wake up again

    def _replace(self, process: Process) -> None:
        self.replaced[type(process).__name__] += 1
        if isinstance(process, Worker):
            self.processes.append(Worker(self.server, process.shard, sum(self.replaced.values())))
        else:
            self._elect()

    def _elect(self) -> None:
        self.term += 1
        self.processes.append(Leader(self.server, self.term))


def writes_per_job(rate: float, shards: int, gap: float, seconds: float = 20.0) -> float:
    """Writes of ledgers for each job that starts, at `rate` jobs a second, when a ledger is written at most every `gap`
    seconds. Grants come at random times and to random shards; what has begun leaves the ledger with the next write.
    """
    random, now, writes, jobs = Random(7), 0.0, 0, 0
    next_write = [0.0] * shards
    while now < seconds:
        now += random.expovariate(rate)
        jobs += 1
        shard = random.randrange(shards)
        if now >= next_write[shard]:  # one that is planned already takes this grant with it
            next_write[shard] = now + gap
            writes += 1
    return writes / jobs
