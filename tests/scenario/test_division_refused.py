"""PipelineJobs that the API server does not take: the Pipeline says so, tries again, and stops nobody else."""

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.kube.errors import KubeError, from_status
from tests.fakes import on
from tests.scenario.world import running, shell

pytestmark = [pytest.mark.looptime]

REFUSALS = {
    "too large": from_status(413, {"message": "limit is 3145728"}),
    "invalid": from_status(422, {"message": "spec.params: Too long"}),
    "forbidden": from_status(403, {"message": 'cannot create resource "pipelinejobs"'}),
    "no such resource": from_status(404, {"message": "the server could not find the requested resource"}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_first_stage_that_is_refused_waits_with_the_servers_words(refusal: KubeError) -> None:
    async with running(max_running_jobs=1) as world:
        refused = world.cluster.fault(on("create", PIPELINE_JOBS), before=refusal, times=3)
        world.submit("p", shell("a"))
        await world.cluster.admin.wait_for(lambda: "message" in world.pipeline("p"), 10)
        status = world.pipeline("p")
        assert (status["state"], status["reason"]) == ("READY", "Queued")
        assert status["message"].startswith("PipelineJobs cannot be created: ")
        world.submit("q", shell("a"))
        refused.times = 2
        assert await world.until_final() == {"p": "DONE", "q": "DONE"}
        assert world.now < 120


async def test_a_later_stage_that_is_refused_tells_why_nothing_goes_on() -> None:
    async with running() as world:
        refusal = from_status(413, {"message": "limit is 3145728"})
        world.cluster.fault(on("create", PIPELINE_JOBS), before=refusal, times=2, skip=1)
        world.submit("p", shell("a"), shell("b", "t"))
        told = "PipelineJobs cannot be created: limit is 3145728"
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("message") == told, 20)
        assert world.pipeline("p")["state"] == "IN PROGRESS"
        assert await world.until_final() == {"p": "DONE"}
