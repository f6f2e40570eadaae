"""What somebody does on the pages, from the login to the rerun, and what he sees; no page is ever reloaded."""

import pytest

from task_pipeline.api.resources import PIPELINES
from tests.browser.chromium import Browser, Page
from tests.browser.live import TOKEN, Live
from tests.fakes.fates import hangs
from tests.scenario.world import shell

pytestmark = [pytest.mark.browser]
BASE = "/ui/namespaces/team-a/pipelines/"
MARK = "window.stays = true"  # gone after a reload
HISTORY = """
  window.seen = {};
  const look = () => document.querySelectorAll('.pill > a').forEach((one) => {
    const words = window.seen[one.dataset.job] ??= [], word = one.querySelector('.w').textContent.split(' · ')[0];
    if (words.at(-1) !== word) words.push(word);
  });
  look();
  new MutationObserver(look).observe(document.querySelector('.stages'), {subtree: true, childList: true});
"""


def pill(name: str) -> str:
    """A script that gives the text of a job's pill."""
    return f"""document.querySelector('.pill > a[data-job="{name}"]')?.innerText ?? ''"""


def has(script: str, text: str) -> str:
    """A script that says whether the text is in there."""
    return f"({script}).includes({text!r})"


async def test_a_pipeline_is_followed_from_its_start_to_its_end(page: Page, world: Live) -> None:
    await page.run(MARK)
    await page.until("document.getElementById('live').innerText === 'Live'")
    world.submit(
        "release",
        shell("build", "build", seconds=6),
        shell("bad", "test", seconds=3, exit_code=3),
        shell("ok", "test", seconds=1),
    )
    await page.until("document.querySelector('#rows a')?.innerText === 'release'")
    await page.until("document.querySelector('#rows .badge').innerText === 'running'")
    assert await page.run("window.stays")
    await page.follow("#rows a")
    await page.run(MARK)
    await page.run(HISTORY)
    await page.until(has(pill("build"), "done"))
    await page.until(has(pill("bad"), "failed"))
    words = await page.run("window.seen.bad")
    assert words == [word for word in ("not started", "waiting", "starting", "running", "failed") if word in words]
    assert words[-1] == "failed"
    assert words[-2] in ("starting", "running")  # a short job may be over before the operator writes that it runs
    await page.until("document.getElementById('head').dataset.state === 'ERROR'")
    assert "bad" in await page.text("#head .facts .wide")
    assert await page.text("#said") == "release is failed"
    assert await page.run("window.stays")


async def test_why_a_job_waits_and_its_place(page: Page, world: Live) -> None:
    world.cluster.kubelet.fate = lambda pod: hangs()
    world.submit("crowd", *[shell(f"j{number}") for number in range(5)])
    await page.goto(f"{world.url}{BASE}crowd")
    await page.run(MARK)
    await page.until(has(pill("j1"), "running"))
    await page.click('a[data-job="j3"]')
    await page.until("document.getElementById('panel-title')?.innerText === 'j3'")
    assert await page.run("document.activeElement.id") == "panel-title"
    text = await page.text("#panel-body")
    assert "Why it waits" in text
    assert "client acme 2/2 running" in text
    assert "Place 2 of 3 in the queue" in text
    assert await page.run("location.search") == "?job=j3"
    world.limit(maxRunningJobs=4)
    await page.until(has("document.getElementById('panel-head').innerText", "running"))
    await page.press("Escape")
    await page.until("document.getElementById('panel').hidden")
    assert await page.run("document.activeElement.dataset.job") == "j3"
    await page.run("history.back()")
    await page.until("document.getElementById('panel-title')?.innerText === 'j3'")
    assert await page.run("window.stays")


async def test_a_log_is_read_live_searched_and_shown_in_colours(page: Page, world: Live) -> None:
    world.cluster.kubelet.fate = lambda pod: hangs()
    world.submit("printing", shell("talk"))
    await page.goto(f"{world.url}{BASE}printing")
    await page.until(has(pill("talk"), "running"))
    await page.click('a[data-job="talk"]')
    await page.until("!!document.getElementById('tab-log')")
    await page.click("#tab-log")
    await page.until("document.getElementById('log-state')?.innerText === 'Following…'")
    world.print(
        "\x1b[1;31mred\x1b[0m <script>window.evil = 1</script> <img src=x onerror='window.evil = 1'>\n50 %\r100 %\n"
    )
    await page.until(has("document.getElementById('log').innerText", "100 %"))
    assert await page.run("document.querySelector('#log span').className") == "bold f1"
    assert await page.run("document.querySelectorAll('#log img, #log script').length") == 0
    assert await page.run("window.evil ?? 'safe'") == "safe"
    assert "50 %" not in await page.text("#log")
    world.print("".join(f"line {number}\n" for number in range(300)))
    await page.until(has("document.getElementById('log').innerText", "line 299"))
    bottom = "(one => one.scrollHeight - one.scrollTop - one.clientHeight)(document.getElementById('log'))"
    assert await page.run(f"{bottom} < 3")
    await page.write("#log-search", "line 29")
    assert await page.text("#log-hits") == "11 lines"
    await page.press("Enter")
    assert await page.text("#log-hits") == "1 of 11 lines"
    link = "document.querySelector('a[download]')"
    assert await page.run(f"{link}.download") == "talk.log"
    assert "line 299" in await page.run(f"fetch({link}.href).then((one) => one.text())")


