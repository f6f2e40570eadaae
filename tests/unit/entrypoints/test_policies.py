"""The admission policies follow the kinds, and leave the operator's hot path alone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from task_pipeline.api.resources import CONFIG_MAPS, PODS, Resource
from task_pipeline.core.workload import KindDefaults, Right, is_remote_kind
from task_pipeline.entrypoints.admission import OPERATOR_GROUP, operator_role
from task_pipeline.entrypoints.policies import policies
from task_pipeline.entrypoints.requester import MAX_ACCOUNTS, needs, requester_policy
from task_pipeline.kinds.registry import BUILT_IN, check_params

CHECK_COST, EXPRESSION_LIMIT, POLICY_LIMIT = 350_000, 1_000_000, 10_000_000


LAUNCHED = [kind for kind in BUILT_IN if not is_remote_kind(kind)]


def rules() -> Iterator[dict[str, Any]]:
    """The rules by which the policies choose what they look at."""
    for one in policies():
        yield from one["spec"].get("matchConstraints", {}).get("resourceRules", ()) if "spec" in one else ()


class Spark:
    """A kind of another package, as far as policies look at kinds."""

    name = "Spark"
    resource = Resource("sparkoperator.k8s.io", "v1beta2", "sparkapplications", "SparkApplication")
    rights = (Right(resource, ("create", "delete", "get", "patch", "watch")), Right(PODS, ("create",)))


def test_the_needs_of_every_kind_are_its_writing_verbs_on_what_it_launches() -> None:
    assert [need.text for need in needs(BUILT_IN)] == [
        "create deployments.apps (K8S/Deployment)",
        "patch deployments.apps (K8S/Deployment)",
        "create jobs.batch (K8S/Job)",
        "create pods (Shell)",
    ]
    assert {need.kind for need in needs(BUILT_IN)} == {kind.name for kind in LAUNCHED}


def test_a_new_kind_changes_the_policy() -> None:
    found = requester_policy((*BUILT_IN, Spark), "here")["spec"]  # type: ignore[arg-type]
    text = " ".join(one["expression"] for one in found["validations"])
    for verb in ("create", "patch"):
        check = (
            f".group('sparkoperator.k8s.io').resource('sparkapplications').namespace(request.namespace).check('{verb}')"
        )
        assert f"!('Spark' in variables.kinds) || authorizer{check}" in text
    assert "request.namespace != 'here'" in text


@pytest.mark.parametrize("kind", LAUNCHED, ids=lambda kind: kind.name)
def test_a_kind_names_service_accounts_only_where_the_policy_looks(kind: Any) -> None:
    """A new place would have to be added to the policy; and what a kind may write beside it needs a thought."""
    for version, model in kind.versions.items():
        named = {field.alias or name for name, field in model.model_fields.items() if "account" in name}
        assert named == {"serviceAccountName"}
        faults = check_params(kind.name, version, {"service_account_name": "x"}, KindDefaults())
        assert "params.service_account_name" in {fault.path for fault in faults}
    others = {right.resource for right in kind.rights if {"create", "update", "patch"} & {*right.verbs}}
    assert others <= {kind.resource, CONFIG_MAPS}


def test_no_policy_looks_at_a_status() -> None:
    assert {name for rule in rules() for name in rule["resources"]} == {"pipelines", "pipelinejobs", "pods"}


def test_no_role_for_our_group_counts_as_the_operators_right() -> None:
    (rule,) = operator_role()["rules"]
    assert rule["apiGroups"] == [OPERATOR_GROUP]
    assert OPERATOR_GROUP not in {group for one in rules() for group in one["apiGroups"]}


def test_checks_of_rights_fit_the_limits_of_cost() -> None:
    total = 0
    for policy in (one for one in policies() if one["kind"] == "ValidatingAdmissionPolicy"):
        spec = policy["spec"]
        texts = [one["expression"] for key in ("variables", "validations") for one in spec.get(key, ())]
        counts = [text.count(".check(") for text in texts]
        assert max(counts) * CHECK_COST < EXPRESSION_LIMIT
        total = max(total, sum(counts) * CHECK_COST)
        said = " ".join(one.get("messageExpression", "") for one in spec["validations"])
        checking = {one["name"] for one in spec.get("variables", ()) if ".check(" in one["expression"]}
        assert not checking.union(["authorizer"]) & {*re.findall(r"\w+", said)}, "such a message would not be shown"
    assert total == (len(needs(BUILT_IN)) + MAX_ACCOUNTS + 1) * CHECK_COST
    assert total < POLICY_LIMIT / 2


def test_every_policy_has_a_binding_that_denies() -> None:
    of = {kind: [one for one in policies() if one["kind"] == kind] for kind in {one["kind"] for one in policies()}}
    names = [one["metadata"]["name"] for one in of["ValidatingAdmissionPolicy"]]
    bindings = of["ValidatingAdmissionPolicyBinding"]
    assert [one["spec"]["policyName"] for one in bindings] == names
    assert all(one["spec"]["validationActions"] == ["Deny"] for one in bindings)
    assert all(one["spec"]["failurePolicy"] == "Fail" for one in of["ValidatingAdmissionPolicy"])
