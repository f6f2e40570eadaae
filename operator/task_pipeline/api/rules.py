"""The CEL rules that the API server keeps for us, each with a message that says what to do.

Rule: the edges of the state machine come from the tables of states.py, never from here, and the
texts that decode.py shares with the API server are written here once. A rule over `jobs` has no
`messageExpression`: the API server refuses its estimated cost. Where `transformMapEntry` meets
a name twice, its error names it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from task_pipeline.api.common import PATTERN_HINTS
from task_pipeline.api.states import (
    REPAIR,
    RERUN_TARGETS,
    TERMINAL,
    TRANSITIONS_JOB,
    TRANSITIONS_PIPELINE,
    State,
)

Rule = dict[str, Any]

UNKNOWN_STAGE = "names a stage that is not in spec.stages; add it to that list or correct the name"
DUPLICATE_JOB = "job names must be unique in a pipeline; rename the job or remove it"
DUPLICATE_STAGE = "stage names must be unique; rename the stage or remove it"
BOTH_RETRY = "give retryAttempt or retry_attempt, not both"
BOTH_ALLOW = "give allowFailure or allow_failure, not both"
WAYS_OUT = (
    "apply it under another name, ask for another run of what is there with spec.rerun, "
    "or delete the Pipeline and create it again"
)

_RUN = "self.?run.orValue(1)"
_OLD_RUN = "oldSelf.?run.orValue(1)"


def _rule(rule: str, message: str, **more: str) -> Rule:
    return {"rule": rule, "message": message, **more}


def _words(states: Iterable[State]) -> str:
    return "[" + ", ".join(f"'{state}'" for state in State if state in frozenset(states)) + "]"


def _edges(table: Mapping[State, frozenset[State]]) -> str:
    """The CEL condition that staying, or an edge of `table`, is what happened."""
    parts = ["self.state == oldSelf.state"]
    parts += [f"(oldSelf.state == '{old}' && self.state in {_words(table[old])})" for old in State if table.get(old)]
    return " || ".join(parts)


def job_status_rules() -> list[Rule]:
    """Rules on a PipelineJob's status: the edges of one run, nothing else."""
    return [
        _rule(
            _edges(TRANSITIONS_JOB),
            "a PipelineJob may not go from its present state to this one; docs/states.md has the table",
            fieldPath=".state",
        )
    ]


def pipeline_status_rules() -> list[Rule]:
    """Rules on a Pipeline's status: the edges of a run, the rerun, the repair of a spec."""
    rerun = f"({_RUN} > {_OLD_RUN} && oldSelf.state in {_words(TERMINAL)} && self.state in {_words(RERUN_TARGETS)})"
    repairs = [
        f"(oldSelf.state == '{old}' && self.state in {_words(new)} && !has(oldSelf.startTime) && {_OLD_RUN} == 1)"
        for old, new in REPAIR.items()
    ]
    return [
        _rule(
            " || ".join([_edges(TRANSITIONS_PIPELINE), rerun, *repairs]),
            "a Pipeline may not go from its present state to this one; docs/states.md has the table",
            fieldPath=".state",
        ),
        _rule(f"{_RUN} >= {_OLD_RUN}", "the number of the run may only increase", fieldPath=".run"),
    ]


def pipeline_spec_rules() -> list[Rule]:
    """Rules on a Pipeline's spec: names are unique, every job names a stage of the list."""
    return [
        _rule(
            "size(self.stages.transformMapEntry(i, s, {s: i})) == size(self.stages)",
            f"spec.stages: {DUPLICATE_STAGE}",
            fieldPath=".stages",
        ),
        _rule(
            "size(self.jobs.transformMapEntry(i, j, {j.name: i})) == size(self.jobs)",
            f"spec.jobs: {DUPLICATE_JOB}",
            fieldPath=".jobs",
        ),
        _rule(
            "self.jobs.all(j, j.stage in self.stages)",
            f"a job {UNKNOWN_STAGE}",
            fieldPath=".jobs",
        ),
    ]


def pattern_rule(pattern: str) -> Rule:
    """The rule that a text matches `pattern`, saying what is expected in words."""
    quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return _rule(f"self.matches('{quoted}')", PATTERN_HINTS[pattern])


def job_item_rules() -> list[Rule]:
    """Rules on one entry of spec.jobs: of a field with two spellings only one is given."""
    return [
        _rule("!(has(self.retryAttempt) && has(self.retry_attempt))", BOTH_RETRY),
        _rule("!(has(self.allowFailure) && has(self.allow_failure))", BOTH_ALLOW),
    ]


def pipeline_root_rules() -> list[Rule]:
    """Rules on the whole Pipeline: what has started keeps its stages, jobs and client."""
    started = "(has(oldSelf.status) && (has(oldSelf.status.startTime) || oldSelf.status.?run.orValue(1) > 1))"
    return [
        _rule(
            f"!{started} || self.spec.{field} == oldSelf.spec.{field}",
            f"spec.{field} cannot be changed after the start: {WAYS_OUT}",
            fieldPath=f".spec.{field}",
        )
        for field in ("stages", "jobs", "clientId")
    ]


def immutable_rules(properties: Iterable[str], required: Iterable[str], editable: frozenset[str]) -> list[Rule]:
    """One rule per property of a spec that is neither changed, nor added, nor taken away."""
    needed = frozenset(required)
    rules = []
    for field in properties:
        if field in editable:
            continue
        mark = "." if field in needed else ".?"
        # The list of one bounds the estimated cost: an open object alone exceeds the limit.
        same = f"[self{mark}{field}] == [oldSelf{mark}{field}]"
        message = (
            f"spec.{field} of a PipelineJob cannot be changed: the operator writes it once; "
            f"only {', '.join(sorted(editable))} may be edited"
        )
        rules.append(_rule(same, message, fieldPath=f".{field}"))
    return rules
