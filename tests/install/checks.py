"""What has to hold for the objects of an installation; the list is that of kube-linter, as far as it concerns us.

Rule: a check is a generator over all objects of one rendering and yields one line for each fault, with the object's
name. An exception stands beside its check with the reason. The names in brackets are kube-linter's.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.install.helm import Document

Documents = list[Document]
NO_API_RIGHTS = "http-runner"
HOOKS = ("default-client", "test")  # what runs for seconds, by Helm
OPERATE = "task-pipeline-operate"  # may be brought by another release
SECRET_WORD = re.compile(r"secret|password|passwd|token(?!_file)|credential|api_?key", re.IGNORECASE)
ALLOWED_CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def of(documents: Documents, *kinds: str) -> Documents:
    """The objects of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def name(document: Document) -> str:
    """How an object is called in a fault."""
    metadata = document["metadata"]
    return "/".join([document["kind"], *filter(None, [metadata.get("namespace")]), metadata["name"]])


def pod_templates(documents: Documents) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """Every pod that comes of the objects: whose, its labels, its spec."""
    for document in of(documents, "Deployment", "Job"):
        template = document["spec"]["template"]
        yield name(document), template["metadata"]["labels"], template["spec"]
    for document in of(documents, "Pod"):
        yield name(document), document["metadata"]["labels"], document["spec"]


