"""What the scripts do with answers: a refusal is never shown as a success."""

from pathlib import Path

import pytest

from tests.server.web.scripts import needs_node, run
from tests.server.web.site import Browser, visitor
from tests.server.whole import Whole

PAGE = "/ui/namespaces/team-a/pipelines/release"
PLAIN = {"Accept": "text/plain"}

_ACT = """
import { said, heard } from "./world.js";
const forms = await import("./forms.js");
globalThis.FormData = class extends URLSearchParams { constructor() { super("action=cancel"); } };
const sent = [];
globalThis.fetch = async (url, how) => { sent.push(how.headers.Accept); return new Response(%s, { status: %d }); };
forms.start();
const form = { getAttribute: () => "/ui/x", querySelectorAll: () => [] };
const button = { textContent: " Cancel " };
await heard.submit({ target: { closest: () => form }, preventDefault() {}, submitter: button });
console.log(JSON.stringify({ said, sent, disabled: button.disabled }));
process.exit(0);
"""

_LIVE = """
import "./world.js";
const made = () => ({ dataset: { stream: "/ui/stream" }, replaceWith() {}, className: "", textContent: "" });
const named = { main: made(), live: made() };
Object.assign(document, { getElementById: (id) => named[id], adoptNode: (one) => one, querySelectorAll: () => [] });
location.origin = location.href = "https://x.example/";
globalThis.EventSource = class {
  static CLOSED = 2;
  readyState = 2;
  addEventListener(name, listener) { if (name === "error") setTimeout(listener, 1); }
  close() {}
};
globalThis.DOMParser = class { parseFromString() { return { getElementById: () => named.main }; } };
const asked = [];
globalThis.fetch = async (url) => {
  asked.push(String(url).endsWith("/ui/stream") ? "stream" : "page");
  return new Response("x", { status: asked.at(-1) === "stream" ? 403 : 200 });
};
(await import("./live.js")).start();
await new Promise((done) => setTimeout(done, 300));
console.log(JSON.stringify({ asked: asked.slice(0, 6), shown: named.live.textContent }));
process.exit(0);
"""


@needs_node
async def test_a_stream_that_is_refused_is_not_asked_for_again_and_again(tmp_path: Path) -> None:
    told = await run(tmp_path, _LIVE)
    assert told == {"asked": ["stream", "page"], "shown": "Not live: you may not follow this"}


@needs_node
@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (204, "null", "Sent: Cancel"),
        (401, '"log in"', "to /ui/login?next=%2Fui%2Fx%3Fjob%3Da"),
        (403, '"you may not"', "you may not"),
        (503, '""', "That did not work"),
    ],
)
async def test_a_button_says_what_became_of_it(tmp_path: Path, status: int, text: str, said: str) -> None:
    told = await run(tmp_path, _ACT % (text, status))
    assert told == {"said": [said], "sent": ["text/plain"], "disabled": False}


@pytest.mark.parametrize(("path", "action"), [(PAGE, "suspend"), (f"{PAGE}/jobs/unit", "cancel")])
async def test_a_script_is_told_the_status_itself(site: Whole, path: str, action: str) -> None:
    browser = await visitor(site, "acme")
    answer = await browser.post(path, {"action": action}, **PLAIN)
    assert (answer.status, answer.text) == (204, "")
    answer = await browser.ask("POST", path, {"action": action, "csrf": "0"}, **PLAIN)
    assert (answer.status, "another session" in answer.text) == (403, True)
    assert answer.headers["Content-Type"].startswith("text/plain")
    answer = await Browser(site.one).ask("POST", path, {"action": action}, **PLAIN)
    assert (answer.status, "Location" in answer.headers) == (401, False)
    assert "log in" in answer.text
