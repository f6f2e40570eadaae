"""Moves of a PipelineJob are those of the contract, and no others."""

import itertools

import pytest

from task_pipeline.api.states import State
from task_pipeline.core.states import IllegalMove, advance

READY, RUNNING, DONE, ERROR, CANCELLED = State
LEGAL = {(READY, RUNNING), (READY, CANCELLED), (RUNNING, DONE), (RUNNING, READY), (RUNNING, ERROR)}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_only_the_edges_of_the_contract(old: State, new: State) -> None:
    if old is new or (old, new) in LEGAL:
        assert advance(old, new) is new
    else:
        with pytest.raises(IllegalMove, match=f"from {old} to {new}"):
            advance(old, new)
