"""Logs of pods: bytes that a test writes, read back as the API server gives them.

Rule: a pod without a node has an empty log, a container that has not started has none yet (400); `follow` goes on until
the pod has ended.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

from task_pipeline.kube.cluster import LogQuery
from tests.fakes.refusals import bad_request
from tests.fakes.store import Object

LOOK = 0.05  # seconds between two looks at a log that is followed


class Logs:
    """What the containers of every pod have written so far, by the pod's UID. `current` finds a pod as it is now."""

    def __init__(self, current: Callable[[Object], Object | None]) -> None:
        self.written: dict[str, bytes] = defaultdict(bytes)
        self._current = current

    async def stream(self, pod: Object, query: LogQuery) -> AsyncIterator[bytes]:
        """The pieces of the pod's log. `since` is not simulated."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if "nodeName" not in pod["spec"]:
            return
        if pod.get("status", {}).get("phase", "Pending") == "Pending":
            raise bad_request(f'container "{query.container}" in pod "{name}" is waiting to start: ContainerCreating')
        text = self.written[uid]
        sent = len(text)
        if query.tail is not None:
            text = b"".join(text.splitlines(keepends=True)[-query.tail :]) if query.tail else b""
        yield text
        while query.follow:
            if sent < len(self.written[uid]):
                yield self.written[uid][sent:]
                sent = len(self.written[uid])
            now = self._current(pod)
            if now is None or now.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
            await asyncio.sleep(LOOK)
