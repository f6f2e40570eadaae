"""What GitOps tools say about the health of a Pipeline, before an operator has seen it and until its end.

Field cases B051, B052, B053.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.gitops.rules import argo, conditions, is_observed, kstatus
from tests.gitops.shipped import FLUX
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, shell, wait_all

pytestmark = pytest.mark.cluster

FLUX_ORDER = ("inProgress", "failed", "current")


def things(kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    """Every Pipeline, by name."""
    items = json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]
    return {one["metadata"]["name"]: one for one in items}


def health(kubectl: Kubectl) -> dict[str, tuple[str, str]]:
    """What Argo CD and Flux say of every Pipeline."""
    return {name: (argo(thing), kstatus(thing)) for name, thing in things(kubectl).items()}


def test_b052_what_no_operator_has_seen_is_not_ready_and_then_is_observed_at_once(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    create_all(kubectl, {"gitops2": {"stages": ["s"], "jobs": [shell("a", seconds=4)]}})
    fresh = things(kubectl)["gitops2"]
    assert fresh["status"]["observedGeneration"] == -1
    assert health(kubectl) == {"gitops2": ("Progressing", "InProgress")}
    new_operator().start()
    wait_for(lambda: is_observed(things(kubectl)["gitops2"]), "the operator to see it")
    seen = things(kubectl)["gitops2"]
    assert conditions(seen)["Ready"] == "False"
    assert health(kubectl) == {"gitops2": ("Progressing", "InProgress")}
    began = time.monotonic()
    create_all(kubectl, {"second": {"stages": ["s"], "jobs": [shell("a", seconds=4)]}})
    wait_for(lambda: is_observed(things(kubectl)["second"]), "the operator to see the second")
    took = time.monotonic() - began
    print(f"observed after {took:.2f} s, kubectl included")
    assert wait_all(kubectl) == {"gitops2": "DONE", "second": "DONE"}
    assert set(health(kubectl).values()) == {("Healthy", "Current")}


def test_b051_health_follows_the_run_to_each_of_its_ends(kubectl: Kubectl, operator: OperatorProcess) -> None:
    one = {"stages": ["s"], "jobs": [shell("a", seconds=3)]}
    create_all(
        kubectl,
        {
            "good": one,
            "warned": {"stages": ["s"], "jobs": [shell("a", seconds=3), shell("b", exit_code=1, allowFailure=True)]},
            "bad": {"stages": ["s"], "jobs": [shell("a", seconds=3, exit_code=1)]},
            "cancelled": {"stages": ["s"], "jobs": [shell("a", seconds=600)]},
            "held": one | {"suspend": True},
            "invalid": {"stages": ["s"], "jobs": [shell("a", kind="Nope")]},
        },
    )
    running = ("Progressing", "InProgress")
    halfway = {name: running for name in ("good", "warned", "bad", "cancelled")}
    halfway |= {"held": ("Suspended", "Current"), "invalid": ("Degraded", "Failed")}
    wait_for(lambda: health(kubectl) == halfway, f"all to be on their way, not {health(kubectl)}", 20)
    kubectl.ok(*kubectl.merge("tpl/cancelled", {"spec": {"cancel": "Now"}}))
    ends = {
        "good": ("Healthy", "Current"),
        "warned": ("Healthy", "Current"),
        "bad": ("Degraded", "Failed"),
        "cancelled": ("Degraded", "Failed"),
        "held": ("Suspended", "Current"),
        "invalid": ("Degraded", "Failed"),
    }
    wait_for(lambda: health(kubectl) == ends, "all to be at their ends", 30)
    for thing in things(kubectl).values():
        assert is_observed(thing)
        assert {one["observedGeneration"] for one in thing["status"]["conditions"]} == {thing["metadata"]["generation"]}
    kubectl.ok(*kubectl.merge("tpl/held", {"spec": {"suspend": False}}))
    wait_for(lambda: health(kubectl)["held"] == ("Healthy", "Current"), "the suspended one to run", 30)


def test_b053_a_failure_is_told_as_final_at_once(kubectl: Kubectl, operator: OperatorProcess) -> None:
    create_all(kubectl, {"gitops3": {"stages": ["s"], "jobs": [shell("a", seconds=1, exit_code=1)]}})
    kubectl.ok("wait", "tpl/gitops3", "--for=condition=Stalled", "--timeout=20s")
    failed = things(kubectl)["gitops3"]
    found = conditions(failed)
    assert (found["Ready"], found["Stalled"], found["Finished"]) == ("False", "True", "True")
    assert failed["status"]["observedGeneration"] == failed["metadata"]["generation"]
    assert (argo(failed), kstatus(failed)) == ("Degraded", "Failed")
    (ready,) = (one for one in failed["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("JobFailed", "failed in stage s: a")


def expressions() -> dict[str, str]:
    """The health expressions for Flux that are shipped."""
    (check,) = yaml.safe_load(FLUX.read_text())
    # Flux has the fields of the object as variables, a policy the object.
    return {name: re.sub(r"(?<!\.)\bstatus\.", "object.status.", check[name]) for name in FLUX_ORDER}


@pytest.fixture
def evaluate(kubectl: Kubectl) -> Iterator[Callable[[str], str]]:
    """Evaluates the expressions on a Pipeline in the API server, by a policy that refuses with their answer."""
    order, name = expressions(), f"health-{kubectl.namespace}"
    answer = " : ".join(f"({expression}) ? '{word}'" for word, expression in order.items()) + " : 'none'"
    rules = {
        "apiGroups": ["taskpipeline.dev"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["pipelines"],
    }
    place = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rules]} | place,
            "validations": [{"expression": "false", "messageExpression": f"'flux says ' + ({answer})"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": place},
    }
    kubectl.ok("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": [policy, binding]})

    def ask(pipeline: str) -> str:
        def said() -> list[str]:
            answer = kubectl.run("label", "tpl", pipeline, "a=b", "--dry-run=server")
            return re.findall(r"flux says (\w+)", answer.err)

        return wait_for(said, "the policy to be in force", 30)[0]

    yield ask
    kubectl.ok("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)


def test_b052_the_expressions_for_flux_hold_back_what_has_not_succeeded(
    kubectl: Kubectl, evaluate: Callable[[str], str], new_operator: Callable[..., OperatorProcess]
) -> None:
    specs = {
        "good": {"stages": ["s"], "jobs": [shell("a")]},
        "bad": {"stages": ["s"], "jobs": [shell("a", exit_code=1)]},
        "runs": {"stages": ["s"], "jobs": [shell("a", seconds=600)]},
        "held": {"stages": ["s"], "jobs": [shell("a")], "suspend": True},
    }
    create_all(kubectl, specs)
    assert {name: evaluate(name) for name in specs} == dict.fromkeys(specs, "inProgress")
    new_operator().start()
    ends = {"good": ("Healthy", "Current"), "bad": ("Degraded", "Failed"), "held": ("Suspended", "Current")}
    wait_for(lambda: {**health(kubectl), "runs": None} == {**ends, "runs": None}, "the ends", 30)
    wanted = {"good": "current", "bad": "failed", "runs": "inProgress", "held": "inProgress"}
    assert {name: evaluate(name) for name in specs} == wanted
