"""What the policies keep for the operator, that they cost it nothing, and which namespaces a client may be used from.

The operator runs here as a service account with exactly the rights of a role, not as an administrator.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.real import audit
from tests.real.pipelines import jobs_of, shell, wait_all, wait_for_status
from tests.real.policies import JOB_HASH, OWN, native, pipeline, pipeline_job, pod
from tests.real.users import GROUP, OPERATOR_RULES, User, bind, grant, kubeconfig_of, refusal, rule, service_account

pytestmark = pytest.mark.cluster

ROLE = "task-pipeline-operate"
EVERYTHING_OF_OURS = rule("*", GROUP, "*")
POD_RIGHTS = rule("create,get,patch", "", "pods")
METRIC = re.compile(
    r"^apiserver_(validating_admission_policy_check_total|admission_match_condition_evaluation_seconds_count)"
    r"{(.*)} (\d+)$",
    re.MULTILINE,
)


@pytest.fixture
def account(installed: Cluster, team: Kubectl) -> Iterator[str]:
    """A service account with all the operator's rights in `team` and in its own namespace, but the right to operate."""
    own = Kubectl(installed.paths.kubectl, OWN)
    title = f"of-{team.namespace}"
    name = service_account(own, title)
    for place in (team, own):
        grant(place, name, *OPERATOR_RULES)
    yield name
    for kind, gone in (("rolebinding", f"own-{title}-{title}"), ("role", f"own-{title}"), ("serviceaccount", title)):
        own.ok("delete", kind, gone)


@pytest.fixture
def restricted(
    installed: Cluster, team: Kubectl, account: str, tmp_path: Path, new_operator: Callable[..., OperatorProcess]
) -> OperatorProcess:
    """An operator of that service account, for `team` only, not started yet."""
    own = Kubectl(installed.paths.kubectl, OWN)
    file = kubeconfig_of(own, account.rpartition(":")[2], installed.kubeconfig, tmp_path / "operator.kubeconfig")
    return new_operator(kubeconfig=file, TASK_PIPELINE_NAMESPACES=f'["{team.namespace}"]')


@pytest.fixture
def owner(installed: Cluster, team: Kubectl) -> User:
    """Someone with every right on our own group, and who may write pods."""
    grant(team, "owner", POD_RIGHTS, EVERYTHING_OF_OURS)
    return User(installed.paths.kubectl, team.namespace, "owner")


def evaluations(admin: Kubectl) -> Counter[tuple[str, str]]:
    """How often each policy refused, and how often its condition sorted a request out, by operation.

    The API server counts neither what no policy matches nor what one allows.
    """
    found: Counter[tuple[str, str]] = Counter()
    for _, text, number in METRIC.findall(admin.ok("get", "--raw", "/metrics")):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', text))
        name = (labels.get("policy") or labels["name"]).removesuffix(f".{GROUP}")
        found[name, labels.get("operation", "refused")] += int(number)
    return found


def test_the_operators_requests_are_sorted_out_and_no_policy_looks_at_a_status(
    installed: Cluster, team: Kubectl, account: str, restricted: OperatorProcess
) -> None:
    grant(
        team, "author", rule("create", "", "pods"), rule("create", "batch", "jobs"), rule("create", GROUP, "pipelines")
    )
    grant(team, "author", rule("create,patch", "apps", "deployments"), title="more")
    author = User(installed.paths.kubectl, team.namespace, "author")
    bind(team, account, ROLE)
    restricted.start()
    document = pipeline(shell("a", seconds=1), native("b", "K8S/Job"), native("c", "K8S/Deployment"))
    wait_for(lambda: author.tries(document).code == 0, "the author's rights", 30)
    before, since = evaluations(team), audit.mark(installed.audit_log)
    author.ok("create", "-f", "-", stdin=document)
    assert wait_all(team) == {"p": "DONE"}
    done = evaluations(team) - before
    requests = list(audit.requests(installed.audit_log, since))
    writes = Counter(f"{one['verb']} {one['requestURI'].split('?')[0].rpartition('/')[2]}" for one in requests)
    assert writes["patch status"] >= 8, writes
    assert {one["user"]["username"] for one in requests} == {account}
    assert [one["requestURI"] for one in requests if one["responseStatus"]["code"] == 403] == []
    assert done.pop(("reserved-labels", "UPDATE")) >= 1  # Kubernetes lets go of the pod of its Job
    assert done == {("pipelinejobs", "CREATE"): 3, ("reserved-labels", "CREATE"): 2}


def test_an_operator_without_its_right_is_told_how_to_get_it(installed: Cluster, team: Kubectl, account: str) -> None:
    operator = User(installed.paths.kubectl, team.namespace, account)
    assert f"bind the ClusterRole {ROLE} to its service account" in refusal(operator.tries(pipeline_job("j")))
    assert f"bind the ClusterRole {ROLE} to its service account" in refusal(operator.tries(pod("j", {JOB_HASH: "j"})))
    bind(team, account, ROLE)
    wait_for(lambda: operator.tries(pipeline_job("j")).code == 0, "the right to operate", 30)
    assert operator.tries(pod("j", {JOB_HASH: "j"})).code == 0


