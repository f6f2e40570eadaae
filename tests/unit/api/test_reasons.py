"""The closed list of reasons and its table."""

import pytest

from task_pipeline.api.reasons import MEANING, Category, Reason


def test_every_reason_has_a_row_and_every_row_a_reason() -> None:
    assert set(MEANING) == set(Reason)
    assert {row.category for row in MEANING.values()} == set(Category)


@pytest.mark.parametrize("reason", Reason)
def test_a_row_is_one_sentence_each(reason: Reason) -> None:
    for text in (MEANING[reason].meaning, MEANING[reason].remedy):
        assert text[0].isupper()
        assert text.endswith(".")
        assert "|" not in text


def test_names_match_values() -> None:
    for reason in Reason:
        assert reason.name.replace("_", "").lower() == reason.value.lower()
        assert reason.value.isalpha()
