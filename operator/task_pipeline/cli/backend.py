"""What commands can ask of a cluster, whichever way they reach it.

Two implementations keep this protocol: `kube_backend` (the Kubernetes API with the user's kubeconfig) and
`rest_backend` (task-pipeline-server). Objects are the contract's JSON as plain dicts. Every method raises
`kube.errors.KubeError`, and each call ends within the request timeout; only `events` and a followed `log` go on.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from task_pipeline.kube.errors import Invalid

Object = dict[str, Any]
EVERY_NAMESPACE = "-"


class Summary(NamedTuple):
    """One Pipeline in a list, as text."""

    namespace: str
    name: str
    state: str
    reason: str
    stage: str
    progress: str
    age: str
    client: str
    priority: str
    started: str


class ListQuery(NamedTuple):
    """Which Pipelines: of a namespace (None: of all), by label selector, state and client; at most `limit`."""

    namespace: str | None
    selector: str | None = None
    state: str | None = None
    client: str | None = None
    limit: int | None = None


class LogQuery(NamedTuple):
    """Which part of a job's log."""

    follow: bool = False
    tail: int | None = None
    since: int | None = None
    attempt: int | None = None
    container: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a Pipeline, or one `job` of it."""

    mode: Literal["Now", "Drain"] = "Now"
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Suspend:
    """Suspend a Pipeline, or let it go on (`value` False)."""

    value: bool = True


@dataclass(frozen=True, slots=True)
class Rerun:
    """Ask for another run."""

    id: str
    scope: Literal["Failed", "All"]


Action = Cancel | Suspend | Rerun


class Event(NamedTuple):
    """News of a Pipeline or of one of its jobs. `gone`: the Pipeline was deleted. `synced`: all that exists has been
    told. `trouble`: the cluster is not heard at the moment, `thing` has the `message`.
    """

    what: Literal["pipeline", "job", "gone", "synced", "trouble"]
    thing: Object


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One place in the order of all that waits. `job` is None for a Pipeline that waits as a whole."""

    position: int
    namespace: str
    pipeline: str
    job: str | None
    jobs: int
    client: str
    key: Mapping[str, int | str]
    reason: str
    message: str | None
    since: str


@dataclass(frozen=True, slots=True)
class Order:
    """What waits, first what runs first; `hidden` rows are others' and not shown."""

    rows: Sequence[QueueRow]
    total: int
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client with its limits (None: unlimited) and its use."""

    name: str
    priority: int
    running: int
    queued: int
    max_running_jobs: int | None
    queue_size: int | None
    suspended: bool
    namespaces: Sequence[str]
    created: str = ""


class InvalidManifest(Invalid):
    """The manifest is refused; `faults` are (path, message), empty where the server only has a sentence."""

    def __init__(self, message: str, faults: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(422, "Invalid", message)
        self.faults = tuple(faults)


class NotOffered(Exception):
    """This way into the cluster cannot do that; the message says which one can."""


class Made(NamedTuple):
    """When a Pipeline was created; its version and name put those of one second in an order."""

    time: str
    version: int
    name: str


def newest(known: Sequence[Made], things: Iterable[Object]) -> list[Made]:
    """Of those `known` and of further `things` the ones of the newest second, the likeliest first."""
    metas = [thing["metadata"] for thing in things]
    found = [*known, *(Made(one["creationTimestamp"], int(one["resourceVersion"]), one["name"]) for one in metas)]
    last = max((one.time for one in found), default="")
    return sorted((one for one in found if one.time == last), reverse=True)


class Backend(Protocol):
    """One way into one cluster. `place` names it in messages, `namespace` is the one meant where none is given."""

    place: str
    namespace: str

    async def close(self) -> None:
        """Close the connections."""

    async def create(self, namespace: str, manifest: Object, *, dry_run: bool = False) -> Object:
        """Create a Pipeline, or only have it judged; the object. `InvalidManifest`, `AlreadyExists`."""

    def summaries(self, query: ListQuery) -> AsyncIterator[list[Summary]]:
        """Pipelines page by page, the first one as soon as it is there."""

    def pipelines(self, query: ListQuery) -> AsyncIterator[list[Object]]:
        """The same as objects, as complete as this way gives them."""

    async def latest(self, namespace: str) -> list[str]:
        """The name of the Pipeline that was created last, with those of the same second behind it: times of creation
        are no finer. `NotFound` when there is none.
        """

    async def pipeline(self, namespace: str, name: str) -> Object:
        """One Pipeline. `NotFound`."""

    async def jobs(self, pipeline: Object) -> list[Object]:
        """Its PipelineJobs, of all runs."""

    async def act(self, namespace: str, name: str, action: Action) -> Object:
        """The Pipeline (for a cancel of one job: the PipelineJob) after the action."""

    async def delete(self, namespace: str, name: str) -> None:
        """Delete a Pipeline and all that it owns. `NotFound`."""

    def events(self, namespace: str, name: str) -> AsyncIterator[Event]:
        """What exists, then what changes, for ever; transient trouble is retried. `NotFound` at the beginning."""

    def log(self, pipeline: Object, job: Object, query: LogQuery) -> AsyncIterator[bytes]:
        """The log of one job in UTF-8. `LogGone` or `NotStarted` (both `NotFound`) when there is none."""

    async def order(self, namespace: str | None, pipeline: str | None, client: str | None) -> Order:
        """The order of what waits, of one client or Pipeline only if named. `Forbidden` for who may not see it."""

    async def clients(self) -> list[ClientRow]:
        """The clients that can be seen."""

    async def kinds(self) -> list[Object]:
        """Job kinds: `{name, versions: [{version, params: JSON Schema}]}`."""
