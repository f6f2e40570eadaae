"""The history of a cluster: every version of every object that was observed, in one total order.

Rule: a history is objects only. It knows nothing of the operator; what requests were answered (`Ack`) and what a
harness did (`Mark`) stand beside it, in the order of time.

Format. A `Version` is one state of one object:

- `revision`: its resourceVersion as a number. An API server on one etcd counts all changes of all resources in one
  sequence, so revisions put all kinds into one order. A DELETED version carries the revision of the deletion.
- `resource`: the plural, e.g. `pipelinejobs`; `verb`: ADDED, MODIFIED or DELETED, as in a watch event.
- `object`: the whole object as plain JSON. Of a deleted one: its last state.
- `time`: when it was observed, in seconds of the epoch by the clock of the cluster (in memory: the loop's time as a
  time of day), so that it can be compared with the times inside the objects.

Sources. In memory `record(fake)` listens to the fake API server's store. On a real cluster one watch for each of
`RECORDED`, from before the first object on, is put in with `History.see(plural, event, time)`: the order in which
events come in does not matter, `steps` sorts, and what is told twice counts once. What a new list of such a watch finds
missing is told with `History.missing`. On disk a history is a file of JSON lines (`save`, `load`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from task_pipeline.api.resources import (
    DEPLOYMENTS,
    EVENTS,
    KUBERNETES_JOBS,
    PIPELINE_CLIENTS,
    PIPELINE_JOBS,
    PIPELINES,
    PODS,
    Resource,
)
from tests.fakes.cluster import EPOCH, FakeCluster
from tests.fakes.store import Change

Object = dict[str, Any]

RECORDED: tuple[Resource, ...] = (
    PIPELINES, PIPELINE_JOBS, PIPELINE_CLIENTS, PODS, KUBERNETES_JOBS, DEPLOYMENTS, EVENTS,
)  # fmt: skip
LEASES = "leases"
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
FIRST = 1000  # the revision that a fake cluster begins with


@dataclass(frozen=True, slots=True)
class Version:
    """One state of one object; the fields are told above."""

    revision: int
    resource: str
    verb: str
    object: Object
    time: float

    @property
    def uid(self) -> str:
        """The object's UID."""
        return str(self.object["metadata"]["uid"])

    @property
    def name(self) -> str:
        """Namespace and name, for messages."""
        metadata = self.object["metadata"]
        return f"{metadata.get('namespace', '')}/{metadata['name']}"

    @property
    def gone(self) -> bool:
        """Whether it tells of a deletion."""
        return self.verb == DELETED


@dataclass(frozen=True, slots=True)
class Ack:
    """A write that was answered with success: by `actor` (a replica, a user), the version it made (0: none is told).

    `sent` and `answered` are times as in `Version`.
    """

    actor: str
    verb: str
    resource: str
    name: str
    revision: int
    sent: float
    answered: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that a harness did or saw: `killed`, `terminated`, `paused`, `resumed`, `restarted`, `leading`."""

    what: str
    who: str
    time: float


class Step(NamedTuple):
    """A version and the one before it of the same object (None: it is new)."""

    version: Version
    before: Version | None


@dataclass
class History:
    """Versions in any order, acks and marks in the order of time. `ended`: when the harness stopped observing."""

    versions: list[Version] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    ended: float = 0.0
    _told: tuple[list[Version], list[Step]] | None = field(default=None, repr=False, compare=False)

    def see(self, resource: str, event: Object, time: float) -> None:
        """Put a watch event (`{"type", "object"}`) in; bookmarks and errors are no versions."""
        if event["type"] in (ADDED, MODIFIED, DELETED):
            revision = int(event["object"]["metadata"]["resourceVersion"])
            self.versions.append(Version(revision, resource, event["type"], event["object"], time))

    def missing(self, resource: str, alive: Iterable[str], revision: int, time: float) -> None:
        """A new list of a resource, made at `revision`, holds the UIDs `alive`: what it lacks has been deleted.

        The revision of the deletion is not known; it is told as that of the list.
        """
        last = {version.uid: version for version in self.versions if version.resource == resource}
        for uid in last.keys() - set(alive):
            if not last[uid].gone:
                self.versions.append(Version(revision, resource, DELETED, last[uid].object, time))

    def steps(self) -> list[Step]:
        """Every version once, in the order of revisions, with the one before it of the same object."""
        if self._told is None or self._told[0] != self.versions:
            self._told = list(self.versions), self._sorted()
        return self._told[1]

    def _sorted(self) -> list[Step]:
        known: dict[tuple[str, str], Version] = {}
        told: list[Step] = []
        for version in sorted(self.versions, key=lambda one: one.revision):
            key = (version.resource, version.uid)
            before = known.get(key)
            if before is not None and (before.revision == version.revision or before.gone):
                continue
            known[key] = version
            told.append(Step(version, before))
        return told

    def final(self) -> list[Version]:
        """The last version of every object that exists at the end."""
        last: dict[tuple[str, str], Version] = {}
        for version, _ in self.steps():
            last[version.resource, version.uid] = version
        return [version for version in last.values() if not version.gone]

    def at(self, revision: int, resource: str) -> list[Object]:
        """The objects of a resource as they were at a revision."""
        last: dict[str, Version] = {}
        for version, _ in self.steps():
            if version.revision <= revision and version.resource == resource:
                last[version.uid] = version
        return [version.object for version in last.values() if not version.gone]

    def save(self, path: Path) -> None:
        """Write it as JSON lines: `{"version": ...}`, `{"ack": ...}`, `{"mark": ...}` and, last, `{"ended": ...}`."""
        with path.open("wb") as lines:
            for kind, things in (("version", self.versions), ("ack", self.acks), ("mark", self.marks)):
                for thing in things:
                    lines.write(orjson.dumps({kind: asdict(thing)}) + b"\n")
            lines.write(orjson.dumps({"ended": self.ended}) + b"\n")

    @classmethod
    def load(cls, path: Path) -> "History":
        """Read what `save` has written."""
        history = cls()
        for line in _lines(path):
            if "version" in line:
                history.versions.append(Version(**line["version"]))
            elif "ack" in line:
                history.acks.append(Ack(**line["ack"]))
            elif "mark" in line:
                history.marks.append(Mark(**line["mark"]))
            else:
                history.ended = line["ended"]
        return history


def record(fake: FakeCluster) -> History:
    """A history of `RECORDED` and Leases of the fake cluster from its beginning, which grows with what happens."""
    history = History()
    plurals = {resource.plural for resource in RECORDED} | {LEASES}

    def see(change: Change) -> None:
        if change.resource.plural in plurals:
            moment = EPOCH.timestamp() + change.time
            history.versions.append(
                Version(change.revision, change.resource.plural, change.type.value, change.object, moment)
            )

    past = [change for resource in fake.store.resources() for change in fake.store.since(resource, FIRST)]
    for change in sorted(past, key=lambda one: one.revision):
        see(change)
    fake.store.listeners.insert(0, see)
    return history


def _lines(path: Path) -> Iterator[Object]:
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)
