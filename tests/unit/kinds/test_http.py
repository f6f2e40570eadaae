"""HTTP: which requests are taken, in which words others are refused, and what is sent and expected."""

from datetime import date
from typing import Any

import pytest

from task_pipeline.core.workload import is_remote_kind
from task_pipeline.kinds.http import KIND, MAX_BODY, HttpParams
from task_pipeline.kinds.registry import parse
from tests.unit.kinds.builders import faults

URL = "https://example.com/work"
REF = {"secretKeyRef": {"name": "payments", "key": "token"}}


def params(**more: Any) -> HttpParams:
    given = {"url": URL, **more}
    assert faults("HTTP", given) == {}
    parsed = parse("HTTP", "1.0.0", given)
    assert isinstance(parsed, HttpParams)
    return parsed


def test_the_smallest_request() -> None:
    made = params()
    assert (made.method, made.mode, made.content(), dict(made.headers)) == ("POST", "Response", None, {})
    assert made.target.url == URL


def test_the_runner_does_it_in_its_own_queue() -> None:
    assert is_remote_kind(KIND)
    assert KIND.for_runner
    assert KIND.queue(params()) == "http"
    assert KIND.rights == ()


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"url": 5}, "url", "must be a text"),
    ({"url": "ftp://example.com/"}, "url", "https:// or http://"),
    ({"url": "https://user:pw@example.com/"}, "url", "header"),
    ({"url": "https://0x7f.1/"}, "url", "four decimal numbers"),
    ({"method": "FETCH"}, "method", "POST"),
    ({"method": "CONNECT"}, "method", "POST"),
    ({"mode": "Async"}, "mode", "Callback"),
    ({"headers": ["a"]}, "headers", "must be a map"),
    ({"headers": {"a b": "x"}}, "headers.a b", "name of a header"),
    ({"headers": {"": "x"}}, "headers.", "name of a header"),
    ({"headers": {"A\r\nB": "x"}}, "headers.A\ufffd\ufffdB", "name of a header"),
    ({"headers": {"Host": "x"}}, "headers.Host", "set by the HTTP runner"),
    ({"headers": {"content-length": "1"}}, "headers.content-length", "set by the HTTP runner"),
    ({"headers": {"Transfer-Encoding": "chunked"}}, "headers.Transfer-Encoding", "set by the HTTP runner"),
    ({"headers": {"Idempotency-Key": "1"}}, "headers.Idempotency-Key", "set by the HTTP runner"),
    ({"headers": {"Task-Pipeline-Token": "1"}}, "headers.Task-Pipeline-Token", "set by the HTTP runner"),
    ({"headers": {"A": 5}}, "headers.A", "must be a text, or secretKeyRef"),
    ({"headers": {"A": "x\r\nB: y"}}, "headers.A", "line ends"),
    ({"headers": {"A": "é"}}, "headers.A", "must be ASCII"),
    ({"headers": {"A": " x"}}, "headers.A", "begin or end"),
    ({"headers": {"A": "x" * 8193}}, "headers.A", "the limit is 8192"),
    ({"headers": {"A": {}}}, "headers.A.secretKeyRef", "is required"),
    ({"headers": {"A": {"secretKeyRef": {"name": "X!", "key": "k"}}}}, "headers.A.secretKeyRef.name", "DNS name"),
    ({"headers": {"A": {"secretKeyRef": {"name": "x", "key": "../k"}}}}, "headers.A.secretKeyRef.key", "A-Z"),
    ({"headers": {"A": REF | {"configMapKeyRef": {}}}}, "headers.A.configMapKeyRef", "unknown field"),
    ({"headers": {f"A{i}": "x" for i in range(65)}}, "headers", "at most 64 items"),
    ({"headers": {"Accept": "x", "accept": "y"}}, "headers.accept", "twice"),
    ({"body": [1]}, "body", "write any other JSON as a text"),
    ({"body": 5}, "body", "write any other JSON as a text"),
    ({"body": "a\x00b"}, "body", "NUL"),
    ({"body": {"a": float("nan")}}, "body", "as JSON knows it"),
    ({"body": {"a": date(2026, 1, 1)}}, "body", "as JSON knows it"),
    ({"body": {"a": "\ud800"}}, "body", "as JSON knows it"),
    ({"body": "x" * (MAX_BODY + 1)}, "body", "the limit is 262144"),
    ({"body": "x", "method": "HEAD"}, "body", "HEAD"),
    ({"expect": []}, "expect", "at least 1"),
    ({"expect": 200}, "expect", "must be a list"),
    ({"expect": [100]}, "expect[0]", "between 200 and 599"),
    ({"expect": [600]}, "expect[0]", "between 200 and 599"),
    ({"expect": [True]}, "expect[0]", "between 200 and 599"),
    ({"expect": ["200"]}, "expect[0]", "between 200 and 599"),
    ({"expect": ["299-200"]}, "expect[0]", "between 200 and 599"),
    ({"expect": ["200-299\n"]}, "expect[0]", "between 200 and 599"),
    ({"timeout": 5}, "timeout", "unknown field"),
]


@pytest.mark.parametrize(("more", "path", "words"), REFUSED, ids=[f"{path}-{words}" for _, path, words in REFUSED])
def test_refused_with_path_and_reason(more: dict[str, Any], path: str, words: str) -> None:
    found = faults("HTTP", {"url": URL, **more})
    assert list(found) == [f"params.{path}"], found
    assert words in found[f"params.{path}"]


def test_a_url_is_required() -> None:
    assert faults("HTTP", {"body": "x"})["params.url"] == "is required"


def test_no_message_repeats_a_value() -> None:
    secret = "hunter2"
    found = faults("HTTP", {"url": f"https://u:{secret}@x/", "headers": {"A": f"\n{secret}"}, "body": [secret]})
    assert len(found) == 3
    assert secret not in str(found)


@pytest.mark.parametrize(
    ("expect", "good", "bad"),
    [
        (None, [200, 204, 299], [199, 300, 404, 500]),
        ([404], [404], [200]),
        ([200, "300-399"], [200, 300, 399], [201, 400]),
    ],
)
def test_what_is_expected(expect: list[Any] | None, good: list[int], bad: list[int]) -> None:
    made = params(**({} if expect is None else {"expect": expect}))
    assert [status for status in (*good, *bad) if made.expects(status)] == good


def test_what_is_sent() -> None:
    assert params(body="grün\n").content() == ("grün\n".encode(), "text/plain; charset=utf-8")
    assert params(body={"a": [1, "é", None]}).content() == ('{"a":[1,"é",null]}'.encode(), "application/json")
    assert params(body="").content() == (b"", "text/plain; charset=utf-8")


def test_secrets_are_references() -> None:
    made = params(headers={"Authorization": REF, "X-Plain": "v", "X-Empty": ""})
    assert {name: (ref.name, ref.key) for name, ref in made.secrets().items()} == {
        "Authorization": ("payments", "token")
    }
