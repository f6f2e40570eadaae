"""The Kubernetes resources that the operator touches, each named once.

A Resource is what an API path is built from; nothing here knows how to send a request.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

_PLAIN = re.compile(r"[A-Za-z0-9._-]*").fullmatch
_ELSEWHERE = frozenset({"", ".", ".."})  # a server takes them for steps of a path


class ImpossibleName(ValueError):
    """A name that would make a path that of something else; the text repeats it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type: its API group ("" for core), version, plural and kind."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """The apiVersion of a manifest of this resource."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path, encoded: of one namespace, or of all when `namespace` is None.

        Raises ImpossibleName for a name that would make it the path of something else: "", "." and "..".
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace is not None:
            parts.append(f"namespaces/{_segment(namespace)}")
        parts.append(self.plural)
        parts.extend(_segment(part) for part in (name, subresource) if part is not None)
        return "/".join(parts)


def _segment(text: str) -> str:
    """`text` as one segment of a path, whatever it holds: names come from users, too."""
    if text in _ELSEWHERE:
        raise ImpossibleName(f"{text!r} is no name of an object")
    return text if _PLAIN(text) else quote(text, safe=":")


PIPELINES = Resource("taskpipeline.dev", "v1alpha1", "pipelines", "Pipeline")
PIPELINE_JOBS = Resource("taskpipeline.dev", "v1alpha1", "pipelinejobs", "PipelineJob")
PIPELINE_CLIENTS = Resource("taskpipeline.dev", "v1alpha1", "pipelineclients", "PipelineClient")
PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
KUBERNETES_JOBS = Resource("batch", "v1", "jobs", "Job")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")
