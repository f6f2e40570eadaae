"""Moving from state to state: the one place where a new state is checked against the tables of the contract."""

from task_pipeline.api.states import State, job_may_move


class IllegalMove(Exception):
    """A decision wants an edge that the contract does not have: a bug, never a user's fault."""


def advance(old: State, new: State) -> State:
    """`new`, if a PipelineJob may go there from `old`; raises IllegalMove otherwise."""
    if not job_may_move(old, new):
        raise IllegalMove(f"a PipelineJob cannot go from {old} to {new}")
    return new
