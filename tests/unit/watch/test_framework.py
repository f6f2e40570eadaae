"""kopf is here, and what it would bring along is not."""

import subprocess
import sys

PROGRAM = """
import sys
import task_pipeline.entrypoints.operator
print(sorted(name for name in ("kopf", "kubernetes", "kubernetes_asyncio") if name in sys.modules))
import kubernetes_asyncio.config
print(kubernetes_asyncio.config.load_kube_config.__name__)
"""


def test_an_operator_in_a_pod_has_no_generated_client_in_memory_and_one_outside_can_still_load_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["['kopf']", "load_kube_config"]