async def test_cancel_and_rerun_by_keyboard(page: Page, world: Live) -> None:
    world.cluster.kubelet.fate = lambda pod: hangs()
    world.submit("stopped", shell("one"), shell("two"), shell("three"))
    await page.goto(f"{world.url}{BASE}stopped")
    await page.run(MARK)
    await page.until(has(pill("two"), "running"))
    await page.run("document.querySelector('#do-cancel > summary').focus()")
    await page.press("Enter")
    await page.until("document.getElementById('do-cancel').open")
    await page.press("Tab")
    assert await page.run("document.activeElement.id") == "do-cancel-now"
    await page.press("Enter")
    await page.until("document.getElementById('head').dataset.state === 'CANCELLED'")
    await page.until(has(pill("three"), "cancelled"))
    world.cluster.kubelet.fate = lambda pod: None
    await page.run("document.getElementById('do-rerun').focus()")
    await page.press("Enter")
    await page.until("document.getElementById('head')?.dataset.state === 'DONE'")
    assert has(pill("one"), "done")
    assert "2" in await page.text("#head .facts")
    assert await page.run("window.stays")


async def test_one_job_is_cancelled_and_suspend_holds_the_rest(page: Page, world: Live) -> None:
    world.cluster.kubelet.fate = lambda pod: hangs()
    world.submit("some", shell("one"), shell("two"), shell("three"))
    await page.goto(f"{world.url}{BASE}some?job=one")
    await page.until(has(pill("one"), "running"))
    await page.click("#do-suspend")
    await page.until("document.getElementById('do-suspend')?.innerText === 'Resume'")
    await page.click("#do-cancel-job")
    await page.until(has(pill("one"), "cancelled"))
    await page.until(has(pill("three"), "suspended"))
    await page.click("#do-suspend")
    await page.until(has(pill("three"), "running"))


async def test_a_stream_that_is_cut_goes_on_at_another_replica(page: Page, world: Live) -> None:
    world.cluster.kubelet.fate = lambda pod: hangs()
    world.submit("cut", shell("one"), shell("two"))
    await page.goto(f"{world.url}{BASE}cut")
    await page.run(MARK)
    await page.until(has(pill("two"), "running"))
    await page.until("document.getElementById('live').innerText === 'Live'")
    await world.down()
    await page.until("document.getElementById('live').innerText.startsWith('Reconnecting')")
    world.world.edit("cut", cancel="Now")
    await world.world.until_final("cut")
    assert await page.run(has(pill("two"), "running"))
    await world.up()
    await page.until("document.getElementById('live').innerText === 'Live'", 40)
    await page.until(has(pill("two"), "cancelled"))
    await page.until("document.getElementById('head').dataset.state === 'CANCELLED'")
    assert await page.run("window.stays")


async def test_who_may_only_look_has_no_buttons_and_a_deleted_pipeline_is_told(chromium: Browser, world: Live) -> None:
    world.cluster.kubelet.fate = lambda pod: hangs()
    world.submit("seen", shell("one"))
    page = await chromium.page()
    await page.goto(f"{world.url}{BASE}seen")
    await page.write("#token", TOKEN)
    await page.follow("form[aria-labelledby=by-token] button")
    assert await page.run("location.pathname") == f"{BASE}seen"
    await page.until(has(pill("one"), "running"))
    assert await page.run("document.querySelectorAll('form[data-act]').length") == 0
    world.cluster.admin.delete(PIPELINES, "seen", "team-a")
    await page.until(has("document.querySelector('main').innerText", "there is no Pipeline seen"))
    await page.follow(".who button")
    assert await page.run("location.pathname") == "/ui/login"
    await page.goto(f"{world.url}/ui")
    assert await page.run("location.pathname") == "/ui/login"
    await page.close()
