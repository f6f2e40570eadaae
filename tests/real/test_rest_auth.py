"""Authentication of the REST server on a real API server, under the rights that the server needs and no others."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from task_pipeline.entrypoints import client_secret, server_keys
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from task_pipeline.server.auth.callers import Caller, CallerKind, Verb
from task_pipeline.server.auth.setup import AuthConfig, set_up
from task_pipeline.server.problem import ProblemError
from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.real.users import RBAC, Rule, grant, kubeconfig_of, rule, service_account
from tests.server.auth_server import CLAIM, WIDE, Replica, basic, serving

pytestmark = [pytest.mark.cluster]

NAMESPACE = "task-pipeline"
GROUP = "taskpipeline.dev"

# All that authentication needs in the operator's namespace, and in the cluster.
OWN_RULES = (
    rule("get,create", "", "secrets"),
    rule("patch", "", "secrets", "task-pipeline-server-keys"),
    rule("list", GROUP, "pipelineclients"),
)
CLUSTER_RULES: tuple[Rule, ...] = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)


@pytest.fixture(scope="module")
def own(installed: Cluster) -> Kubectl:
    """kubectl in the operator's namespace."""
    return Kubectl(installed.paths.kubectl, NAMESPACE)


@pytest.fixture(scope="module")
def server_kubeconfig(installed: Cluster, own: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of the server's own service account."""
    user = service_account(own, "rest-server")
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "rest-reviews"}}
    own.ok("apply", "-f", "-", stdin={**role, "rules": CLUSTER_RULES})
    own.run("create", "clusterrolebinding", "rest-reviews", "--clusterrole=rest-reviews", f"--user={user}")
    grant(own, user, *OWN_RULES)
    wait_for(lambda: own.run("auth", "can-i", f"--as={user}", "create", "tokenreviews").code == 0, "a right", 30)
    folder = tmp_path_factory.mktemp("rest")
    return kubeconfig_of(own, "rest-server", installed.kubeconfig, folder / "kubeconfig")


@contextlib.asynccontextmanager
async def replica(kubeconfig: Path, runner: str | None = None) -> AsyncIterator[Replica]:
    async with HttpCluster(await connect(kubeconfig)) as cluster:
        auth = set_up(cluster, AuthConfig(NAMESPACE, limits=WIDE, runner=runner))
        async with serving(cluster, auth) as made:
            yield made


@pytest.fixture
async def server(server_kubeconfig: Path, kubectl: Kubectl) -> AsyncIterator[Replica]:
    async with replica(server_kubeconfig, f"{kubectl.namespace}/http-runner") as made:
        yield made


@pytest.fixture
def client(own: Kubectl, kubectl: Kubectl) -> Iterator[str]:
    """A PipelineClient for the namespace of `kubectl`."""
    name = f"rest-{secrets.token_hex(4)}"
    own.ok("create", "-f", "-", stdin=manifest("PipelineClient", name, {"namespaces": [kubectl.namespace]}))
    yield name
    own.ok("delete", "pclient", name, "--ignore-not-found")


