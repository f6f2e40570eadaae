"""The YAML of the panel: bounded in size, in depth, and in how many are made at a time."""

import asyncio
import threading
import time
from typing import Any

import pytest
import yaml

from task_pipeline.server.web import panel
from task_pipeline.server.web.yamltext import CUT, MOST_CHARS, to_yaml
from tests.server.web.site import visitor
from tests.server.whole import Whole

MARKED = "\n" + CUT


def nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        {f"key-{number}": number for number in range(100_000)},
        [[]] * 1_000_000,
        {"text": "x" * 1_000_000},
        {"x" * 1_000_000: 1},
        {"lines": "x\n" * 500_000},
        {f"key-{number}": nested(40) for number in range(1000)},
        nested(900),
    ],
    ids=["many keys", "many lists", "long text", "long key", "many lines", "wide and deep", "deep"],
)
def test_what_is_large_is_cut_and_says_so(value: Any) -> None:
    begin = time.thread_time()
    text = to_yaml(value)
    assert time.thread_time() - begin < 10  # the whole of some of them takes minutes
    assert text.endswith(MARKED)
    assert len(text) <= MOST_CHARS + len(CUT)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, True, None, "yes", "1", "x\ny\n", "", {}, []]},
        {"key": "x" * (MOST_CHARS // 2)},
        nested(49),
        [],
        "",
    ],
)
def test_what_is_small_is_whole(value: Any) -> None:
    assert yaml.safe_load(to_yaml(value)) == value
    assert CUT not in to_yaml(value)


@pytest.mark.parametrize("text", ["a\ud800b", "nul\x00\x1b", "\ufeff\ufffe"])
def test_what_no_text_should_hold_is_no_fault(text: str) -> None:
    assert to_yaml({text: [text]})


async def test_two_at_most_are_made_at_a_time(site: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def slow(_: Any) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.1)
        with lock:
            now -= 1
        return "made"

    monkeypatch.setattr(panel, "to_yaml", slow)
    browser = await visitor(site, "acme")
    path = "/ui/namespaces/team-a/pipelines/release/jobs/unit?tab=yaml"
    answers = await asyncio.gather(*(browser.get(path) for _ in range(8)))
    assert {(answer.status, "made" in answer.text) for answer in answers} == {(200, True)}
    assert most == panel.MOST_RENDERINGS == 2
