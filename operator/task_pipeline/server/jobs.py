"""The jobs of a Pipeline, addressed by the names that its author gave them.

Rule: who may see a job is decided on its Pipeline. A PipelineJob is found by its object name, which follows from the
Pipeline's UID, the run and the job's name; so no list is searched, and a job of a Pipeline of the same name that is
gone is never meant.
"""

from task_pipeline.api.group import LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.core.naming import job_hash, job_object_name
from task_pipeline.kube.errors import NotFound
from task_pipeline.server import paging
from task_pipeline.server.actions import cancelling
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.models import CancelRequest, JobPatch, JobQuery, RunQuery
from task_pipeline.server.objects import change, owned, reply_unless_known, shown
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.upstream import Object, get

MAX_RUNS = 20  # how many runs back a job is looked for that a rerun has taken over


async def list_jobs(call: Call) -> Reply:
    """GET .../jobs: those that have been created, of all runs that are kept or of one."""
    query: JobQuery = call.query
    pipeline = await owned(call, Verb.GET)
    fields = [f"status.state={query.state}"] if query.state else []
    fields += [f"spec.stage={query.stage}"] if query.stage else []

    def slim(thing: Object) -> Object | None:
        return shown(thing) if query.run in (None, thing["spec"]["run"]) else None

    selector = f"{LABEL_PIPELINE_UID}={pipeline['metadata']['uid']}"
    listing = paging.Listing(PIPELINE_JOBS, [call.path["namespace"]], slim, selector, ",".join(fields) or None)
    return Reply(body=await paging.page(call.services.cluster, listing, query.limit, query.continue_))


async def get_job(call: Call) -> Reply:
    """GET one job."""
    return reply_unless_known(call, await find_job(call, Verb.GET))


async def patch_job(call: Call) -> Reply:
    """PATCH of a job's priority."""
    body: JobPatch = call.body
    wanted = body.spec.priority
    return await change(
        call,
        PIPELINE_JOBS,
        lambda: find_job(call, Verb.UPDATE),
        lambda thing: None if thing["spec"].get("priority") == wanted else {"priority": wanted},
    )


async def cancel_job(call: Call) -> Reply:
    """POST :cancel of one job."""
    body: CancelRequest = call.body
    return await change(call, PIPELINE_JOBS, lambda: find_job(call, Verb.UPDATE), cancelling(body.mode))


async def find_job(call: Call, verb: Verb) -> Object:
    """The PipelineJob of the path: of the run that is asked for, else of the latest run that has it."""
    query: RunQuery = call.query
    pipeline = await owned(call, verb)
    metadata, name = pipeline["metadata"], call.path["job"]
    for run in [query.run] if query.run else _runs(pipeline):
        object_name = job_object_name(metadata["name"], name, job_hash(metadata["uid"], run, name))
        try:
            return await get(call.services.cluster, PIPELINE_JOBS, metadata["namespace"], object_name)
        except NotFound:
            continue
    raise _missing(pipeline, name, query.run)


def _runs(pipeline: Object) -> range:
    """The current run, and those before it whose DONE jobs it has taken over; newest first."""
    status = pipeline.get("status", {})
    latest = int(status.get("run", 1))
    first = int(status.get("kept", {}).get("since", latest))
    return range(latest, max(first, latest - MAX_RUNS) - 1, -1)


def _missing(pipeline: Object, name: str, run: int | None) -> ProblemError:
    job = next((job for job in pipeline["spec"]["jobs"] if job["name"] == name), None)
    if job is None:
        return problem(404, "NotFound", f"the Pipeline {pipeline['metadata']['name']} has no job {name}")
    of_run = f" in run {run}" if run else ""
    text = f"the job {name} does not exist{of_run}: its stage {job['stage']} has not been opened, or it was cleaned up"
    return problem(404, "NotStarted", text)
