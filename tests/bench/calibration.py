"""C0: what the control plane can write, and how fast an interpreter is here, before and after each block.

If both have changed, the machine has, and the numbers between them say less. The objects are the benchmark's own.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.bench.client import CONNECTIONS, MERGE, METADATA_LIST, Body, Client
from tests.bench.figures import drift

NAMESPACE = "bench-calibration"
ALLOWED_DRIFT = 0.10
WARM_UP = 200
_GROUP = "bench.test"
_LABEL = f"{_GROUP}/calibration"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_SAMPLES = f"/apis/{_GROUP}/v1/namespaces/{NAMESPACE}/samples"
_STATUS = {"status": {"text": "x" * 2048}}
_PROBE_LOOPS, _PROBES = 400_000, 5


@dataclass(frozen=True)
class Calibration:
    """Writes per second over all connections; milliseconds that a fixed piece of interpreter work takes."""

    config_map_posts: float
    status_patches: float
    probe_ms: float


async def prepare(client: Client) -> None:
    """Install what C0 writes to."""
    await client.install(
        (
            ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
            (_CRDS, _crd()),
        )
    )
    await client.served(_SAMPLES)


async def calibrate(client: Client, writes: int, tag: str) -> Calibration:
    """Write `writes` ConfigMaps, and 2 KB into the status of as many custom resources; all is removed again."""
    probe = probe_ms()

    async def post(number: int) -> None:
        await client.send("POST", _CONFIG_MAPS, _config_map(f"{tag}-{number}"))

    async def create(number: int) -> None:
        await client.send("POST", _SAMPLES, _sample(f"{tag}-{number}"))

    async def patch(number: int) -> None:
        await client.send("PATCH", f"{_SAMPLES}/{tag}-{number}/status", _STATUS, content=MERGE)

    await _rate(post, range(writes, writes + WARM_UP))
    posts = await _rate(post, range(writes))
    await _rate(create, range(writes))
    patches = await _rate(patch, range(writes))
    for path in (_CONFIG_MAPS, _SAMPLES):
        await client.send("DELETE", f"{path}?labelSelector={_LABEL}", accept=METADATA_LIST)
    return Calibration(posts, patches, probe)


def marks(before: Calibration, after: Calibration) -> list[str]:
    """What is to be said about a block whose calibrations differ by more than is allowed; nothing is dropped."""
    pairs = {
        "C0 ConfigMap POST": drift(before.config_map_posts, after.config_map_posts),
        "C0 status PATCH": drift(before.status_patches, after.status_patches),
        "probe": drift(before.probe_ms, after.probe_ms),
    }
    return [f"{name} drifted {share:.0%}" for name, share in pairs.items() if share > ALLOWED_DRIFT]


def probe_ms() -> float:
    """The median time of a fixed piece of interpreter work."""
    return statistics.median(_probe() for _ in range(_PROBES))


def _probe() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_PROBE_LOOPS):
        total += number % 7
    return 1000 * (time.perf_counter() - began)


async def _rate(write: Callable[[int], Awaitable[None]], numbers: range) -> float:
    rest = iter(numbers)

    async def work() -> None:
        for number in rest:
            await write(number)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return len(numbers) / (time.perf_counter() - began)


def _config_map(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(name), "data": {"text": "x" * 100}}


def _sample(name: str) -> Body:
    return {"apiVersion": f"{_GROUP}/v1", "kind": "Sample", "metadata": _meta(name)}


def _meta(name: str) -> Body:
    return {"name": name, "labels": {_LABEL: "true"}}


def _crd() -> Body:
    status: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"status": status}}},
        "subresources": {"status": {}},
    }
    names = {"kind": "Sample", "plural": "samples", "singular": "sample"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"samples.{_GROUP}"},
        "spec": {"group": _GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }
