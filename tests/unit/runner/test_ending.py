"""From answers to ends: what counts as success, what the result holds, and what the message says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from task_pipeline.api.pipelinejob import MAX_RESULT
from task_pipeline.api.reasons import Reason
from task_pipeline.kinds.http import HttpParams
from task_pipeline.runner.ending import KEPT_HEADERS, Ending, ending_of, failed
from task_pipeline.runner.send import Answer


def params(**more: Any) -> HttpParams:
    return HttpParams.model_validate({"url": "https://example.com/work?key=hidden", **more})


def answer(status: int = 200, body: bytes = b"", phrase: str = "OK", **more: Any) -> Answer:
    fields = {"headers": CIMultiDict[str](), "whole": True, **more}
    return Answer(status, phrase, body=body, **fields)


def ends(given: Answer, **more: Any) -> Ending:
    ending = ending_of(given, params(**more))
    assert ending is not None
    return ending


def test_an_expected_answer_is_the_result() -> None:
    headers = CIMultiDict({"content-type": "application/json", "Set-Cookie": "a=b", "Location": "/7"})
    ending = ends(answer(201, b'{"id": 7}', "Created", headers=headers))
    assert ending == Ending(
        "answered 201 Created",
        result={
            "status": 201,
            "headers": {"Content-Type": "application/json", "Location": "/7"},
            "body": '{"id": 7}',
            "truncated": False,
        },
    )


def test_an_accepted_callback_has_no_end_yet() -> None:
    assert ending_of(answer(202), params(mode="Callback")) is None
    assert ends(answer(500, phrase="Oops"), mode="Callback").reason is Reason.REQUEST_FAILED


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (answer(503, b"busy\n", "Service Unavailable"), "answered 503 Service Unavailable: busy"),
        (answer(404, b"", ""), "answered 404"),
        (answer(500, b"\x1b[31mred\x00\nline"), "answered 500 OK: \\x1b[31mred\\x00\\nline"),
        (answer(500, b"\xff\xfe"), "answered 500 OK: \ufffd\ufffd"),
        (answer(302, b"x", "Found", headers={"Location": "http://10.0.0.1/"}), "not followed: http://10.0.0.1/)"),
        (answer(304, b"", "Not Modified"), "answered 304 Not Modified (redirects are not followed)"),
        (answer(500, b"", whole=False, unreadable="br"), "(its body cannot be read: br)"),
        (answer(500, b"", "a\x1b" * 99), "..."),
    ],
)
def test_an_unexpected_answer_fails_with_its_first_bytes(given: Answer, message: str) -> None:
    ending = ends(given)
    assert ending.reason is Reason.REQUEST_FAILED
    assert ending.message.startswith("POST https://example.com/work answered")
    assert message in ending.message
    assert ending.result is None
    assert "hidden" not in ending.message
    assert ending.message.isprintable()


def test_no_answer() -> None:
    ending = failed(params(), "no answer within 5 s")
    assert ending == Ending("POST https://example.com/work: no answer within 5 s", Reason.REQUEST_FAILED)


@given(st.binary(max_size=4096) | st.text(max_size=4096).map(str.encode), st.booleans(), st.text(max_size=600))
def test_every_result_fits(body: bytes, whole: bool, header: str) -> None:
    headers = {name: header for name in ("Content-Type", "Location", "ETag", "X-Request-Id", "Retry-After")}
    result = ends(answer(200, body[:4096], whole=whole, headers=headers)).result
    assert result is not None
    assert len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()) <= MAX_RESULT
    assert result["truncated"] or whole


def test_headers_of_the_server_leave_room() -> None:
    headers = {name: "\U000e0001" * 4000 for name in KEPT_HEADERS}
    result = ends(answer(200, b"x" * 4096, headers=headers)).result
    assert result is not None
    assert len(result["body"]) > 2000
    assert len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()) <= MAX_RESULT


def test_what_does_not_fit_is_cut_where_it_stops_to_fit() -> None:
    result = ends(answer(200, "é".encode() * 2048)).result
    assert result is not None
    assert result["truncated"]
    assert set(result["body"]) == {"é"}
    assert MAX_RESULT - 2 <= len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()) <= MAX_RESULT


def test_a_character_cut_in_two_is_left_out() -> None:
    result = ends(answer(200, "aé".encode()[:2], whole=False)).result
    assert result is not None
    assert result["body"] == "a"


def test_a_body_that_cannot_be_read_is_named() -> None:
    result = ends(answer(200, whole=False, unreadable="br")).result
    assert result is not None
    assert (result["unreadable"], result["body"]) == ("br", "")
