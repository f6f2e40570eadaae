"""PodMonitor, alerts and dashboard: off unless wanted, and leading to ports that answer and may be reached."""

import json
from typing import Any

import pytest

from task_pipeline.observability.alerts import rule_file
from task_pipeline.observability.dashboard import dashboard
from tests.install.checks import CHECKS, containers, of, pod_templates, selects
from tests.install.helm import Document, Helm

pytestmark = pytest.mark.chart

PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
ON: dict[str, Any] = {
    "monitoring": {
        "labels": {"release": "prometheus"},
        "podMonitor": {"enabled": True, "interval": "15s"},
        "rules": {"enabled": True},
        "dashboard": {"enabled": True},
    },
    "networkPolicy": {"metricsFrom": [PROMETHEUS]},
}


@pytest.fixture(scope="module")
def monitored(helm: Helm) -> list[Document]:
    return helm.documents(ON)


def test_by_default_there_is_nothing_that_needs_the_prometheus_operator(helm: Helm) -> None:
    documents = helm.documents()
    assert not of(documents, "PodMonitor", "PrometheusRule")
    assert not [one for one in of(documents, "ConfigMap") if "dashboard" in one["metadata"]["name"]]
    for policy in of(documents, "NetworkPolicy"):
        ports = {port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]}
        assert ports <= {"http"}, policy["metadata"]["name"]


def test_all_objects_pass_the_checks_of_every_other_installation(monitored: list[Document]) -> None:
    assert [fault for check in CHECKS for fault in check(monitored)] == []


def test_the_monitor_finds_each_program_at_a_port_that_prometheus_may_reach(monitored: list[Document]) -> None:
    (monitor,) = of(monitored, "PodMonitor")
    spec = monitor["spec"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    asked = {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]}
    assert {endpoint["interval"] for endpoint in spec["podMetricsEndpoints"]} == {"15s"}
    (chosen,) = spec["selector"]["matchExpressions"]
    found = set()
    for _, labels, pod in pod_templates(monitored):
        component = labels["app.kubernetes.io/component"]
        if component not in chosen["values"]:
            continue
        assert selects(spec["selector"], labels)
        (container,) = pod["containers"]
        ports = {port["name"] for port in container["ports"]} & asked
        assert len(ports) == 1, f"{component} is asked at {ports}"
        (policy,) = [one for one in of(monitored, "NetworkPolicy") if selects(one["spec"]["podSelector"], labels)]
        (rule,) = [one for one in policy["spec"]["ingress"] if {port["port"] for port in one["ports"]} == ports]
        assert rule["from"] == [PROMETHEUS]
        found.add(component)
    assert found == {"operator", "server", "http-runner"}


def test_metrics_are_not_on_the_port_of_a_service(monitored: list[Document]) -> None:
    for service in of(monitored, "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} == {"http"}
    for _, container, _ in containers(of(monitored, "Deployment")):
        given = {variable["name"]: variable["value"] for variable in container["env"]}
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        if "metrics" in ports:
            assert (
                given["TASK_PIPELINE_METRICS_PORT"] == str(ports["metrics"]) != given.get("TASK_PIPELINE_SERVER_PORT")
            )


def test_rules_and_dashboard_arrive_as_they_are(monitored: list[Document]) -> None:
    (rules,) = of(monitored, "PrometheusRule")
    assert rules["spec"] == rule_file()
    assert rules["metadata"]["labels"]["release"] == "prometheus"
    (board,) = [one for one in of(monitored, "ConfigMap") if one["metadata"]["name"].endswith("-dashboard")]
    assert json.loads(board["data"]["task-pipeline.json"]) == dashboard()
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"monitoring": {"podMonitor": {"enabled": True}}}, "networkPolicy.metricsFrom"),
        ({"monitoring": {"podMonitor": {"interval": "often"}}}, "/monitoring/podMonitor/interval"),
        ({"monitoring": {"serviceMonitor": {}}}, "'serviceMonitor' not allowed"),
        ({"settings": {"metrics_port": 1}}, "'metrics_port' not allowed"),
    ],
)
def test_what_cannot_work_is_refused(helm: Helm, values: dict[str, Any], said: str) -> None:
    answer = helm.template(values)
    assert answer.code != 0
    assert said in answer.err


def test_without_network_policies_a_monitor_needs_no_peers(helm: Helm) -> None:
    values = {"monitoring": {"podMonitor": {"enabled": True}}, "networkPolicy": {"enabled": False}}
    assert of(helm.documents(values), "PodMonitor")
