"""The CEL rules that the API server keeps for us, each with a message that says what to do.

Rule: the edges of the state machine come from the tables of states.py, never from here, and the
texts that decode.py shares with the API server are written here once. A rule over `jobs` has no
`messageExpression`: the API server refuses its estimated cost. Where `transformMapEntry` meets
a name twice, its error names it.

The API server judges every rule at every write, rules on a spec at each write of a status too, and for every `self.x`
it copies the schema of all neighbours of x. So a rule stands where `self` is a value or a list if it can; one that
needs the whole object ends at once when a status is written (`_writes_status`; docs/performance.md has the numbers).
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


def _edges(table: Mapping[State, frozenset[State]], state: str) -> str:
    """The CEL condition that staying, or an edge of `table`, is what happened; `state` leads from self to the state."""
    new, old = f"self{state}", f"oldSelf{state}"
    parts = [f"{new} == {old}"]
    parts += [f"({old} == '{before}' && {new} in {_words(table[before])})" for before in State if table.get(before)]
    return " || ".join(parts)


def _writes_status(beside: str, old: str = "oldSelf") -> str:
    """The CEL condition, at the root, that the status has changed: such a write cannot have changed the spec.

    The API server sees to that, and it drops a status from every other write. Compared are the state and `beside`, a
    field that moves when the state does not; a write that moves neither is judged in full, which costs more, no more.
    """
    # The list of one bounds the estimated cost of what may be absent.
    return f"self.status.state != {old}.status.state || [self.status.?{beside}] != [{old}.status.?{beside}]"


def job_state_rules() -> list[Rule]:
    """Rules on a PipelineJob's status.state: the edges of one run, nothing else."""
    return [
        _rule(
            _edges(TRANSITIONS_JOB, ""),
            "a PipelineJob may not go from its present state to this one; docs/states.md has the table",
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
            " || ".join([_edges(TRANSITIONS_PIPELINE, ".state"), rerun, *repairs]),
            "a Pipeline may not go from its present state to this one; docs/states.md has the table",
            fieldPath=".state",
        ),
        _rule(f"{_RUN} >= {_OLD_RUN}", "the number of the run may only increase", fieldPath=".run"),
    ]


def stages_rules() -> list[Rule]:
    """Rules on a Pipeline's spec.stages: names are unique."""
    return [_rule("size(self.transformMapEntry(i, s, {s: i})) == size(self)", DUPLICATE_STAGE)]


def jobs_rules() -> list[Rule]:
    """Rules on a Pipeline's spec.jobs: names are unique."""
    return [_rule("size(self.transformMapEntry(i, j, {j.name: i})) == size(self)", DUPLICATE_JOB)]


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
    """Rules on the whole Pipeline: every job names a stage; what has started keeps its stages, jobs and client."""
    known: Rule = {
        "rule": f"(oldSelf.hasValue() && ({_writes_status('progress', 'oldSelf.value()')})) || "
        "[self.spec.stages].all(stages, self.spec.jobs.all(j, j.stage in stages))",
        "message": f"a job {UNKNOWN_STAGE}",
        "fieldPath": ".spec.jobs",
        "optionalOldSelf": True,
    }
    started = "(has(oldSelf.status.startTime) || oldSelf.status.?run.orValue(1) > 1)"
    kept = [
        _rule(
            f"{_writes_status('progress')} || !{started} || self.spec.{field} == oldSelf.spec.{field}",
            f"spec.{field} cannot be changed after the start: {WAYS_OUT}",
            fieldPath=f".spec.{field}",
        )
        for field in ("stages", "jobs", "clientId")
    ]
    return [known, *kept]


def immutable_message(field: str, editable: frozenset[str]) -> str:
    """Why `field` of a PipelineJob's spec stays as it is."""
    return (
        f"spec.{field} of a PipelineJob cannot be changed: the operator writes it once; "
        f"only {', '.join(sorted(editable))} may be edited"
    )


def job_root_rules(properties: Iterable[str], required: Iterable[str], editable: frozenset[str]) -> list[Rule]:
    """The rule that no property of a PipelineJob's spec is changed, added or taken away, but for the editable ones.

    It is one rule whose message names the first such property: one rule for each costs as much as the rest of a write.
    """
    needed = frozenset(required)
    same = {}
    for field in properties:
        if field not in editable:
            mark = "." if field in needed else ".?"
            # The list of one bounds the estimated cost: an open object alone exceeds the limit.
            same[field] = f"[self.spec{mark}{field}] == [oldSelf.spec{mark}{field}]"
    changed = " : ".join(f"!({condition}) ? '{field}'" for field, condition in same.items())
    before, after = immutable_message("*", editable).split("*")
    return [
        _rule(
            f"{_writes_status('reason')} || ({' && '.join(same.values())})",
            immutable_message("*", editable),
            messageExpression=f"'{before}' + ({changed} : '*') + '{after}'",
            fieldPath=".spec",
        )
    ]
