"""What becomes of a pod: decided by a test, or by the pod's `simulate.test/` annotations.

Rule: a fate describes causes (how long the program runs, its exit code, what the node does); the statuses that
follow from them are the kubelet's business.
"""

from dataclasses import dataclass

from tests.fakes.store import Object

SECONDS = "simulate.test/seconds"
EXIT_CODE = "simulate.test/exit-code"
FOREVER = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """One pod's fate. Times are seconds.

    `seconds`: how long the main container runs; `exit_code`, `reason` and `message`: how it ends (the reason
    follows from the exit code when None). `waiting`: it never starts, with this waiting reason. `unschedulable`: it
    gets no node, with this message, and `placed_after` so many seconds one all the same. `evicted_after`,
    `node_lost_after`, `deleted_after`: seconds after it began to run until the kubelet evicts it, its node is gone, or
    somebody deletes it. `init_exit_code`: its init container fails, if not 0. `sidecar_ends`: whether the other
    containers end with the main one. `stop_seconds`, `stop_exit_code`: how the program takes a SIGTERM; it is killed
    (137) when that takes longer than its grace period.
    """

    seconds: float = 0.0
    exit_code: int = 0
    reason: str | None = None
    message: str = ""
    waiting: str | None = None
    waiting_message: str = ""
    unschedulable: str | None = None
    placed_after: float | None = None
    evicted_after: float | None = None
    node_lost_after: float | None = None
    deleted_after: float | None = None
    init_exit_code: int = 0
    sidecar_ends: bool = True
    stop_seconds: float = 0.0
    stop_exit_code: int = 143

    @property
    def end_reason(self) -> str:
        """The reason of the main container's end."""
        return self.reason or ("Completed" if self.exit_code == 0 else "Error")


def succeeds(seconds: float = 0.0) -> Fate:
    """Exit code 0 after `seconds`."""
    return Fate(seconds=seconds)


def fails(code: int = 1, seconds: float = 0.0, message: str = "") -> Fate:
    """Another exit code; `message` is the termination message."""
    return Fate(seconds=seconds, exit_code=code, message=message)


def hangs(**stop: float) -> Fate:
    """Runs until somebody stops it."""
    return Fate(seconds=FOREVER, stop_seconds=stop.get("stop_seconds", 0.0))


def oom_killed(seconds: float = 0.0) -> Fate:
    """Killed for memory."""
    return Fate(seconds=seconds, exit_code=137, reason="OOMKilled")


def no_image(reason: str = "ImagePullBackOff") -> Fate:
    """Never starts: its image cannot be pulled."""
    return Fate(waiting=reason, waiting_message='Back-off pulling image "nowhere/none:1"')


def never_starts(reason: str, message: str = "") -> Fate:
    """Never starts, for another waiting reason such as CreateContainerConfigError."""
    return Fate(waiting=reason, waiting_message=message)


def unschedulable(message: str = "0/10 nodes are available: 10 Insufficient cpu.") -> Fate:
    """Gets no node."""
    return Fate(unschedulable=message)


def evicted(after: float = 1.0) -> Fate:
    """The kubelet evicts it."""
    return Fate(seconds=FOREVER, evicted_after=after)


def node_lost(after: float = 1.0) -> Fate:
    """Its node is gone; the pod is removed by the cluster, without an answer of the kubelet."""
    return Fate(seconds=FOREVER, node_lost_after=after)


def of_annotations(pod: Object) -> Fate:
    """The fate that the pod's annotations ask for: success at once when they are silent."""
    annotations = pod["metadata"].get("annotations", {})
    return Fate(seconds=float(annotations.get(SECONDS, 0)), exit_code=int(annotations.get(EXIT_CODE, 0)))
