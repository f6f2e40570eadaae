"""Objects for the parts that look at single writes: a Pipeline of Shell jobs, and a bare pod such as one launches."""

from typing import Any

NAMESPACE = "default"
FINAL = ("DONE", "ERROR", "CANCELLED")


def pipeline(name: str, stages: int, jobs: int) -> dict[str, Any]:
    """A Pipeline of Shell jobs."""
    names = [f"s{number}" for number in range(stages)]
    params = {"image": "busybox:1.36", "script": "true"}
    return {
        "apiVersion": "taskpipeline.dev/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "stages": names,
            "jobs": [
                {"name": f"{stage}-{number}", "stage": stage, "kind": "Shell", "version": "1.0.0", "params": params}
                for stage in names
                for number in range(jobs)
            ],
        },
    }


def pod(name: str) -> dict[str, Any]:
    """A bare pod such as a Shell job launches."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["/bin/sh", "-c", "true"]}
    spec = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
