"""The six scenarios of the sweeps: what is submitted, what its user does meanwhile, and how it is to end.

A deed waits for its condition, so that it comes at the same state whatever happened before. All ends are certain: the
final state of a run is the same, whenever the operator died.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.real.place import Place
from tests.faults.real.recorder import View
from tests.real.pipelines import grid, shell

Spec = dict[str, Any]
SETTINGS = {"TASK_PIPELINE_RETRY_BACKOFF": "0.2", "TASK_PIPELINE_RETRY_BACKOFF_JITTER": "0"}


class Deed(NamedTuple):
    """What a user does as soon as `when` holds."""

    when: Callable[[View], bool]
    do: Callable[[Place], None]


@dataclass(frozen=True)
class Scenario:
    """`pipelines` are submitted at the beginning, `deeds` done one after the other; then all Pipelines end."""

    name: str
    pipelines: Mapping[str, Spec]
    deeds: tuple[Deed, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    running: int = 100
    queue: int = 1000

    def environment(self) -> dict[str, str]:
        """The operator's settings."""
        limits = {"MAX_RUNNING_JOBS": str(self.running), "QUEUE_SIZE": str(self.queue)}
        return {**SETTINGS, **limits, **self.settings}


def in_progress(count: int, pipelines: int = 1) -> Callable[[View], bool]:
    """So many jobs run, and so many Pipelines say so."""

    def met(view: View) -> bool:
        jobs = [state for state in view.states("pipelinejobs").values() if state == "IN PROGRESS"]
        runs = [state for state in view.states("pipelines").values() if state == "IN PROGRESS"]
        return len(jobs) >= count and len(runs) >= pipelines

    return met


LONG: Spec = {"stages": ["s"], "jobs": [shell("a", seconds=600), shell("b", seconds=600), shell("c", seconds=600)]}
SHORT: Spec = {"stages": ["s", "t"], "jobs": [shell("a"), shell("b"), shell("c", "t")]}


def _retry() -> Spec:
    bad = shell("bad", exit_code=3, retryAttempt=2, allowFailure=True)
    return {"stages": ["s", "t"], "jobs": [bad, shell("good"), shell("then", "t")]}


def _deployment() -> Spec:
    params = {"name": "shop", "image": "nginx:1.25", "replicas": 1}
    web = {"name": "web", "stage": "s", "kind": "K8S/Deployment", "version": "1.0.0", "params": params}
    return {"stages": ["s", "t"], "jobs": [web, shell("check", "t")]}


def _cancel(place: Place) -> None:
    place.patch("run", {"spec": {"cancel": "Now"}})


def _again(place: Place) -> None:
    place.delete("run")
    place.create("run", SHORT)


SCENARIOS = (
    Scenario("two-stages", {"run": grid(2, 2)}),
    Scenario("retry", {"run": _retry()}),
    Scenario("cancel", {"run": LONG}, (Deed(in_progress(2), _cancel),), running=2),
    Scenario("deployment", {"run": _deployment()}),
    Scenario("narrow-queue", {f"run-{n}": grid(1, 10) for n in range(2)}, running=3, queue=2),
    Scenario("delete-and-create", {"run": LONG}, (Deed(in_progress(2), _again),), running=2),
)
