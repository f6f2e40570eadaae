"""Logs: one line for each record, with stable keys, and nothing in it that opens a door."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.observability.logs import MOST_CHARS, JsonFormatter, about
from tests import make

KEYS = ["time", "level", "logger", "message"]
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"


def line(message: object, *args: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("task_pipeline.x", logging.INFO, __file__, 1, message, args, None)
    for name, value in more.items():
        setattr(record, name, value)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()
    found: dict[str, Any] = json.loads(text)
    return found


@given(
    st.text(),
    st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.binary() | st.floats(allow_nan=False)),
)
def test_every_record_is_one_line_that_begins_with_the_same_keys(message: str, fields: dict[str, Any]) -> None:
    found = line("%s", message, fields=fields)
    assert list(found)[:4] == KEYS
    assert found["logger"] == "task_pipeline.x"
    assert set(found) == {*KEYS, *fields}


def test_fields_say_what_a_line_is_about() -> None:
    found = line("x", **about(make.job("a", reason="Queued")))
    assert [name for name in found if name not in KEYS] == [
        "namespace", "pipeline", "job", "client", "kind", "run", "attempt", "state", "reason",
    ]  # fmt: skip
    assert (found["job"], found["state"], found["reason"]) == ("a", "READY", "Queued")
    found = line("x", **about(make.pipeline("p", [make.job_spec("a", "s")])))
    assert (found["pipeline"], found["run"], found["client"]) == ("p", 1, "default")
    assert about(None) == {}


def test_fields_do_not_stand_in_for_what_every_line_has() -> None:
    assert line("true", fields={"message": "false", "level": "x", "other": "y"})["message"] == "true"


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError(f"cannot use {TOKEN}")
    except ValueError:
        found = line("failed", exc_info=sys.exc_info())
    assert "ValueError: cannot use ***" in found["traceback"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {TOKEN} refused", "token *** refused"),
        ("Authorization: Bearer abc.def-12", "Authorization: Bearer ***"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic ***"),
        ("http://user:pass@proxy:8080/x", "http://***@proxy:8080/x"),
        ("https://api:6443 and a basic fault", "https://api:6443 and a basic fault"),
        ("job bearer of team/x: DONE", "job bearer of team/x: DONE"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str, shown: str) -> None:
    assert line("%s", text)["message"] == shown
    assert line("x", fields={"reason": text})["reason"] == shown


def test_a_text_without_end_is_cut() -> None:
    assert len(line("%s", "x" * 100_000)["message"]) == MOST_CHARS


def test_a_call_with_wrong_arguments_is_not_lost() -> None:
    assert line("%d jobs", "many")["message"] == "%d jobs (with ('many',))"


def test_whatever_python_says_is_a_line_too() -> None:
    program = """
import logging, threading, warnings
from task_pipeline.observability import logs
logs.set_up("INFO")
logging.getLogger("a").info("one\\ntwo", extra={"fields": {"job": "x"}})
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
class Broken:
    def __del__(self): raise KeyError("k")
Broken()
raise RuntimeError("the end")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    found = [json.loads(text) for text in done.stderr.splitlines()]
    assert [one["level"] for one in found] == ["INFO", "WARNING", "CRITICAL", "ERROR", "CRITICAL"]
    assert found[0]["message"] == "one\ntwo"
    assert "ZeroDivisionError" in found[2]["traceback"]
    assert "the end" in found[4]["traceback"]
    assert done.returncode == 1
    assert done.stdout == ""
