"""Words about exit codes and output: printable, bounded, newest part kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.kinds._text import MAX_MESSAGE, exit_text, join, tail


@pytest.mark.parametrize(
    ("code", "text"),
    [(3, "exit code 3"), (137, "exit code 137 (SIGKILL)"), (143, "exit code 143 (SIGTERM)"), (255, "exit code 255")],
)
def test_exit_codes_name_their_signal(code: int, text: str) -> None:
    assert exit_text(code) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("one\n\ntwo\n", "one\ntwo"),
        ("a\n\n\ufffd\x00b\r50%\r100%", "a\n100%"),
        ("\x1b[31mred\x1b[0m\r\n", "red"),
        ("\x1b]0;title\x07x\ty", "x\ty"),
    ],
)
def test_b106_any_output_becomes_readable(text: str, kept: str) -> None:
    assert tail(text) == kept


def test_the_end_is_kept_at_the_border_of_a_line() -> None:
    assert tail("first\nsecond\nthird", 13) == "...third"
    assert tail("abcdefghij", 8) == "...fghij"


@given(st.text(), st.text())
def test_a_message_is_bounded(head: str, text: str) -> None:
    assert len(join(head * 50, text * 50)) <= MAX_MESSAGE


def test_nothing_is_added_to_nothing() -> None:
    assert join("exit code 3", " \n") == "exit code 3"
