"""The policy of requester rights: what its author could not create by hand, a Pipeline does not create for them.

Rule: the rights are those that the kinds use on what they launch, read from the registry, so that the policy cannot
drift from a kind. Whoever changes the jobs answers for all of them. A kind that the package does not bring is
refused, since its rights are unknown.

Limits of the API server: a check of a right costs 350,000 of the 1,000,000 of an expression and of the 10,000,000 of a
policy. So each stands in an expression of its own, and only a few service accounts are checked by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from task_pipeline.api.resources import PIPELINES, Resource
from task_pipeline.core.workload import JobKind, is_remote_kind
from task_pipeline.entrypoints.admission import Manifest, literal, may, policy, validation

MAX_ACCOUNTS = 4
ACCOUNT_VERB = "impersonate"  # the verb that Kubernetes itself asks for, and that its roles edit and admin hold

_WRITING = ("create", "update", "patch")
_ACCOUNTS = ("", "serviceaccounts", ACCOUNT_VERB)


@dataclass(frozen=True, slots=True)
class Need:
    """One right that the author of a job of this kind needs."""

    kind: str
    resource: Resource
    verb: str

    @property
    def text(self) -> str:
        """The right as kubectl spells it, with the kind: `create jobs.batch (K8S/Job)`."""
        parts = (self.resource.plural, self.resource.group)
        return f"{self.verb} {'.'.join(part for part in parts if part)} ({self.kind})"


def needs(kinds: Iterable[JobKind]) -> tuple[Need, ...]:
    """What authors need: for each kind the writing verbs that it uses on what it launches, if it launches anything."""
    return tuple(
        Need(kind.name, kind.resource, verb)
        for kind in sorted(kinds, key=lambda kind: kind.name)
        if not is_remote_kind(kind)
        for right in kind.rights
        if right.resource == kind.resource
        for verb in right.verbs
        if verb in _WRITING
    )


def requester_policy(kinds: tuple[JobKind, ...], operator_namespace: str) -> Manifest:
    """The policy on Pipelines for these kinds."""
    known, wanted = sorted(kind.name for kind in kinds), needs(kinds)
    validations = [
        validation(
            f"request.namespace != '{operator_namespace}'",
            message=f"The namespace {operator_namespace} is the operator's own: create the Pipeline in another.",
        ),
        validation(
            "size(variables.unknown) == 0",
            computed="'The job kind ' + variables.unknown[0] + ' is not one that the policy knows. '\n"
            f"+ 'Correct it (known: {', '.join(known)}), or ask the platform team to add it to the policy.'",
        ),
        *(
            validation(
                f"!{_uses(need)} || {may(need.resource.group, need.resource.plural, need.verb)}",
                computed=_refusal(f"'{need.text}'"),
            )
            for need in wanted
        ),
        *_account_validations(),
    ]
    return policy(
        "requester-rights",
        "Who creates a Pipeline or changes its jobs must have the rights that its jobs use.",
        PIPELINES,
        ("jobs-are-new", "request.operation == 'CREATE' || object.spec.jobs != oldObject.spec.jobs"),
        validations,
        {
            "kinds": f"{literal(known)}.filter(k, object.spec.jobs.exists(j, j.kind == k))",
            "unknown": f"object.spec.jobs.filter(j, !(j.kind in {literal(known)})).map(j, j.kind)",
            **_accounts(),
            **_texts(wanted),
        },
    )


def _uses(need: Need) -> str:
    return f"('{need.kind}' in variables.kinds)"


def _accounts() -> dict[str, str]:
    """The named service accounts one by one, `account1`, ..., and what is left each time, `left1`, ...

    `default` is not among them: every pod that names none has it. A param of a wrong type is passed over, so that it
    reaches the operator, which tells its path.
    """
    maps = ".filter(m, type(m) == map)"
    inner = "".join(f"\n.map(m, m.?{field}.orValue('')){maps}" for field in ("template", "spec"))
    variables = {
        "pod_specs": f"object.spec.jobs.map(j, dyn(j).?params.?spec.orValue('')){maps}{inner}",
        "left0": "(object.spec.jobs.map(j, dyn(j).?params.?serviceAccountName.orValue(''))\n"
        "+ variables.pod_specs.map(p, p.?serviceAccountName.orValue(''))\n"
        "+ variables.pod_specs.map(p, p.?serviceAccount.orValue('')))\n"
        ".filter(n, type(n) == string && !(n in ['', 'default']))",
    }
    for number in range(1, MAX_ACCOUNTS + 1):
        left = f"variables.left{number - 1}"
        variables[f"account{number}"] = f"size({left}) == 0 ? '' : {left}[0]"
        variables[f"left{number}"] = f"{left}.filter(n, n != variables.account{number})"
    return variables


def _account_validations() -> Iterator[Manifest]:
    for number in range(1, MAX_ACCOUNTS + 1):
        account = f"variables.account{number}"
        yield validation(
            f"{account} == '' || {may(*_ACCOUNTS, account)}",
            computed=_refusal(f"'{ACCOUNT_VERB} serviceaccounts/' + {account}"),
        )
    yield validation(
        f"size(variables.left{MAX_ACCOUNTS}) == 0 || {may(*_ACCOUNTS)}",
        computed=_refusal(
            f"'{ACCOUNT_VERB} all serviceaccounts (asked of a Pipeline that names more than {MAX_ACCOUNTS})'"
        ),
    )


def _refusal(right: str) -> str:
    return f"variables.who + {right} + variables.advice"


def _texts(wanted: Iterable[Need]) -> dict[str, str]:
    """Beginning and end of every refusal. The API server tells only the first, so the end lists all that is needed."""
    rights = [f"({_uses(need)} ? ['{need.text}'] : [])" for need in wanted]
    rights.append(f"(size(variables.left0) == 0 ? [] : ['{ACCOUNT_VERB} serviceaccounts (those that they name)'])")
    return {
        "who": "request.userInfo.username + ' may not '",
        "needed": "\n+ ".join(rights),
        "advice": "' in the namespace ' + request.namespace + '. The jobs of this Pipeline need the rights: '\n"
        "+ variables.needed.join(', ')\n"
        "+ '. Ask whoever manages the roles of that namespace, or leave these jobs out.'",
    }
