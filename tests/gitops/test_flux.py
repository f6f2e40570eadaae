"""Flux: its own rules and the shipped expressions on the recorded objects, for all situations of the contract."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.gitops.contract import TABLE
from tests.gitops.rules import conditions, flux, kstatus, odd
from tests.gitops.shipped import checks, recorded

RECORDED = recorded()


@pytest.mark.parametrize("name", TABLE)
def test_b052_kstatus_and_the_expressions_say_what_the_contract_wants(name: str) -> None:
    thing = RECORDED[name]
    assert conditions(thing) == TABLE[name].conditions
    assert (kstatus(thing), flux(thing, checks())) == (TABLE[name].kstatus, TABLE[name].flux)
    assert list(odd(thing)) == []


@pytest.mark.parametrize("name", TABLE)
def test_an_edit_and_a_deletion_are_on_their_way(name: str) -> None:
    thing = copy.deepcopy(RECORDED[name])
    thing["metadata"]["generation"] += 1
    assert (kstatus(thing), flux(thing, checks())) == ("InProgress", "inProgress")
    thing["metadata"]["deletionTimestamp"] = "2026-11-28T20:49:15Z"
    assert kstatus(thing) == "Terminating"


@pytest.mark.parametrize("name", TABLE)
def test_at_most_one_expression_is_true_so_their_order_plays_no_part(name: str) -> None:
    thing = RECORDED[name]
    true = [word for word, ask in checks().items() if "conditions" in thing["status"] and ask(thing)]
    assert true == ([TABLE[name].flux] if name != "not-seen" else [])


def test_a_client_is_current_while_it_can_be_used() -> None:
    clients = recorded("PipelineClient")
    assert {name: kstatus(thing) for name, thing in clients.items()} == {
        "ready": "Current", "closed": "Current", "suspended": "InProgress"}  # fmt: skip


def _set(**found: str | None) -> Callable[[dict[str, Any]], None]:
    def change(thing: dict[str, Any]) -> None:
        row = conditions(thing) | found
        listed = [{"type": kind, "status": status} for kind, status in row.items() if status is not None]
        thing["status"]["conditions"] = listed

    return change


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("done", _set(Ready=None), "no condition Ready"),
        ("done", _set(Reconciling="True"), "Ready beside"),
        ("error", _set(Ready="Unknown"), "Ready is not False"),
        ("error", _set(Reconciling="True"), "at once"),
        ("done", _set(Stalled="False"), "not True"),
        ("done", lambda thing: thing["metadata"].update(generation=0), "ahead"),
    ],
)
def test_the_checker_finds_what_it_is_for(name: str, change: Callable[[dict[str, Any]], None], said: str) -> None:
    thing = copy.deepcopy(RECORDED[name])
    change(thing)
    assert any(said in line for line in odd(thing)), list(odd(thing))
