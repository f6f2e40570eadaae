"""A cluster with a real node, and the chart installed on it with the image of these sources."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import Cluster, NodeMode, Report
from tests.cluster.fixtures import temporary_cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.e2e import image
from tests.e2e.release import API, TEAM, Release
from tests.install import helm as helms
from tests.install.helm import Helm
from tests.install.manifests import namespace


@pytest.fixture(scope="session")
def node() -> Iterator[Cluster]:
    """The cluster, with the image; skipped on a machine that cannot build or run it."""
    reason = image.obstacle(Report())
    if reason:
        pytest.skip(f"no image can be built and run on this machine: {reason}")
    archive = image.archive(Report())
    with temporary_cluster(NodeMode.REAL) as cluster:
        cluster.load_image(archive)
        yield cluster


@pytest.fixture(scope="session")
def release(node: Cluster) -> Release:
    """The chart, installed in a namespace that takes restricted pods only, with a client beside the chart's own.

    The cluster has no DNS, so the HTTP runner is told the address of a server's pod, as an upgrade; and the one service
    with a fixed address is the API server, so that is what HTTP jobs may ask.
    """
    path = helms.program()
    assert path is not None, "build helm first: make helm"
    values: dict[str, Any] = {
        "image": {"repository": image.REPOSITORY, "tag": image.tag()},
        "server": {"submitNamespaces": [TEAM]},
        "settings": {"http_allow": [API], "retry_backoff": 0.2},
        "httpRunner": {"trustedAuthorities": {"configMap": "kube-root-ca.crt"}},
        "test": {"namespace": TEAM},
    }
    made = Release(node, Helm(path), values)
    admin = Kubectl(node.paths.kubectl)
    admin.ok("apply", "-f", "-", stdin=namespace())
    admin.ok("create", "namespace", TEAM)
    made.put("install")
    runner = {"serverUrl": made.address(), **values["httpRunner"]}
    made.put("upgrade", httpRunner=runner)
    made.own.ok("apply", "-f", "-", stdin=manifest("PipelineClient", "acme", {"namespaces": [TEAM]}))
    return made
