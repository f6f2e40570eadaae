"""How states look: a word, an icon and a tone for each, never a colour alone. Pure.

Rule: pages say in plain words what the contract's five words mean; the word of the contract and the reason stand beside
them wherever there is room.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from task_pipeline.api.reasons import MEANING, Meaning, Reason
from task_pipeline.api.states import State
from task_pipeline.api.times import parse_time


class Look(NamedTuple):
    """`word` is for people, `tone` names the icon and the colours."""

    word: str
    tone: str


WAITING = Look("waiting", "wait")
RUNNING = Look("running", "run")
DONE = Look("done", "done")
FAILED = Look("failed", "fail")
CANCELLED = Look("cancelled", "stop")
NOT_STARTED = Look("not started", "idle")
NOT_RUN = Look("not run", "idle")
REMOVED = Look("removed", "idle")

_STATES: Mapping[str, Look] = {
    State.READY: WAITING,
    State.IN_PROGRESS: RUNNING,
    State.DONE: DONE,
    State.ERROR: FAILED,
    State.CANCELLED: CANCELLED,
}
_FINER: Mapping[tuple[str, str], Look] = {
    (State.READY, Reason.SUSPENDED): Look("suspended", "hold"),
    (State.READY, Reason.CLIENT_SUSPENDED): Look("suspended", "hold"),
    (State.READY, Reason.RETRY_BACKOFF): Look("retrying", "wait"),
    (State.READY, Reason.STOPPING): Look("stopping", "run"),
    (State.IN_PROGRESS, Reason.STARTING): Look("starting", "run"),
    (State.IN_PROGRESS, Reason.STOPPING): Look("stopping", "run"),
    (State.IN_PROGRESS, Reason.SUSPENDED): Look("suspended", "hold"),
    (State.DONE, Reason.SUCCEEDED_WITH_WARNINGS): Look("done, with warnings", "warn"),
}


def look(state: str, reason: str | None = None) -> Look:
    """The look of a state, finer for some reasons; a word that a newer version wrote is shown as it is."""
    return _FINER.get((state, reason or "")) or _STATES.get(state) or Look(state.lower(), "idle")


def job_look(state: str, reason: str | None, allow_failure: bool) -> Look:
    """Likewise of a job, whose failure may be allowed."""
    return Look("failed, allowed", "warn") if state == State.ERROR and allow_failure else look(state, reason)


def meaning(reason: str | None) -> Meaning | None:
    """What a reason means and what to do about it, None for one that this version does not know."""
    try:
        return MEANING.get(Reason(reason or ""))
    except ValueError:
        return None


def epoch(text: str | None) -> int | None:
    """A time of the API as milliseconds since 1970, None for none."""
    try:
        return None if text is None else round(parse_time(text).timestamp() * 1000)
    except ValueError:
        return None


def length(seconds: float) -> str:
    """A span of time in at most two units: `4s`, `3m 05s`, `2h 07m`, `5d 3h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole // 60 % 60:02}m"
    return f"{whole // 86_400}d {whole // 3600 % 24}h"


def took(start: str | None, end: str | None, now: datetime) -> str:
    """How long something took from `start` to `end`, or until `now`; "" before it began."""
    first, last = epoch(start), epoch(end)
    if first is None:
        return ""
    return length(((now.timestamp() * 1000 if last is None else last) - first) / 1000)
