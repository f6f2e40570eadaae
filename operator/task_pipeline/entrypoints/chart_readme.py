"""README.md of the Helm chart: what it is, how it is installed, and every value."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from task_pipeline.entrypoints.chart_values import Values

_TEXT = """\
# task-pipeline

Pipelines of jobs on Kubernetes: declared once, queued by priority, run in real containers, told truly. The chart brings
the CRDs, the operator (two replicas, one of which works), the REST server, the HTTP runner, their roles, admission
policies and network policies, and a hook that makes the client `default` if there is none.

Needs Kubernetes 1.33 or newer and Helm 3.18 or newer.

## Install

```console
$ kubectl create namespace task-pipeline
$ kubectl label namespace task-pipeline pod-security.kubernetes.io/enforce=restricted
$ helm install task-pipeline helm/task-pipeline --namespace task-pipeline --set image.repository=REGISTRY/NAME
$ helm test task-pipeline --namespace task-pipeline
```

All pods of the chart fit Pod Security `restricted`. `docs/installation.md` in the repository tells about scopes,
upgrades, GitOps tools, network policies and how to remove it.

## Values

No value is a secret: the server makes its own keys, and what else is secret is named, not given.

| Value | Default | Meaning |
|---|---|---|
"""


def chart_readme(note: str) -> str:
    """The page; `note` says from what it is made."""
    rows = [f"| `{path}` | {_shown(value)} | {meaning} |" for path, value, meaning in _rows(Values(), "")]
    return f"<!-- {note} -->\n{_TEXT}" + "\n".join(rows) + "\n"


def _rows(model: BaseModel, prefix: str) -> Iterator[tuple[str, Any, str]]:
    for name, field in type(model).model_fields.items():
        path, value = f"{prefix}{field.alias or name}", getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{path}.")
        else:
            yield path, value, (field.description or "").replace("|", "\\|")


def _shown(value: Any) -> str:
    return "none" if value in ("", {}, []) else f"`{json.dumps(value)}`"
