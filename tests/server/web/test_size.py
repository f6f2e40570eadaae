"""A Pipeline of 2,000 jobs: what its page and its updates cost is counted in bytes, elements and requests.

The time is measured by `python -m tests.server.web.benchmark`, and written down in docs/web.md.
"""

from task_pipeline.api.resources import PIPELINE_JOBS
from tests.server.web.crowd import PAGE, many, stream_of
from tests.server.web.site import visitor
from tests.server.web.streams import opened
from tests.server.whole import Whole

JOBS = 2000
BYTES_OF_JOB, ELEMENTS_OF_JOB = 420, 8


async def test_a_page_of_2000_jobs_is_small_enough(site: Whole) -> None:
    jobs = many(site, JOBS, stages=5)
    for job in jobs[:1000]:
        site.write(job, state="IN PROGRESS", reason="Running", attempt=1, startTime="2026-01-01T00:00:00.000000Z")
    browser = await visitor(site, "acme")
    before = len(site.cluster.journal.requests)
    answer = await browser.get(PAGE)
    asked = [request for request in site.cluster.journal.requests[before:] if request.resource == PIPELINE_JOBS]
    assert len(asked) == 4  # pages of 500
    assert answer.text.count('class="pill ') == JOBS
    assert len(answer.text.encode()) < JOBS * BYTES_OF_JOB
    assert len(answer.page.elements) < JOBS * ELEMENTS_OF_JOB
    async with opened(browser, await stream_of(browser, PAGE)) as stream:
        site.write(jobs[1500], state="IN PROGRESS", reason="Running", attempt=1)
        parts = await stream.until('id="j1500"')
        assert sum(map(len, parts)) < 2 * BYTES_OF_JOB
