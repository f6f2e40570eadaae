"""The values of the Helm chart: names, defaults and meanings, once. values.yaml, schema and README are made of them.

Rule: a value has a description that a platform engineer understands without reading a template. What the programs can
be told is not repeated here: `settings` are the lines of the settings file, with the names of task_pipeline.settings.
Secrets are never values; the chart takes names of objects that exist.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Count = Annotated[int, Field(ge=0, le=100)]
Object = dict[str, Any]
Words = dict[str, str]


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Image(_Values):
    """The image; all three programs are in it."""

    repository: Text = Field(default="task-pipeline/operator", description="Name of the image, with its registry.")
    tag: str = Field(
        default="",
        pattern=r"^[\w.-]*$",
        json_schema_extra={"not": {"const": "latest"}},
        description="Tag; empty: the chart's appVersion. Never `latest`.",
    )
    digest: str = Field(
        default="", pattern=r"^(sha256:[0-9a-f]{64})?$", description="Digest `sha256:...`; it beats the tag."
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When the image is pulled."
    )


class CRDs(_Values):
    """The CustomResourceDefinitions; they are one for the cluster."""

    install: bool = Field(default=True, description="Whether this release brings the CRDs and keeps them up to date.")
    keep: bool = Field(
        default=True, description="Whether they, and so all Pipelines, stay when the release is uninstalled."
    )


class DefaultClient(_Values):
    """The PipelineClient `default`, that of Pipelines that name none."""

    create: bool = Field(
        default=True, description="Whether it is made if there is none; one that is there stays as it is."
    )
    spec: Object = Field(
        default={},
        description="Its spec, such as maxRunningJobs: 20. Without namespaces of its own: all `namespaces`, or `*`.",
    )


class RBAC(_Values):
    """How far the programs' rights reach."""

    scope: Literal["cluster", "namespaced"] = Field(
        default="cluster", description="cluster: ClusterRoles. namespaced: Roles in `namespaces` and nowhere else."
    )
    aggregate: bool = Field(
        default=True, description="Whether the cluster's roles view, edit and admin get rights on Pipelines."
    )


class Policies(_Values):
    """The ValidatingAdmissionPolicies, see docs/policies.md; they are one for the cluster."""

    enabled: bool = Field(default=True, description="Whether this release brings them.")
    validation_actions: list[Literal["Deny", "Warn", "Audit"]] = Field(
        default=["Deny"], min_length=1, description="What a refusal does; [Warn, Audit] to begin with."
    )
    namespace_selector: Object = Field(
        default={},
        description="Label selector of the namespaces in which they are in force; empty: all that are watched.",
    )


class NetworkPolicy(_Values):
    """Who may talk to whom."""

    enabled: bool = Field(default=True, description="Whether there are NetworkPolicies for the three programs.")
    api_server_ports: list[Port] = Field(
        default=[443, 6443, 8443, 16443], min_length=1, description="Ports of the API server, also behind its service."
    )
    server_from: list[Object] = Field(
        default=[{"namespaceSelector": {}}],
        description="Peers that may reach the REST server; by default all pods of the cluster.",
    )
    metrics_from: list[Object] = Field(
        default=[],
        description="Peers that may read the metrics of all three programs, such as Prometheus; empty: nobody.",
    )
    operator_to: list[Object] = Field(
        default=[],
        description="Egress rules of the operator besides DNS and the API server, such as for a collector of traces.",
    )
    runner_to: list[Object] = Field(
        default=[],
        description="Egress rules of the HTTP runner besides public addresses, for private hosts of `http_allow`.",
    )


class PodMonitor(_Values):
    """A PodMonitor for the three programs."""

    enabled: bool = Field(
        default=False, description="Whether there is one; it needs `networkPolicy.metricsFrom`, if there are policies."
    )
    interval: str = Field(default="30s", pattern=r"^[1-9][0-9]*(s|m)$", description="How often Prometheus asks.")


class Rules(_Values):
    """A PrometheusRule with the alerts of docs/metrics.md."""

    enabled: bool = Field(default=False, description="Whether there is one.")


class Dashboard(_Values):
    """A ConfigMap with the dashboard, for Grafana's sidecar."""

    enabled: bool = Field(default=False, description="Whether there is one.")
    labels: Words = Field(default={"grafana_dashboard": "1"}, description="Labels by which the sidecar finds it.")


class Monitoring(_Values):
    """Objects of the Prometheus Operator and for Grafana; their CRDs must exist. Metrics are there without them."""

    labels: Words = Field(
        default={}, description="Labels by which Prometheus selects its objects, such as release: prometheus."
    )
    pod_monitor: PodMonitor = Field(default=PodMonitor(), description="A PodMonitor for the three programs.")
    rules: Rules = Field(default=Rules(), description="A PrometheusRule with the alerts.")
    dashboard: Dashboard = Field(default=Dashboard(), description="A ConfigMap with the Grafana dashboard.")


class Resources(_Values):
    """What a container asks for, and its bounds."""

    requests: Words = Field(description="Requests.")
    limits: Words = Field(description="Limits.")


class ServiceAccount(_Values):
    """The service account of a program; the name is the chart's."""

    annotations: Words = Field(default={}, description="Annotations of the ServiceAccount.")


