"""values.schema.json refuses what is wrong and says where, and what it takes reaches the programs."""

import json
from typing import Any

import pytest
import yaml

from task_pipeline import __version__
from task_pipeline.api.decode import decode_client_spec
from task_pipeline.entrypoints.chart_schema import OF_THE_CHART
from task_pipeline.settings import Settings, variables
from tests.install.checks import containers, of
from tests.install.helm import CHART, Document, Helm
from tests.install.values import SETS

pytestmark = pytest.mark.chart


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"settings": {"queue_size": -1}}, "/settings/queue_size"),
        ({"settings": {"queue_size": "many"}}, "/settings/queue_size"),
        ({"settings": {"retry_backoff_jitter": 2}}, "/settings/retry_backoff_jitter"),
        ({"settings": {"pod_security": "none"}}, "/settings/pod_security"),
        ({"settings": {"log_level": "LOUD"}}, "/settings/log_level"),
        ({"settings": {"quue_size": 1}}, "'quue_size' not allowed"),
        ({"settings": {"namespaces": ["a"]}}, "'namespaces' not allowed"),
        ({"settings": {"leader_election": False}}, "'leader_election' not allowed"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"rbac": {"scope": "some"}}, "/rbac/scope"),
        ({"rbac": {"scope": "namespaced"}}, "/namespaces"),
        ({"namespaces": ["Team_A"]}, "/namespaces/0"),
        ({"operator": {"replicas": "two"}}, "/operator/replicas"),
        ({"operator": {"resources": {"requests": {"cpu": 1}}}}, "/operator/resources/requests/cpu"),
        ({"server": {"ingress": {"enabled": True}}}, "/server/ingress/host"),
        ({"server": {"port": 70000}}, "/server/port"),
        ({"httpRunner": {"serverUrl": "tasks.example.com"}}, "/httpRunner/serverUrl"),
        ({"policies": {"validationActions": ["Refuse"]}}, "/policies/validationActions/0"),
        ({"networkPolicy": {"apiServerPorts": []}}, "/networkPolicy/apiServerPorts"),
        ({"secret": "x"}, "'secret' not allowed"),
        ({"namespaces": ["task-pipeline"]}, "namespaces: task-pipeline is the namespace of the release"),
        ({"test": {"namespace": "task-pipeline"}}, "test.namespace: task-pipeline is the namespace of the release"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(helm: Helm, values: dict[str, Any], place: str) -> None:
    answer = helm.template(values)
    assert answer.code != 0
    assert place in answer.err


def _program(documents: list[Document], program: str) -> dict[str, Any]:
    (found,) = [
        container for _, container, _ in containers(of(documents, "Deployment")) if container["name"] == program
    ]
    return found


@pytest.mark.parametrize("values", sorted(SETS))
def test_the_programs_understand_what_they_are_given(
    helm: Helm, values: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    documents = helm.documents(SETS[values])
    (file,) = [one["data"]["settings.yaml"] for one in of(documents, "ConfigMap") if "settings.yaml" in one["data"]]
    for _, container, _ in containers(of(documents, "Deployment")):
        path = tmp_path / f"{container['name']}.yaml"
        path.write_text(file)
        with monkeypatch.context() as patch:
            for variable in container["env"]:
                patch.setenv(variable["name"], variable["value"])
            patch.setenv("TASK_PIPELINE_CONFIG", str(path))
            settings = Settings()
        given = SETS[values].get("settings", {})
        if "max_running_jobs" in given:
            assert (settings.max_running_jobs, settings.queue_size) == (50, None)
            assert settings.http_allow == ("https://*.example.com", "http://payments.shop.svc:8080")
        if container["name"] == "operator":
            assert settings.operator_namespace == "task-pipeline"
            assert list(settings.namespaces) == SETS[values].get("namespaces", [])


def test_every_variable_is_one_that_the_programs_know(default: list[Document]) -> None:
    known = {variable for setting in Settings.model_fields for variable in variables(setting)}
    given = {one["name"] for _, container, _ in containers(of(default, "Deployment")) for one in container["env"]}
    assert given <= known | {"TASK_PIPELINE_CONFIG"}
    assert {setting for setting in Settings.model_fields} >= OF_THE_CHART


def test_more_variables_and_ways_out_are_the_operators_alone(helm: Helm, default: list[Document]) -> None:
    documents = helm.documents(SETS["traces"])
    wanted = SETS["traces"]["operator"]["env"]
    for program in ("operator", "server", "http-runner"):
        more = wanted if program == "operator" else []
        assert _program(documents, program)["env"] == _program(default, program)["env"] + more
    before, after = (
        {one["metadata"]["name"]: one["spec"]["egress"] for one in of(some, "NetworkPolicy")}
        for some in (default, documents)
    )
    operator = "task-pipeline-operator"
    assert after == before | {operator: before[operator] + SETS["traces"]["networkPolicy"]["operatorTo"]}


def test_the_server_knows_the_runner_and_the_runner_the_server(default: list[Document]) -> None:
    server = {one["name"]: one["value"] for one in _program(default, "server")["env"]}
    runner = {one["name"]: one["value"] for one in _program(default, "http-runner")["env"]}
    assert server["TASK_PIPELINE_HTTP_RUNNER_ACCOUNT"] == "task-pipeline/task-pipeline-http-runner"
    assert runner["TASK_PIPELINE_SERVER_URL"] == "http://task-pipeline-server.task-pipeline.svc:8090"


def _restarts(documents: list[Document]) -> dict[str, str]:
    """The checksum of each program: when it changes, the pods are replaced."""
    return {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"]["template"]["metadata"]["annotations"][
            "checksum/settings"
        ]
        for one in of(documents, "Deployment")
    }


def test_what_applies_at_once_does_not_restart_the_operator(helm: Helm, default: list[Document]) -> None:
    before = _restarts(default)
    at_once = _restarts(helm.documents({"settings": {"max_running_jobs": 7}}))
    at_start = _restarts(helm.documents({"settings": {"workers": 7}}))
    assert at_once["operator"] == before["operator"]
    assert at_once["server"] != before["server"]
    assert at_start["operator"] != before["operator"]


def test_the_namespaces_of_the_policies_are_those_that_are_watched(helm: Helm, default: list[Document]) -> None:
    assert all("matchResources" not in one["spec"] for one in of(default, "ValidatingAdmissionPolicyBinding"))
    for one in of(helm.documents(SETS["namespaced"]), "ValidatingAdmissionPolicyBinding"):
        (expression,) = one["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == SETS["namespaced"]["namespaces"]


def test_the_operator_namespace_of_the_policies_is_that_of_the_release(helm: Helm) -> None:
    documents = helm.documents(namespace="jobs-system")
    (policy,) = [
        one for one in of(documents, "ValidatingAdmissionPolicy") if one["metadata"]["name"].startswith("requester")
    ]
    assert policy["spec"]["validations"][0]["expression"] == "request.namespace != 'jobs-system'"
    (binding,) = [one for one in of(documents, "ValidatingAdmissionPolicyBinding")
                  if one["metadata"]["name"].startswith("client-namespaces")]  # fmt: skip
    assert binding["spec"]["paramRef"]["namespace"] == "jobs-system"
    assert "task-pipeline'" not in yaml.safe_dump(policy)


def test_crds_are_kept_unless_told_otherwise(helm: Helm, default: list[Document]) -> None:
    kept = {"helm.sh/resource-policy": "keep"}
    assert [one["metadata"]["annotations"] for one in of(default, "CustomResourceDefinition")] == [kept] * 3
    gone = of(helm.documents(SETS["crds-go-with-the-release"]), "CustomResourceDefinition")
    assert [one["metadata"].get("annotations") for one in gone] == [None] * 3


def test_names_follow_the_release(helm: Helm) -> None:
    documents = helm.documents(release="prod")
    assert {one["metadata"]["name"] for one in of(documents, "Deployment")} == {
        f"prod-task-pipeline-{program}" for program in ("operator", "server", "http-runner")}  # fmt: skip


def test_the_chart_says_which_version_it_brings() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
    annotations = {name: yaml.safe_load(text) for name, text in chart["annotations"].items()}
    assert annotations["artifacthub.io/images"][0]["image"] == f"task-pipeline/operator:{__version__}"
    crds = [yaml.safe_load(path.read_text()) for path in CHART.parents[1].glob("crds/*.yaml")]
    told = {(one["name"], one["kind"], one["version"]) for one in annotations["artifacthub.io/crds"]}
    ours = {(one["metadata"]["name"], one["spec"]["names"]["kind"], one["spec"]["versions"][0]["name"]) for one in crds}
    assert told == ours


def test_the_notes_fit_the_values(helm: Helm) -> None:
    notes = helm.run(
        "install", "task-pipeline", str(CHART), "--dry-run=client", "--namespace", "task-pipeline", values={}
    )
    assert notes.code == 0, notes.err
    text = notes.out.split("NOTES:\n", 1)[1]
    assert "it watches all namespaces" in text
    assert "which was made unless there was one" in text
    assert "kind: PipelineClient" not in text
    assert "server.submitNamespaces" in text


def test_the_notes_tell_how_to_make_the_client_where_the_chart_does_not(helm: Helm) -> None:
    values = {"defaultClient": {"create": False}, "namespaces": ["team-a"]}
    notes = helm.run(
        "install", "task-pipeline", str(CHART), "--dry-run=client", "--namespace", "task-pipeline", values=values
    )
    text = notes.out.split("NOTES:\n", 1)[1]
    assert 'spec: {namespaces: ["team-a"]}' in text
    assert "which was made" not in text


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        ("default", {"namespaces": ["*"]}),
        ("namespaced", {"namespaces": ["team-a", "team-b"]}),
        ("limited-default-client", {"namespaces": ["team-a"], "maxRunningJobs": 5}),
        ("default-client-with-a-limit-only", {"namespaces": ["team-a", "team-b"], "maxRunningJobs": 0}),
        ("no-default-client", None),
    ],
)
def test_the_default_client_fits_the_installation(helm: Helm, values: str, spec: dict[str, Any] | None) -> None:
    jobs = of(helm.documents(SETS[values]), "Job")
    assert len(jobs) == (spec is not None)
    for job in jobs:
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        given = json.loads({one["name"]: one["value"] for one in container["env"]}["CLIENT_SPEC"])
        assert given == spec
        decode_client_spec(given)
