"""What a collector receives, when it is asked for at all, and that one that is away holds nobody up."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from task_pipeline import __version__
from task_pipeline.api.states import State
from task_pipeline.core.records import PipelineStatus, StageStatus
from task_pipeline.entrypoints import operator
from task_pipeline.observability.otlp import AT_ONCE
from task_pipeline.observability.trace_queue import Sender
from task_pipeline.observability.trace_switch import WrongTraces, trace_sender
from task_pipeline.observability.traces import MOST_JOBS, Span, spans_of
from tests import make
from tests.collector import Collector, collecting, without_variables

TRACES, ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
OFF_PROGRAM = """
import sys
import task_pipeline.entrypoints.operator
from task_pipeline.observability.trace_switch import trace_sender
assert trace_sender({}) is None
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "google", "requests")))
"""
HELD_PROGRAM = """
import asyncio, os, time
from task_pipeline.entrypoints.operator import _send_last
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.trace_queue import TraceQueue, trace_outcomes
from task_pipeline.observability.trace_switch import trace_sender
from tests import make
queue = TraceQueue(trace_sender(os.environ), trace_outcomes(Meters()))
for name in "abc":
    queue.tell(make.pipeline(name), [])
print(time.monotonic(), flush=True)
asyncio.run(_send_last(queue))
"""


@pytest.fixture(autouse=True)
def _library() -> Iterator[None]:
    """The library's loggers are as they were, and no variable of the machine counts."""
    library = logging.getLogger("opentelemetry")
    before = library.handlers, library.propagate
    with pytest.MonkeyPatch.context() as patch:
        without_variables(patch)
        yield
    library.handlers, library.propagate = before


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def sender(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Sender:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = trace_sender(os.environ)
    assert made is not None
    return made


def spans(jobs: int = 1) -> list[Span]:
    status = PipelineStatus(
        state=State.ERROR, reason="JobFailed", stages=(StageStatus("s", State.ERROR, total=jobs, failed=jobs),),
        completion_time=make.at(60),
    )  # fmt: skip
    return spans_of(
        make.pipeline(status=status),
        [
            make.job(
                f"j{index}", index=index, state=State.ERROR, reason="OOMKilled", start_time=make.at(1),
                completion_time=make.at(2), attempt=2,
            )
            for index in range(jobs)
        ],
    )  # fmt: skip


def attributes(span: Any) -> dict[str, str | int]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_collector_receives_the_trace(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sender(
        monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20x"
    )
    wanted = spans()
    assert one.send(wanted) is None
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["authorization"] == "Bearer x"
    assert collector.resource()["service.name"] == "task-pipeline"
    assert collector.resource()["service.version"] == __version__
    root, stage, job = found = collector.spans()
    for span, own in zip(found, wanted, strict=True):
        assert (span.name, span.trace_id, span.span_id) == (own.name, own.trace.to_bytes(16), own.id.to_bytes(8))
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (own.start, own.end)
        assert attributes(span) == own.attributes
        assert span.status.code == span.status.STATUS_CODE_ERROR
    assert (root.parent_span_id, stage.parent_span_id, job.parent_span_id) == (b"", root.span_id, stage.span_id)
    assert [span.status.message for span in found] == ["JobFailed", "", "OOMKilled"]
    ((event,),) = (span.events for span in found if span.events)
    assert (event.name, event.time_unix_nano) == ("task_pipeline.launched", wanted[2].launched)


def test_what_is_sent_twice_is_the_same(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sender(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert [one.send(spans()), one.send(spans())] == [None, None]
    first, second = collector.requests
    assert first == second


def test_a_large_run_comes_in_several_requests(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sender(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert one.send(spans(2000)) is None
    assert len(collector.spans()) == MOST_JOBS + 2
    assert len(collector.requests) == -(-(MOST_JOBS + 2) // AT_ONCE)


def test_the_variables_of_the_library_count(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sender(
        monkeypatch, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/mine",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_SERVICE_NAME="runs",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )  # fmt: skip
    assert one.send(spans()) is None
    assert collector.paths == ["/mine"]
    assert collector.resource()["service.name"] == "runs"
    assert collector.resource()["deployment.environment.name"] == "test"


def test_a_refusal_is_told_in_one_place(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 401
    wrong = sender(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url).send(spans())
    assert wrong is not None
    assert "401" in wrong
    assert caplog.records == []


def test_a_collector_that_is_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    one = sender(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_TIMEOUT="0.1")
    assert "Failed to export" in (one.send(spans()) or "")
    one.close()
    assert one.send(spans()) is not None


def test_a_process_ends_in_time_though_a_collector_does_not_answer(collector: Collector) -> None:
    collector.free.clear()
    environment = {name: value for name, value in os.environ.items() if name != "OTEL_EXPORTER_OTLP_TIMEOUT"}
    done = subprocess.run(
        [sys.executable, "-c", HELD_PROGRAM], env=environment | {ENDPOINT: collector.url, "PYTHONPATH": "operator:."},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert time.monotonic() - float(done.stdout) < 8  # since its start was over; the library itself waits 10 s
    assert done.stderr.count("lost") == 1


def test_nothing_is_imported_while_traces_are_off() -> None:
    done = subprocess.run([sys.executable, "-c", OFF_PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://c:4318", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SERVICE_NAME": "x"},
    ],
)
def test_traces_are_off(variables: dict[str, str]) -> None:
    assert trace_sender(variables) is None


@pytest.mark.parametrize("variable", [TRACES, ENDPOINT])
def test_an_endpoint_is_an_address(variable: str) -> None:
    with pytest.raises(WrongTraces, match=f"^{variable}: must begin with http:// or https://$"):
        trace_sender({variable: "collector:4318"})


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "Invalid timeout value 'soon'"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "Unsupported compression type: zip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "headers are name=value, with commas between"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(WrongTraces, match=f"^{ENDPOINT}: traces cannot be sent: {said}") as refused:
        trace_sender({ENDPOINT: "http://127.0.0.1:4318"})
    assert "hunter2" not in str(refused.value) + caplog.text


def test_it_is_refused_too_while_the_log_holds_errors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.ERROR)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")
    with pytest.raises(WrongTraces, match="Unsupported compression type: zip"):
        trace_sender({ENDPOINT: "http://127.0.0.1:4318"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "must be a number of seconds above 0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0", "must be a number of seconds above 0"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hun%0Ater2", "holds a character that no header may hold"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "there is no such file"),
    ],
)
def test_what_the_library_would_find_out_late_is_refused_at_once(name: str, value: str, said: str) -> None:
    with pytest.raises(WrongTraces, match=f"^{name}: {said}$"):
        trace_sender({ENDPOINT: "http://127.0.0.1:4318", name: value})


def test_an_address_without_a_host_is_refused() -> None:
    with pytest.raises(WrongTraces, match=f"^{ENDPOINT}: names no host$"):
        trace_sender({ENDPOINT: "http://"})


def test_without_the_library_the_operator_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "task_pipeline.observability.otlp")
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setenv(ENDPOINT, "http://collector:4318")
    monkeypatch.setattr("task_pipeline.observability.logs.set_up", lambda level: None)
    with pytest.raises(SystemExit) as left:
        operator.main([])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"wrong settings:\n  {ENDPOINT}: traces need the extra task-pipeline[otel], install it: ")