class _Program(_Values):
    replicas: Count = Field(default=2, description="How many pods.")
    resources: Resources = Field(description="Requests and limits of the container.")
    service_account: ServiceAccount = Field(default=ServiceAccount(), description="The program's ServiceAccount.")
    pod_annotations: Words = Field(default={}, description="Annotations of the pods.")
    pod_labels: Words = Field(default={}, description="More labels of the pods.")
    node_selector: Words = Field(default={}, description="Labels that their nodes must have.")
    tolerations: list[Object] = Field(default=[], description="Taints of nodes that they tolerate.")
    affinity: Object = Field(default={}, description="Affinity; empty: the spread of `topologySpread` is enough.")
    topology_spread: list[Literal["kubernetes.io/hostname", "topology.kubernetes.io/zone"]] = Field(
        default=["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
        description="Over which parts of the cluster the pods are spread, if that is possible.",
    )
    priority_class_name: str = Field(default="", description="Their PriorityClass.")


class Operator(_Program):
    """The operator. One replica works, the others stand by."""

    resources: Resources = Field(
        default=Resources(requests={"cpu": "200m", "memory": "256Mi"}, limits={"memory": "1Gi"}),
        description="Requests and limits of the container.",
    )
    env: list[Object] = Field(
        default=[],
        description="More variables of the container, such as where traces go; for settings there is `settings`.",
    )


class Ingress(_Values):
    """An Ingress for the REST server; it serves no TLS by itself."""

    enabled: bool = Field(default=False, description="Whether there is one.")
    class_name: str = Field(default="", description="The IngressClass; empty: the cluster's default.")
    host: str = Field(default="", description="The host name; required.")
    tls_secret: str = Field(default="", description="Name of a Secret with the certificate that exists; required.")
    annotations: Words = Field(default={}, description="Annotations of the Ingress.")


class Server(_Program):
    """The REST server."""

    enabled: bool = Field(default=True, description="Whether it is installed.")
    resources: Resources = Field(
        default=Resources(requests={"cpu": "100m", "memory": "192Mi"}, limits={"memory": "512Mi"}),
        description="Requests and limits of the container.",
    )
    port: Port = Field(default=8090, description="Port of its Service.")
    submit_namespaces: list[Name | Literal["*"]] = Field(
        default=[],
        description="Namespaces in which it may submit Shell, K8S/Job and K8S/Deployment for clients: it then has the "
        'author\'s rights that the policies ask for. ["*"]: in all. Worker and HTTP need none.',
    )
    ingress: Ingress = Field(default=Ingress(), description="An Ingress.")


class TrustedAuthorities(_Values):
    """Certificate authorities that the HTTP runner trusts instead of the system's."""

    config_map: str = Field(default="", description="Name of a ConfigMap that exists; empty: the system's authorities.")
    key: Text = Field(default="ca.crt", description="Its key with the certificates.")


class HttpRunner(_Program):
    """The HTTP runner; it needs the REST server."""

    enabled: bool = Field(default=True, description="Whether it is installed, if the server is.")
    resources: Resources = Field(
        default=Resources(requests={"cpu": "50m", "memory": "96Mi"}, limits={"memory": "256Mi"}),
        description="Requests and limits of the container.",
    )
    server_url: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="Where it reaches the REST server; empty: the Service of this release.",
    )
    trusted_authorities: TrustedAuthorities = Field(default=TrustedAuthorities(), description="Authorities of its own.")


class Test(_Values):
    """The Pipeline that `helm test` runs."""

    namespace: str = Field(
        default="", description="Where; empty: `default`, or the first of `namespaces`. Never the release's own."
    )
    seconds: Annotated[int, Field(ge=10, le=3600)] = Field(default=300, description="How long it may take.")


class Values(_Values):
    """All values."""

    fullname_override: str = Field(
        default="",
        pattern=r"^([a-z]([-a-z0-9]*[a-z0-9])?)?$",
        max_length=40,
        description="How the objects are named; empty: after the release and the chart.",
    )
    image: Image = Field(default=Image(), description="The image.")
    image_pull_secrets: list[Name] = Field(default=[], description="Names of Secrets for pulling it, which exist.")
    namespaces: list[Name] = Field(
        default=[], description="The namespaces that are watched; empty: all. Required with rbac.scope namespaced."
    )
    settings: Object = Field(
        default={},
        description="Lines of the settings file, such as max_running_jobs: 50; see docs/settings.md. Absent: defaults.",
    )
    listen_address: Text = Field(
        default="0.0.0.0",  # noqa: S104
        description="Address on which the pods listen; `::` in clusters with IPv6 only.",
    )
    common_labels: Words = Field(default={}, description="Labels for every object.")
    crds: CRDs = Field(default=CRDs(), description="The CustomResourceDefinitions.")
    default_client: DefaultClient = Field(
        default=DefaultClient(), description="The client of Pipelines that name none."
    )
    rbac: RBAC = Field(default=RBAC(), description="The programs' rights.")
    policies: Policies = Field(default=Policies(), description="The admission policies.")
    network_policy: NetworkPolicy = Field(default=NetworkPolicy(), description="Who may talk to whom.")
    operator: Operator = Field(default=Operator(), description="The operator.")
    server: Server = Field(default=Server(), description="The REST server.")
    http_runner: HttpRunner = Field(default=HttpRunner(), description="The HTTP runner.")
    monitoring: Monitoring = Field(
        default=Monitoring(), description="Who is told where the metrics are, alerts, and a dashboard."
    )
    test: Test = Field(default=Test(), description="What `helm test` runs.")
