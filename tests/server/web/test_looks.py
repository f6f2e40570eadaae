"""How states look: every one has a word, an icon and colours that can be read, in light and dark."""

import re
from datetime import UTC, datetime

import pytest

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.server.web import assets, looks
from task_pipeline.server.web.render import html
from task_pipeline.server.web.yamltext import to_yaml

CSS = assets.FILES["pages.css"].decode()
LEAST = 4.5  # WCAG 2.2, 1.4.3


def every_tone() -> set[str]:
    seen = {looks.job_look(state, reason, allowed) for state in State for reason in Reason for allowed in (False, True)}
    return {one.tone for one in seen} | {one.tone for one in (looks.NOT_STARTED, looks.NOT_RUN, looks.REMOVED)}


def test_every_look_has_a_word_an_icon_and_colours() -> None:
    icons = html("icons.html")
    for tone in every_tone():
        assert f'<symbol id="i-{tone}"' in icons
        assert f".i-{tone} {{" in CSS
        assert f".{tone} {{ --tone: var(--{tone}); --tone-back: var(--{tone}-back); }}" in CSS


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_on_what_is_behind_them(scheme: str) -> None:
    colours = _colours(scheme)
    pairs = [(tone, f"{tone}-back") for tone in every_tone() if tone != "idle"]
    pairs += [(name, back) for name in ("text", "muted", "link", "fail", "idle") for back in ("card", "back")]
    pairs += [("text", "shade"), ("muted", "shade"), ("on-strong", "strong")]
    pairs += [("text", f"{tone}-back") for tone in every_tone() if tone != "idle"]
    low = {pair: round(_contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in low.items() if value < LEAST} == {}


def _colours(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#\w+)", light))
    return found | dict(re.findall(r"--([\w-]+): (#\w+)", dark)) if scheme == "dark" else found


def _contrast(one: str, other: str) -> float:
    bright, less = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (less + 0.05)


def _luminance(colour: str) -> float:
    text = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(text[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m 00s"), (3599, "59m 59s"), (3600, "1h 00m"), (90_000, "1d 1h")],
)
def test_spans_are_short(seconds: float, text: str) -> None:
    assert looks.length(seconds) == text


def test_a_span_without_an_end_goes_on_until_now() -> None:
    now = datetime(2031, 1, 1, 0, 1, tzinfo=UTC)
    start, end = "2031-01-01T00:00:00Z", "2031-01-01T00:00:05.5Z"
    assert (looks.took(start, end, now), looks.took(start, None, now), looks.took(None, None, now)) == (
        "5s",
        "1m 00s",
        "",
    )
    assert looks.epoch("no time") is None


def test_yaml_keeps_lines_and_repeats_what_is_shared() -> None:
    shared = {"a": 1}
    assert (
        to_yaml({"script": "one\ntwo\n", "x": shared, "y": shared})
        == "script: |\n  one\n  two\nx:\n  a: 1\ny:\n  a: 1\n"
    )
