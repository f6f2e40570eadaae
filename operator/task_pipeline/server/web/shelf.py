"""The Pipelines that a caller may see, newest first, from what the server remembers of the cluster.

Rule: the scope of a caller is found by the same questions as REST's lists. What is sorted and counted for a scope
serves everybody who has it, for a second, so that many open lists cost little more than one.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from task_pipeline.core.records import PipelineRecord
from task_pipeline.server.auth.callers import Caller, CallerKind
from task_pipeline.server.overview import Overview
from task_pipeline.server.services import Services
from task_pipeline.server.visibility import namespaces

KEEP_SECONDS = 1.0
KEEP_TIMES = 20  # what took long to sort is kept so many times as long
MOST_SCOPES = 64


class Scope(NamedTuple):
    """What may be seen: namespaces (None: all), and the one client whose Pipelines they are (None: of all)."""

    namespaces: frozenset[str] | None
    client: str | None

    def has(self, record: PipelineRecord) -> bool:
        """Whether the Pipeline may be seen. One whose spec cannot be read belongs to no client that could be named."""
        if self.namespaces is not None and record.namespace not in self.namespaces:
            return False
        return self.client is None or client_of(record) == self.client


@dataclass(frozen=True, slots=True)
class Shown:
    """The Pipelines of a scope, newest first, and how many there are in each state. Another edition may differ."""

    edition: int
    records: Sequence[PipelineRecord]
    states: Counter[str]


async def scope_of(services: Services, caller: Caller) -> Scope:
    """What the caller may see. Raises ProblemError, KubeError."""
    places = await namespaces(services, caller)
    client = caller.client if caller.kind is CallerKind.CLIENT else None
    everywhere = any(place is None for place in places)
    return Scope(None if everywhere else frozenset(place for place in places if place is not None), client)


class Shelf:
    """The sorted Pipelines by scope. `clock` gives seconds."""

    def __init__(self, overview: Overview, clock: Callable[[], float]) -> None:
        self._overview = overview
        self._clock = clock
        self._kept: OrderedDict[Scope, tuple[float, Shown]] = OrderedDict()  # until when

    @property
    def edition(self) -> int:
        """Another number whenever a Pipeline may look different."""
        return self._overview.news.pipelines

    def shown(self, scope: Scope) -> Shown:
        """What is to be seen in the scope, as it was about a second ago. Raises ProblemError 503 before it is known."""
        self._overview.require()
        now, edition = self._clock(), self.edition
        known = self._kept.pop(scope, None)
        if known is None or (known[1].edition != edition and now >= known[0]):
            shown, end = self._sorted(scope), self._clock()
            known = (end + max(KEEP_SECONDS, KEEP_TIMES * (end - now)), shown)
        self._kept[scope] = known
        while len(self._kept) > MOST_SCOPES:
            self._kept.popitem(last=False)
        return known[1]

    def _sorted(self, scope: Scope) -> Shown:
        found = [record for record in self._overview.store.pipelines.values() if scope.has(record)]
        found.sort(key=lambda record: (record.created, record.rv), reverse=True)
        return Shown(self.edition, found, Counter(record.status.state for record in found))


def client_of(record: PipelineRecord) -> str:
    """The clientId, "" when the spec cannot be read."""
    return "" if record.spec is None else record.spec.client_id


def narrowed(
    records: Sequence[PipelineRecord], *, namespace: str, client: str, state: str, text: str
) -> Iterator[PipelineRecord]:
    """Those that fit; an empty filter fits all. `text` is looked for in the names."""
    wanted = text.casefold()
    for record in records:
        if namespace not in ("", record.namespace) or state not in ("", record.status.state):
            continue
        if client and client_of(record) != client:
            continue
        if wanted in record.name:
            yield record
