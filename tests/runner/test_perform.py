"""One attempt against a server on loopback: what arrives there, and how the attempt ends."""

import dataclasses
from typing import Any

import pytest

from task_pipeline.api.reasons import Reason
from task_pipeline.core.urls import parse_entry
from task_pipeline.runner.ending import Ending
from task_pipeline.runner.perform import Work, perform
from task_pipeline.runner.send import Sender
from task_pipeline.runner.targets import AllowList
from tests.runner.servers import Server, answering, serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
WORK = Work("u-1", 2, "HTTP", "1.0.0", {}, "http://rest.example/api/v1/attempts/u-1/2", "the-token", 5)


async def attempt(server: Server, changes: dict[str, Any] | None = None, **params: Any) -> Ending | None:
    work = dataclasses.replace(WORK, params={"url": f"{server.origin}/do", **params}, **(changes or {}))
    return await perform(work, Sender(AllowList([parse_entry(server.origin)])))


def lines(server: Server) -> list[str]:
    head = server.received[0].partition(b"\r\n\r\n")[0]
    return head.decode().split("\r\n")


async def test_the_answer_is_the_result() -> None:
    async with serve(answering(OK)) as server:
        ending = await attempt(server, body={"a": 1}, headers={"X-Mine": "v"})
    assert ending is not None
    assert ending.reason is None
    assert ending.result == {"status": 200, "headers": {}, "body": "done", "truncated": False}
    assert lines(server)[0] == "POST /do HTTP/1.1"
    assert {"X-Mine: v", "Content-Type: application/json", "Idempotency-Key: u-1/2"} <= set(lines(server))
    assert server.received[0].endswith(b'{"a":1}')
    assert "the-token" not in str(server.received)


async def test_a_callback_gets_url_and_token_of_its_attempt() -> None:
    async with serve(answering(OK)) as server:
        assert await attempt(server, mode="Callback") is None
    assert {f"Task-Pipeline-Callback: {WORK.url}", "Task-Pipeline-Token: the-token"} <= set(lines(server))


async def test_secrets_are_put_in_where_they_are_asked_for() -> None:
    ref = {"secretKeyRef": {"name": "s", "key": "k"}}
    async with serve(answering(OK)) as server:
        given = {"secret_headers": {"Authorization": "Bearer x", "Unasked": "y"}}
        await attempt(server, given, headers={"Authorization": ref, "content-type": "text/x"}, body="hi")
    assert "Authorization: Bearer x" in lines(server)
    assert [line for line in lines(server) if line.lower().startswith("content-type")] == ["content-type: text/x"]
    assert not any(line.startswith("Unasked") for line in lines(server))


@pytest.mark.parametrize(
    ("changes", "params", "words"),
    [
        ({"fault": "the Secret a/b does not exist"}, {}, "the Secret a/b does not exist"),
        ({}, {"headers": {"A": {"secretKeyRef": {"name": "s", "key": "k"}}}}, "gave no value for A"),
        ({}, {"method": "FETCH"}, "cannot read the params of HTTP 1.0.0"),
        ({"version": "9.0.0"}, {}, 'kind HTTP has no version "9.0.0"'),
        ({"kind": "Worker"}, {"queue": "q", "url": None}, "does not know the kind Worker"),
    ],
)
async def test_what_cannot_be_sent_is_not(changes: dict[str, Any], params: dict[str, Any], words: str) -> None:
    async with serve(answering(OK)) as server:
        ending = await attempt(server, changes, **params)
    assert ending is not None
    assert ending.reason is Reason.CONFIG_ERROR
    assert words in ending.message
    assert server.connections == 0


async def test_a_forbidden_target_fails_the_attempt() -> None:
    async with serve(answering(OK)) as server:
        ending = await attempt(server, url=f"http://localhost:{server.port}/x")
    assert ending is not None
    assert (ending.reason, server.connections) == (Reason.REQUEST_FAILED, 0)
    assert "can add" in ending.message


async def test_texts_of_a_claim_hold_no_secrets() -> None:
    shown = repr(dataclasses.replace(WORK, secret_headers={"A": "hunter2"}))
    assert "hunter2" not in shown
    assert "the-token" not in shown
