"""The rights in the chart's roles are those under which the tests on a real API server run, no more, no fewer."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import yaml

from tests.install.checks import bound_role, of, role_key
from tests.install.helm import NAMESPACE, ROOT, Document, Helm
from tests.install.values import SETS, TEAMS
from tests.real.test_rest_auth import CLUSTER_RULES, OWN_RULES
from tests.real.users import GROUP, OPERATOR_RULES, rule

pytestmark = pytest.mark.chart

Right = tuple[str, str, str, str]  # group, resource, verb, name of the object or ""
EVERYWHERE = ""
LEASE = {("coordination.k8s.io", "leases", "create", "")} | {
    ("coordination.k8s.io", "leases", verb, "task-pipeline-operator") for verb in ("get", "update")
}


def rights(rules: Iterable[Mapping[str, Any]]) -> set[Right]:
    """Rules as single rights, so that it plays no part how they are written."""
    return {
        (group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def granted(documents: list[Document], account: str) -> dict[str, set[Right]]:
    """What a service account may do, by namespace; "" for the whole cluster."""
    roles = {role_key(document): document["rules"] for document in of(documents, "Role", "ClusterRole")}
    found: dict[str, set[Right]] = {}
    for document in of(documents, "RoleBinding", "ClusterRoleBinding"):
        if not any(subject["name"] == account for subject in document["subjects"]):
            continue
        place = document["metadata"].get("namespace", EVERYWHERE)
        found.setdefault(place, set()).update(rights(roles[bound_role(document)]))
    return found


# What the routes of the REST server do; tests/e2e compares it with what the API server saw.
SERVING_RULES = (
    rule("create,delete,get,list,patch,watch", GROUP, "pipelines"),
    rule("get,list,patch,watch", GROUP, "pipelinejobs"),
    rule("patch", GROUP, "pipelinejobs/status"),
    rule("list", "", "pods,namespaces"),
    rule("get", "", "pods/log"),
)
OPERATE = {("operator.taskpipeline.dev", "pipelines", "operate", "")}


def test_the_operator_has_what_the_tests_give_it(default: list[Document]) -> None:
    found = granted(default, "task-pipeline-operator")
    assert found.keys() == {EVERYWHERE, NAMESPACE}
    assert found[EVERYWHERE] | found[NAMESPACE] == rights(OPERATOR_RULES) | OPERATE
    own = {("taskpipeline.dev", "pipelineclients/status", "patch", "")}
    assert found[NAMESPACE] == own | LEASE


def test_an_operator_for_some_namespaces_has_nothing_outside_them(helm: Helm) -> None:
    found = granted(helm.documents(SETS["namespaced"]), "task-pipeline-operator")
    assert found.keys() == {*TEAMS, NAMESPACE}
    given = rights(OPERATOR_RULES) - LEASE - {("taskpipeline.dev", "pipelineclients/status", "patch", "")}
    assert found["team-a"] == found["team-b"] == given | OPERATE
    for kind in ("pipelines", "pipelineclients"):
        assert {("taskpipeline.dev", kind, verb, "") for verb in ("list", "watch")} <= found[NAMESPACE]
    assert {resource for _, resource, _, _ in found[NAMESPACE]} == {
        "pipelines", "pipelineclients", "pipelineclients/status", "leases"}  # fmt: skip


def test_the_server_has_what_authentication_needs(default: list[Document]) -> None:
    found = granted(default, "task-pipeline-server")
    assert found.keys() == {EVERYWHERE, NAMESPACE}
    reading = {("taskpipeline.dev", "pipelineclients", verb, "") for verb in ("get", "watch")}
    assert found[NAMESPACE] == rights(OWN_RULES) | reading
    assert found[EVERYWHERE] == rights(CLUSTER_RULES) | rights(SERVING_RULES)


def test_a_server_for_some_namespaces_only_reviews_outside_them(helm: Helm) -> None:
    found = granted(helm.documents(SETS["namespaced"]), "task-pipeline-server")
    assert found.keys() == {EVERYWHERE, *TEAMS, NAMESPACE}
    assert found[EVERYWHERE] == rights(CLUSTER_RULES)
    assert not any(resource.startswith("secrets") for _, resource, _, _ in found["team-a"])


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ("default", set()),
        ("authors-everywhere", {EVERYWHERE}),
        ("cluster-of-some-namespaces", {"team-a"}),
        ("namespaced-with-authors", {*TEAMS}),
    ],
)
def test_the_server_is_an_author_only_where_it_is_told(helm: Helm, values: str, places: set[str]) -> None:
    author = {("", "pods", "create", ""), ("batch", "jobs", "create", ""), ("apps", "deployments", "create", ""),
              ("apps", "deployments", "patch", "")}  # fmt: skip
    found = granted(helm.documents(SETS[values]), "task-pipeline-server")
    assert {place for place, given in found.items() if author & given} == places
    assert all(author <= found[place] for place in places)


def test_the_hook_that_makes_the_client_may_do_nothing_else(default: list[Document]) -> None:
    found = granted(default, "task-pipeline-default-client")
    assert found == {NAMESPACE: {("taskpipeline.dev", "pipelineclients", "create", "")}}


def test_the_runner_has_no_rights_and_a_token_for_the_server_only(default: list[Document]) -> None:
    assert granted(default, "task-pipeline-http-runner") == {}
    (runner,) = [one for one in of(default, "Deployment") if one["metadata"]["name"] == "task-pipeline-http-runner"]
    spec = runner["spec"]["template"]["spec"]
    (token,) = [volume["projected"]["sources"] for volume in spec["volumes"] if volume["name"] == "token"]
    assert token == [{"serviceAccountToken": {"audience": "task-pipeline", "expirationSeconds": 3600, "path": "token"}}]
    assert spec["automountServiceAccountToken"] is False


def test_people_never_get_a_status_and_never_make_jobs(default: list[Document]) -> None:
    roles = {one["metadata"]["name"].rpartition("-")[2]: rights(one["rules"]) for one in of(default, "ClusterRole")
             if any("aggregate-to" in label for label in one["metadata"]["labels"])}  # fmt: skip
    assert roles.keys() == {"view", "edit", "admin"}
    everything = set[Right]().union(*roles.values())
    assert {resource for _, resource, _, _ in everything} == {"pipelines", "pipelinejobs", "pipelineclients"}
    assert ("taskpipeline.dev", "pipelinejobs", "create", "") not in everything
    assert {verb for _, _, verb, _ in roles["view"]} == {"get", "list", "watch"}
    assert {resource for _, resource, _, _ in roles["view"]} == {"pipelines", "pipelinejobs"}


def test_the_pages_name_the_same_rights(default: list[Document]) -> None:
    """docs/operations.md has a table of what the operator needs besides the job kinds' rights."""
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.split("## Rights\n", 1)[1].split("\n## ", 1)[0]
    told = set()
    for row in re.findall(r"^\| (`.+) \| (.+) \|$", table, re.MULTILINE):
        resources, verbs = re.findall(r"`([a-z/]+)`", row[0]), set(re.split(r"[,;] ", row[1]))
        told |= {(resource, verb) for resource in resources for verb in verbs if " " not in verb}
    given = granted(default, "task-pipeline-operator")
    have = {(resource, verb) for place in given.values() for _, resource, verb, _ in place}
    assert told - have == set(), yaml.safe_dump(sorted(told - have))


def test_the_page_on_authentication_names_the_rights_of_the_server(default: list[Document]) -> None:
    page = (ROOT / "docs" / "authentication.md").read_text().split("## Rights of the server\n", 1)[1]
    told = set()
    for resources, verbs, where in re.findall(r"^\| (`.+?) \| (.+?) \| (.+?) \|$", page, re.MULTILINE):
        place = NAMESPACE if where.startswith("its own") else EVERYWHERE
        names, _, only = resources.partition(": ")
        for resource in re.findall(r"`([a-z/]+)`", names):
            told |= {(place, resource, verb, only.strip("`")) for verb in verbs.split(", ")}
    given = granted(default, "task-pipeline-server")
    assert told == {(place, *right[1:]) for place, found in given.items() for right in found}
