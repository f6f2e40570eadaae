"""Ghosts are found by the list that the API server really sends, which of metadata alone is null when it is empty."""

import asyncio
import logging
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.watch.ghosts import GhostHunter

pytestmark = [pytest.mark.looptime]


class OneAnswer:
    """A cluster whose lists are always the same."""

    def __init__(self, items: str) -> None:
        self._items = items

    async def list(self, *_: object, **__: object) -> bytes:
        return f'{{"kind":"PartialObjectMetadataList","metadata":{{}},"items":{self._items}}}'.encode()


@pytest.mark.parametrize(
    ("items", "ghosts"), [("null", {"a", "b"}), ("[]", {"a", "b"}), ('[{"metadata":{"name":"x","uid":"a"}}]', {"b"})]
)
async def test_what_is_not_listed_any_more_is_gone(
    items: str, ghosts: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    gone: list[str] = []
    cluster: Any = OneAnswer(items)
    hunter = GhostHunter(cluster, PIPELINES, (), lambda: ("a", "b"), gone.append)
    with caplog.at_level(logging.WARNING):
        hunter.ask()
        await asyncio.sleep(60)
        hunter.stop()
    assert set(gone) == ghosts
    assert caplog.text == ""
