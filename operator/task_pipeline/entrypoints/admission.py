"""The parts that ValidatingAdmissionPolicies are put together from, and how the operator is known to them.

Rule: pure builders of plain data. Expressions are CEL; what stands in them between quotes comes from the code, never
from a user. The operator is whoever holds a right on a resource that does not exist, in a group of its own, so that
neither the name of its service account stands in a policy nor a role for all of our group counts as that right.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from task_pipeline.api.group import GROUP
from task_pipeline.api.resources import Resource

Manifest = dict[str, Any]

API_VERSION = "admissionregistration.k8s.io/v1"
POLICY_KIND = "ValidatingAdmissionPolicy"
BINDING_KIND = "ValidatingAdmissionPolicyBinding"
OPERATOR_ROLE = "task-pipeline-operate"
OPERATOR_GROUP, OPERATOR_RESOURCE, OPERATOR_VERB = f"operator.{GROUP}", "pipelines", "operate"


def operator_role() -> Manifest:
    """The ClusterRole that makes a service account the operator's."""
    rule = {"apiGroups": [OPERATOR_GROUP], "resources": [OPERATOR_RESOURCE], "verbs": [OPERATOR_VERB]}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": _metadata(OPERATOR_ROLE, "The policies know the operator by this right: bind it to nobody else."),
        "rules": [rule],
    }


def may(group: str, plural: str, verb: str, name: str = "") -> str:
    """The expression that the user has a right in the namespace; `name` is an expression too, none = on all objects."""
    resource = f"authorizer.group('{group}').resource('{plural}').namespace(request.namespace)"
    return f"{resource}{f'.name({name})' if name else ''}.check('{verb}').allowed()"


def is_operator() -> str:
    """The expression that the request is the operator's."""
    return may(OPERATOR_GROUP, OPERATOR_RESOURCE, OPERATOR_VERB)


def literal(words: Iterable[str]) -> str:
    """A list of texts as an expression."""
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def validation(expression: str, *, message: str = "", computed: str = "") -> Manifest:
    """What must hold, and what a refusal says: a text, or an expression, which may use no check of rights."""
    said = {"message": message} if message else {"messageExpression": computed}
    return {"expression": expression, **said, "reason": "Forbidden"}


def policy(
    name: str,
    description: str,
    resource: Resource,
    condition: tuple[str, str],
    validations: list[Manifest],
    variables: Mapping[str, str] | None = None,
) -> Manifest:
    """A policy on the creation and every update of `resource`, not of its status; `condition` is (name, expression)."""
    rule = {
        "apiGroups": [resource.group],
        "apiVersions": [resource.version],
        "resources": [resource.plural],
        "operations": ["CREATE", "UPDATE"],
    }
    spec: Manifest = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": condition[0], "expression": condition[1]}],
        "variables": [{"name": key, "expression": text} for key, text in (variables or {}).items()],
        "validations": validations,
    }
    if not variables:
        del spec["variables"]
    metadata = _metadata(f"{name}.{GROUP}", description)
    return {"apiVersion": API_VERSION, "kind": POLICY_KIND, "metadata": metadata, "spec": spec}


def binding(of: Manifest, **more: Any) -> Manifest:
    """The binding that puts a policy into force in every namespace."""
    name = of["metadata"]["name"]
    spec = {"policyName": name, "validationActions": ["Deny"], **more}
    return {"apiVersion": API_VERSION, "kind": BINDING_KIND, "metadata": {"name": name}, "spec": spec}


def _metadata(name: str, description: str) -> Manifest:
    return {"name": name, "annotations": {"kubernetes.io/description": description}}