def containers(documents: Documents) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every container, those that run before the others included: whose, the container, the spec of its pod."""
    for owner, _, spec in pod_templates(documents):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            yield f"{owner}: {container['name']}", container, spec


def images_are_pinned(documents: Documents) -> Iterator[str]:
    """[latest-tag]"""
    for owner, container, _ in containers(documents):
        tail = container["image"].rpartition("/")[2]
        if "@sha256:" not in tail and (":" not in tail or tail.endswith(":latest")):
            yield f"{owner}: the image {container['image']} names no version"


def resources_are_set(documents: Documents) -> Iterator[str]:
    """[unset-cpu-requirements, unset-memory-requirements] A limit of CPU would only slow down what could run."""
    for owner, container, _ in containers(documents):
        found = container.get("resources", {})
        for path in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if path[1] not in found.get(path[0], {}):
                yield f"{owner}: no {' '.join(path)}"


def containers_are_restricted(documents: Documents) -> Iterator[str]:
    """[run-as-non-root, no-read-only-root-fs, privilege-escalation-container, privileged-container, drop-...]"""
    for owner, container, spec in containers(documents):
        pod, own = spec.get("securityContext", {}), container.get("securityContext", {})
        both = {**pod, **own}
        if both.get("runAsNonRoot") is not True or not both.get("runAsUser"):
            yield f"{owner}: may run as root"
        if both.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{owner}: no seccomp profile"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{owner}: may write to its root"
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield f"{owner}: may get more privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{owner}: has capabilities"


def pods_are_apart_from_the_host(documents: Documents) -> Iterator[str]:
    """[host-ipc, host-network, host-pid, docker-sock, sensitive-host-mounts, unsafe-sysctls, ssh-port]"""
    for owner, _, spec in pod_templates(documents):
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(field):
                yield f"{owner}: {field}"
        if any("hostPath" in volume for volume in spec.get("volumes", ())):
            yield f"{owner}: a volume of the host"
        if spec.get("securityContext", {}).get("sysctls"):
            yield f"{owner}: sysctls"
        if spec.get("enableServiceLinks") is not False:
            yield f"{owner}: environment variables for every Service"
    for owner, container, _ in containers(documents):
        if any("hostPort" in port or port["containerPort"] == 22 for port in container.get("ports", ())):
            yield f"{owner}: a port of the host, or of ssh"


def programs_are_probed(documents: Documents) -> Iterator[str]:
    """[no-liveness-probe, no-readiness-probe]"""
    for document in of(documents, "Deployment"):
        for container in document["spec"]["template"]["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", ())}
            for probe in ("livenessProbe", "readinessProbe"):
                if container.get(probe, {}).get("httpGet", {}).get("port") not in ports:
                    yield f"{name(document)}: no {probe} on a port that is there"


def environments_hold_no_secrets(documents: Documents) -> Iterator[str]:
    """[env-var-secret, read-secret-from-env-var]"""
    for owner, container, _ in containers(documents):
        for variable in container.get("env", ()):
            if SECRET_WORD.search(variable["name"]) or "secretKeyRef" in variable.get("valueFrom", {}):
                yield f"{owner}: {variable['name']} looks like a secret"
        if any("secretRef" in source for source in container.get("envFrom", ())):
            yield f"{owner}: a Secret as environment"
    yield from (f"{name(document)}: the chart makes no Secrets" for document in of(documents, "Secret"))


def accounts_are_their_own(documents: Documents) -> Iterator[str]:
    """[default-service-account, non-existent-service-account] And a token is mounted only where rights are used."""
    accounts = {document["metadata"]["name"]: document for document in of(documents, "ServiceAccount")}
    used: list[str] = []
    for owner, labels, spec in pod_templates(documents):
        account = spec.get("serviceAccountName", "default")
        used.append(account)
        if account not in accounts:
            yield f"{owner}: the service account {account} is not of this installation"
        if spec.get("automountServiceAccountToken") is not (labels["app.kubernetes.io/component"] != NO_API_RIGHTS):
            yield f"{owner}: automountServiceAccountToken"
    if len(set(used)) != len(used):
        yield f"service accounts are shared: {used}"
    for account, document in accounts.items():
        if document.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {account}: mounts its token into any pod"


def rules_are_narrow(documents: Documents) -> Iterator[str]:
    """[wildcard-in-rules, access-to-secrets, access-to-create-pods, cluster-admin-role-binding]"""
    for document in of(documents, "Role", "ClusterRole"):
        for rule in document["rules"]:
            if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]):
                yield f"{name(document)}: a wildcard"
            if "secrets" in rule["resources"]:
                wide = document["kind"] == "ClusterRole" or {"list", "watch", "deletecollection"} & set(rule["verbs"])
                if wide or ("patch" in rule["verbs"] and "resourceNames" not in rule):
                    yield f"{name(document)}: too much of Secrets"
            for verb in {"impersonate", "escalate", "bind"} & set(rule["verbs"]):
                yield f"{name(document)}: {verb}"
            for resource in {"pods/exec", "pods/attach", "serviceaccounts/token", "nodes"} & set(rule["resources"]):
                yield f"{name(document)}: {resource}"
    for document in of(documents, "RoleBinding", "ClusterRoleBinding"):
        if document["roleRef"]["name"] in ("cluster-admin", "admin", "edit"):
            yield f"{name(document)}: a role of the cluster"


def bindings_lead_somewhere(documents: Documents) -> Iterator[str]:
    """Every role is bound, every binding has a role and an account of this installation, in the right namespace."""
    roles = {role_key(document) for document in of(documents, "Role", "ClusterRole")}
    accounts = {(d["metadata"]["namespace"], d["metadata"]["name"]) for d in of(documents, "ServiceAccount")}
    bound = set()
    for document in of(documents, "RoleBinding", "ClusterRoleBinding"):
        bound.add(bound_role(document))
        reference = document["roleRef"]
        if bound_role(document) not in roles and reference["name"] != OPERATE:
            yield f"{name(document)}: no role {reference['name']}"
        for subject in document["subjects"]:
            if subject["kind"] != "ServiceAccount" or (subject["namespace"], subject["name"]) not in accounts:
                yield f"{name(document)}: {subject['name']} is not of this installation"
    for kind, _, role_name in roles - bound:
        if not role_name.endswith(("-view", "-edit", "-admin")):
            yield f"{kind} {role_name}: bound to nobody"


def replicas_are_safe(documents: Documents) -> Iterator[str]:
    """[minimum-three-replicas (two), no-anti-affinity, no-rolling-update-strategy, pdb-..., no-node-affinity (no)]"""
    budgets = of(documents, "PodDisruptionBudget")
    for document in of(documents, "Deployment"):
        spec, labels = document["spec"], document["spec"]["template"]["metadata"]["labels"]
        mine = [budget for budget in budgets if selects(budget["spec"]["selector"], labels)]
        if len(mine) != (spec["replicas"] > 1):
            yield f"{name(document)}: {len(mine)} budgets for {spec['replicas']} replicas"
        if any(budget["spec"].get("maxUnavailable") != 1 for budget in mine):
            yield f"{name(document)}: its budget could block the drain of a node"
        if not spec["template"]["spec"].get("topologySpreadConstraints"):
            yield f"{name(document)}: not spread over nodes"
        if spec["strategy"] != {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}:
            yield f"{name(document)}: an update stops pods before others run"


def selectors_select(documents: Documents) -> Iterator[str]:
    """[dangling-service, dangling-networkpolicy, dangling-ingress, mismatching-selector, pdb-..., unique selectors]"""
    pods = [labels for _, labels, _ in pod_templates(documents)]
    for document in of(documents, "Deployment"):
        if not selects(document["spec"]["selector"], document["spec"]["template"]["metadata"]["labels"]):
            yield f"{name(document)}: does not select its own pods"
    wanted = [(d, d["spec"]["selector"]) for d in of(documents, "Deployment", "PodDisruptionBudget")]
    wanted += [(d, {"matchLabels": d["spec"]["selector"]}) for d in of(documents, "Service")]
    wanted += [(d, d["spec"]["podSelector"]) for d in of(documents, "NetworkPolicy")]
    for document, selector in wanted:
        count = sum(selects(selector, labels) for labels in pods)
        if count != 1:
            yield f"{name(document)}: selects {count} of the installation's pods"
    services = {d["metadata"]["name"] for d in of(documents, "Service")}
    for document in of(documents, "Ingress"):
        for rule in document["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                if path["backend"]["service"]["name"] not in services:
                    yield f"{name(document)}: no such Service"
        if not document["spec"].get("tls"):
            yield f"{name(document)}: no TLS"


def networks_are_closed(documents: Documents) -> Iterator[str]:
    """[non-isolated-pod] Only the pods of hooks are free: they live for seconds."""
    policies = of(documents, "NetworkPolicy")
    for owner, labels, _ in pod_templates(documents):
        mine = [policy for policy in policies if selects(policy["spec"]["podSelector"], labels)]
        if policies and len(mine) != (labels["app.kubernetes.io/component"] not in HOOKS):
            yield f"{owner}: {len(mine)} network policies"
    for policy in policies:
        if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"} or not policy["spec"].get("egress"):
            yield f"{name(policy)}: leaves a direction open, or closes its own way out"
        for rule in policy["spec"].get("ingress", ()):
            if not rule.get("from") or not rule.get("ports"):
                yield f"{name(policy)}: open to everybody or on every port"


def mounts_exist(documents: Documents) -> Iterator[str]:
    """Every mount has a volume, and every ConfigMap that a volume names is of this installation, or the user's."""
    maps = {d["metadata"]["name"] for d in of(documents, "ConfigMap")}
    for owner, _, spec in pod_templates(documents):
        volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
        mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", ())}
        if mounted != set(volumes):
            yield f"{owner}: volumes {sorted(volumes)}, mounts {sorted(mounted)}"
        for volume in volumes.values():
            named = volume.get("configMap", {}).get("name")
            if named is not None and named not in maps and volume["name"] != "authorities":
                yield f"{owner}: no ConfigMap {named}"


