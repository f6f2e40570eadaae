"""The reconciler of PipelineClients: tells what each one uses, rarely enough to cost nothing."""

from task_pipeline.controller.jobs import Tools
from task_pipeline.controller.workqueue import Key, Of
from task_pipeline.core.client_status import client_status

BETWEEN = 10.0  # seconds between two writes of one client's counts, at least


class ClientReconciler:
    """`reconcile(name)` writes the status of one client when it is due; errors of `kube.errors` pass through."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._written: dict[str, float] = {}

    async def reconcile(self, name: str) -> None:
        """Look at the client once."""
        tools, key = self._tools, Key(Of.CLIENT, name)
        client = tools.store.clients.get(name)
        if client is None:
            self._written.pop(name, None)
            tools.work.forget(key)
            return
        lane = tools.scheduler.queue.lane(name)
        status = client_status(client, running=lane.running, queued=lane.enqueued, now=tools.now())
        if status == client.status:
            return
        now, last = tools.work.clock(), self._written.get(name)
        counts_only = status.conditions == client.status.conditions
        if counts_only and last is not None and now < last + BETWEEN:
            tools.work.add_after(key, last + BETWEEN - now)
            return
        self._written[name] = now
        await tools.executor.client_status(tools.settings().operator_namespace, client, status)
