"""The reference scheduler: the promises of the queue, kept in the simplest way, by sorting everything each time."""

from dataclasses import dataclass, field
from math import inf

from task_pipeline.core.lane import Entry, Terms, Zone
from task_pipeline.core.ordering import Rank


@dataclass
class Reference:
    """Everything that waits by its id, the slots in use, the clients' terms, the two limits of all, the time."""

    limit: int | None = None
    size: int | None = None
    now: float = 0.0
    terms: dict[str, Terms | None] = field(default_factory=dict)
    waiting: dict[str, Entry] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)

    def rank(self, entry: Entry) -> Rank:
        terms = self.terms.get(entry.client)
        if (
            not entry.held
            and terms is not None
            and terms.max_wait is not None
            and entry.since + terms.max_wait <= self.now
        ):
            return Rank(0, entry.since + terms.max_wait, entry.key)
        return Rank(1, terms.priority if terms is not None else inf, entry.key)

    def order(self) -> list[Entry]:
        return sorted(self.waiting.values(), key=self.rank)

    def shut(self, client: str) -> bool:
        terms = self.terms.get(client)
        return terms is None or terms.suspended or terms.limit == 0 or terms.queue_size == 0

    def at_limit(self, client: str) -> bool:
        terms = self.terms.get(client)
        used = list(self.slots.values()).count(client)
        return terms is not None and terms.limit is not None and used >= terms.limit

    def full(self) -> bool:
        return self.limit is not None and len(self.slots) >= self.limit

    def head(self) -> Entry | None:
        able = (one for one in self.order() if not one.held and not self.shut(one.client))
        return next((one for one in able if not self.at_limit(one.client)), None)

    def next(self) -> Entry | None:
        return None if self.full() or self.size == 0 else self.head()

    def zones(self) -> dict[str, Zone]:
        zones = {one.id: Zone.HELD if one.held else Zone.BEYOND for one in self.waiting.values()}
        able = [one for one in self.order() if not one.held]
        for client in {one.client for one in able}:
            terms = self.terms.get(client)
            for one in prefix([one for one in able if one.client == client], terms.queue_size if terms else None):
                zones[one.id] = Zone.OUTSIDE
        inside = [one for one in able if zones[one.id] is Zone.OUTSIDE]
        inside.sort(key=lambda one: self.shut(one.client))  # what is not going to start takes what room is left
        return zones | {one.id: Zone.ENQUEUED for one in prefix(inside, self.size)}


def prefix(entries: list[Entry], size: int | None) -> list[Entry]:
    """As many of the first entries as fit; the first one fits into any window that is not closed."""
    fitting: list[Entry] = []
    for entry in entries:
        used = sum(one.jobs for one in fitting)
        if size is not None and (size == 0 or (fitting and used + entry.jobs > size)):
            break
        fitting.append(entry)
    return fitting
