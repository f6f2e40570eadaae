"""The hook that makes the client `default`: what it does with each answer of the API server."""

import io
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.install.helm import CHART

SCRIPT = CHART / "files" / "client.py"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
ENVIRONMENT = {
    "OWN_NAMESPACE": "task-pipeline",
    "CLIENT_SPEC": '{"namespaces": ["*"]}',
    "CLIENT_SECONDS": "60",
    "KUBERNETES_SERVICE_HOST": "fd00::1",
    "KUBERNETES_SERVICE_PORT": "443",
}
Run = Callable[..., list[dict[str, Any]]]


class _Answer(io.BytesIO):
    status = 201


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the hook against answers given one after the other, the last for ever; returns the bodies that it sent."""
    (tmp_path / "token").write_text("secret\n")
    clock = iter(range(0, 10_000, 7))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: None)

    def go(*answers: int) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        def urlopen(request: urllib.request.Request, **_: Any) -> _Answer:
            assert request.full_url.startswith("https://[fd00::1]:443/apis/taskpipeline.dev/v1alpha1/namespaces/")
            assert request.get_header("Authorization") == "Bearer secret"
            assert isinstance(request.data, bytes)
            sent.append(json.loads(request.data))
            status = answers[min(len(sent), len(answers)) - 1]
            if status == 0:
                raise urllib.error.URLError("no route")
            if status != 201:
                raise urllib.error.HTTPError(request.full_url, status, "", Message(), io.BytesIO(b"why"))
            return _Answer()

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        exec(compile(SCRIPT.read_text().replace(MOUNT, str(tmp_path)), SCRIPT, "exec"), {})
        return sent

    return go


def test_it_makes_the_client(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (sent,) = run(201)
    assert (sent["kind"], sent["metadata"]["name"], sent["spec"]) == (
        "PipelineClient", "default", {"namespaces": ["*"]})  # fmt: skip
    assert "is made" in capsys.readouterr().out


def test_a_client_that_is_there_stays_as_it_is(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run(409)) == 1
    assert "is there already" in capsys.readouterr().out


@pytest.mark.parametrize("first", [0, 403, 404, 429, 500, 503])
def test_what_passes_is_waited_for(run: Run, first: int) -> None:
    assert len(run(first, first, 201)) == 3


def test_a_spec_that_is_none_is_told_at_once(run: Run) -> None:
    with pytest.raises(SystemExit, match="the client default cannot be made: 422 why"):
        run(422)


def test_it_gives_up_in_time(run: Run) -> None:
    with pytest.raises(SystemExit, match="403 why"):
        run(403)
