"""What the API server warns of is told once, in plain words."""

import logging

import pytest

from task_pipeline.kube import notices
from task_pipeline.kube.http1 import Http1

UNKNOWN = r'299 - "unknown field \"status.divided\""'


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", set[str]())


def test_b086_a_field_that_the_crd_does_not_know_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        notices.notice(UNKNOWN)
    (message,) = caplog.messages
    assert message == 'the API server warns: unknown field "status.divided"' + notices.OLDER


def test_any_other_warning_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    notices.notice('299 - "policy/v1beta1 is deprecated", 299 - "and more"')
    assert caplog.messages == ["the API server warns: policy/v1beta1 is deprecated", "the API server warns: and more"]


@pytest.mark.parametrize("header", ["", "299", "nonsense", '299 - "open', "299 - \x80"])
def test_what_is_no_warning_is_let_pass(caplog: pytest.LogCaptureFixture, header: str) -> None:
    notices.notice(header)
    assert caplog.messages == []


def test_a_log_that_grows_with_objects_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(2 * notices.MOST):
        notices.notice(f'299 - "number {number}"')
    assert len(caplog.messages) == notices.MOST


async def test_the_connection_reads_the_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    connection = Http1()
    connection.on_header(b"Warning", UNKNOWN.encode())
    assert len(caplog.messages) == 1
