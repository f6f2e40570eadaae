"""Problems: their form, and what becomes of the API server's errors."""

import pytest

from task_pipeline.kube.errors import ApiError, KubeError, Unreachable, from_status
from task_pipeline.server.problem import Problem, from_kube, problem


def api(status: int, reason: str, message: str = "said", retry_after: str | None = None) -> ApiError:
    return from_status(status, {"reason": reason, "message": message}, retry_after)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (api(404, "NotFound"), 404, "NotFound"),
        (api(409, "AlreadyExists"), 409, "AlreadyExists"),
        (api(409, "Conflict"), 503, "Conflict"),
        (api(410, "Expired"), 410, "Gone"),
        (api(422, "Invalid"), 422, "Invalid"),
        (api(400, "BadRequest"), 422, "BadRequest"),
        (api(403, "Forbidden"), 403, "Forbidden"),
        (api(401, "Unauthorized"), 503, "ControlPlaneUnavailable"),
        (api(429, "TooManyRequests"), 503, "ControlPlaneUnavailable"),
        (api(500, "InternalError"), 503, "ControlPlaneUnavailable"),
        (api(418, "Teapot"), 503, "ControlPlaneUnavailable"),
        (Unreachable("refused by 10.0.0.1"), 503, "ControlPlaneUnavailable"),
    ],
)
def test_errors_of_the_cluster_become_problems(error: KubeError, status: int, reason: str) -> None:
    told = from_kube(error)
    assert (told.status, told.reason) == (status, reason)
    assert (told.retry_after is not None) is (status == 503)
    assert "10.0.0.1" not in told.detail


def test_the_pause_that_the_cluster_asks_for_is_passed_on() -> None:
    assert from_kube(api(429, "TooManyRequests", retry_after="17")).retry_after == 17


def test_a_problem_is_a_document() -> None:
    told = problem(422, "InvalidSpec", "two faults", [("spec.a", "x"), ("spec.b", "y")])
    assert told.document("/here", "id-1") == Problem.model_validate(
        {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "reason": "InvalidSpec",
            "detail": "two faults",
            "instance": "/here",
            "requestId": "id-1",
            "errors": [{"path": "spec.a", "message": "x"}, {"path": "spec.b", "message": "y"}],
        }
    )
