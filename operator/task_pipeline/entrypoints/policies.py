"""manifests/policies.yaml: admission policies, so that the operator does nothing for people that they may not do.

Rule: a policy is here only if neither the schema nor RBAC can say it. None matches a status, and the operator's own
requests are sorted out by one look-up of its right, so that its hot path stays as it is.
"""

from task_pipeline.api.group import API_VERSION, GROUP, LABEL_JOB_HASH, PIPELINECLIENT_KIND
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.entrypoints.admission import (
    OPERATOR_ROLE,
    Manifest,
    binding,
    is_operator,
    literal,
    operator_role,
    policy,
    validation,
)
from task_pipeline.entrypoints.requester import requester_policy
from task_pipeline.kinds.registry import BUILT_IN
from task_pipeline.settings import Settings

OPERATOR_NAMESPACE: str = Settings.model_fields["operator_namespace"].default

# Who makes the pods of Kubernetes Jobs: with a service account for each controller, and without.
_JOB_CONTROLLERS = ("system:serviceaccount:kube-system:job-controller", "system:kube-controller-manager")


def policies(operator_namespace: str = OPERATOR_NAMESPACE) -> list[Manifest]:
    """All objects of the file: the operator's ClusterRole, then every policy with its binding."""
    requester = requester_policy(BUILT_IN, operator_namespace)
    clients, jobs, labels = _client_namespaces(), _pipeline_jobs(), _reserved_labels()
    params = {"namespace": operator_namespace, "selector": {}, "parameterNotFoundAction": "Allow"}
    objects = [operator_role(), requester, binding(requester), clients, binding(clients, paramRef=params)]
    return [*objects, jobs, binding(jobs), labels, binding(labels)]


def _client_namespaces() -> Manifest:
    """Evaluated once for every PipelineClient, of which one is meant; one that does not exist the operator tells."""
    made = policy(
        "client-namespaces",
        "The PipelineClient that a Pipeline names must list its namespace.",
        PIPELINES,
        ("client-is-new", "request.operation == 'CREATE' || object.spec.clientId != oldObject.spec.clientId"),
        [
            validation(
                "params.metadata.name != object.spec.clientId\n"
                "|| params.spec.namespaces.exists(n, n == '*' || n == request.namespace)",
                computed="'spec.clientId: the PipelineClient ' + object.spec.clientId\n"
                "+ ' does not list the namespace ' + request.namespace\n"
                "+ '; name another, or ask the platform team to add it'",
            )
        ],
    )
    made["spec"] = {"paramKind": {"apiVersion": API_VERSION, "kind": PIPELINECLIENT_KIND}, **made["spec"]}
    return made


def _pipeline_jobs() -> Manifest:
    old, new = (
        f"{obj}.metadata.?labels.orValue({{}}).transformMap(k, v, k.startsWith('{GROUP}/'), v)"
        for obj in ("oldObject", "object")
    )
    return policy(
        "pipelinejobs",
        "Only the operator makes PipelineJobs; users may set spec.cancel and spec.priority.",
        PIPELINE_JOBS,
        ("not-the-operator", f"!{is_operator()}"),
        [
            validation(
                "request.operation != 'CREATE'",
                message="Only the operator creates PipelineJobs: create a Pipeline instead. "
                f"If this is the operator, bind the ClusterRole {OPERATOR_ROLE} to its service account.",
            ),
            validation(
                "request.operation == 'CREATE' || object.spec.pipelinePriority == oldObject.spec.pipelinePriority",
                message="spec.pipelinePriority is the operator's copy: change spec.priority of the Pipeline, "
                "or spec.priority of this PipelineJob.",
            ),
            validation(
                f"request.operation == 'CREATE'\n|| {new}\n== {old}",
                message=f"Labels that begin with {GROUP}/ are the operator's: leave them as they are.",
            ),
        ],
    )


def _reserved_labels() -> Manifest:
    old, new = (f"{obj}.metadata.?labels[?'{LABEL_JOB_HASH}']" for obj in ("oldObject", "object"))
    changed = f"(request.operation == 'CREATE' || {new}\n!= {old})"
    made = policy(
        "reserved-labels",
        "A pod counts for a job by its label: only the operator sets it, and Kubernetes on the pods of a Job.",
        PODS,
        (
            "label-is-not-the-operators",
            f"{changed}\n&& !(request.userInfo.username in {literal(_JOB_CONTROLLERS)})\n&& !{is_operator()}",
        ),
        [
            validation(
                "false",
                message=f"The label {LABEL_JOB_HASH} of a pod is the operator's: it must not be set, changed or "
                "removed. If this is the operator, or a controller that makes pods for one of its jobs, bind the "
                f"ClusterRole {OPERATOR_ROLE} to its service account.",
            )
        ],
    )
    wanted = {"matchExpressions": [{"key": LABEL_JOB_HASH, "operator": "Exists"}]}
    made["spec"]["matchConstraints"]["objectSelector"] = wanted
    return made