def objects_are_labelled(documents: Documents) -> Iterator[str]:
    """[required-label-owner] Each object says of which chart and release it is; each name occurs once."""
    seen: set[str] = set()
    for document in documents:
        labels = document["metadata"].get("labels", {})
        if not {"helm.sh/chart", "app.kubernetes.io/name", "app.kubernetes.io/instance"} <= set(labels):
            yield f"{name(document)}: labels"
        if name(document) in seen:
            yield f"{name(document)}: twice"
        seen.add(name(document))


def namespaces_are_named(documents: Documents) -> Iterator[str]:
    """[use-namespace] Every object of a namespace names it, and none lands in `default`, except for `helm test`."""
    wide = ALLOWED_CLUSTER_WIDE | {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for document in documents:
        metadata = document["metadata"]
        if (document["kind"] in wide) is ("namespace" in metadata):
            yield f"{name(document)}: namespace"
        if metadata.get("namespace") == "default" and metadata["labels"]["app.kubernetes.io/component"] != "test":
            yield f"{name(document)}: in the namespace default"


def role_key(document: Document) -> tuple[str, str, str]:
    """What tells roles apart: kind, namespace or "", name."""
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def bound_role(binding: Document) -> tuple[str, str, str]:
    """The role that a binding binds, as `role_key` has it."""
    reference, space = binding["roleRef"], binding["metadata"].get("namespace", "")
    return reference["kind"], "" if reference["kind"] == "ClusterRole" else space, reference["name"]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector of labels (no expressions) selects these."""
    wanted = selector.get("matchLabels", {})
    return bool(wanted) and wanted.items() <= labels.items()


CHECKS: tuple[Callable[[Documents], Iterable[str]], ...] = (
    images_are_pinned,
    resources_are_set,
    containers_are_restricted,
    pods_are_apart_from_the_host,
    programs_are_probed,
    environments_hold_no_secrets,
    accounts_are_their_own,
    rules_are_narrow,
    bindings_lead_somewhere,
    replicas_are_safe,
    selectors_select,
    networks_are_closed,
    mounts_exist,
    objects_are_labelled,
    namespaces_are_named,
)