async def command(program: click.Command, kubeconfig: Path, *arguments: str) -> Result:
    """What a command says; in a thread, since it has an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, program, ["--kubeconfig", str(kubeconfig), *arguments])
    assert result.exit_code == 0, result.output
    return result


async def new_secret(kubeconfig: Path, *arguments: str) -> str:
    """The secret that the command prints."""
    return (await command(client_secret.main, kubeconfig, *arguments)).stdout.strip()


def token_for(kubectl: Kubectl, account: str, *arguments: str) -> str:
    return f"Bearer {kubectl.ok('create', 'token', account, *arguments).strip()}"


async def until(server: Replica, header: str, status: int, seconds: float = 30) -> None:
    """Wait until a request with that header gets that status."""
    deadline = asyncio.get_running_loop().time() + seconds
    while (found := (await server.get("/probe", header)).status) != status:
        assert asyncio.get_running_loop().time() < deadline, f"{found}, not {status}"
        await asyncio.sleep(0.2)


async def test_a_token_of_kubernetes_is_good_for_our_audience_only(server: Replica, kubectl: Kubectl) -> None:
    user = service_account(kubectl, "worker")
    good = token_for(kubectl, "worker", "--audience=task-pipeline")
    answer = await server.get("/probe", good)
    assert (answer.status, await answer.json()) == (200, {"kind": "account", "name": user, "namespaces": []})
    assert (await server.get("/attempt", good)).status == 403
    for wrong in (
        token_for(kubectl, "worker"),
        token_for(kubectl, "worker", "--audience=other"),
        f"{good[:-4]}AAAA",
        "Bearer a.b.c",
    ):
        assert (await server.get("/probe", wrong)).status == 401
    kubectl.ok("delete", "serviceaccount", "worker")
    await until(server, good, 401)


async def test_the_runner_is_known_by_its_service_account(server: Replica, kubectl: Kubectl) -> None:
    service_account(kubectl, "http-runner")
    answer = await server.get("/probe", token_for(kubectl, "http-runner", "--audience=task-pipeline"))
    assert (await answer.json())["kind"] == "runner"


async def test_rights_are_those_of_the_users_roles(server: Replica, kubectl: Kubectl) -> None:
    user = service_account(kubectl, "reader")
    grant(kubectl, user, rule("get,list,patch", GROUP, "pipelines"))
    caller = Caller(CallerKind.ACCOUNT, user, groups=("system:authenticated",))
    authorize = server.auth.authorizer.authorize
    for verb in (Verb.GET, Verb.LIST, Verb.UPDATE):
        await authorize(caller, verb, kubectl.namespace)
    for verb, namespace in (
        (Verb.CREATE, kubectl.namespace),
        (Verb.DELETE, kubectl.namespace),
        (Verb.CLAIM, kubectl.namespace),
        (Verb.GET, "default"),
        (Verb.LIST, "*"),
    ):
        with pytest.raises(ProblemError) as caught:
            await authorize(caller, verb, namespace)
        assert caught.value.status == 403
    admin = Caller(CallerKind.ACCOUNT, "root", groups=("system:masters",))
    await authorize(admin, Verb.LIST, "*")


async def test_a_client_logs_in_and_changes_its_secret(
    server: Replica, installed: Cluster, own: Kubectl, client: str
) -> None:
    first = await new_secret(installed.kubeconfig, client)
    assert (await server.get("/probe", basic(client, first))).status == 200
    answer = await (await server.token(authorization=basic(client, first))).json()
    token = f"Bearer {answer['access_token']}"
    second = await new_secret(installed.kubeconfig, client, "--old-for", "0")
    await until(server, basic(client, second), 200)
    await until(server, basic(client, first), 401)
    assert (await server.get("/probe", token)).status == 200
    # Field case B081: whoever may read every object finds no secret in any.
    kinds = "secrets,pipelineclients,configmaps,events,pods"
    everything = own.ok("get", kinds, "-o", "json")
    for secret in (first, second, answer["access_token"]):
        assert secret not in everything
    held = [item for item in json.loads(everything)["items"] if item["metadata"]["name"].startswith(client)]
    assert [item["kind"] for item in held] == ["Secret", "Secret", "PipelineClient"]
    own.ok("delete", "pclient", client)
    await until(server, basic(client, second), 401)


async def test_a_reference_can_be_left_to_whoever_keeps_the_manifest(
    server: Replica, installed: Cluster, own: Kubectl, client: str
) -> None:
    result = await command(client_secret.main, installed.kubeconfig, client, "--no-reference")
    secret = result.stdout.strip()
    assert (await server.get("/probe", basic(client, secret))).status == 401
    name = result.stderr.partition("{name: ")[2].partition("}")[0]
    credentials = {"spec": {"credentials": [{"secretRef": {"name": name}}]}}
    own.ok("patch", "pclient", client, "--type=merge", "-p", json.dumps(credentials))
    await until(server, basic(client, secret), 200)


@pytest.mark.parametrize("name", ["team:a", "team/a", "A@corp", "client 1", "", "x" * 300])
def test_b062_what_can_be_no_client_id_is_refused_with_the_reason(own: Kubectl, installed: Cluster, name: str) -> None:
    """Field case B062: by the API server where it is registered, and by the command that makes its secret."""
    answer = own.run("create", "-f", "-", stdin=manifest("PipelineClient", name, {"namespaces": ["*"]}))
    assert answer.code != 0
    assert "name" in answer.err
    result = CliRunner().invoke(client_secret.main, ["--kubeconfig", str(installed.kubeconfig), "--", name])
    assert result.exit_code == 1
    assert "lower-case letters, digits, '-' and '.'" in result.stderr


async def test_replicas_that_start_together_share_their_keys(
    server_kubeconfig: Path, installed: Cluster, own: Kubectl
) -> None:
    own.ok("delete", "secret", "task-pipeline-server-keys", "--ignore-not-found")
    async with (
        replica(server_kubeconfig) as one,
        replica(server_kubeconfig) as two,
        replica(server_kubeconfig) as three,
    ):
        servers = (one, two, three)
        given = await asyncio.gather(*(server.auth.tokens.for_attempt(CLAIM) for server in servers))
        for token in given:
            assert [(await server.get("/attempt", f"Bearer {token}")).status for server in servers] == [200] * 3
        await command(server_keys.main, installed.kubeconfig)
        assert [(await server.get("/attempt", f"Bearer {given[0]}")).status for server in servers] == [200] * 3
        keys = json.loads(own.ok("get", "secret", "task-pipeline-server-keys", "-o", "json"))
        assert len(keys["data"]) == 2


async def test_a_server_without_a_right_says_503_and_which_right_to_look_at(
    installed: Cluster, own: Kubectl, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service_account(own, "powerless")
    async with replica(kubeconfig_of(own, "powerless", installed.kubeconfig, tmp_path / "kubeconfig")) as server:
        for header in (basic("default", "x"), "Bearer a.b.c"):
            assert (await server.get("/probe", header)).status == 503
    assert "see the rights of the server" in caplog.text
