"""What is asked before a process is called alive, and ready. Each answer is a list of what is wrong; empty: nothing.

Alive means that a restart would not help. So the API server being away is no reason: the operator waits for it, and a
restart would only list everything again. A loop that does not turn, a part that has died, or kopf failing again and
again while everything else goes well are reasons.

Ready means that it does, or could do, its work: a standby is ready when it could take over at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from task_pipeline.health.pulse import BEAT_SECONDS, Pulse

STUCK_SECONDS = 30.0 + BEAT_SECONDS  # a loop without a beat for so long has had no turn for half a minute
FAILING_SECONDS = 300.0  # kopf may fail for so long before a restart is tried
HICCUP_SECONDS = 60.0  # what fails for less is not told
SILENT_SECONDS = 330.0  # a stream is opened anew before: so long without a word, and nothing was heard of it


class Stream(Protocol):
    """What is known of a watch: when something last came from it, by the loop's clock, and what is wrong with it."""

    @property
    def last_seen(self) -> float: ...

    @property
    def error(self) -> str | None: ...


@dataclass(slots=True)
class Health:
    """The state of the operator's parts, as they report it; looked at by the thread that answers probes.

    `clock` is that of the streams. `dead` says which part has died, `failing` for how many seconds kopf has not been
    watching, `leader` who leads (None: not known, "": nobody).
    """

    clock: Callable[[], float]
    loops: dict[str, Pulse]
    dead: Callable[[], str | None] = lambda: None
    failing: Callable[[], float] = lambda: 0.0
    streams: Callable[[], Iterable[tuple[str, Stream]]] = tuple
    leader: Callable[[], str | None] = lambda: ""
    listed: bool = field(default=False)
    stopping: bool = field(default=False)

    def faults(self) -> list[str]:
        """Why the process should be restarted."""
        found = [
            f"the {name} loop has not turned for {pulse.age:.0f} s"
            for name, pulse in self.loops.items()
            if pulse.age > STUCK_SECONDS
        ]
        dead = self.dead()
        if dead is not None:
            found.append(dead)
        failing = self.failing()
        if failing > FAILING_SECONDS and not self._late_streams():
            found.append(f"kopf has not been watching for {failing:.0f} s")
        return found

    def hindrances(self) -> list[str]:
        """Why the process cannot do its work now, nor take over."""
        if self.stopping:
            return ["stopping"]
        if not self.listed:
            return ["not everything has been listed yet", *self.faults()]
        found = self.faults() + self._late_streams()
        if self.failing() > HICCUP_SECONDS:
            found.append(f"kopf has not been watching for {self.failing():.0f} s")
        if self.leader() is None:
            found.append("the Lease cannot be read: it is not known who leads")
        return found

    def _late_streams(self) -> list[str]:
        now = self.clock()
        return [
            f"nothing of {name} has been heard for {now - stream.last_seen:.0f} s"
            for name, stream in self.streams()
            if now - stream.last_seen > (SILENT_SECONDS if stream.error is None else HICCUP_SECONDS)
        ]
