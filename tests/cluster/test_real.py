"""A real node: containers run, their output can be read, pods are reached and reach the API server."""

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for

pytestmark = pytest.mark.node

SERVER = "echo served by a pod > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"
CALL = 'nc -w 3 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" < /dev/null && echo the API answers'


def test_a_container_writes_a_log_and_reaches_the_api_server(real_cluster: Cluster) -> None:
    run = ("run", "writes", "--image=busybox:1.36", "--restart=Never", "--", "sh", "-c")
    real_cluster.kubectl(*run, f"echo hello from $(hostname); {CALL}; exit 0")
    done = "--for=jsonpath={.status.phase}=Succeeded"
    real_cluster.kubectl("wait", "pod/writes", done, "--timeout=30s", seconds=40)
    log = real_cluster.kubectl("logs", "writes")
    assert "hello from writes" in log
    assert "the API answers" in log


def test_a_job_completes(real_cluster: Cluster) -> None:
    real_cluster.kubectl("create", "job", "once", "--image=busybox:1.36", "--", "echo", "done")
    real_cluster.kubectl("wait", "job/once", "--for=condition=Complete", "--timeout=30s", seconds=40)
    assert real_cluster.kubectl("logs", "job/once") == "done\n"


def test_a_pods_page_is_served_through_the_api_server(real_cluster: Cluster) -> None:
    run = ("run", "serves", "--image=busybox:1.36", "--restart=Never", "--", "sh", "-c")
    real_cluster.kubectl(*run, SERVER)
    real_cluster.kubectl("wait", "pod/serves", "--for=condition=Ready", "--timeout=30s", seconds=40)
    page = "/api/v1/namespaces/default/pods/serves:8080/proxy/"
    wait_for(lambda: real_cluster.kubectl("get", "--raw", page, check=False) == "served by a pod\n", "the page")
    assert real_cluster.kubectl("exec", "serves", "--", "cat", "/tmp/index.html") == "served by a pod\n"
