"""Informers that live as long as the application that they serve."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiohttp import web

from task_pipeline.kube.informer import Informer


class Watching:
    """Some informers, started and ended with an application."""

    def __init__(self, informers: Sequence[Informer[Any]]) -> None:
        self.informers = informers

    @property
    def is_synced(self) -> bool:
        """Whether each has delivered its first list."""
        return all(informer.synced.is_set() for informer in self.informers)

    async def synced(self) -> None:
        """Wait until each has delivered its first list."""
        await asyncio.gather(*(informer.synced.wait() for informer in self.informers))

    async def alive(self, app: web.Application) -> AsyncIterator[None]:
        """For `cleanup_ctx` of the application."""
        tasks = [asyncio.create_task(informer.run(), name="watching") for informer in self.informers]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
