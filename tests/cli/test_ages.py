"""Spans of time in words, and durations as they are given."""

import pytest

from task_pipeline.cli.ages import seconds, span, words


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (-5, "0s"),
    ],
)
def test_words(of: int, said: str) -> None:
    assert words(of) == said


def test_span() -> None:
    assert span("2026-01-31T12:00:00Z", "2026-01-31T12:01:05.5Z") == "65s"
    assert span(None, None) == ""
    assert span("nonsense", None) == "?"


@pytest.mark.parametrize(
    ("given", "is_"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1h5", 3605),
        ("", None),
        ("x", None),
        ("-1", None),
        ("1.5h", None),
    ],
)
def test_durations(given: str, is_: int | None) -> None:
    assert seconds(given) == is_
