"""The table of all routes: what the server can do, in one place."""

from collections.abc import Sequence

from task_pipeline.server import actions, answers, jobs, kinds, models, pipelines, submit, validate
from task_pipeline.server.health import Readiness
from task_pipeline.server.routes import API, JSON, MERGE_PATCH, Access, Route

PIPELINES = f"{API}/namespaces/{{namespace}}/pipelines"
PIPELINE = f"{PIPELINES}/{{name}}"
JOBS = f"{PIPELINE}/jobs"
JOB = f"{JOBS}/{{job}}"

_KEY = {"Idempotency-Key": "The same key with the same body does nothing new and answers as before."}
_MATCH = {"If-Match": "The ETag that the object must have, else 412."}
_NONE_MATCH = {"If-None-Match": "An ETag that the caller has; 304 if it is still that of the object."}
_ONE = {200: answers.PipelineObject}
_JOB = {200: answers.JobObject}


def routes(readiness: Readiness) -> Sequence[Route]:
    """Every route but those that serve this table itself (`document.routes`)."""
    return (*_pipelines(), *_one_pipeline(), *_actions(), *_jobs(), *_about(readiness))


def _pipelines() -> Sequence[Route]:
    return (
        Route(
            "POST",
            PIPELINES,
            submit.submit,
            Access.CALLER,
            "Create a Pipeline",
            body=models.NewPipeline,
            answers={201: answers.PipelineObject, 200: answers.PipelineObject},
            problems=frozenset({400, 404, 409, 422, 429}),
            headers=_KEY,
            description="201 with the new Pipeline; 200 when a request with the same Idempotency-Key has created it.",
        ),
        Route(
            "GET",
            f"{API}/namespaces/-/pipelines",
            pipelines.list_visible,
            Access.CALLER,
            "List the Pipelines of all namespaces that the caller may see",
            query=models.PipelineQuery,
            answers={200: answers.PipelineList},
            problems=frozenset({400, 410}),
        ),
        Route(
            "GET",
            PIPELINES,
            pipelines.list_one_namespace,
            Access.CALLER,
            "List the Pipelines of a namespace",
            query=models.PipelineQuery,
            answers={200: answers.PipelineList},
            problems=frozenset({400, 404, 410}),
        ),
        Route(
            "POST",
            f"{PIPELINES}:validate",
            validate.validate,
            Access.CALLER,
            "Judge a Pipeline without storing it",
            body=models.Candidate,
            answers={200: answers.Verdict},
            problems=frozenset({400, 404, 422}),
        ),
    )


def _one_pipeline() -> Sequence[Route]:
    return (
        Route(
            "GET",
            PIPELINE,
            pipelines.get_one,
            Access.CALLER,
            "Read a Pipeline",
            answers={200: answers.PipelineObject, 304: None},
            problems=frozenset({404}),
            headers=_NONE_MATCH,
        ),
        Route(
            "PATCH",
            PIPELINE,
            pipelines.patch,
            Access.CALLER,
            "Change the fields of a Pipeline that can be changed",
            body=models.PipelinePatch,
            media=(MERGE_PATCH, JSON),
            answers=_ONE,
            problems=frozenset({400, 404, 412, 422}),
            headers=_MATCH,
        ),
        Route(
            "DELETE",
            PIPELINE,
            pipelines.delete,
            Access.CALLER,
            "Delete a Pipeline and stop all that it runs",
            answers={204: None},
            problems=frozenset({404, 412}),
            headers=_MATCH,
        ),
    )


def _actions() -> Sequence[Route]:
    refused = frozenset({400, 404, 412, 422})
    return (
        Route(
            "POST",
            f"{PIPELINE}:cancel",
            actions.cancel,
            Access.CALLER,
            "Cancel a Pipeline",
            body=models.CancelRequest,
            answers=_ONE,
            problems=refused,
            headers=_MATCH,
        ),
        Route(
            "POST",
            f"{PIPELINE}:suspend",
            actions.suspend,
            Access.CALLER,
            "Start nothing more of a Pipeline",
            answers=_ONE,
            problems=frozenset({404, 412}),
            headers=_MATCH,
        ),
        Route(
            "POST",
            f"{PIPELINE}:resume",
            actions.resume,
            Access.CALLER,
            "Go on with a suspended Pipeline",
            answers=_ONE,
            problems=frozenset({404, 412}),
            headers=_MATCH,
        ),
        Route(
            "POST",
            f"{PIPELINE}:rerun",
            actions.rerun,
            Access.CALLER,
            "Begin another run of a finished Pipeline",
            body=models.RerunRequest,
            answers=_ONE,
            problems=refused | {409},
            headers={**_MATCH, **_KEY},
        ),
    )


def _jobs() -> Sequence[Route]:
    refused = frozenset({400, 404, 412, 422})
    return (
        Route(
            "GET",
            JOBS,
            jobs.list_jobs,
            Access.CALLER,
            "List the jobs of a Pipeline that have been created",
            query=models.JobQuery,
            answers={200: answers.JobList},
            problems=frozenset({400, 404, 410}),
        ),
        Route(
            "GET",
            JOB,
            jobs.get_job,
            Access.CALLER,
            "Read a job",
            query=models.RunQuery,
            answers={200: answers.JobObject, 304: None},
            problems=frozenset({400, 404}),
            headers=_NONE_MATCH,
        ),
        Route(
            "PATCH",
            JOB,
            jobs.patch_job,
            Access.CALLER,
            "Change the priority of a job",
            body=models.JobPatch,
            query=models.RunQuery,
            media=(MERGE_PATCH, JSON),
            answers=_JOB,
            problems=refused,
            headers=_MATCH,
        ),
        Route(
            "POST",
            f"{JOB}:cancel",
            jobs.cancel_job,
            Access.CALLER,
            "Cancel a job",
            body=models.CancelRequest,
            query=models.RunQuery,
            answers=_JOB,
            problems=refused,
            headers=_MATCH,
        ),
    )


def _about(readiness: Readiness) -> Sequence[Route]:
    well = {200: answers.Health}
    return (
        Route(
            "GET",
            f"{API}/kinds",
            kinds.list_kinds,
            Access.CALLER,
            "List the job kinds",
            answers={200: answers.KindList},
        ),
        Route("GET", "/healthz", readiness.healthz, Access.PUBLIC, "Whether the process lives", answers=well),
        Route("GET", "/readyz", readiness.readyz, Access.PUBLIC, "Whether it can do its work", answers=well),
    )
