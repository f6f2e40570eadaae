"""Work that never runs out: new Pipelines as soon as old ones have ended, and what is measured while they run."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.cluster.client import ApiError
from tests.faults.history import Ack, History
from tests.faults.real.outcomes import FINAL
from tests.faults.real.place import Place
from tests.faults.scene import has_ended, hash_of, holds_slot
from tests.real.pipelines import shell

OPEN = 4  # Pipelines that have not ended, at any time
TURN = 0.02


def two_by_three() -> dict[str, Any]:
    """Two stages of three jobs of a second; one of them fails, is tried again, and may fail."""
    jobs = [shell(f"{stage}-{number}", stage, seconds=1) for stage in ("s", "t") for number in range(3)]
    jobs[1] = shell("s-1", "s", seconds=1, exit_code=1, retryAttempt=1, allowFailure=True)
    return {"stages": ["s", "t"], "jobs": jobs}


class Load:
    """Submits to a place; `acks` are the Pipelines that the API server has taken."""

    def __init__(self, place: Place, spec: Callable[[], dict[str, Any]] = two_by_three) -> None:
        self._place = place
        self._spec = spec
        self._number = 0
        self.acks: list[Ack] = []

    def feed(self) -> None:
        """Submit what is missing. An answer that is lost is no ack; the next Pipeline has another name."""
        states = self._place.view.states("pipelines")
        known = {ack.name.split("/")[1] for ack in self.acks}
        waiting = [name for name in known if states.get(name, "READY") not in FINAL]
        for _ in range(OPEN - len(waiting)):
            self._number += 1
            name, sent = f"load-{self._number}", time.time()
            try:
                made = self._place.create(name, self._spec())
            except (ApiError, OSError):
                return
            revision = int(made["metadata"]["resourceVersion"])
            self.acks.append(
                Ack("user", "create", "pipelines", f"{self._place.namespace}/{name}", revision, sent, time.time())
            )

    def until(self, what: str, met: Callable[[], bool], seconds: float, *, feed: bool = True) -> None:
        """Keep feeding until `met`; raises TimeoutError naming `what`."""
        deadline = time.monotonic() + seconds
        while not met():
            self._place.site.recorder.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s")
            if feed:
                self.feed()
            time.sleep(TURN)

    def drain(self, seconds: float = 120.0) -> None:
        """Submit nothing more, and wait until everything has ended."""

        def over() -> bool:
            states = self._place.view.states("pipelines")
            known = {ack.name.split("/")[1] for ack in self.acks}
            return known <= states.keys() and all(state in FINAL for state in states.values())

        self.until("the end of all Pipelines", over, seconds, feed=False)


def after(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have gone by since this call."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def peak(history: History) -> int:
    """How many jobs held a slot at once, at most: by their status, or because a pod of theirs lives."""
    why: defaultdict[str, set[str]] = defaultdict(set)
    most = 0
    for version, _ in history.steps():
        job = hash_of(version.object)
        if version.resource == "pipelinejobs":
            held = not version.gone and holds_slot(version.object)
        elif version.resource == "pods" and job:
            held = not version.gone and not has_ended(version)
        else:
            continue
        (why[job].add if held else why[job].discard)(version.uid)
        if not why[job]:
            del why[job]
        most = max(most, len(why))
    return most


def lost(history: History, acks: list[Ack]) -> list[str]:
    """Acknowledged writes of which nothing is left: no version of the object that is as new, and no deletion."""
    newest: dict[tuple[str, str], int] = {}
    for version in history.versions:
        key = (version.resource, version.name)
        newest[key] = max(newest.get(key, 0), version.revision)
    by_plural: defaultdict[str, int] = defaultdict(int)
    for (plural, _), revision in newest.items():
        by_plural[plural] = max(by_plural[plural], revision)
    return [
        f"{ack.verb} {ack.resource} {ack.name} at {ack.revision}"
        for ack in acks
        if ack.revision and ack.revision > newest.get((ack.resource, ack.name), by_plural[ack.resource])
    ]
