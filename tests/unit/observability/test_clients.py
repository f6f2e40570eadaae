"""Client names as labels: those that exist, and only so many."""

from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.observability.clients import OTHER, UNKNOWN, ClientLabels


def test_a_name_counts_while_there_is_such_a_client_and_afterwards() -> None:
    exists = {"a"}
    label = ClientLabels(exists)
    assert label("a") == "a"
    assert label("b") == UNKNOWN
    exists.add("b")
    assert label("b") == "b"
    exists.clear()
    assert label("a") == "a"
    assert label("c") == UNKNOWN


def test_a_label_is_told_of_once_when_it_is_first_given() -> None:
    label, begun = ClientLabels({"a", "b", "c"}, 2), list[str]()
    label.begun = begun.append
    assert [label(name) for name in ("a", "a", "nobody", "b", "c", "b")] == ["a", "a", UNKNOWN, "b", OTHER, "b"]
    assert begun == ["a", "b"]


@given(st.lists(st.text(max_size=5)), st.sets(st.text(max_size=5)), st.integers(0, 4))
def test_there_are_never_more_labels_than_the_bound(names: list[str], exists: set[str], most: int) -> None:
    label = ClientLabels(exists, most)
    told = {label(name) for name in names}
    assert len(told - {OTHER, UNKNOWN}) <= most
    assert told - {OTHER, UNKNOWN} <= exists