def test_users_set_cancel_and_priority_of_a_pipelinejob_and_nothing_else(team: Kubectl, owner: User) -> None:
    assert refusal(owner.tries(pipeline_job("mine"))).startswith(
        "Only the operator creates PipelineJobs: create a Pipeline"
    )
    team.ok("create", "-f", "-", stdin=pipeline_job("j"))
    for change in ({"priority": 1}, {"cancel": "Now"}):
        owner.ok(*owner.merge("pjob/j", {"spec": change}))
    told = refusal(owner.run(*owner.merge("pjob/j", {"spec": {"pipelinePriority": 1}})))
    assert told.startswith("spec.pipelinePriority is the operator's copy: change spec.priority of the Pipeline")
    for label in (f"{JOB_HASH}=other", f"{JOB_HASH}-", f"{GROUP}/new=x"):
        told = refusal(owner.run("label", "--overwrite", "pjob/j", label))
        assert told == f"Labels that begin with {GROUP}/ are the operator's: leave them as they are."
    owner.ok("label", "pjob/j", "team=red")
    team.ok(*team.merge("pjob/j", {"spec": {"pipelinePriority": 1}}))


def test_a_user_cannot_make_a_pod_count_for_a_job_nor_hide_one(team: Kubectl, owner: User) -> None:
    reserved = f"The label {JOB_HASH} of a pod is the operator's: it must not be set, changed or removed."
    assert refusal(owner.tries(pod("forged", {JOB_HASH: "x"}))).startswith(reserved)
    held = pod("plain", {"app": "x"}) | {"spec": {"containers": [{"name": "m", "image": "i"}], "schedulerName": "none"}}
    owner.ok("create", "-f", "-", stdin=held)
    assert refusal(owner.run("label", "pod/plain", f"{JOB_HASH}=x")).startswith(reserved)
    team.ok("label", "pod/plain", f"{JOB_HASH}=x")
    for label in (f"{JOB_HASH}=y", f"{JOB_HASH}-"):
        assert refusal(owner.run("label", "--overwrite", "pod/plain", label)).startswith(reserved)
    owner.ok("label", "pod/plain", "app-", f"{GROUP}.example=x")


@pytest.mark.parametrize("name", ["system:serviceaccount:kube-system:job-controller", "system:kube-controller-manager"])
def test_kubernetes_makes_the_pods_of_its_jobs(installed: Cluster, team: Kubectl, name: str) -> None:
    """In a cluster like this one the controllers are administrators; elsewhere they come under these names."""
    grant(team, name, rule("create", "", "pods"))
    assert User(installed.paths.kubectl, team.namespace, name).tries(pod("j", {JOB_HASH: "j"})).code == 0


def test_whoever_has_all_rights_in_a_namespace_is_not_stopped_there(installed: Cluster, team: Kubectl) -> None:
    grant(team, "chief", rule("create", "", "pods"), rule("*", "*", "*"))
    chief = User(installed.paths.kubectl, team.namespace, "chief")
    assert chief.tries(pipeline_job("j")).code == 0


@pytest.fixture
def client(installed: Cluster, team: Kubectl) -> Iterator[Callable[..., str]]:
    """Makes PipelineClients, or changes them; they are gone after the test."""
    own, made = Kubectl(installed.paths.kubectl, OWN), set[str]()

    def put(name: str, *namespaces: str) -> str:
        title = f"{name}-{team.namespace}"
        own.ok("apply", "-f", "-", stdin=manifest("PipelineClient", title, {"namespaces": list(namespaces)}))
        made.add(title)
        return title

    yield put
    own.ok("delete", "pclient", *made)


def test_a_client_is_used_only_from_the_namespaces_that_it_lists(
    team: Kubectl, owner: User, client: Callable[..., str]
) -> None:
    others, ours, everyones = (
        client("others", "elsewhere"),
        client("ours", "elsewhere", team.namespace),
        client("all", "*"),
    )

    def accepted(name: str) -> bool:
        return owner.tries(pipeline(shell("a"), name="other", clientId=name)).code == 0

    def told(name: str) -> str:
        return (
            f"spec.clientId: the PipelineClient {name} does not list the namespace {team.namespace}; name another, or"
        )

    wait_for(lambda: not accepted(others), "the new client is known", 30)
    assert refusal(owner.tries(pipeline(shell("a"), clientId=others))).startswith(told(others))
    assert accepted(ours)
    assert accepted(everyones)
    owner.ok("create", "-f", "-", stdin=pipeline(shell("a"), clientId=ours))
    change = owner.merge("tpl/p", {"spec": {"clientId": others}})
    assert refusal(owner.run(*change)).startswith(told(others))
    client("ours", "elsewhere")
    wait_for(lambda: not accepted(ours), "the change of the client is known", 30)
    owner.ok(*owner.merge("tpl/p", {"spec": {"priority": 3}}))
    client("others", team.namespace)
    wait_for(lambda: accepted(others), "the change of the client is known", 30)
    owner.ok(*change)


def test_a_client_that_does_not_exist_is_told_by_the_operator(
    team: Kubectl, owner: User, account: str, restricted: OperatorProcess
) -> None:
    bind(team, account, ROLE)
    restricted.start()
    owner.ok("create", "-f", "-", stdin=pipeline(shell("a"), clientId="nobody"))
    status = wait_for_status(team, "tpl/p", state="ERROR", reason="ClientNotAllowed")["status"]
    assert "there is no PipelineClient nobody" in status["message"]
    assert jobs_of(team) == []
