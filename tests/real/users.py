"""People and programs without an administrator's rights: who they are, and what they may do.

A User is kubectl under another name; a service account has a token and a kubeconfig of its own.
"""

from pathlib import Path
from typing import Any

import yaml

from task_pipeline.kinds.registry import BUILT_IN
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Answer, Kubectl

RBAC = "rbac.authorization.k8s.io"
GROUP = "taskpipeline.dev"
Rule = dict[str, list[str]]


class User(Kubectl):
    """kubectl as somebody else."""

    def __init__(self, program: Path, namespace: str, name: str) -> None:
        super().__init__(program, namespace)
        self.name = name

    def run(self, *arguments: str, stdin: Any = None) -> Answer:
        """The answer of a call made under this user's name."""
        return super().run(f"--as={self.name}", *arguments, stdin=stdin)

    def tries(self, document: Any) -> Answer:
        """The answer to a creation that the API server judges and does not store."""
        return self.run("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=document)


def rule(verbs: str, group: str, resources: str, *names: str) -> Rule:
    """A rule of a role: `rule("create,patch", "apps", "deployments")`; `names` restrict it to objects."""
    made = {"apiGroups": [group], "resources": resources.split(","), "verbs": verbs.split(",")}
    return {**made, "resourceNames": list(names)} if names else made


# All that the operator does in a namespace, its own included.
OPERATOR_RULES = (
    rule("create,delete,get,list,patch,watch", GROUP, "pipelinejobs"),
    rule("delete,get,list,watch", GROUP, "pipelines"),
    rule("list,watch", GROUP, "pipelineclients"),
    rule("patch", GROUP, "pipelines/status,pipelinejobs/status,pipelineclients/status"),
    rule("create", "events.k8s.io", "events"),
    rule("create", "coordination.k8s.io", "leases"),
    rule("get,update", "coordination.k8s.io", "leases", "task-pipeline-operator"),
    *(
        rule(",".join(right.verbs), right.resource.group, right.resource.plural)
        for kind in BUILT_IN
        for right in kind.rights
    ),
)


def grant(admin: Kubectl, user: str, *rules: Rule, title: str = "own") -> None:
    """Give `user` a role with `rules` in the namespace of `admin`, and wait until the API server knows the first."""
    name = f"{title}-{user.rpartition(':')[2]}"
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules}
    admin.ok("apply", "-f", "-", stdin=role)
    bind(admin, user, name, kind="Role")
    (group, *_), (resource, *_), (verb, *_) = rules[0]["apiGroups"], rules[0]["resources"], rules[0]["verbs"]
    plural, _, sub = resource.partition("/")
    target = "/".join([".".join(filter(None, (plural, group))), *rules[0].get("resourceNames", ())[:1]])
    ask = ("auth", "can-i", f"--as={user}", verb, target, f"--subresource={sub}")
    wait_for(lambda: admin.run(*ask).code == 0, f"{user} may {verb} {target}", 30)


def bind(admin: Kubectl, user: str, role: str, *, kind: str = "ClusterRole") -> None:
    """Bind a role to `user` in the namespace of `admin`."""
    subjects = [{"kind": "User", "name": user, "apiGroup": RBAC}]
    reference = {"apiGroup": RBAC, "kind": kind, "name": role}
    metadata = {"name": f"{role}-{user.rpartition(':')[2]}"}
    document = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata}
    admin.ok("apply", "-f", "-", stdin={**document, "subjects": subjects, "roleRef": reference})


def service_account(admin: Kubectl, name: str) -> str:
    """Make a service account in the namespace of `admin`; returns the name that the API server knows it by."""
    document = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    admin.ok("apply", "-f", "-", stdin=document)
    return f"system:serviceaccount:{admin.namespace}:{name}"


def kubeconfig_of(admin: Kubectl, account: str, like: Path, target: Path) -> Path:
    """Write a kubeconfig with a token of the service account, for the cluster that `like` leads to."""
    document = yaml.safe_load(like.read_text())
    token = admin.ok("create", "token", account, "--duration=1h").strip()
    document["users"] = [{"name": account, "user": {"token": token}}]
    document["contexts"][0]["context"]["user"] = account
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(document))
    return target


def refusal(answer: Answer) -> str:
    """What the policy says in a refusal, which `answer` must be."""
    assert answer.code != 0, f"not refused: {answer.out}"
    assert "is forbidden: ValidatingAdmissionPolicy" in answer.err, answer.err
    return answer.err.split("denied request: ", 1)[1].strip()
