"""Made-up histories: users, programs, clusters and faults do what they like, and every promise is kept all the same.

A `Plan` is plain data, so that what hypothesis prints can be played again: `play_plan(Plan(...))`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import Gone, NotFound
from tests.fakes.fates import Fate, of_annotations
from tests.fakes.store import Object
from tests.faults.checkers import Limits, Rules, Violation, check
from tests.faults.history import History
from tests.faults.memory.runs import HELD_BACK, LONGEST, QUIET, RESTART, Run, in_virtual_time
from tests.faults.memory.scenarios import job
from tests.faults.memory.script import ANSWERS, KILLS, Event, EventFault, Fault, Script, Write, WriteFault
from tests.faults.memory.site import Site
from tests.faults.scene import FINAL
from tests.scenario.world import NAMESPACE, shell

NAMES = ("p", "q", "r")
CLIENTS = ("default", "acme")
STOP_SECONDS = 2.0
Step = tuple[str, int, Any]  # what, to which Pipeline, and how


@dataclass(frozen=True)
class Plan:
    """`steps` happen one after the other; `faults` strike where they are due, `most` and `queue` are the limits."""

    steps: tuple[Step, ...]
    faults: tuple[Fault, ...] = ()
    most: int = 2
    queue: int = 1000


seconds = st.sampled_from([0, 1, 4, 30])
jobs = st.fixed_dictionaries(
    {"stage": st.sampled_from(["one", "two", "three"]), "seconds": seconds, "kind": st.sampled_from(["pod", "job"])},
    optional={
        "exit_code": st.sampled_from([0, 1]),
        "retryAttempt": st.integers(0, 2),
        "timeout": st.sampled_from([2, 10]),
        "queueTimeout": st.sampled_from([5, 60]),
        "allowFailure": st.booleans(),
        "priority": st.sampled_from([1, 10, 20]),
    },
)
pipelines = st.fixed_dictionaries(
    {"jobs": st.lists(jobs, min_size=1, max_size=4)},
    optional={
        "priority": st.sampled_from([1, 10, 20]),
        "clientId": st.sampled_from(CLIENTS),
        "failFast": st.booleans(),
        "timeout": st.sampled_from([5, 60]),
    },
)
which = st.integers(0, 2)


def _step(name: str, how: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), which, st.none() if how is None else how)


steps = st.one_of(
    _step("submit", pipelines),
    _step("submit", pipelines),
    _step("wait", st.sampled_from([0.0, 0.15, 1.0, 10.0])),
    _step("wait", st.sampled_from([0.0, 0.15, 1.0, 10.0])),
    _step("cancel", st.sampled_from(["Now", "Drain", None])),
    _step("suspend", st.booleans()),
    _step("priority", st.sampled_from([1, 10, 20])),
    _step("delete"),
    _step("rerun", st.sampled_from(["Failed", "All"])),
    _step("cancel a job", st.sampled_from(["Now", "Drain", None])),
    _step("delete a job"),
    _step("delete a pod"),
    _step("limit of a client", st.sampled_from([None, 1, 3])),
    _step("limit", st.sampled_from([1, 2, 5])),
    _step("kill"),
    _step("break the watches"),
    _step("lag", st.sampled_from([0.0, 0.5, 5.0])),
)
write_faults = st.builds(WriteFault, st.integers(0, 60), st.sampled_from([*ANSWERS, *KILLS, Write.KILL_AFTER]))
event_faults = st.builds(EventFault, st.integers(0, 100), st.sampled_from(list(Event)))
plans = st.builds(
    Plan,
    st.lists(steps, min_size=2, max_size=20).map(tuple),
    st.lists(st.one_of(write_faults, event_faults), max_size=4, unique=True).map(tuple),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2, 1000]),
)


def play_plan(plan: Plan) -> Run:
    """Let it happen, then leave the rest to itself, and check."""
    script = Script(plan.faults)
    history, rules, violations = in_virtual_time(_Life(plan, script).live())
    return Run("made up", plan.faults, history, script, violations + check(history, rules))


class _Life:
    """A plan as it is carried out."""

    def __init__(self, plan: Plan, script: Script) -> None:
        self._plan = plan
        self._script = script
        self._limits: list[Limits] = [Limits(0.0, plan.most, plan.queue)]
        self._site: Site | None = None
        self._reruns = 0
        self._acts: dict[str, Callable[[int, Any], None]] = {
            "submit": self._submit,
            "cancel": lambda at, how: self._edit(at, cancel=how),
            "suspend": lambda at, how: self._edit(at, suspend=how),
            "priority": lambda at, how: self._edit(at, priority=how),
            "delete": self._delete,
            "rerun": self._rerun,
            "cancel a job": self._cancel_job,
            "delete a job": lambda at, how: self._remove(PIPELINE_JOBS, at),
            "delete a pod": lambda at, how: self._remove(PODS, at),
            "limit of a client": lambda at, how: self.site.client(CLIENTS[at % 2], maxRunningJobs=how),
            "limit": self._limit,
            "kill": lambda at, how: self._script.killed.set(),
            "break the watches": lambda at, how: self._break(),
            "lag": lambda at, how: setattr(self.site.cluster.watching, "lag", how),
        }

    @property
    def site(self) -> Site:
        assert self._site is not None
        return self._site

    async def live(self) -> tuple[History, Rules, list[Violation]]:
        """The whole life; what it came to."""
        site = self._site = Site(self._script, max_running_jobs=self._plan.most, queue_size=self._plan.queue)
        site.cluster.kubelet.fate = _fate
        site.client("acme")
        await site.start()
        keeper = asyncio.create_task(self._keep())
        violations = []
        try:
            for name, at, how in self._plan.steps:
                if name == "wait":
                    await asyncio.sleep(how)
                else:
                    self._acts[name](at, how)
            await self._come_to_an_end()
        except AssertionError as error:
            violations.append(Violation("L1", 0, str(error)))
        await asyncio.sleep(QUIET)
        if site.runtime is not None and site.runtime.scheduler.drift():
            violations.append(Violation("P5", 0, f"slots drift by {site.runtime.scheduler.drift()}"))
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        if site.runtime is not None:
            await site.kill()
        site.close()
        site.cluster.timers.check()
        return site.history, self._rules(), violations

    async def _keep(self) -> None:
        while True:
            await self._script.killed.wait()
            self._script.killed.clear()
            await self.site.kill()
            await asyncio.sleep(RESTART)
            await self.site.start()

    async def _come_to_an_end(self) -> None:
        """Take back what keeps work from ending, and wait for it."""
        site = self.site
        site.cluster.watching.lag = 0.0
        for name in CLIENTS:
            site.client(name)
        for place, name in enumerate(NAMES):
            if site.cluster.admin.find(PIPELINES, name, NAMESPACE):
                self._edit(place, suspend=False)
        await site.when(lambda: all(map(_is_over, site.cluster.admin.list(PIPELINES))), LONGEST)

    def _rules(self) -> Rules:
        names = {name for name, *_ in self._plan.steps}
        late = "lag" in names or any(isinstance(fault, EventFault) for fault in self._plan.faults)
        faulty = late or self._plan.faults or names & {"kill", "break the watches"}
        held_back = HELD_BACK * max(1, len(self._plan.faults))
        return Rules(
            tuple(self._limits),
            seen_after=held_back if late else 1.0,
            patience=held_back if faulty else 10.0,
        )

    def _submit(self, at: int, how: dict[str, Any]) -> None:
        spec, name = dict(how), NAMES[at]
        if self.site.cluster.admin.find(PIPELINES, name, NAMESPACE):
            return
        made = [_job(f"j{place}", dict(one)) for place, one in enumerate(spec.pop("jobs"))]
        stages = [stage for stage in ("one", "two", "three") if any(one["stage"] == stage for one in made)]
        self.site.submit(name, *made, stages=stages, **spec)

    def _edit(self, at: int, **spec: Any) -> None:
        with suppress(NotFound, KeyError):
            self.site.edit(NAMES[at], **spec)

    def _delete(self, at: int, how: None) -> None:
        with suppress(NotFound):
            self.site.cluster.admin.delete(PIPELINES, NAMES[at])

    def _rerun(self, at: int, how: str) -> None:
        self._reruns += 1
        self._edit(at, rerun={"id": f"r{self._reruns}", "scope": how}, cancel=None)

    def _cancel_job(self, at: int, how: str | None) -> None:
        found = self.site.jobs()
        if found:
            chosen = found[at % len(found)]
            self.site.edit_job(chosen["spec"]["pipeline"], chosen["spec"]["name"], cancel=how)

    def _remove(self, resource: Any, at: int) -> None:
        found = self.site.cluster.admin.list(resource, NAMESPACE)
        if found:
            with suppress(NotFound):
                self.site.cluster.admin.delete(resource, found[at % len(found)]["metadata"]["name"])

    def _limit(self, at: int, how: int) -> None:
        self._limits.append(Limits(self.site.cluster.now().timestamp(), how, self._plan.queue))
        if self.site.runtime is not None:
            self.site.change_settings(max_running_jobs=how)
        else:
            self.site.settings = self.site.settings.model_copy(update={"max_running_jobs": how})

    def _break(self) -> None:
        self.site.cluster.compact()
        self.site.cluster.break_watches(error=Gone(410, "Expired", "too old resource version"))


def _fate(pod: Object) -> Fate:
    told = of_annotations(pod)
    return Fate(seconds=told.seconds, exit_code=told.exit_code, stop_seconds=STOP_SECONDS)


def _job(name: str, told: dict[str, Any]) -> dict[str, Any]:
    kind, stage, length = told.pop("kind"), told.pop("stage"), told.pop("seconds")
    if kind == "pod":
        return shell(name, stage, seconds=length, **told)
    code = told.pop("exit_code", 0)
    made = job(name, seconds=length, **told) | {"stage": stage}
    made["params"]["annotations"]["simulate.test/exit-code"] = str(code)
    return made


def _is_over(pipeline: Object) -> bool:
    return pipeline.get("status", {}).get("state") in FINAL
