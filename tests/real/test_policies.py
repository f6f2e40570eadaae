"""What a Pipeline's author must be allowed, tried on the real API server as users who have exactly these rights.

Field case B080: no way of naming a service account, or of asking for the host, leads past the author's own rights.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real.pipelines import jobs_of, pods_of, shell, wait_all
from tests.real.policies import LABEL, OWN, native, pipeline
from tests.real.users import GROUP, Rule, User, bind, grant, refusal, rule, service_account

pytestmark = pytest.mark.cluster

PIPELINES = rule("get,create,patch,update", GROUP, "pipelines")
PODS = rule("create", "", "pods")
JOBS = rule("create", "batch", "jobs")
DEPLOYMENTS = rule("create,patch", "apps", "deployments")
ALL = (PODS, JOBS, DEPLOYMENTS)

KINDS = {
    "Shell": ["create pods"],
    "K8S/Job": ["create jobs.batch"],
    "K8S/Deployment": ["create deployments.apps", "patch deployments.apps"],
}
JOB_OF = {
    "Shell": shell("a"),
    "K8S/Job": native("a", "K8S/Job"),
    "K8S/Deployment": native("a", "K8S/Deployment"),
}
AUTHORS: dict[str, tuple[tuple[Rule, ...], str]] = {
    # what the role holds besides Pipelines; the kinds it is enough for
    "nothing": ((), ""),
    "pods": ((PODS,), "Shell"),
    "jobs": ((JOBS,), "K8S/Job"),
    "creates-deployments": ((rule("create", "apps", "deployments"),), ""),
    "patches-deployments": ((rule("patch", "apps", "deployments"),), ""),
    "deployments": ((DEPLOYMENTS,), "K8S/Deployment"),
    "all": (ALL, "Shell K8S/Job K8S/Deployment"),
}


@pytest.fixture
def author(installed: Cluster, team: Kubectl) -> Callable[..., User]:
    """Makes a user who may write Pipelines in the namespace, and do what the rules say."""

    def make(name: str, *rules: Rule) -> User:
        grant(team, name, PIPELINES, *rules)
        return User(installed.paths.kubectl, team.namespace, name)

    return make


@pytest.mark.parametrize("name", AUTHORS)
def test_an_author_needs_what_the_kind_uses_and_nothing_else(author: Callable[..., User], name: str) -> None:
    rules, enough = AUTHORS[name]
    user = author(name, *rules)
    for kind, needed in KINDS.items():
        answer = user.tries(pipeline(JOB_OF[kind]))
        if kind in enough.split():
            assert answer.code == 0, answer.err
            continue
        told = refusal(answer)
        rights = ", ".join(f"{right} ({kind})" for right in needed)
        first = needed[1] if name == "creates-deployments" and kind == "K8S/Deployment" else needed[0]
        where = f"in the namespace {user.namespace}"
        assert told == (
            f"{name} may not {first} ({kind}) {where}. The jobs of this Pipeline need the rights: {rights}. "
            "Ask whoever manages the roles of that namespace, or leave these jobs out."
        )


def test_one_job_among_many_is_enough_for_a_refusal_and_all_rights_are_listed(author: Callable[..., User]) -> None:
    user = author("pods-only", PODS)
    jobs = [shell("first"), native("middle", "K8S/Job"), shell("last"), native("web", "K8S/Deployment")]
    told = refusal(user.tries(pipeline(*jobs)))
    assert told.startswith("pods-only may not create deployments.apps (K8S/Deployment) in the namespace real-")
    for right in ("patch deployments.apps (K8S/Deployment)", "create jobs.batch (K8S/Job)", "create pods (Shell)"):
        assert right in told


def test_kubernetes_own_role_edit_is_enough_for_everything(author: Callable[..., User], team: Kubectl) -> None:
    user = author("editor")
    assert user.tries(pipeline(shell("a"))).code != 0
    bind(team, user.name, "edit")
    jobs = [native(f"a{number}", kind, {"serviceAccountName": f"account-{number}"})
            for number, kind in enumerate(["K8S/Job", "K8S/Deployment"] * 3)]  # fmt: skip
    wait_for(lambda: user.tries(pipeline(shell("s"), *jobs)).code == 0, "the role edit", 30)


def test_only_who_changes_the_jobs_answers_for_them(author: Callable[..., User], team: Kubectl) -> None:
    writer, keeper = author("writer", PODS), author("keeper")
    document = pipeline(shell("a"), native("b", "K8S/Job"), suspend=True)
    team.ok("create", "-f", "-", stdin=document)
    for change in ({"suspend": False}, {"priority": 3}, {"cancel": "Drain"}, {"rerun": {"id": "again"}}):
        keeper.ok(*keeper.merge("tpl/p", {"spec": change}))
    changed = {"spec": {"jobs": [shell("a", timeout=5), native("b", "K8S/Job")]}}
    assert refusal(keeper.run(*keeper.merge("tpl/p", changed))).startswith("keeper may not create jobs.batch (K8S/Job)")
    assert refusal(writer.run(*writer.merge("tpl/p", changed))).startswith("writer may not create jobs.batch (K8S/Job)")
    writer.ok(*writer.merge("tpl/p", {"spec": {"jobs": [shell("a", timeout=5)]}}))
    jobs = [{"op": "replace", "path": "/spec/jobs/0/params/script", "value": "id"}]
    assert "create pods (Shell)" in refusal(keeper.run("patch", "tpl/p", "--type=json", "-p", json.dumps(jobs)))


def test_a_gitops_controller_is_asked_for_its_own_rights(team: Kubectl, installed: Cluster) -> None:
    account = service_account(team, "gitops")
    grant(team, account, PIPELINES)
    token = team.ok("create", "token", "gitops").strip()

    def apply(document: Any, *more: str) -> Any:
        arguments = ("apply", "--server-side", "--field-manager=gitops", "-f", "-", *more)
        return team.run(f"--token={token}", *arguments, stdin=document)

    document = pipeline(shell("a"))
    assert refusal(apply(document, "--dry-run=server")).startswith(f"{account} may not create pods (Shell)")
    assert refusal(apply(document)).startswith(f"{account} may not create pods (Shell)")
    grant(team, account, PODS, title="more")
    assert apply(document, "--dry-run=server").code == 0
    for _ in range(2):
        assert apply(document).code == 0
    team.ok("delete", "role", "more-gitops")
    wait_for(lambda: team.run("auth", "can-i", f"--as={account}", "create", "pods").code, "the right is gone", 30)
    assert apply(document).code == 0, "the same manifest again asks for no right"
    assert apply(pipeline(shell("b"))).code != 0


ACCOUNT_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "Shell": lambda name: shell("a") | {"params": {"image": "i", "script": "true", "serviceAccountName": name}},
    "short Job": lambda name: shell("a", kind="K8S/Job") | {"params": {"image": "i", "serviceAccountName": name}},
    "short Deployment": lambda name: (
        shell("a", kind="K8S/Deployment") | {"params": {"name": "w", "image": "i", "serviceAccountName": name}}
    ),
    "Job": lambda name: native("a", "K8S/Job", {"serviceAccountName": name}),
    "Job, old name": lambda name: native("a", "K8S/Job", {"serviceAccount": name}),
    "Deployment": lambda name: native("a", "K8S/Deployment", {"serviceAccountName": name}),
    "Deployment, old name": lambda name: native("a", "K8S/Deployment", {"serviceAccount": name}),
    "both names": lambda name: native("a", "K8S/Job", {"serviceAccountName": "mine", "serviceAccount": name}),
}


def test_b080_a_service_account_may_be_named_only_by_who_may_use_it(author: Callable[..., User]) -> None:
    mine = rule("impersonate", "", "serviceaccounts", "mine")
    user, boss = author("limited", *ALL, mine), author("boss", *ALL, rule("impersonate", "", "serviceaccounts"))
    for place, job in ACCOUNT_PLACES.items():
        told = refusal(user.tries(pipeline(shell("first"), job("deployer"))))
        assert told.startswith(
            f"limited may not impersonate serviceaccounts/deployer in the namespace {user.namespace}"
        ), place
        for who, name in ((user, "mine"), (user, "default"), (boss, "deployer")):
            answer = who.tries(pipeline(shell("first"), job(name)))
            assert answer.code == 0, (place, name, answer.err)


def test_service_accounts_are_checked_one_by_one_up_to_four(author: Callable[..., User]) -> None:
    names = [f"account-{number}" for number in range(5)]
    jobs = [job | {"name": f"{job['name']}-{number}"}
            for number, job in enumerate(ACCOUNT_PLACES["Job"](name) for name in [*names, *names])]  # fmt: skip
    some = author("some", *ALL, rule("impersonate", "", "serviceaccounts", *names))
    assert some.tries(pipeline(*jobs[:4], *jobs[5:9])).code == 0
    told = refusal(some.tries(pipeline(*jobs)))
    assert "some may not impersonate all serviceaccounts (asked of a Pipeline that names more than 4)" in told
    assert author("any", *ALL, rule("impersonate", "", "serviceaccounts")).tries(pipeline(*jobs)).code == 0
    for number in range(4):
        names_but_one = names[:number] + names[number + 1 :]
        user = author(f"but-{number}", *ALL, rule("impersonate", "", "serviceaccounts", *names_but_one))
        assert f"serviceaccounts/account-{number} in" in refusal(user.tries(pipeline(*jobs[:4])))


def test_b080_what_pod_security_forbids_does_not_run(team: Kubectl, operator: OperatorProcess) -> None:
    team.ok("label", "namespace", team.namespace, "pod-security.kubernetes.io/enforce=baseline")
    privileged = {"containers": [{"name": "m", "image": "i", "securityContext": {"privileged": True}}]}
    host_path = {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
    elsewhere = native("elsewhere", "K8S/Job")
    elsewhere["params"]["spec"]["template"]["metadata"] = {"namespace": "kube-system"}
    jobs = [
        native("network", "K8S/Job", {"hostNetwork": True}),
        native("privileged", "K8S/Job", privileged),
        native("path", "K8S/Job", host_path),
        native("web", "K8S/Deployment", {"hostPID": True}),
        elsewhere,
    ]
    team.ok("create", "-f", "-", stdin=pipeline(*(job | {"startTimeout": 3, "timeout": 8} for job in jobs)))
    assert wait_all(team) == {"p": "ERROR"}
    ends = {job["spec"]["name"]: job["status"]["state"] for job in jobs_of(team)}
    assert ends.pop("elsewhere") == "DONE"
    assert ends == dict.fromkeys(("network", "privileged", "path", "web"), "ERROR")
    (one,) = pods_of(team)
    assert one["metadata"]["ownerReferences"][0]["name"].startswith("p-elsewhere-")
    assert "elsewhere" not in team.ok("get", "pods", "-n", "kube-system", "-o", "name")


def test_a_kind_that_the_policy_does_not_know_is_refused(author: Callable[..., User]) -> None:
    told = refusal(author("maker", *ALL).tries(pipeline(shell("a"), shell("b", kind="Spark"))))
    assert told.startswith("The job kind Spark is not one that the policy knows.")
    assert "known: HTTP, K8S/Deployment, K8S/Job, Shell, Worker" in told


def test_everything_else_in_a_pipeline_is_as_without_a_policy(author: Callable[..., User]) -> None:
    user = author("plain", PODS)
    secret = {"secretKeyRef": {"name": "s", "key": "k"}}
    seed = shell("a", retry_attempt=2, allow_failure=True)
    named = shell("b", retryAttempt=1, allowFailure=False, timeout=5, queueTimeout=9, startTimeout=3, priority=-1)
    named["params"] |= {"env": {"TOKEN": secret}, "serviceAccountName": None}
    assert user.tries(pipeline(seed, named, priority=1, failFast=True, timeout=60)).code == 0


WRONG: tuple[Any, ...] = (None, 5, True, 1.5, "text", "", [], ["a"], [{"template": 1}], {}, {"a": 1})


def test_params_of_a_wrong_type_are_left_to_the_operator(author: Callable[..., User]) -> None:
    user = author("typist", *ALL)
    jobs: list[dict[str, Any]] = [{"params": None}, {"params": {}}]
    jobs += [{"params": {"serviceAccountName": value}} for value in WRONG if value != "text"]
    jobs += [{"params": {"spec": value}} for value in WRONG]
    jobs += [{"params": {"spec": {"template": value}}} for value in WRONG]
    jobs += [{"params": {"spec": {"template": {"spec": value}}}} for value in WRONG]
    jobs += [
        {"params": {"spec": {"template": {"spec": {"serviceAccount": value}}}}} for value in WRONG if value != "text"
    ]
    made = [shell(f"a{number}", kind="K8S/Job") | job for number, job in enumerate(jobs)]
    assert user.tries(pipeline(*made)).code == 0
    told = refusal(author("clerk", PODS).tries(pipeline(*made)))
    assert told.startswith("clerk may not create jobs.batch (K8S/Job)")


def test_nobody_creates_a_pipeline_in_the_operators_own_namespace(installed: Cluster, team: Kubectl) -> None:
    own = Kubectl(installed.paths.kubectl, OWN)
    own.ok("label", "namespace", OWN, f"{LABEL}=true")
    try:
        tries = ("create", "--dry-run=server", "-f", "-")
        told = wait_for(lambda: own.run(*tries, stdin=pipeline(shell("a"))).err, "a refusal", 30)
    finally:
        own.ok("label", "namespace", OWN, f"{LABEL}-")
    assert "The namespace task-pipeline is the operator's own: create the Pipeline in another." in told


def large(kind: str, accounts: int) -> dict[str, Any]:
    """A Pipeline of 2,000 jobs, about a megabyte, with as many different service accounts as wanted."""
    jobs = []
    for number in range(2000):
        place = "Shell" if kind == "Shell" else kind.removeprefix("K8S/")
        job = ACCOUNT_PLACES[place](f"account-{number % accounts:04}-{'x' * 40}" if accounts else "")
        job["params"]["args"] = ["x" * 250]
        jobs.append(job | {"name": f"job-{number}-{'n' * 40}"})
    return pipeline(*jobs, name=f"large-{accounts}")


@pytest.mark.parametrize(("kind", "accounts"), [("Shell", 0), ("K8S/Job", 4), ("K8S/Deployment", 4), ("K8S/Job", 2000)])
def test_2000_jobs_fit_the_limits_of_cost(author: Callable[..., User], kind: str, accounts: int) -> None:
    chief = author("chief", *ALL, rule("impersonate", "", "serviceaccounts"))
    document = large(kind, accounts)
    chief.ok("create", "-f", "-", stdin=document)
    name = f"tpl/{document['metadata']['name']}"
    chief.ok(*chief.merge(name, {"spec": {"priority": 3}}))
    chief.ok("patch", name, "--type=json", "-p", '[{"op": "replace", "path": "/spec/jobs/1999/name", "value": "last"}]')
    document["metadata"]["name"] += "-again"
    told = refusal(author("nobody").tries(document))
    assert f"nobody may not create {KINDS[kind][0].removeprefix('create ')} ({kind})" in told
