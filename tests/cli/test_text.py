"""Whatever users write into names, messages and logs, a terminal only shows it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.cli.screen import Screen
from task_pipeline.cli.text import block, cut, line, printed

CORPUS = {
    "clear screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;pwned\x07",
    "title with string terminator": "\x1b]2;pwned\x1b\\",
    "hyperlink": "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "device control": "\x1bP+q544e\x1b\\",
    "report cursor": "\x1b[6n",
    "eight-bit CSI": "\x9b2J",
    "eight-bit OSC": "\x9d0;x\x9c",
    "backspaces": "safe\b\b\b\bevil",
    "carriage return": "safe\revil",
    "bell": "\x07",
    "vertical tab and form feed": "a\x0bb\x0cc",
    "shift out": "\x0e\x0f",
    "delete": "a\x7f",
    "bidi override": "user\u202egnp.exe",
    "bidi isolate": "\u2066x\u2069",
    "line separator": "a\u2028b\u0085c",
    "zero width": "a\u200bb\ufeffc",
    "lone surrogate": "a\ud800b",
    "unfinished colour": "\x1b[31",
    "colour in colour": "\x1b[\x1b[0m31m",
}
ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


@pytest.mark.parametrize("hostile", CORPUS.values(), ids=CORPUS.keys())
def test_nothing_of_the_corpus_reaches_a_terminal(hostile: str) -> None:
    for shown in (block(hostile), line(hostile), printed(hostile)):
        assert not ACTIVE.search(shown), ascii(shown)


@pytest.mark.parametrize("hostile", CORPUS.values(), ids=CORPUS.keys())
def test_nothing_of_the_corpus_reaches_it_through_the_screen(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(terminal=True)
    screen.line(hostile)
    screen.block(f"{hostile}\n{hostile}")
    screen.table(("NAME", "STATE"), [(hostile, hostile)], states=1)
    screen.note(hostile)
    out, err = capsys.readouterr()
    assert not ACTIVE.search(out.replace("\n", "")), ascii(out)
    assert not ACTIVE.search(err.replace("\n", "")), ascii(err)
    assert len(out.splitlines()) == 5


@given(st.text(alphabet=st.characters(), max_size=60))
def test_no_text_at_all_is_active(text: str) -> None:
    assert not ACTIVE.search(block(text))
    assert "\n" not in line(text)
    assert block(block(text)) == block(text)


def test_colours_go_and_words_stay() -> None:
    assert block("\x1b[1;31mred\x1b[0m alert\n\ttab") == "red alert\n\ttab"
    assert line("a\nb\tc\r\nd") == "a b c d"
    assert block("\x1b[2J") == "\\u001b[2J"


def test_a_progress_bar_is_shown_as_the_terminal_would_have_left_it() -> None:
    assert printed("50%\r100%") == "100%"
    assert printed("done\r") == "done"
    assert printed("\r") == ""


def test_elsewhere_only_objects_and_logs_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(terminal=False)
    screen.line("\x1b[31mred\x1b[0m")
    screen.block("\x1b[31mred\x1b[0m")
    assert capsys.readouterr().out == "red\n\x1b[31mred\x1b[0m\n"


def test_cut() -> None:
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab\u2026")
