"""Client names as label values, of which there are only so many, whatever users write.

Rule: a name counts if a PipelineClient has it, and only administrators make those. The first `MOST` names that are seen
have series of their own for as long as the process lives: a counter must not vanish with the client.
"""

from collections.abc import Callable, Container

MOST = 200
UNKNOWN, OTHER = "_unknown", "_other"  # no name in Kubernetes begins like this


class ClientLabels:
    """`exists` holds the names of the PipelineClients there are now; `begun` is told of each that gets own series."""

    def __init__(self, exists: Container[str], most: int = MOST) -> None:
        self._exists = exists
        self._most = most
        self._known: set[str] = set()
        self.begun: Callable[[str], None] = lambda label: None

    def __call__(self, name: str) -> str:
        """The label value for a client's name."""
        if name in self._known:
            return name
        if name not in self._exists:
            return UNKNOWN
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        self.begun(name)
        return name
