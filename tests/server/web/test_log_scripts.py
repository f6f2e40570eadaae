"""How the pages' scripts read a log: in lines of bounded cost, and once when nothing can be added to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.web.scripts import needs_node, run
from tests.server.web.site import visitor
from tests.server.whole import Whole

MOST = 65_536
PAGE = "/ui/namespaces/team-a/pipelines/release"

_LINES = """
import { Lines } from "./lines.js";
const lines = new Lines();
const found = [];
for (const [text, times] of %s) for (let at = 0; at < times; at += 1) found.push(...lines.feed(text));
console.log(JSON.stringify([...found, ...lines.end()].map((one) => (one.length > 100 ? one.length : one))));
"""

_READ = """
import "./world.js";
const none = () => {};
const made = () => ({ addEventListener: none, append: none, replaceChildren: none, dataset: {}, value: "" });
const named = { log: made() };
document.getElementById = (id) => (named[id] ??= made());
document.createDocumentFragment = made;
document.createElement = made;
named.panel = { dataset: %s };
named.log.dataset = { url: "/log?", attempt: "%s" };
const asked = [];
globalThis.fetch = async (url) => { asked.push(url); return new Response("printed\\n"); };
const real = setTimeout;
globalThis.setTimeout = (what) => real(what, 1);
(await import("./log.js")).mount();
await new Promise((done) => real(done, 300));
console.log(JSON.stringify({ asked: asked.slice(0, 3), state: named["log-state"].textContent }));
process.exit(0);
"""


@needs_node
@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([("a\nb", 1), ("c\n", 1), ("d", 1)], ["a", "bc", "d"]),
        ([("\n", 2)], ["", ""]),
        ([("50 %\r", 1), ("100 %\n", 1)], ["100 %"]),
        ([("old\r\r\n", 1)], ["\r"]),
        ([("dos\r", 1), ("\n", 1), ("two\r\n", 1)], ["dos\r", "two\r"]),
        ([("one\rtwo\rthree\r", 1), ("four", 1)], ["four"]),
        ([("x" * (MOST + 1), 1), ("y\n", 1)], [MOST, "xy"]),
        ([("x" * 10, 2 * MOST)], [MOST] * 20),
        ([(f"{'#' * 50}\r", 100_000), ("end", 1)], ["end"]),
        ([("x" * 50, 100_000), ("\n", 1)], [MOST] * 76 + [19_264]),
    ],
)
async def test_a_log_becomes_lines(tmp_path: Path, pieces: list[tuple[str, int]], lines: list[Any]) -> None:
    assert await run(tmp_path, _LINES % json.dumps(pieces)) == lines


@needs_node
@pytest.mark.parametrize(
    ("panel", "attempt", "first", "again"),
    [
        ({"final": "false", "attempt": "2", "ended": "1"}, "1", "/log?attempt=1&tail=1000&follow=false", False),
        ({"final": "false", "attempt": "2", "ended": "1"}, "2", "/log?attempt=2&tail=1000&follow=true", True),
        ({"final": "false", "attempt": "2", "ended": "2"}, "", "/log?attempt=2&tail=1000&follow=false", False),
        ({"final": "false", "attempt": "", "ended": "0"}, "", "/log?tail=1000&follow=true", True),
        ({"final": "true", "attempt": "2", "ended": "2"}, "2", "/log?attempt=2&tail=1000&follow=false", False),
    ],
)
async def test_a_log_that_is_whole_is_read_once(
    tmp_path: Path, panel: dict[str, str], attempt: str, first: str, again: bool
) -> None:
    told = await run(tmp_path, _READ % (json.dumps(panel), attempt))
    assert told["asked"][0] == first
    assert (len(told["asked"]) > 1) is again
    assert (told["state"] == "End of the log.") is not again


@pytest.mark.parametrize(
    ("state", "attempts", "ended"),
    [
        ("IN PROGRESS", [{"attempt": 1, "completionTime": "2031-01-01T00:00:00.000000Z"}, {"attempt": 2}], "1"),
        ("IN PROGRESS", [{"attempt": 1}], "0"),
        ("READY", [{"attempt": 1, "completionTime": "2031-01-01T00:00:00.000000Z"}], "1"),
        ("ERROR", [{"attempt": 2}], "2"),
        ("READY", [], "0"),
    ],
)
async def test_the_panel_says_which_attempts_are_over(
    site: Whole, monkeypatch: pytest.MonkeyPatch, state: str, attempts: list[dict[str, Any]], ended: str
) -> None:
    status: dict[str, Any] = {"state": state, "attempts": attempts}
    status |= {"attempt": attempts[-1]["attempt"]} if attempts else {}
    job = {"metadata": {"name": "x", "creationTimestamp": "2031-01-01T00:00:00Z"}, "spec": {}, "status": status}

    async def found(*_: Any) -> dict[str, Any]:
        return job

    monkeypatch.setattr("task_pipeline.server.web.panel._found", found)
    page = (await (await visitor(site, "acme")).get(f"{PAGE}/jobs/unit?tab=log")).page
    panel, log = page.with_id("panel"), page.with_id("log")
    assert panel is not None
    assert log is not None
    assert (panel["data-ended"], log["data-url"]) == (ended, f"{PAGE}/jobs/unit/log?")
    assert panel["data-attempt"] == log["data-attempt"] == str(status.get("attempt", ""))
