"""kubectl as the contract tests use it: one namespace, JSON in and out, refusals as text."""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

GROUP = "taskpipeline.dev/v1alpha1"
SECONDS = 300  # more than any `wait` of a test takes


class Answer(NamedTuple):
    """What one call gave."""

    code: int
    out: str
    err: str


class Kubectl:
    """One kubectl, bound to a cluster and a namespace."""

    def __init__(self, program: Path, namespace: str = "default") -> None:
        self._program = program
        self.namespace = namespace

    def run(self, *arguments: str, stdin: Any = None) -> Answer:
        """The answer of a call, whatever it is; `stdin` is given as JSON."""
        done = subprocess.run(
            [str(self._program), "-n", self.namespace, *arguments],
            input=None if stdin is None else json.dumps(stdin),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: Any = None) -> str:
        """The output of a call that must succeed."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.code == 0, f"kubectl {' '.join(arguments)}: {answer.err}"
        return answer.out

    def refused(self, *arguments: str, stdin: Any = None) -> str:
        """The error text of a call that must fail."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.code != 0, f"kubectl {' '.join(arguments)} was not refused: {answer.out}"
        return answer.err

    def get(self, kind: str, name: str) -> Any:
        """One object."""
        return json.loads(self.ok("get", kind, name, "-o", "json"))

    def create(self, kind: str, name: str, spec: Any) -> Any:
        """A new object, as the API server stored it."""
        return json.loads(self.ok("create", "-f", "-", "-o", "json", stdin=manifest(kind, name, spec)))

    def merge(self, name: str, patch: Any, *more: str) -> tuple[str, ...]:
        """The arguments of a merge patch of `name` (kind/name)."""
        return ("patch", name, "--type=merge", "-p", json.dumps(patch), *more)

    def status(self, name: str, **fields: Any) -> None:
        """Write fields of the status of `name` (kind/name), one write for all of them."""
        self.ok(*self.merge(name, {"status": fields}, "--subresource=status"))

    def try_status(self, name: str, **fields: Any) -> Answer:
        """The answer to a status write that is only tried."""
        return self.run(*self.merge(name, {"status": fields}, "--subresource=status", "--dry-run=server", "-o", "json"))


def manifest(kind: str, name: str, spec: Any) -> dict[str, Any]:
    """A whole object of our group."""
    return {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec}
