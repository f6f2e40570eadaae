"""All checkers by id, and what they find in a history.

`check(history, rules)` is what every harness calls. The ids S1 to S14 and L1 to L5 are those of the list of invariants
in README.md; P1 to P5 are promises of the semantics that the list has not. L5 compares two histories (`differences`).
"""

from collections.abc import Mapping
from typing import Any

from tests.faults.history import History, Object
from tests.faults.promises import attempts, ends, limits, states
from tests.faults.rules import Checker, Limits, Rules, Violation
from tests.faults.scene import status_of

CHECKERS: Mapping[str, Checker] = {
    "S1": attempts.one_workload_for_each_attempt,
    "S2": attempts.attempts_in_order,
    "S3": limits.limits_hold,
    "S3 queue": limits.queue_is_a_window,
    "S4": states.barrier_holds,
    "S5": states.only_legal_edges,
    "S6": limits.order_is_kept,
    "S7": states.results_stay,
    "S8": attempts.retries_are_charged,
    "S9": states.outcome_follows,
    "S10": ends.acknowledged_is_kept,
    "S11": ends.owners_are_right,
    "S12": ends.old_leaders_are_silent,
    "S13": ends.hygiene,
    "S14": ends.comes_to_rest,
    "L1": ends.everything_ends,
    "L2": ends.deletions_complete,
    "L3": ends.nothing_is_left,
    "L4": ends.failover_is_quick,
    "P1": ends.nothing_after_a_cancel,
    "P2": attempts.nothing_runs_on,
    "P3": states.the_end_stays,
    "P4": attempts.success_was_seen,
    "P5": limits.slots_are_freed,
}

TOLD = ("state", "reason", "warnings", "failedJobs", "failures")


def check(history: History, rules: Rules) -> list[Violation]:
    """Every violation in a history, in the order of revisions."""
    found = [
        Violation(name, revision, text)
        for name, checker in CHECKERS.items()
        for revision, text in checker(history, rules)
    ]
    return sorted(found, key=lambda one: (one.revision, one.id))


def outcome(history: History) -> dict[str, dict[str, Any]]:
    """How everything stands at the end: what is told of each Pipeline (`namespace/name`) and of each of its jobs
    (`namespace/pipeline/job`), without times, attempts and places, which faults may change.
    """
    end = {}
    for version in history.final():
        if version.resource == "pipelines":
            end[version.name] = _told(version.object)
        elif version.resource == "pipelinejobs":
            spec = version.object["spec"]
            end[f"{version.object['metadata']['namespace']}/{spec['pipeline']}/{spec['name']}"] = _told(version.object)
    return end


def differences(history: History, reference: History) -> list[Violation]:
    """L5: the end of a run with faults is that of the same run without any."""
    end, wanted = outcome(history), outcome(reference)
    return [
        Violation("L5", 0, f"{name} ended {end.get(name)}, not {wanted.get(name)}")
        for name in sorted(end.keys() | wanted.keys())
        if end.get(name) != wanted.get(name)
    ]


def _told(thing: Object) -> dict[str, Any]:
    status = status_of(thing)
    return {name: status[name] for name in TOLD if name in status}


__all__ = ["CHECKERS", "Limits", "Rules", "Violation", "check", "differences", "outcome"]
