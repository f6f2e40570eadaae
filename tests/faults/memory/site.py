"""A cluster with one operator at a time, whose connection is a `Wire`, and everything that happens recorded.

Users act on the cluster itself, whether an operator is there or not. `Site` is the world of the scenario tests with
another connection and a history.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.controller.runtime import Runtime
from task_pipeline.entrypoints.takeover import look_again
from task_pipeline.kube.informer import Informer
from tests.faults.history import Mark, record
from tests.faults.memory.script import Script, StaleStart
from tests.faults.memory.wire import Wire
from tests.scenario.world import World


class Site(World):
    """To be made inside a running loop. `starts` counts the operators that were started."""

    def __init__(self, script: Script, **settings: Any) -> None:
        super().__init__(**settings)
        self.script = script
        self.history = record(self.cluster)
        self.starts = 0

    async def start(self, stale: StaleStart | None = None) -> None:
        """Start an operator on a wire of its own, as a replica that has just been elected."""
        self.starts += 1
        wire = Wire(self.cluster, self.script, self.history, f"operator-{self.starts}", stale)
        runtime = self.runtime = Runtime(wire, self.settings, now=self.cluster.now)
        pipelines = Informer(wire, PIPELINES, PipelineView, runtime.pipelines)
        clients = Informer(wire, PIPELINE_CLIENTS, PipelineClientView, runtime.clients)
        self._tasks = [asyncio.create_task(informer.run()) for informer in (clients, pipelines)]
        await clients.synced.wait()
        await pipelines.synced.wait()
        await runtime.sync()
        wire.look_up()
        await look_again(wire, self.settings, runtime)
        runtime.start()

    async def kill(self) -> None:
        """End the operator as SIGKILL does."""
        self.mark("killed")
        await super().kill()

    def mark(self, what: str) -> None:
        """Note what is done to the operator."""
        self.history.marks.append(Mark(what, f"operator-{self.starts}", self.cluster.now().timestamp()))

    async def when(self, condition: Callable[[], bool], seconds: float = 600.0) -> None:
        """Wait until something is true of the cluster, at most `seconds`: what a user waits for before he acts."""
        await self.cluster.admin.wait_for(condition, seconds)

    def close(self) -> None:
        """End the history, and the cluster's controllers."""
        self.history.ended = self.cluster.now().timestamp()
        self.cluster.close()
