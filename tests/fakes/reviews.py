"""TokenReview and SubjectAccessReview: questions that are answered and not stored.

Rule: a test says which tokens there are and who may do what; everything else is refused, as on a real API server
with RBAC.
"""

from dataclasses import dataclass, field
from typing import Any

from task_pipeline.api.resources import ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from tests.fakes import refusals
from tests.fakes.store import Object


@dataclass(frozen=True)
class Account:
    """Whom a token stands for, and for which audiences it was issued."""

    username: str
    audiences: tuple[str, ...]
    uid: str = "0000-uid"
    groups: tuple[str, ...] = ("system:serviceaccounts", "system:authenticated")
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass
class Reviews:
    """`tokens` by their text; `rules` as (user name or group, verb, resource, namespace), "*" for any."""

    tokens: dict[str, Account] = field(default_factory=dict)
    rules: set[tuple[str, str, str, str]] = field(default_factory=set)

    def answer(self, resource: Resource, body: Object) -> Object:
        """The review with its status. Raises NotFound for a resource that is no review."""
        if resource not in (TOKEN_REVIEWS, ACCESS_REVIEWS):
            raise refusals.no_such_path()
        spec = body["spec"]
        status = self._authenticated(spec) if resource == TOKEN_REVIEWS else self._allowed(spec)
        return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}, **body, "status": status}

    def _authenticated(self, spec: Object) -> Object:
        account = self.tokens.get(spec["token"])
        asked = set(spec.get("audiences", ("https://kubernetes.default.svc",)))
        common = sorted(asked & set(account.audiences)) if account else []
        if account is None or not common:
            return {"user": {}, "error": "[invalid bearer token]"}
        user: Object = {"username": account.username, "uid": account.uid, "groups": list(account.groups)}
        user["extra"] = {name: list(values) for name, values in account.extra}
        return {"authenticated": True, "user": user, "audiences": common}

    def _allowed(self, spec: Object) -> Object:
        asked: Any = spec["resourceAttributes"]
        who = {spec["user"], *spec.get("groups", ())}
        resource = "/".join([asked["resource"], *([asked["subresource"]] if "subresource" in asked else [])])
        wanted = (asked["verb"], resource, asked.get("namespace", ""))
        for subject, *rule in self.rules:
            if subject in who and all(given in ("*", want) for given, want in zip(rule, wanted, strict=True)):
                return {"allowed": True, "reason": "RBAC: allowed by a role"}
        return {"allowed": False}
